//! Writing the indexes: items pushed with a block and popped when it leaves the branch. Positions are dense, so that
//! pages are found without scanning; counts are kept in memory until the batch ends.

use std::collections::{BTreeSet, HashMap, HashSet};

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;
use rota_consensus::state::{StateKey, StateValue};

use crate::error::{Result, StorageError};
use crate::index::party::{MemberRow, PairChange, SpentOutputs, assets, explorer_entry, wallet_entry};
use crate::index::wallet::Members;
use crate::index::{
    Entry, ItemRow, Order, PAIR, PAIR_LIST, SeenRow, Subject, SubscriptionRow, TermKind, TermRow, item_counter, items,
    space, stream_prefix, term_counter,
};
use crate::kv::{Batch, Database, Read};
use crate::store::WriterState;
use crate::table::{
    ENTITY_BLOCK, INDEX_ADDRESS, INDEX_CHAIN, INDEX_COUNT, INDEX_LOCAL, INDEX_POSTING, INDEX_SEEN, INDEX_TERM,
    INDEX_TERM_LIST, INDEX_TOTAL, LOST, SUBSCRIPTION,
};
use crate::transaction::TransactionLocation;

/// A block to be indexed: with ids and places of its transactions.
pub(crate) struct IndexedBlock<'a> {
    pub(crate) height: Height,
    pub(crate) block: &'a Block,
    pub(crate) txids: &'a [Txid],
    pub(crate) places: &'a [TransactionLocation],
}

impl<'a> IndexedBlock<'a> {
    /// Transactions with ids and places.
    fn transactions(&self) -> impl Iterator<Item = (&'a Transaction, &'a Txid, &'a TransactionLocation)> + use<'a> {
        let numbered = self.block.transactions.iter().zip(self.txids).zip(self.places);
        numbered.map(|((transaction, txid), place)| (transaction, txid, place))
    }
}

/// Subscriptions and addresses that a batch changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) subscriptions: HashMap<Subject, SubscriptionRow>,
    pub(crate) members: HashMap<(u32, Lock), MemberRow>,
}

/// Collects index changes of one batch.
pub(crate) struct IndexWriter<'a> {
    database: &'a Database,
    subscriptions: &'a HashMap<Subject, SubscriptionRow>,
    members: &'a Members,
    changed: Changed,
    counts: HashMap<(u32, u8), u32>,
    terms: HashMap<(u32, u8, Vec<u8>), Option<TermRow>>,
    /// Totals of the pairs that this batch changed, by subscription and number of the pair.
    totals: HashMap<(u32, u32), u128>,
    seen: HashSet<(u32, [u8; 16])>,
}

