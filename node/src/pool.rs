//! The pool of transactions that wait for a block: a state machine over the state at the tip. What is in it has been
//! applied, in order of arrival, to a view of its own; limits in total and for each author bound it. Its coins by owner
//! are in `coin`, the change to another tip
//! in `renewal`.

pub mod coin;
mod renewal;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use rota_chain::amount::Amount;
use rota_chain::hash::{FullHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{OutPoint, Transaction};
use rota_consensus::rule::{ApplyError, Rule};
use rota_consensus::rules::Rules;
use rota_consensus::state::{Overlay, StateError, StateView};
use rota_consensus::transaction::{Applied, Place, VerifiedTransaction, apply_transaction};
use rota_storage::entity::history_steps;

pub use coin::PoolCoins;
pub use renewal::{Renewal, Renewed};

/// Megabytes of all waiting transactions, unless `maxmempool` says otherwise: 32 blocks of the usual largest size.
pub const POOL_MEGABYTES: u32 = 256;
/// Megabytes of one author's waiting transactions, unless `maxmempoolauthor` says otherwise: a quarter of the pool.
pub const AUTHOR_MEGABYTES: u32 = POOL_MEGABYTES / 4;
/// What an author's limit is.
pub const SHARE: &str = "maxmempoolauthor, or as much as is left of maxmempool";
/// Bytes that a fee rate is for.
const FEE_UNIT: usize = 1_000;

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes of one author.
    pub author_bytes: usize,
    /// Native currency that every 1,000 bytes begun leave to the miner at least, in raw units (`minimum-relay-fee`).
    pub relay_fee: u64,
}

impl PoolLimits {
    /// The least fee of a transaction of so many bytes.
    #[must_use]
    pub fn fee(&self, bytes: usize) -> Amount {
        let units = u64::try_from(bytes.div_ceil(FEE_UNIT)).unwrap_or(u64::MAX);
        Amount(self.relay_fee.saturating_mul(units))
    }
}

impl Default for PoolLimits {
    fn default() -> PoolLimits {
        PoolLimits {
            bytes: (POOL_MEGABYTES as usize) << 20,
            author_bytes: (AUTHOR_MEGABYTES as usize) << 20,
            relay_fee: 0,
        }
    }
}

/// One waiting transaction.
#[derive(Clone, Debug)]
pub struct PoolEntry {
    /// The transaction.
    pub tx: VerifiedTransaction,
    /// Order of arrival.
    pub sequence: u64,
    /// Unix seconds of arrival.
    pub received: u64,
    /// Whether this node's callers submitted it: it was acknowledged and is never evicted.
    pub own: bool,
    /// Native currency left to the miner.
    pub fee: Amount,
}

/// An operation that waits: an item of a stream, or a step in the history of an asset or a variable.
#[derive(Clone, Debug)]
pub struct PoolItem {
    /// Its transaction.
    pub entry: Arc<PoolEntry>,
    /// Its output.
    pub vout: u32,
    /// Which operation of the output.
    pub operation: usize,
}

/// Why a transaction does not come into the pool.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PoolError {
    /// It is there already.
    #[error("transaction {0} is in the pool already")]
    Known(Txid),
    /// A rule refuses it.
    #[error(transparent)]
    Rule(Rule),
    /// The pool is full.
    #[error("the pool holds {bytes} bytes, the limit is {limit} (maxmempool)")]
    Full {
        /// Bytes with this transaction.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The author's share is used up.
    #[error("{author:?} has {bytes} bytes in the pool, the limit is {limit} ({})", SHARE)]
    AuthorFull {
        /// The author.
        author: Lock,
        /// Bytes with this transaction.
        bytes: usize,
        /// The limit: that of any author, or what is left of the pool if that is less.
        limit: usize,
    },
    /// Too little is left to the miner.
    #[error("the fee is {}, due are {} raw units of native currency (minimum-relay-fee)", fee.0, least.0)]
    Fee {
        /// What is left.
        fee: Amount,
        /// What is due.
        least: Amount,
    },
    /// Storage failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ApplyError> for PoolError {
    fn from(error: ApplyError) -> PoolError {
        match error {
            ApplyError::Rule(rule) => PoolError::Rule(rule),
            ApplyError::State(error) => PoolError::State(error),
        }
    }
}

/// A transaction that may come in, and what it changes.
#[derive(Debug)]
pub struct Judged {
    tx: VerifiedTransaction,
    applied: Applied,
}

