//! What an honest node may prefer: timing of its own blocks and which valid branch to follow.
//! Never a verdict of invalid; pure all the same: now, entropy, own addresses and settings are arguments.

pub mod fork;
pub mod rest;
pub mod turnover;
