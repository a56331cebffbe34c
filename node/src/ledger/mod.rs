//! The one writer of the ledger: takes blocks and transactions, chooses the branch, keeps pool and journal. A state
//! machine on a thread of its own (`task.rs`); readers use [`crate::view::SharedView`].

mod accept;
mod admission;
mod checked;
mod choose;
mod governance;
mod handle;
mod pending;
mod switch;
mod task;
mod tree;
mod turn;

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use lru::LruCache;
use rayon::prelude::*;
use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, FullHash, Txid};
use rota_consensus::block::{self, CheckedBlock};
use rota_consensus::rule::{BlockRule, Rule};
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::transaction::{Place, VerifiedTransaction, check_transaction};
use rota_params::runtime::RuntimeSettings;
use rota_storage::journal::Journal;
use rota_storage::{Snapshot, StorageError, Store};
use rota_wallet::Wallet;
use tokio::sync::broadcast;

pub use admission::Admission;
pub use choose::GovernanceFork;
pub use governance::{GovernanceSeen, is_protected};
pub use handle::{LedgerHandle, Stopped, SubmitError};
pub use task::spawn;
pub use tree::ChainTip;

use crate::clock::Clock;
use crate::pause::Paused;
use crate::pool::{Ended, Pool, PoolEntry, PoolLimits, Renewal, Renewed};
use crate::view::{SharedView, Tip, View};
use checked::CheckedBlocks;
use switch::unreadable;
use tree::Tree;

/// Times that what came in late is taken over before the door is closed.
const RENEWAL_ROUNDS: usize = 8;
/// Late transactions for which the door may be closed: some milliseconds.
const RENEWAL_LAST: usize = 128;
/// Blocks whose broken rule is remembered, to be named when they come again.
const REFUSED_BLOCKS: NonZeroUsize = NonZeroUsize::new(1_024).expect("1024 is not zero");

/// What the ledger tells all parts.
#[derive(Clone, Debug)]
pub enum LedgerEvent {
    /// The tip moved. Whoever acts on rights judges anew: ranges begin and end by height alone.
    Tip {
        /// The new tip.
        tip: Tip,
        /// Blocks applied, in order.
        applied: Vec<(BlockHash, Height)>,
        /// Blocks undone, tip first.
        undone: Vec<BlockHash>,
    },
    /// A transaction came into the pool.
    Admitted {
        /// The transaction.
        txid: Txid,
        /// Its hash with witnesses.
        hash: FullHash,
        /// The entry, if it is still there: who listens slowly keeps no transactions in memory.
        entry: Weak<PoolEntry>,
    },
    /// A transaction left the pool unconfirmed.
    Ended {
        /// The transaction.
        txid: Txid,
        /// Why.
        reason: String,
    },
}

/// What became of a block.
#[derive(Clone, Debug)]
pub enum BlockOutcome {
    /// It is on the active chain.
    Applied,
    /// It is on another branch.
    Stored,
    /// It was here already.
    Known,
    /// Its parent is not here.
    Orphan,
    /// Its parent, or a block that stands on, breaks a rule or was marked by the operator.
    OnMarked,
    /// It lies too far ahead: to be retried then.
    Future {
        /// Unix seconds.
        until: u64,
    },
    /// The message is bad, not the id.
    Message(BlockRule),
    /// It breaks a rule.
    Invalid(Rule),
    /// Incoming blocks are paused.
    Paused,
    /// Storage failed.
    Storage(String),
}

/// Why a command about blocks was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// No such block here.
    #[error("block {0} is not known")]
    UnknownBlock(BlockHash),
    /// The block breaks a rule.
    #[error("block {0} breaks a rule: {1}")]
    Invalid(BlockHash, Rule),
    /// Storage failed.
    #[error("storage failed: {0}")]
    Storage(String),
}

impl From<StorageError> for LedgerError {
    fn from(error: StorageError) -> LedgerError {
        LedgerError::Storage(error.to_string())
    }
}

/// Parts the ledger is made of.
pub struct LedgerParts {
    /// The database.
    pub store: Arc<Store>,
    /// The chain's rules.
    pub rules: Arc<Rules>,
    /// Verified signatures.
    pub signatures: Arc<SignatureCache>,
    /// What readers see.
    pub view: Arc<SharedView>,
    /// Acknowledged transactions.
    pub journal: Arc<Journal>,
    /// Own addresses.
    pub wallet: Arc<Wallet>,
    /// Settings.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// What is paused.
    pub paused: Arc<Paused>,
    /// Whether every acknowledged transaction is synced to disk.
    pub sync_transactions: bool,
    /// What time it is.
    pub clock: Clock,
}

