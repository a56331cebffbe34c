//! Scenarios over real processes: each file is a subject, each test a sentence about what a user relies on.

mod argument;
mod catchup;
mod coin;
mod crash;
mod data;
mod exchange;
mod field;
mod history;
mod identity;
mod join;
mod migrate;
mod multisig;
mod notify;
mod offchain;
mod partition;
mod peer;
mod permission;
mod preset;
mod purge;
mod reader;
mod refusal;
mod restart;
mod rpc;
mod spacing;
mod upgrade;
mod work;