impl Judged {
    /// The transaction.
    pub fn tx(&self) -> &VerifiedTransaction {
        &self.tx
    }
}

/// How a transaction left the pool without being confirmed.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The transaction.
    pub entry: Arc<PoolEntry>,
    /// Why.
    pub reason: String,
}

/// The pool over a state `V` at the tip.
#[derive(Debug)]
pub struct Pool<V> {
    overlay: Overlay<V>,
    place: Place,
    limits: PoolLimits,
    entries: BTreeMap<u64, Arc<PoolEntry>>,
    by_txid: HashMap<Txid, u64>,
    /// In order, so that a page of hashes costs no more in a full pool.
    by_full_hash: BTreeMap<FullHash, u64>,
    items: HashMap<Txid, Vec<PoolItem>>,
    coins: PoolCoins,
    steps: HashMap<Txid, Vec<PoolItem>>,
    bytes: usize,
    author_bytes: HashMap<Lock, usize>,
    next_sequence: u64,
}

impl<V: StateView> Pool<V> {
    /// An empty pool over the state at the tip; `place` is that of the next block.
    pub fn new(base: V, place: Place, limits: PoolLimits, next_sequence: u64) -> Pool<V> {
        Pool {
            overlay: Overlay::new(base),
            place,
            limits,
            entries: BTreeMap::new(),
            by_txid: HashMap::new(),
            by_full_hash: BTreeMap::new(),
            items: HashMap::new(),
            coins: PoolCoins::default(),
            steps: HashMap::new(),
            bytes: 0,
            author_bytes: HashMap::new(),
            next_sequence,
        }
    }

    /// The state with everything that waits applied.
    pub fn state(&self) -> &Overlay<V> {
        &self.overlay
    }

    /// Where waiting transactions are judged: the next block.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Its limits.
    pub fn limits(&self) -> PoolLimits {
        self.limits
    }

