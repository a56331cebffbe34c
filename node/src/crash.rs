//! noded-crash: noded with crash points, which ends where the environment says. For tests, and never released.

use std::process::ExitCode;

use rota_node::program;

// For RocksDB too. See docs/adr/0011-allocator.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match rota_crash::arm() {
        Ok(()) => program::main(),
        Err(sentence) => program::failed(&sentence),
    }
}
