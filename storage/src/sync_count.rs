//! How often this process asked the disk to make something safe: commits, block files and journal. What RocksDB makes safe
//! by itself when it flushes or compacts is not counted.

use std::sync::atomic::{AtomicU64, Ordering};

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Counts one.
pub(crate) fn note() {
    SYNCS.fetch_add(1, Ordering::Relaxed);
}

/// Syncs since the process began.
#[must_use]
pub fn syncs() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::journal::Journal;

    #[test]
    fn a_synced_journal_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal")).unwrap();
        let before = syncs();
        journal.sync().unwrap();
        // Other tests of this process may sync meanwhile.
        assert!(syncs() > before);
    }
}
