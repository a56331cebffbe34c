//! noded-crash: noded with crash points, which ends where the environment says. For tests, and never released.

use std::process::ExitCode;

use rota_node::program;

fn main() -> ExitCode {
    match rota_crash::arm() {
        Ok(()) => program::main(),
        Err(sentence) => program::failed(&sentence),
    }
}
