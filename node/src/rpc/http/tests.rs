//! The front on real sockets: every status and envelope of docs/protocol/rpc.md, and the habits of old clients.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod habit;
mod limit;
mod session;
mod world;
