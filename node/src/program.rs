//! The program noded: reads its command line, runs its chains or says why not. `main.rs` and `crash.rs` are its two builds.

use std::process::ExitCode;

use rota_params::options::CommandLine;

use crate::{console, daemon, process};

/// Runs the program to its end.
#[must_use]
pub fn main() -> ExitCode {
    let line = match CommandLine::of_this_program(|_| false) {
        Ok(line) => line,
        Err(error) => return failed(&error.to_string()),
    };
    if line.flag("help") || line.words.first().is_some_and(|word| word == "help") {
        console::say(&console::help());
        return ExitCode::SUCCESS;
    }
    if line.flag("version") {
        console::say(&format!("noded {}", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let outcome = if line.flag("daemon") && !daemon::is_background() {
        daemon::start()
    } else {
        daemon::leave_session();
        process::run(&line)
    };
    outcome.unwrap_or_else(|error| failed(&format!("{error:#}")))
}

/// Says on standard error why the program ends.
#[must_use]
pub fn failed(sentence: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "\nERROR: {sentence}\n");
    ExitCode::FAILURE
}
