//! What of off-chain data is being fetched, in figures.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rota_chain::hash::{ChunkHash, Txid};

/// A chunk, and the stream it is fetched for.
pub(super) type Wanted = (ChunkHash, Txid);

/// Chunks, or their bytes, of one kind of wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Not asked for yet, or to be asked for again.
    pub waiting: u64,
    /// A peer is being chosen.
    pub querying: u64,
    /// A peer was asked.
    pub retrieving: u64,
}

/// What is being fetched now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Numbers of chunks.
    pub chunks: Waits,
    /// Their bytes.
    pub bytes: Waits,
}

/// Chunks, or their bytes, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Looked for: rounds of asking peers.
    pub queries: u64,
    /// Rounds in which some peer had it.
    pub responded: u64,
    /// Rounds in which none had it.
    pub unresponded: u64,
    /// Asked of a peer.
    pub requests: u64,
    /// Received and right.
    pub delivered: u64,
    /// Asked for and not received.
    pub undelivered: u64,
    /// Received and wrong.
    pub baddelivered: u64,
}

/// What was fetched since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalFigures {
    /// Numbers of chunks.
    pub chunks: Counts,
    /// Their bytes.
    pub bytes: Counts,
}

/// What became of a chunk in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A round began.
    Query,
    /// A peer was asked.
    Request,
    /// It came.
    Delivered,
    /// It came wrong.
    Bad,
    /// It did not come.
    Undelivered,
    /// The round ended without it.
    Unanswered,
}

#[derive(Debug, Default)]
struct Inner {
    queue: QueueFigures,
    totals: TotalFigures,
    queued: HashSet<Wanted>,
}

/// Figures that the queue keeps and answers show.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Inner>);

impl Figures {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is being fetched now.
    #[must_use]
    pub fn queue(&self) -> QueueFigures {
        self.lock().queue
    }

    /// What was fetched since the start.
    #[must_use]
    pub fn totals(&self) -> TotalFigures {
        self.lock().totals
    }

    /// Whether a chunk is to be fetched.
    pub(super) fn is_queued(&self, wanted: &Wanted) -> bool {
        self.lock().queued.contains(wanted)
    }

    /// A chunk waits, if it does not yet.
    pub(super) fn enqueue(&self, wanted: Wanted, size: u32) {
        let mut inner = self.lock();
        if inner.queued.insert(wanted) {
            inner.queue.chunks.waiting += 1;
            inner.queue.bytes.waiting += u64::from(size);
        }
    }

    /// A chunk is no longer to be fetched, if it was; it waited before.
    pub(super) fn dequeue(&self, wanted: &Wanted, size: u32) {
        let mut inner = self.lock();
        if !inner.queued.remove(wanted) {
            return;
        }
        inner.queue.chunks.waiting = inner.queue.chunks.waiting.saturating_sub(1);
        inner.queue.bytes.waiting = inner.queue.bytes.waiting.saturating_sub(u64::from(size));
    }

    /// A waiting chunk is asked for now (`out`), or waits again.
    pub(super) fn retrieve(&self, size: u32, out: bool) {
        let mut inner = self.lock();
        let QueueFigures { chunks, bytes } = &mut inner.queue;
        for (waits, amount) in [(chunks, 1), (bytes, u64::from(size))] {
            let (from, to) = if out {
                (&mut waits.waiting, &mut waits.retrieving)
            } else {
                (&mut waits.retrieving, &mut waits.waiting)
            };
            *from = from.saturating_sub(amount);
            *to = to.saturating_add(amount);
        }
    }

    /// Counts what became of a chunk.
    pub(super) fn count(&self, step: Step, size: u32) {
        let mut inner = self.lock();
        let TotalFigures { chunks, bytes } = &mut inner.totals;
        for (counts, amount) in [(chunks, 1), (bytes, u64::from(size))] {
            match step {
                Step::Query => counts.queries += amount,
                Step::Request => counts.requests += amount,
                Step::Delivered => {
                    counts.responded += amount;
                    counts.delivered += amount;
                }
                Step::Bad => counts.baddelivered += amount,
                Step::Undelivered => counts.undelivered += amount,
                Step::Unanswered => counts.unresponded += amount,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_is_asked_for_and_comes_leaves_the_queue_empty() {
        let (figures, hash) = (Figures::default(), (ChunkHash([1; 32]), Txid([2; 32])));
        figures.enqueue(hash, 100);
        figures.enqueue(hash, 100);
        assert_eq!(figures.queue().chunks.waiting, 1);
        assert_eq!(figures.queue().bytes.waiting, 100);
        figures.retrieve(100, true);
        assert_eq!(figures.queue().bytes, Waits { waiting: 0, querying: 0, retrieving: 100 });
        figures.retrieve(100, false);
        figures.dequeue(&hash, 100);
        assert_eq!(figures.queue(), QueueFigures::default());
        assert!(!figures.is_queued(&hash));
    }
}
