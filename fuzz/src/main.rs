//! `rota-fuzz`: throws changed inputs at every decoder and tells which one broke a promise, and with what input.

use std::process::ExitCode;

use rota_fuzz::command::{Command, HELP};

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        #[allow(clippy::print_stdout, reason = "this is a program for a person")]
        {
            println!("{HELP}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    Command::parse(&words)?.carry_out()
}
