//! The prompt: one call a line, until bye, exit, quit or the end of the input.

use std::io::{BufRead as _, IsTerminal as _};
use tokio::runtime::Runtime;

use crate::call::Session;
use crate::console;
use crate::print::output;
use crate::split::split;

/// Words that end the session.
const FAREWELLS: [&str; 3] = ["bye", "exit", "quit"];

/// Reads and performs calls. The exit status is 0: each call has said for itself how it went.
pub fn run(runtime: &Runtime, session: &Session) -> u8 {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        output(&console::interactive_title());
    }
    let mut lines = stdin.lock().lines();
    loop {
        output(&format!("{}: ", session.chain()));
        let Some(Ok(line)) = lines.next() else {
            output("\n");
            return 0;
        };
        match split(&line).as_deref() {
            Ok([]) => {}
            Ok([word]) if FAREWELLS.contains(&word.as_str()) => return 0,
            Ok([method, words @ ..]) => {
                runtime.block_on(session.perform(method, words));
                output("\n");
            }
            Err(error) => output(&format!("error: {error}\n\n")),
        }
    }
}
