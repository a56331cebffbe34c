//! What happened in a run: a hash over all events, by which two runs are compared, and readable lines on demand.

use std::collections::VecDeque;

use rota_chain::hash::sha256;

/// Lines kept of a run that is read.
const LINES: usize = 400;

/// Hash and lines of a run.
#[derive(Debug, Default)]
pub struct Record {
    hash: [u8; 32],
    pending: Vec<u8>,
    /// Whether lines are made.
    pub reads: bool,
    /// Whether lines are printed as they are made.
    pub prints: bool,
    lines: VecDeque<String>,
    events: u64,
}

/// Bytes hashed at once.
const PENDING: usize = 4_096;

impl Record {
    /// Notes an event at `now` (microseconds): its bytes, and the line that tells of it.
    pub fn note(&mut self, now: u64, bytes: &[u8], line: impl FnOnce() -> String) {
        self.events += 1;
        self.pending.extend_from_slice(&now.to_le_bytes());
        self.pending.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING {
            self.settle();
        }
        if self.reads {
            let line = format!("{:>10.3} {}", now as f64 / 1e6, line());
            if self.prints {
                tracing::info!(target: "simulation", "{line}");
            }
            if self.lines.len() >= LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    fn settle(&mut self) {
        let mut bytes = self.hash.to_vec();
        bytes.append(&mut self.pending);
        self.hash = sha256(&bytes);
    }

    /// The hash over all events so far.
    pub fn hash(&mut self) -> [u8; 32] {
        self.settle();
        self.hash
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
