//! Where transactions come in, from callers and from peers: judged over the pool, journaled if they are own, entered in
//! the pool, and listed in local orders. One at a time, on the threads of those who bring them; blocks hold it up for the
//! moment in which the pool is changed for the next.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_consensus::rules::Rules;
use rota_consensus::transaction::VerifiedTransaction;
use rota_params::runtime::RuntimeSettings;
use rota_storage::Store;
use rota_storage::journal::{Journal, journal_bytes};
use tokio::sync::broadcast;

use super::handle::{Stopped, SubmitError};
use super::{LedgerEvent, LedgerParts};
use crate::clock::Clock;
use crate::pool::{Judged, PoolEntry, PoolError};
use crate::view::SharedView;

/// Transactions listed in local orders by one write.
const LISTED_AT_ONCE: usize = 1_024;
/// How long arrivals may stay unlisted while no reader needs them, so that many share a write and a wake-up.
const LISTED_WITHIN: Duration = Duration::from_millis(2);

/// The door to the pool.
pub struct Admission {
    view: Arc<SharedView>,
    store: Arc<Store>,
    rules: Arc<Rules>,
    settings: Arc<RwLock<RuntimeSettings>>,
    clock: Clock,
    journal: Arc<Journal>,
    events: broadcast::Sender<LedgerEvent>,
    turn: Mutex<Turn>,
    arrivals: Mutex<Arrivals>,
    arrived: Condvar,
    /// Held by whoever lists arrivals, so that they are listed and told in the order they came.
    listing: Mutex<()>,
}

/// What whoever changes the pool holds.
#[derive(Debug, Default)]
pub struct Turn {
    /// Times that the pool was emptied: a pool that is being made of its entries begins anew then.
    pub cleared: u64,
    closed: bool,
}

/// What came in and is not yet in local orders.
#[derive(Debug, Default)]
struct Arrivals {
    waiting: VecDeque<Arc<PoolEntry>>,
    closed: bool,
}

impl Admission {
    pub(super) fn new(parts: &LedgerParts, events: broadcast::Sender<LedgerEvent>) -> Admission {
        Admission {
            view: Arc::clone(&parts.view),
            store: Arc::clone(&parts.store),
            rules: Arc::clone(&parts.rules),
            settings: Arc::clone(&parts.settings),
            clock: parts.clock.clone(),
            journal: Arc::clone(&parts.journal),
            events,
            turn: Mutex::default(),
            arrivals: Mutex::default(),
            arrived: Condvar::new(),
            listing: Mutex::default(),
        }
    }

    /// Takes a caller's transaction into the pool; it is in the journal before it is in the pool.
    ///
    /// # Errors
    /// [`SubmitError`]; then it is not in the pool.
    pub fn submit(&self, tx: VerifiedTransaction) -> Result<Arc<PoolEntry>, SubmitError> {
        if self.is_banned(&tx.txid()) {
            return Err(SubmitError::Refused("the transaction is banned on this node (bantx)".to_owned()));
        }
        self.store.check_room().map_err(SubmitError::Storage)?;
        let turn = self.turn();
        if turn.closed {
            return Err(Stopped.into());
        }
        let judged = self.view.read().pool.judge(tx, &self.rules)?;
        let tx = judged.tx();
        let journaled = self.journal.append(&tx.txid(), &journal_bytes(tx.transaction()));
        journaled.map_err(SubmitError::Storage)?;
        Ok(self.enter(judged, true))
    }

    /// Takes a peer's transaction into the pool.
    ///
    /// # Errors
    /// [`PoolError`]; then it is not in the pool.
    pub fn relay(&self, tx: VerifiedTransaction) -> Result<Arc<PoolEntry>, PoolError> {
        if self.is_banned(&tx.txid()) {
            return Err(PoolError::Known(tx.txid()));
        }
        self.take_in(tx, false)
    }

    /// Takes a journaled transaction into the pool again.
    ///
    /// # Errors
    /// [`PoolError`]; then it is not in the pool.
    pub(super) fn readmit(&self, tx: VerifiedTransaction) -> Result<Arc<PoolEntry>, PoolError> {
        self.take_in(tx, true)
    }

    fn take_in(&self, tx: VerifiedTransaction, own: bool) -> Result<Arc<PoolEntry>, PoolError> {
        let _turn = self.turn();
        let judged = self.view.read().pool.judge(tx, &self.rules)?;
        Ok(self.enter(judged, own))
    }

    /// Enters what was judged in the same turn.
    fn enter(&self, judged: Judged, own: bool) -> Arc<PoolEntry> {
        let entry = self.view.write().pool.enter(judged, own, self.clock.unix());
        self.note_arrival(&entry);
        entry
    }

    fn is_banned(&self, txid: &Txid) -> bool {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).bantx.contains(txid)
    }

    /// Nothing comes in and the pool is not changed by others while this is held.
    pub fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal of own transactions.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_arrival(&self, entry: &Arc<PoolEntry>) {
        let mut arrivals = self.arrivals();
        arrivals.waiting.push_back(Arc::clone(entry));
        if arrivals.waiting.len() == 1 {
            self.arrived.notify_one();
        }
    }

    /// Lists in local orders whatever came in before this call, then tells everybody. Whoever needs them listed calls
    /// this, and a thread does it always.
    pub fn settle(&self) {
        let _listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.arrivals().waiting.len();
        while left > 0 {
            let entries: Vec<Arc<PoolEntry>> = {
                let mut arrivals = self.arrivals();
                let count = left.min(LISTED_AT_ONCE).min(arrivals.waiting.len());
                arrivals.waiting.drain(..count).collect()
            };
            if entries.is_empty() {
                break;
            }
            left -= entries.len();
            let seen: Vec<(Txid, &Transaction)> =
                entries.iter().map(|entry| (entry.tx.txid(), &**entry.tx.transaction())).collect();
            if let Err(error) = self.store.index_seen(&seen) {
                tracing::error!(%error, "local order cannot be written");
            }
            for entry in entries {
                // No receiver is no fault: parts that do not listen need not know.
                let (txid, hash) = (entry.tx.txid(), entry.tx.full_hash());
                let _ = self.events.send(LedgerEvent::Admitted { txid, hash, entry: Arc::downgrade(&entry) });
            }
        }
    }

    /// Lists arrivals as they come, until the door is closed: for a thread of its own.
    pub(super) fn list_arrivals(&self) {
        loop {
            let waited =
                self.arrived.wait_while(self.arrivals(), |arrivals| arrivals.waiting.is_empty() && !arrivals.closed);
            let arrivals = waited.unwrap_or_else(PoisonError::into_inner);
            if arrivals.waiting.is_empty() {
                return;
            }
            let closed = arrivals.closed;
            drop(arrivals);
            if !closed {
                std::thread::sleep(LISTED_WITHIN);
            }
            self.settle();
        }
    }

    /// Takes nothing of callers any more, and lists what came in.
    pub(super) fn close(&self) {
        self.turn().closed = true;
        self.settle();
        self.arrivals().closed = true;
        self.arrived.notify_all();
    }
}
