//! What is allowed: pure rules, state in, effects out; and in `choice` what a node may prefer.
//! No clock, no entropy, no storage: all of it comes in as arguments.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod authority;
pub mod block;
pub mod choice;
pub mod coin;
pub mod mining;
pub mod ops;
pub mod rule;
pub mod rules;
pub mod signature;
pub mod state;
pub mod transaction;
pub mod work;
