//! What readers see: the stored state at the tip and the pool above it, switched together.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rota_chain::amount::{Height, Timestamp};
use rota_chain::hash::BlockHash;
use rota_storage::Snapshot;

use crate::pool::Pool;

/// The last block of the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its id.
    pub hash: BlockHash,
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: Timestamp,
    /// Median time of it and the ten blocks before.
    pub median_time: Timestamp,
}

/// One moment of the ledger.
#[derive(Debug)]
pub struct View {
    /// The stored state and indexes at the tip.
    pub snapshot: Snapshot,
    /// The tip.
    pub tip: Tip,
    /// What waits above it.
    pub pool: Pool<Snapshot>,
}

/// The view that all parts share. Readers hold the lock for a look at the pool, never for long work or over `.await`:
/// for more they take the snapshot out.
#[derive(Debug)]
pub struct SharedView(RwLock<View>);

impl SharedView {
    /// Shares a view.
    pub fn new(view: View) -> SharedView {
        SharedView(RwLock::new(view))
    }

    /// Looks at the view.
    pub fn read(&self) -> RwLockReadGuard<'_, View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the view: for the ledger alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stored state at the tip.
    pub fn snapshot(&self) -> Snapshot {
        self.read().snapshot.clone()
    }

    /// The tip.
    pub fn tip(&self) -> Tip {
        self.read().tip
    }
}
