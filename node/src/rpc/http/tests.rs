//! The front on real sockets: every status and envelope of docs/protocol/rpc.md, and the habits of old clients.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crowd;
mod habit;
mod limit;
mod session;
mod tls;
mod user;
mod world;
