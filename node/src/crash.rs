//! noded-crash: noded with crash points, which ends where the environment says. For tests, and never released.

use std::process::ExitCode;

use rota_node::program;

// For RocksDB too: what threads give back for each other stays half as large. See docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match rota_crash::arm() {
        Ok(()) => program::main(),
        Err(sentence) => program::failed(&sentence),
    }
}
