//! What runs: the one writer, sync, pool, miner, answers to callers, notifications.

pub mod clock;
pub mod coin;
pub mod combine;
pub mod config;
pub mod console;
pub mod context;
pub mod daemon;
pub mod directory_lock;
pub mod file_limit;
pub mod follower;
pub mod genesis;
pub mod join;
pub mod ledger;
pub mod log;
pub mod miner;
pub mod network;
pub mod notify;
pub mod offchain;
pub mod pause;
pub mod pool;
pub mod prepare;
pub mod program;
pub mod rpc;
pub mod start;
pub mod sync;
pub mod view;
