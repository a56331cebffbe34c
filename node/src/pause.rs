//! What the operator paused: `pause` and `resume` of incoming, mining and offchain.

use std::sync::atomic::{AtomicBool, Ordering};

/// Switches that any part reads.
#[derive(Debug, Default)]
pub struct Paused {
    incoming: AtomicBool,
    mining: AtomicBool,
    offchain: AtomicBool,
}

/// A task that can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Blocks and transactions from peers.
    Incoming,
    /// Making blocks.
    Mining,
    /// Fetching off-chain items.
    Offchain,
}

impl Paused {
    fn switch(&self, task: Task) -> &AtomicBool {
        match task {
            Task::Incoming => &self.incoming,
            Task::Mining => &self.mining,
            Task::Offchain => &self.offchain,
        }
    }

    /// Pauses or resumes a task.
    pub fn set(&self, task: Task, paused: bool) {
        self.switch(task).store(paused, Ordering::Relaxed);
    }

    /// Whether a task is paused.
    pub fn is_paused(&self, task: Task) -> bool {
        self.switch(task).load(Ordering::Relaxed)
    }
}
