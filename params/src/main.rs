//! node-util: makes, clones and shows the parameters of a blockchain. The commands are in `command`, their help in
//! `console`.

mod command;
mod console;

use std::io::Write as _;
use std::process::ExitCode;

use rota_params::options::CommandLine;

use crate::command::Outcome;

fn main() -> ExitCode {
    let outcome = match CommandLine::of_this_program(|_| false) {
        Ok(line) => command::run(&line, &mut rand::rng()),
        Err(error) => Outcome::failed(error.to_string()),
    };
    // A reader that closed the pipe has seen what it wanted.
    let _ = std::io::stdout().write_all(outcome.output.as_bytes());
    match outcome.error {
        None => ExitCode::SUCCESS,
        Some(error) => {
            let _ = writeln!(std::io::stderr(), "ERROR: {error}");
            ExitCode::FAILURE
        }
    }
}
