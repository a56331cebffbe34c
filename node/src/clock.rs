//! The node's wall clock: the system's, or one that is set by hand, so that a network can run in simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::context::unix_time;

/// A wall clock. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// One set by hand: milliseconds since 1970.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// Unix seconds now.
    #[must_use]
    pub fn unix(&self) -> u64 {
        match self {
            Clock::System => unix_time(),
            Clock::Manual(milliseconds) => milliseconds.load(Ordering::Relaxed) / 1_000,
        }
    }
}
