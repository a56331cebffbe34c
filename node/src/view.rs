//! What readers see: the stored state at the tip and the pool above it, switched together.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rota_chain::amount::{Height, Timestamp};
use rota_chain::hash::{BlockHash, Txid};
use rota_storage::Snapshot;
use tokio::sync::watch;

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
    /// A tip that indexes may stand on already while the pool is made anew for it.
    pub next: Option<NextTip>,
}

/// A tip that is being written, and what is confirmed by then that is not at the view's.
#[derive(Clone, Debug)]
pub struct NextTip {
    /// The tip.
    pub hash: BlockHash,
    /// Transactions of the blocks up to it.
    pub confirmed: Arc<HashSet<Txid>>,
}

impl View {
    /// What is confirmed at a tip that this view is about to give way to; none for any other.
    #[must_use]
    pub fn confirmed_at(&self, tip: &BlockHash) -> Option<&HashSet<Txid>> {
        self.next.as_ref().filter(|next| next.hash == *tip).map(|next| &*next.confirmed)
    }
}

/// The view that all parts share. Readers hold the lock for a look at the pool, never for long work or over `.await`:
/// for more they take the snapshot out.
#[derive(Debug)]
pub struct SharedView {
    view: RwLock<View>,
    tips: watch::Sender<Tip>,
}

impl SharedView {
    /// Shares a view.
    pub fn new(view: View) -> SharedView {
        SharedView { tips: watch::Sender::new(view.tip), view: RwLock::new(view) }
    }

    /// Looks at the view.
    pub fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the view: for the ledger alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches to the view at a new tip, and gives the old one, to be dropped when readers were let in again.
    pub(crate) fn switch(&self, view: View) -> View {
        let tip = view.tip;
        let old = std::mem::replace(&mut *self.write(), view);
        self.tips.send_replace(tip);
        old
    }

    /// Tells of new tips: the latest one, not each.
    pub fn tips(&self) -> watch::Receiver<Tip> {
        self.tips.subscribe()
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