impl<'a> IndexWriter<'a> {
    pub(crate) fn new(database: &'a Database, writer: &'a WriterState) -> IndexWriter<'a> {
        IndexWriter {
            database,
            subscriptions: &writer.subscriptions,
            members: &writer.members,
            changed: Changed::default(),
            counts: HashMap::new(),
            terms: HashMap::new(),
            totals: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    fn subscription(&self, subject: Subject) -> Option<SubscriptionRow> {
        self.changed.subscriptions.get(&subject).or_else(|| self.subscriptions.get(&subject)).copied()
    }

    /// The subscription, if blocks at `height` are in its index.
    fn covering(&self, subject: Subject, height: Height) -> Option<SubscriptionRow> {
        self.subscription(subject).filter(|row| row.covers(height))
    }

    fn member(&self, id: u32, lock: &Lock) -> Option<MemberRow> {
        let changed = self.changed.members.get(&(id, *lock));
        changed.or_else(|| self.members.get(&id).and_then(|members| members.get(lock))).copied()
    }

    /// Sets a subscription as of this batch.
    pub(crate) fn set_subscription(&mut self, subject: Subject, row: SubscriptionRow) {
        self.changed.subscriptions.insert(subject, row);
    }

    /// Notes a block that joined the active branch, and pushes what it has for the subjects that are followed. `before`
    /// gives the elements that it changed, with their values before.
    pub(crate) fn apply_block<'e>(
        &mut self,
        batch: &mut Batch,
        block: &IndexedBlock<'_>,
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> Result<()> {
        let mut noted = BTreeSet::new();
        for (transaction, txid, place) in block.transactions() {
            for item in items(transaction) {
                let stream = item.publish.stream;
                if noted.insert(stream) {
                    batch.put(&ENTITY_BLOCK, &(stream_prefix(&stream), block.height), &())?;
                }
                if let Some(row) = self.covering(stream.into(), block.height) {
                    self.push(batch, &row, txid, place, &Entry::of_item(transaction, &item))?;
                }
            }
            for asset in assets(transaction) {
                if noted.insert(asset) {
                    batch.put(&ENTITY_BLOCK, &(stream_prefix(&asset), block.height), &())?;
                }
                if let Some(row) = self.covering(asset.into(), block.height) {
                    self.push(batch, &row, txid, place, &Entry::default())?;
                }
            }
        }
        for subject in [Subject::Wallet, Subject::WalletAnew] {
            if let Some(row) = self.covering(subject, block.height) {
                self.apply_wallet(batch, &row, block)?;
            }
        }
        if let Some(row) = self.covering(Subject::Explorer, block.height) {
            self.apply_explorer(batch, &row, block, before)?;
        }
        Ok(())
    }

    /// Pushes what a block has for one subject, whose history is being indexed.
    pub(crate) fn apply_history<'e>(
        &mut self,
        batch: &mut Batch,
        subject: Subject,
        row: &SubscriptionRow,
        block: &IndexedBlock<'_>,
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> Result<()> {
        let entity = match subject {
            Subject::Entity(entity) => entity,
            Subject::Wallet | Subject::WalletAnew => return self.apply_wallet(batch, row, block),
            Subject::Explorer => return self.apply_explorer(batch, row, block, before),
        };
        for (transaction, txid, place) in block.transactions() {
            for item in items(transaction).filter(|item| item.publish.stream == entity) {
                self.push(batch, row, txid, place, &Entry::of_item(transaction, &item))?;
            }
            if assets(transaction).contains(&entity) {
                self.push(batch, row, txid, place, &Entry::default())?;
            }
        }
        Ok(())
    }

    fn apply_wallet(&mut self, batch: &mut Batch, row: &SubscriptionRow, block: &IndexedBlock<'_>) -> Result<()> {
        for (transaction, txid, place) in block.transactions() {
            let member = |lock: &Lock| self.member(row.id, lock);
            if let Some(entry) = wallet_entry(transaction, Some(block.height), member) {
                self.push(batch, row, txid, place, &entry)?;
            }
        }
        Ok(())
    }

    fn apply_explorer<'e>(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        block: &IndexedBlock<'_>,
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> Result<()> {
        let spent = SpentOutputs::of(block.block, block.txids, before);
        for (transaction, txid, place) in block.transactions() {
            self.push(batch, row, txid, place, &explorer_entry(txid, transaction, &spent))?;
        }
        Ok(())
    }

    /// Forgets a block that left the active branch, and pops what it pushed. It keeps its place in local order.
    pub(crate) fn undo_block<'e>(
        &mut self,
        batch: &mut Batch,
        height: Height,
        block: &Block,
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> Result<()> {
        let mut noted = BTreeSet::new();
        for transaction in block.transactions.iter().rev() {
            for item in items(transaction).rev() {
                let stream = item.publish.stream;
                if noted.insert(stream) {
                    batch.delete(&ENTITY_BLOCK, &(stream_prefix(&stream), height))?;
                }
                if let Some(row) = self.covering(stream.into(), height) {
                    self.pop(batch, &row, &Entry::of_item(transaction, &item))?;
                }
            }
            for asset in assets(transaction).into_iter().rev() {
                if noted.insert(asset) {
                    batch.delete(&ENTITY_BLOCK, &(stream_prefix(&asset), height))?;
                }
                if let Some(row) = self.covering(asset.into(), height) {
                    self.pop(batch, &row, &Entry::default())?;
                }
            }
        }
        self.undo_parties(batch, height, block, before)?;
        self.rewind(height);
        Ok(())
    }

    fn undo_parties<'e>(
        &mut self,
        batch: &mut Batch,
        height: Height,
        block: &Block,
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> Result<()> {
        for subject in [Subject::Wallet, Subject::WalletAnew] {
            let Some(row) = self.covering(subject, height) else { continue };
            for transaction in block.transactions.iter().rev() {
                let member = |lock: &Lock| self.member(row.id, lock);
                if let Some(entry) = wallet_entry(transaction, Some(height), member) {
                    self.pop(batch, &row, &entry)?;
                    if transaction.is_coinbase() {
                        // No pool takes it back, and local order goes on listing it.
                        batch.put(&LOST, &transaction.txid(), transaction)?;
                    }
                }
            }
        }
        if let Some(row) = self.covering(Subject::Explorer, height) {
            let txids: Vec<Txid> = block.transactions.iter().map(Transaction::txid).collect();
            let spent = SpentOutputs::of(block, &txids, before);
            for (transaction, txid) in block.transactions.iter().zip(&txids).rev() {
                self.pop(batch, &row, &explorer_entry(txid, transaction, &spent))?;
            }
        }
        Ok(())
    }

    /// Notes that the block at `height` left the branch: whatever comes at this height is looked through for all.
    fn rewind(&mut self, height: Height) {
        let known: Vec<Subject> = self.subscriptions.keys().chain(self.changed.subscriptions.keys()).copied().collect();
        for subject in known {
            let Some(before) = self.subscription(subject) else { continue };
            let mut after = before;
            after.rewind(height);
            if after != before {
                self.changed.subscriptions.insert(subject, after);
            }
        }
        let members = self.members.iter().flat_map(|(id, members)| members.keys().map(|lock| (*id, *lock)));
        for (id, lock) in members {
            let Some(before) = self.member(id, &lock) else { continue };
            let after = MemberRow { since: before.since.min(height), mine: before.mine.map(|mine| mine.min(height)) };
            if after != before {
                self.changed.members.insert((id, lock), after);
            }
        }
    }

    /// Gives what a transaction that came to this node has its place in local order; whether any was new.
    pub(crate) fn see(&mut self, batch: &mut Batch, txid: &Txid, transaction: &Transaction) -> Result<bool> {
        let mut new = false;
        for (row, entry) in self.local_entries(transaction) {
            new |= self.push_local(batch, &row, txid, &entry)?;
        }
        Ok(new)
    }

    /// What local orders list of a transaction, where history is indexed.
    pub(crate) fn local_entries(&self, transaction: &Transaction) -> Vec<(SubscriptionRow, Entry)> {
        let settled = |subject: Subject| {
            self.subscription(subject).filter(|row| row.next.is_none() && row.indexes.has_order(Order::Local))
        };
        let mut entries = Vec::new();
        for item in items(transaction) {
            if let Some(row) = settled(item.publish.stream.into()) {
                entries.push((row, Entry::of_item(transaction, &item)));
            }
        }
        for asset in assets(transaction) {
            entries.extend(settled(asset.into()).map(|row| (row, Entry::default())));
        }
        if let Some(row) = settled(Subject::Wallet) {
            let entry = wallet_entry(transaction, None, |lock| self.member(row.id, lock));
            entries.extend(entry.map(|entry| (row, entry)));
        }
        entries
    }

    fn push(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        txid: &Txid,
        place: &TransactionLocation,
        entry: &Entry,
    ) -> Result<()> {
        if row.indexes.has_order(Order::Chain) {
            let check = txid.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
            let value = ItemRow { location: *place, vout: entry.vout, ordinal: entry.ordinal, check };
            let position = self.next_position(row.id, item_counter(Order::Chain))?;
            batch.put(&INDEX_CHAIN, &(row.id, position), &value)?;
            self.push_terms(batch, row, Order::Chain, entry, position)?;
            for changed in &entry.pairs {
                self.push_pair(batch, row.id, changed, position)?;
            }
        }
        self.push_local(batch, row, txid, entry)?;
        if self.database.has(&LOST, txid)? {
            batch.delete(&LOST, txid)?;
        }
        Ok(())
    }

    fn push_local(&mut self, batch: &mut Batch, row: &SubscriptionRow, txid: &Txid, entry: &Entry) -> Result<bool> {
        if !row.indexes.has_order(Order::Local) {
            return Ok(false);
        }
        let value = SeenRow { txid: *txid, vout: entry.vout, ordinal: entry.ordinal };
        let name = (row.id, value.hash());
        if self.seen.contains(&name) || self.database.has(&INDEX_SEEN, &name)? {
            return Ok(false);
        }
        let position = self.next_position(row.id, item_counter(Order::Local))?;
        batch.put(&INDEX_LOCAL, &(row.id, position), &value)?;
        batch.put(&INDEX_SEEN, &name, &position)?;
        self.seen.insert(name);
        self.push_terms(batch, row, Order::Local, entry, position)?;
        Ok(true)
    }

    fn push_terms(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        order: Order,
        entry: &Entry,
        position: u32,
    ) -> Result<()> {
        for (kind, terms) in wanted_terms(row, order, entry) {
            let space = space(order, kind);
            for term in terms {
                self.push_term(batch, row.id, space, term.clone(), position)?;
            }
        }
        Ok(())
    }

    /// Pushes a pair with its total after this transaction; when it appears first, it is listed by its address and by
    /// what is used.
    fn push_pair(&mut self, batch: &mut Batch, id: u32, changed: &PairChange, position: u32) -> Result<()> {
        let row = self.push_term(batch, id, PAIR, encode(&changed.pair), position)?;
        let place = row.count.saturating_sub(1);
        let before = match place.checked_sub(1) {
            Some(last) => self.total(id, row.number, last)?,
            None => 0,
        };
        let total = before.checked_add_signed(changed.change).ok_or_else(|| uneven(id))?;
        batch.put(&INDEX_TOTAL, &(id, row.number, place), &total)?;
        self.totals.insert((id, row.number), total);
        if row.count == 1 {
            for list in changed.pair.lists() {
                self.push_term(batch, id, PAIR_LIST, list, row.number)?;
            }
        }
        Ok(())
    }

    fn pop_pair(&mut self, batch: &mut Batch, id: u32, changed: &PairChange) -> Result<()> {
        let key = (id, PAIR, encode(&changed.pair));
        let row = self.term(&key)?.ok_or_else(|| uneven(id))?;
        let place = row.count.checked_sub(1).ok_or_else(|| uneven(id))?;
        let total = self.total(id, row.number, place)?;
        let before = change_back(total, changed.change).ok_or_else(|| uneven(id))?;
        batch.delete(&INDEX_TOTAL, &(id, row.number, place))?;
        self.totals.insert((id, row.number), before);
        if self.pop_term(batch, id, PAIR, key.2)? {
            for list in changed.pair.lists().into_iter().rev() {
                self.pop_term(batch, id, PAIR_LIST, list)?;
            }
        }
        Ok(())
    }

    /// The total of a pair after its last transaction, which stands at `last`.
    fn total(&self, id: u32, number: u32, last: u32) -> Result<u128> {
        match self.totals.get(&(id, number)) {
            Some(total) => Ok(*total),
            None => self.database.get(&INDEX_TOTAL, &(id, number, last))?.ok_or_else(|| uneven(id)),
        }
    }

    fn push_term(&mut self, batch: &mut Batch, id: u32, space: u8, term: Vec<u8>, position: u32) -> Result<TermRow> {
        let key = (id, space, term);
        let row = match self.term(&key)? {
            Some(mut row) => {
                batch.put(&INDEX_POSTING, &(id, space, row.number, row.count), &position)?;
                row.count = row.count.checked_add(1).ok_or_else(too_many)?;
                row
            }
            None => {
                let number = self.next_position(id, term_counter(space))?;
                batch.put(&INDEX_TERM_LIST, &(id, space, number), &key.2)?;
                TermRow { number, count: 1, first: position }
            }
        };
        self.terms.insert(key, Some(row));
        Ok(row)
    }

    fn pop(&mut self, batch: &mut Batch, row: &SubscriptionRow, entry: &Entry) -> Result<()> {
        if !row.indexes.has_order(Order::Chain) {
            return Ok(());
        }
        let position = self.last_position(row.id, item_counter(Order::Chain))?;
        batch.delete(&INDEX_CHAIN, &(row.id, position))?;
        for changed in entry.pairs.iter().rev() {
            self.pop_pair(batch, row.id, changed)?;
        }
        for (kind, terms) in wanted_terms(row, Order::Chain, entry).into_iter().rev() {
            let space = space(Order::Chain, kind);
            for term in terms.iter().rev() {
                self.pop_term(batch, row.id, space, term.clone())?;
            }
        }
        Ok(())
    }

    /// Pops the last of a term; whether it was the only one.
    fn pop_term(&mut self, batch: &mut Batch, id: u32, space: u8, term: Vec<u8>) -> Result<bool> {
        let key = (id, space, term);
        let mut row = self.term(&key)?.ok_or_else(|| uneven(id))?;
        row.count = row.count.checked_sub(1).ok_or_else(|| uneven(id))?;
        if row.count > 0 {
            batch.delete(&INDEX_POSTING, &(id, space, row.number, row.count))?;
            self.terms.insert(key, Some(row));
            return Ok(false);
        }
        if self.last_position(id, term_counter(space))? != row.number {
            return Err(uneven(id));
        }
        batch.delete(&INDEX_TERM_LIST, &(id, space, row.number))?;
        self.terms.insert(key, None);
        Ok(true)
    }

    fn term(&mut self, key: &(u32, u8, Vec<u8>)) -> Result<Option<TermRow>> {
        match self.terms.get(key) {
            Some(row) => Ok(*row),
            None => self.database.get(&INDEX_TERM, key),
        }
    }

    fn count(&self, id: u32, counter: u8) -> Result<u32> {
        match self.counts.get(&(id, counter)) {
            Some(count) => Ok(*count),
            None => Ok(self.database.get(&INDEX_COUNT, &(id, counter))?.unwrap_or(0)),
        }
    }

    /// Takes the next position of a counter.
    fn next_position(&mut self, id: u32, counter: u8) -> Result<u32> {
        let count = self.count(id, counter)?;
        self.counts.insert((id, counter), count.checked_add(1).ok_or_else(too_many)?);
        Ok(count)
    }

    /// Gives back the last position of a counter.
    fn last_position(&mut self, id: u32, counter: u8) -> Result<u32> {
        let last = self.count(id, counter)?.checked_sub(1).ok_or_else(|| uneven(id))?;
        self.counts.insert((id, counter), last);
        Ok(last)
    }

    /// Writes counts, terms, subscriptions and addresses to the batch; gives back what of the latter changed.
    pub(crate) fn finish(self, batch: &mut Batch) -> Result<Changed> {
        for (key, count) in &self.counts {
            batch.put(&INDEX_COUNT, key, count)?;
        }
        for (key, row) in &self.terms {
            match row {
                Some(row) => batch.put(&INDEX_TERM, key, row)?,
                None => batch.delete(&INDEX_TERM, key)?,
            }
        }
        for (subject, row) in &self.changed.subscriptions {
            batch.put(&SUBSCRIPTION, subject, row)?;
        }
        for ((id, lock), row) in &self.changed.members {
            batch.put(&INDEX_ADDRESS, &(*id, encode(lock)), row)?;
        }
        Ok(self.changed)
    }
}

/// The terms of an entry that a subscription keeps for an order.
fn wanted_terms<'e>(row: &SubscriptionRow, order: Order, entry: &'e Entry) -> Vec<(TermKind, &'e [Vec<u8>])> {
    let mut terms = Vec::with_capacity(2);
    if row.indexes.has_terms(order, TermKind::Key) {
        terms.push((TermKind::Key, entry.keys.as_slice()));
    }
    if row.indexes.has_terms(order, TermKind::Publisher) {
        terms.push((TermKind::Publisher, entry.publishers.as_slice()));
    }
    terms
}

/// A total without a change.
fn change_back(total: u128, change: i128) -> Option<u128> {
    total.checked_add_signed(change.checked_neg()?)
}

fn too_many() -> StorageError {
    StorageError::Limit {
        what: "number of entries of an index",
        got: u64::from(u32::MAX),
        limit: u64::from(u32::MAX) - 1,
    }
}

fn uneven(id: u32) -> StorageError {
    StorageError::Corrupt(format!("index {id} has not what a block put there"))
}
