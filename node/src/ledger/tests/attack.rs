//! Attacks by those who hold keys and too few rights, on every way into the ledger: callers, the pool, blocks, peers.

mod block;
mod branch;
mod draft;
mod missing;
mod need;
mod peers;
mod revocation;
mod witness;