    /// Number of waiting transactions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of waiting transactions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sequence the next arrival gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Waiting transactions in order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<PoolEntry>> {
        self.entries.values()
    }

    /// Waiting transactions that came after the one of this sequence.
    pub fn entries_after(&self, sequence: u64) -> impl Iterator<Item = &Arc<PoolEntry>> {
        self.entries.range((Bound::Excluded(sequence), Bound::Unbounded)).map(|(_, entry)| entry)
    }

    /// A waiting transaction by id.
    pub fn get(&self, txid: &Txid) -> Option<&Arc<PoolEntry>> {
        self.entries.get(self.by_txid.get(txid)?)
    }

    /// Full hashes above one, ascending.
    pub fn full_hashes_after(&self, after: &FullHash) -> impl Iterator<Item = &FullHash> {
        self.by_full_hash.range((Bound::Excluded(after), Bound::Unbounded)).map(|(hash, _)| hash)
    }

    /// A waiting transaction by full hash.
    pub fn get_full(&self, hash: &FullHash) -> Option<&Arc<PoolEntry>> {
        self.entries.get(self.by_full_hash.get(hash)?)
    }

    /// Items of a stream that wait, in order of arrival.
    pub fn items(&self, stream: &Txid) -> &[PoolItem] {
        self.items.get(stream).map_or(&[], Vec::as_slice)
    }

    /// What waiting transactions do to coins, by owner.
    pub fn coins(&self) -> &PoolCoins {
        &self.coins
    }

    /// The waiting transaction that spends a coin.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<&Arc<PoolEntry>> {
        self.entries.get(&self.coins.spender(outpoint)?)
    }

    /// Waiting operations that issue units of an asset or set a variable, by entity, each in order of arrival.
    pub fn steps(&self) -> &HashMap<Txid, Vec<PoolItem>> {
        &self.steps
    }

    /// Takes a transaction in, if the state with everything before it applied allows it.
    ///
    /// # Errors
    /// [`PoolError`]; then nothing changed.
    pub fn admit(
        &mut self,
        tx: VerifiedTransaction,
        own: bool,
        received: u64,
        rules: &Rules,
    ) -> Result<Arc<PoolEntry>, PoolError> {
        let judged = self.judge(tx, rules)?;
        Ok(self.enter(judged, own, received))
    }

    /// Whether a transaction may come in after all that waits.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn judge(&self, tx: VerifiedTransaction, rules: &Rules) -> Result<Judged, PoolError> {
        if self.by_txid.contains_key(&tx.txid()) {
            return Err(PoolError::Known(tx.txid()));
        }
        self.check_room(accountable(tx.transaction()), tx.size())?;
        let applied = apply_transaction(&self.overlay, &tx, rules, self.place)?;
        let least = self.limits.fee(tx.size());
        if applied.fee < least {
            return Err(PoolError::Fee { fee: applied.fee, least });
        }
        Ok(Judged { tx, applied })
    }

    /// Takes in what was judged; nothing else came in or left since.
    pub fn enter(&mut self, judged: Judged, own: bool, received: u64) -> Arc<PoolEntry> {
        let Judged { tx, applied } = judged;
        let sequence = self.take_sequence();
        self.coins.absorb(&applied.changes, sequence);
        self.overlay.absorb(applied.changes);
        let entry = Arc::new(PoolEntry { tx, sequence, received, own, fee: applied.fee });
        self.insert(&entry);
        entry
    }

    fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// Whether there is room for a transaction of so many bytes, given the author who answers for it.
    ///
    /// # Errors
    /// [`PoolError::Full`], [`PoolError::AuthorFull`].
    pub fn check_room(&self, author: Option<Lock>, size: usize) -> Result<(), PoolError> {
        let bytes = self.bytes + size;
        if bytes > self.limits.bytes {
            return Err(PoolError::Full { bytes, limit: self.limits.bytes });
        }
        if let Some(author) = author {
            // Nobody holds more than is left for the others: each that fills its share leaves half of the room there
            // was, so that the pool is never full for an author who has little in it.
            let left = self.limits.bytes - bytes;
            let limit = self.limits.author_bytes.min(left);
            let bytes = self.author_bytes.get(&author).copied().unwrap_or(0) + size;
            if bytes > limit {
                return Err(PoolError::AuthorFull { author, bytes, limit });
            }
        }
        Ok(())
    }

    fn insert(&mut self, entry: &Arc<PoolEntry>) {
        self.bytes += entry.tx.size();
        if let Some(author) = accountable(entry.tx.transaction()) {
            *self.author_bytes.entry(author).or_default() += entry.tx.size();
        }
        self.by_txid.insert(entry.tx.txid(), entry.sequence);
        self.by_full_hash.insert(entry.tx.full_hash(), entry.sequence);
        for (vout, output) in (0u32..).zip(&entry.tx.transaction().body.outputs) {
            for (operation, op) in output.operations.iter().enumerate() {
                if let Operation::Publish(publish) = op {
                    let item = PoolItem { entry: Arc::clone(entry), vout, operation };
                    self.items.entry(publish.stream).or_default().push(item);
                }
            }
        }
        for step in history_steps(entry.tx.txid(), entry.tx.transaction()) {
            let item = PoolItem { entry: Arc::clone(entry), vout: step.vout, operation: step.ordinal.into() };
            self.steps.entry(step.entity).or_default().push(item);
        }
        self.entries.insert(entry.sequence, Arc::clone(entry));
    }

    /// What a block takes: the room is shared among authors when not everything fits; order of arrival is kept.
    pub fn select(&self, room: usize) -> Vec<Arc<PoolEntry>> {
        if self.bytes <= room {
            return self.entries.values().cloned().collect();
        }
        let authors = self.author_bytes.len().max(1);
        let share = room / authors;
        let mut used: HashMap<Lock, usize> = HashMap::new();
        let mut chosen = BTreeMap::new();
        let mut left = room;
        for pass_share in [share, room] {
            for entry in self.entries.values() {
                let size = entry.tx.size();
                if size > left || chosen.contains_key(&entry.sequence) {
                    continue;
                }
                if let Some(author) = accountable(entry.tx.transaction()) {
                    let taken = used.entry(author).or_default();
                    if *taken + size > pass_share {
                        continue;
                    }
                    *taken += size;
                }
                left -= size;
                chosen.insert(entry.sequence, Arc::clone(entry));
            }
        }
        chosen.into_values().collect()
    }
}

/// The author whose share of the pool a transaction uses: the first who signs.
#[must_use]
pub fn accountable(transaction: &Transaction) -> Option<Lock> {
    transaction.body.authors.first().copied().or_else(|| transaction.witnesses.first().and_then(|w| w.lock()))
}

#[cfg(test)]
mod tests;