/// The one writer.
pub struct Ledger {
    store: Arc<Store>,
    rules: Arc<Rules>,
    signatures: Arc<SignatureCache>,
    view: Arc<SharedView>,
    admission: Arc<Admission>,
    wallet: Arc<Wallet>,
    settings: Arc<RwLock<RuntimeSettings>>,
    paused: Arc<Paused>,
    sync_transactions: bool,
    clock: Clock,
    tree: Tree,
    checked: CheckedBlocks,
    refused: LruCache<BlockHash, Rule>,
    events: broadcast::Sender<LedgerEvent>,
    ended: VecDeque<(Txid, String)>,
    governance_forks: Vec<GovernanceFork>,
    governance_seen: GovernanceSeen,
    rights: Option<turn::MiningRights>,
    avoided: Vec<(BlockHash, Txid)>,
    /// Tips left for others of the same weight: not returned to unless they grow.
    left: Vec<BlockHash>,
    /// Governance forks that sync knows by headers alone.
    told_forks: Vec<GovernanceFork>,
    confirmed_own: VecDeque<(Height, Txid)>,
    catching_up: bool,
    resting: pending::Resting,
    /// Whether what is journaled is in the pool again; before that nobody knows what of the journal is needed.
    readmitted: bool,
}

impl Ledger {
    /// Loads the tree and the journal; the view is already at the stored tip.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn load(parts: LedgerParts, events: broadcast::Sender<LedgerEvent>) -> Result<Ledger, StorageError> {
        let tree = Tree::load(Arc::clone(&parts.store), Arc::clone(&parts.rules))?;
        // Loading may have forgotten blocks, which readers must not take for known.
        let limits = parts.view.read().pool.limits();
        let fresh = initial_view(&parts.store, &parts.rules, limits)?;
        drop(std::mem::replace(&mut *parts.view.write(), fresh));
        let admission = Arc::new(Admission::new(&parts, events.clone()));
        let mut ledger = Ledger {
            store: parts.store,
            rules: parts.rules,
            signatures: parts.signatures,
            view: parts.view,
            admission,
            wallet: parts.wallet,
            settings: parts.settings,
            paused: parts.paused,
            sync_transactions: parts.sync_transactions,
            clock: parts.clock,
            tree,
            checked: CheckedBlocks::new(),
            refused: LruCache::new(REFUSED_BLOCKS),
            events,
            ended: VecDeque::new(),
            governance_forks: Vec::new(),
            governance_seen: GovernanceSeen::default(),
            rights: None,
            avoided: Vec::new(),
            left: Vec::new(),
            told_forks: Vec::new(),
            confirmed_own: VecDeque::new(),
            catching_up: false,
            resting: pending::Resting::default(),
            readmitted: false,
        };
        if ledger.store.is_rebuilding()? {
            ledger.reindex()?;
        } else {
            ledger.take_in_lost_blocks()?;
        }
        ledger.activate()?;
        ledger.readmit()?;
        Ok(ledger)
    }

    /// Switches view and pool to the stored tip after a commit, and tells everybody.
    fn publish_tip(&mut self, switched: switch::Switched) -> Result<(), StorageError> {
        let snapshot = self.store.snapshot()?;
        let stored = snapshot.tip().ok_or_else(|| StorageError::Missing("the tip".to_owned()))?;
        let tip = tip_of(&self.tree, stored.hash)?;
        let returning = self.returning(&switched);
        let (ended, confirmed) = self.renew_pool(&snapshot, tip, &returning, &switched.confirmed)?;
        tracing::debug!(block = %tip.hash, height = tip.height.0, "the tip moved");
        self.confirmed_own.extend(confirmed.into_iter().map(|txid| (tip.height, txid)));
        for Ended { entry, reason } in ended {
            self.end(&entry.tx, reason);
        }
        self.trim_journal(tip.height);
        let undone = switched.undone.iter().map(|block| block.hash()).collect();
        let _ = self.events.send(LedgerEvent::Tip { tip, applied: switched.applied, undone });
        self.try_resting_at_tip()
    }

    /// Puts a pool over the new tip in the place of the one in use. It is made while transactions come in; the door is
    /// closed for the last few. Returns what ended, and own transactions that are confirmed now.
    fn renew_pool(
        &self,
        snapshot: &Snapshot,
        tip: Tip,
        returning: &[(VerifiedTransaction, bool)],
        confirmed: &HashSet<Txid>,
    ) -> Result<(Vec<Ended>, Vec<Txid>), StorageError> {
        let limits = self.view.read().pool.limits();
        loop {
            let cleared = self.admission.turn().cleared;
            let next = self.view.read().pool.next_sequence();
            let place = next_place(&tip);
            let mut renewal = Renewal::new(snapshot.clone(), place, limits, next, &self.rules, confirmed);
            renewal.take_returning(returning, self.clock.unix()).map_err(unreadable)?;
            for _ in 0..RENEWAL_ROUNDS {
                let late = self.waiting_after(renewal.last());
                renewal.take(&late).map_err(unreadable)?;
                if late.len() <= RENEWAL_LAST {
                    break;
                }
            }
            let turn = self.admission.turn();
            if turn.cleared != cleared {
                continue;
            }
            renewal.take(&self.waiting_after(renewal.last())).map_err(unreadable)?;
            let next = self.view.read().pool.next_sequence();
            let Renewed { pool, ended, confirmed_own } = renewal.finish(next);
            let old = self.view.switch(View { snapshot: snapshot.clone(), tip, pool, next: None });
            drop(turn);
            drop(old);
            return Ok((ended, confirmed_own));
        }
    }

    fn waiting_after(&self, sequence: u64) -> Vec<Arc<PoolEntry>> {
        self.view.read().pool.entries_after(sequence).cloned().collect()
    }

    /// Transactions of undone blocks, lowest block first, verified (from the cache, as a rule), and whether this
    /// node's callers submitted them.
    fn returning(&mut self, switched: &switch::Switched) -> Vec<(VerifiedTransaction, bool)> {
        if switched.undone.is_empty() {
            return Vec::new();
        }
        let own: HashSet<Txid> = self.confirmed_own.iter().map(|(_, txid)| *txid).collect();
        let transactions = switched.undone.iter().rev().flat_map(|block| block.transactions.iter().skip(1));
        let returning: Vec<(VerifiedTransaction, bool)> = transactions
            .filter_map(|transaction| check_transaction(Arc::new(transaction.clone()), &self.rules).ok())
            .filter_map(|checked| self.signatures.verify(checked).ok())
            .map(|tx| {
                let own = own.contains(&tx.txid());
                (tx, own)
            })
            .collect();
        let waiting: HashSet<Txid> =
            returning.iter().map(|(tx, _)| tx.txid()).filter(|txid| !switched.confirmed.contains(txid)).collect();
        self.confirmed_own.retain(|(_, txid)| !waiting.contains(txid));
        returning
    }

    /// Why a transaction left the pool unconfirmed, if it did and is remembered.
    pub fn ending(&self, txid: &Txid) -> Option<&str> {
        self.ended.iter().rev().find(|(ended, _)| ended == txid).map(|(_, reason)| reason.as_str())
    }

    /// The leaves of the tree of blocks.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub fn chain_tips(&self) -> Result<Vec<ChainTip>, LedgerError> {
        Ok(self.tree.chain_tips()?)
    }

    /// Makes everything written safe from power loss, before the node ends.
    fn close(&mut self) {
        self.set_catching_up(false);
        self.admission.close();
        let journal = self.admission.journal();
        let written = journal.sync().and_then(|()| self.store.sync_files());
        if let Err(error) = written.and_then(|()| self.store.note_journal(journal.bytes())) {
            tracing::error!(%error, "the database cannot be synced");
        }
    }

    /// Whether many blocks are expected, so that disk syncs may be shared among them.
    pub fn set_catching_up(&mut self, catching_up: bool) {
        if self.catching_up
            && !catching_up
            && let Err(error) = self.store.sync_files().and_then(|()| self.store.sync())
        {
            tracing::error!(%error, "the database cannot be synced");
        }
        self.catching_up = catching_up;
    }

    /// The door to the pool.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The database, for commands that change what this node follows.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn settings(&self) -> std::sync::RwLockReadGuard<'_, RuntimeSettings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tip a stored block makes.
