//! The ledger over a real store, driven without its thread.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod attack;
mod block;
mod branch;
mod pending;
mod restart;
mod supply;
pub mod world;
