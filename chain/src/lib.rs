//! What things are: Rota's types and their canonical bytes, hashes, keys and addresses.
//! No input or output, no clock, no randomness: time and entropy are arguments.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod address;
pub mod amount;
pub mod asset;
pub mod block;
pub mod codec;
pub mod data;
pub mod digest;
pub mod filter;
pub mod hash;
pub mod key;
pub mod lock;
pub mod merkle;
pub mod message;
pub mod multiset;
pub mod operation;
pub mod permission;
pub mod script;
pub mod stream;
pub mod transaction;
pub mod upgrade;
pub mod variable;
pub mod witness;
