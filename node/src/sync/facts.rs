//! What the machine may ask of the ledger at any moment.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, FullHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_chain::transaction::Transaction;
use rota_consensus::rules::Rules;
use rota_consensus::state::{PermissionKey, StateView as _};
use rota_consensus::{authority, mining};
use rota_params::runtime::RuntimeSettings;
use rota_storage::BlockStatus;

use crate::ledger::{GovernanceSeen, is_protected};
use crate::pause::{Paused, Task};
use crate::pool::accountable;
use crate::view::{SharedView, Tip};

/// A block the ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBlock {
    /// Its height.
    pub height: Height,
    /// Weight of its branch up to it.
    pub work: u128,
    /// Whether it, or a block it stands on, breaks a rule.
    pub invalid: bool,
}

/// Facts of the ledger: of the real one, or of one in memory.
pub trait ChainFacts {
    /// The applied tip.
    fn tip(&self) -> Tip;
    /// A block on whatever branch, if the ledger has its body or refused it.
    fn block(&self, hash: &BlockHash) -> Option<KnownBlock>;
    /// The block of the active chain at a height.
    fn active(&self, height: Height) -> Option<BlockHash>;
    /// Whether an address may mine the block after the tip.
    fn may_mine(&self, miner: &KeyHash) -> bool;
    /// Whether an address could have made a block on `parent`: not if that stands on the active chain, where nobody
    /// granted it the right. Of other branches only the ledger can tell.
    fn could_mine(&self, miner: &KeyHash, parent: &BlockHash) -> bool;
    /// Whether an address had the right to mine some time, by the active chain.
    fn held_mine(&self, miner: &KeyHash) -> bool;
    /// Whether a miner must wait for others between two blocks of its own, at the tip.
    fn takes_turns(&self) -> bool;
    /// Those of `hashes` that the pool lacks.
    fn pool_lacks(&self, hashes: &[FullHash]) -> Vec<FullHash>;
    /// Whether the pool has room for each of `transactions`, by size and author alone.
    fn pool_has_room(&self, transactions: &[&Transaction]) -> Vec<bool>;
    /// Whether the pool or the active chain has a transaction.
    fn has_transaction(&self, txid: &Txid) -> bool;
    /// Waiting transactions by full hash.
    fn pool_find(&self, hashes: &[FullHash]) -> Vec<Option<Arc<Transaction>>>;
    /// Full hashes of own waiting transactions, at most `limit`.
    fn pool_own(&self, limit: usize) -> Vec<FullHash>;
    /// Whether the operator paused blocks and transactions of peers.
    fn incoming_paused(&self) -> bool;
    /// The last block of the active chain on the branch of a block the ledger has, and who made the block after it on
    /// that branch, if there is one.
    fn fork_of(&self, hash: &BlockHash) -> Option<(Height, Option<KeyHash>)>;
    /// Whether a branch that leaves the active one after `fork` with a block of `miner`, who had the right to mine
    /// some time, would undo a change of governance that this node protects.
    fn is_protected(&self, fork: Height, miner: &KeyHash) -> bool;
}

/// Facts of the running node's ledger.
pub struct LiveFacts {
    /// What readers see.
    view: Arc<SharedView>,
    /// The chain's rules.
    rules: Arc<Rules>,
    /// What is paused.
    paused: Arc<Paused>,
    /// Settings.
    settings: Arc<RwLock<RuntimeSettings>>,
    /// What was found on the active chain.
    governance: Mutex<GovernanceSeen>,
}

impl LiveFacts {
    /// Facts of the ledger that shows this view.
    #[must_use]
    pub fn new(
        view: Arc<SharedView>,
        rules: Arc<Rules>,
        paused: Arc<Paused>,
        settings: Arc<RwLock<RuntimeSettings>>,
    ) -> LiveFacts {
        LiveFacts { view, rules, paused, settings, governance: Mutex::default() }
    }
}

/// A fact that storage gives; if it fails, that is logged and the fact counts as absent.
fn read<T>(result: Result<T, impl std::fmt::Display>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "the ledger cannot be read")).ok()
}

impl ChainFacts for LiveFacts {
    fn tip(&self) -> Tip {
        self.view.tip()
    }

    fn block(&self, hash: &BlockHash) -> Option<KnownBlock> {
        let entry = read(self.view.snapshot().block_entry(hash))??;
        let invalid = matches!(entry.status, BlockStatus::Invalid | BlockStatus::InvalidAncestor);
        (invalid || entry.body.is_some()).then_some(KnownBlock { height: entry.height, work: entry.chainwork, invalid })
    }

