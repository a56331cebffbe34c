//! node-cli: calls a node's JSON-RPC API from the command line. Which node and which call: `target`; the call
//! itself: `call`; how answers look: `print`, `pretty`; parameters in files: `file`; shells: `completion`; the prompt: `interactive`; fixed texts: `console`.

mod call;
mod completion;
mod console;
mod file;
mod interactive;
mod pretty;
mod print;
mod split;
mod target;

use std::io::Write as _;
use std::process::ExitCode;

use crate::call::Session;
use crate::target::Wish;

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line says and gives the exit status.
fn run() -> Result<u8, target::Failure> {
    let wish = target::read_command_line()?;
    let (target, words) = match wish {
        Wish::Print(text) => {
            print::output(&text);
            return Ok(0);
        }
        Wish::Misuse => {
            let _ = write!(std::io::stderr(), "{}", console::help());
            return Ok(1);
        }
        Wish::Call(target, words) => (target, words),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let session = Session::new(*target);
    Ok(match words.as_slice() {
        [] => interactive::run(&runtime, &session),
        [method, words @ ..] => runtime.block_on(session.perform(method, words)),
    })
}
