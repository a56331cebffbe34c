//! noded: runs a node of a chain. Everything is wired in `start.rs`.

use std::process::ExitCode;

use rota_node::{console, daemon, start};
use rota_params::options::CommandLine;

fn main() -> ExitCode {
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
        start::run(&line)
    };
    outcome.unwrap_or_else(|error| failed(&format!("{error:#}")))
}

fn failed(sentence: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "\nERROR: {sentence}\n");
    ExitCode::FAILURE
}
