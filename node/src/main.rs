//! noded: runs a node of a chain. Everything is wired in `start.rs`.

use std::process::ExitCode;

// For RocksDB too: what threads give back for each other stays half as large. See docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rota_node::program::main()
}
