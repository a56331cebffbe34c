//! noded: runs a node of a chain. Everything is wired in `start.rs`.

use std::process::ExitCode;

// For RocksDB too. See docs/adr/0011-allocator.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    rota_node::program::main()
}
