//! The system tests, one binary: `tidy` reads the sources, `process` drives the real binaries over real
//! sockets through `harness`. Build the binaries first (`cargo build --release --workspace --bins`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports a failure by panicking")]

mod harness;
mod hostile;
mod process;
mod tidy;