    fn active(&self, height: Height) -> Option<BlockHash> {
        read(self.view.snapshot().block_hash(height))?
    }

    fn may_mine(&self, miner: &KeyHash) -> bool {
        let (snapshot, height) = {
            let view = self.view.read();
            (view.snapshot.clone(), view.tip.height.next())
        };
        read(authority::may(&snapshot, &self.rules, Permission::Mine, &Lock::Key(*miner), height)).unwrap_or(false)
    }

    fn could_mine(&self, miner: &KeyHash, parent: &BlockHash) -> bool {
        let snapshot = self.view.snapshot();
        let Some(entry) = read(snapshot.block_entry(parent)).flatten() else { return true };
        if read(snapshot.block_hash(entry.height)).flatten() != Some(*parent) {
            return true;
        }
        let address = Lock::Key(*miner);
        if snapshot.tip().is_some_and(|tip| tip.hash == *parent) {
            let may = authority::may(&snapshot, &self.rules, Permission::Mine, &address, entry.height.next());
            return read(may).unwrap_or(true);
        }
        self.rules.anyone.mine || self.held_mine(miner)
    }

    fn held_mine(&self, miner: &KeyHash) -> bool {
        // What held below the tip is not kept, but the record of a right stays when the right ends.
        let key = PermissionKey { entity: None, permission: Permission::Mine, address: Lock::Key(*miner) };
        read(self.view.snapshot().permission(key)).is_none_or(|record| record.is_some())
    }

    fn takes_turns(&self) -> bool {
        let snapshot = self.view.snapshot();
        let Some(height) = snapshot.tip().map(|tip| tip.height.next()) else { return false };
        let miners = read(mining::permitted_miners(&snapshot, height)).unwrap_or_default();
        mining::spacing_at(miners, &self.rules, height) > 1
    }

    fn pool_lacks(&self, hashes: &[FullHash]) -> Vec<FullHash> {
        let view = self.view.read();
        hashes.iter().filter(|hash| view.pool.get_full(hash).is_none()).copied().collect()
    }

    fn pool_has_room(&self, transactions: &[&Transaction]) -> Vec<bool> {
        let asked: Vec<(Option<Lock>, usize)> = transactions.iter().map(|tx| (accountable(tx), tx.size())).collect();
        let view = self.view.read();
        asked.into_iter().map(|(author, size)| view.pool.check_room(author, size).is_ok()).collect()
    }

    fn has_transaction(&self, txid: &Txid) -> bool {
        let snapshot = {
            let view = self.view.read();
            if view.pool.get(txid).is_some() {
                return true;
            }
            view.snapshot.clone()
        };
        read(snapshot.transaction_height(txid)).flatten().is_some()
    }

    fn pool_find(&self, hashes: &[FullHash]) -> Vec<Option<Arc<Transaction>>> {
        let view = self.view.read();
        hashes.iter().map(|hash| view.pool.get_full(hash).map(|entry| Arc::clone(entry.tx.transaction()))).collect()
    }

    fn pool_own(&self, limit: usize) -> Vec<FullHash> {
        let view = self.view.read();
        view.pool.entries().filter(|entry| entry.own).take(limit).map(|entry| entry.tx.full_hash()).collect()
    }

    fn incoming_paused(&self) -> bool {
        self.paused.is_paused(Task::Incoming)
    }

    fn fork_of(&self, hash: &BlockHash) -> Option<(Height, Option<KeyHash>)> {
        let snapshot = self.view.snapshot();
        let (mut next, mut first) = (*hash, None);
        loop {
            let entry = read(snapshot.block_entry(&next))??;
            if read(snapshot.block_hash(entry.height))? == Some(next) {
                return Some((entry.height, first));
            }
            first = Some(entry.header.header.miner);
            next = entry.header.header.previous;
        }
    }

    fn is_protected(&self, fork: Height, miner: &KeyHash) -> bool {
        let snapshot = self.view.snapshot();
        let Some(tip) = snapshot.tip() else { return false };
        let rounds = self.settings.read().unwrap_or_else(PoisonError::into_inner).lockadminminerounds;
        if !self.held_mine(miner) {
            return false;
        }
        let mut seen = self.governance.lock().unwrap_or_else(PoisonError::into_inner);
        read(is_protected(&snapshot, &self.rules, rounds, (tip.height, fork), &mut seen)).unwrap_or(false)
    }
}
