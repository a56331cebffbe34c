//! `rota-simulate`: runs seeds of the simulation and tells which property did not hold, and after what.

use std::process::ExitCode;

use rota_simulation::command::{Command, HELP};

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