fn tip_of(tree: &Tree, hash: BlockHash) -> Result<Tip, StorageError> {
    let entry = tree.get(&hash)?.ok_or_else(|| StorageError::Missing(format!("the entry of block {hash}")))?;
    let time = entry.header.header.time;
    Ok(Tip { hash, height: entry.height, time, median_time: tree.median_time(&hash)? })
}

/// Where the transactions of the block after `tip` are judged.
pub fn next_place(tip: &Tip) -> Place {
    Place { height: tip.height.next(), median_time: tip.median_time, offset: 0 }
}

/// The view at the stored tip with an empty pool.
///
/// # Errors
/// [`StorageError`], also if there is no tip.
pub fn initial_view(store: &Arc<Store>, rules: &Arc<Rules>, limits: PoolLimits) -> Result<View, StorageError> {
    let snapshot = store.snapshot()?;
    let stored = snapshot.tip().ok_or_else(|| StorageError::Missing("the tip".to_owned()))?;
    let tree = Tree::without_leaves(Arc::clone(store), Arc::clone(rules));
    let tip = tip_of(&tree, stored.hash)?;
    let pool = Pool::new(snapshot.clone(), next_place(&tip), limits, 1);
    Ok(View { snapshot, tip, pool, next: None })
}

/// Checks a block as far as that needs no state, the signatures of its transactions on all cores.
///
/// # Errors
/// The first rule broken, in the order of the transactions.
pub fn check_block(block: Arc<Block>, rules: &Rules, cache: &SignatureCache) -> Result<CheckedBlock, Rule> {
    block::check_block(block, rules, &|transactions| {
        transactions.into_par_iter().map(|tx| cache.verify(tx).map_err(Rule::from)).collect()
    })
}

#[cfg(test)]
pub(crate) mod tests;
