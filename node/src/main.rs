//! noded: runs a node of a chain. Everything is wired in `start.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rota_node::program::main()
}
