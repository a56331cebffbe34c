//! Writing the indexes: items pushed with a block and popped when it leaves the branch. Positions are dense, so that
//! pages are found without scanning; counts are kept in memory until the batch ends.

use std::collections::{BTreeSet, HashMap, HashSet};

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;

use crate::error::{Result, StorageError};
use crate::index::{
    Item, ItemRow, Order, SeenRow, SubscriptionRow, TermKind, TermRow, item_counter, items, key_terms, publisher_terms,
    space, stream_prefix, term_counter,
};
use crate::kv::{Batch, Database, Read};
use crate::table::{
    INDEX_CHAIN, INDEX_COUNT, INDEX_LOCAL, INDEX_POSTING, INDEX_SEEN, INDEX_TERM, INDEX_TERM_LIST, LOST, STREAM_BLOCK,
    SUBSCRIPTION,
};
use crate::transaction::TransactionLocation;

/// A block to be indexed: with ids and places of its transactions.
pub(crate) struct IndexedBlock<'a> {
    pub(crate) height: Height,
    pub(crate) block: &'a Block,
    pub(crate) txids: &'a [Txid],
    pub(crate) places: &'a [TransactionLocation],
}

/// Collects index changes of one batch.
pub(crate) struct IndexWriter<'a> {
    database: &'a Database,
    subscriptions: &'a HashMap<Txid, SubscriptionRow>,
    changed: HashMap<Txid, SubscriptionRow>,
    counts: HashMap<(u32, u8), u32>,
    terms: HashMap<(u32, u8, Vec<u8>), Option<TermRow>>,
    seen: HashSet<(u32, [u8; 16])>,
}

impl<'a> IndexWriter<'a> {
    pub(crate) fn new(database: &'a Database, subscriptions: &'a HashMap<Txid, SubscriptionRow>) -> IndexWriter<'a> {
        IndexWriter {
            database,
            subscriptions,
            changed: HashMap::new(),
            counts: HashMap::new(),
            terms: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    fn subscription(&self, stream: &Txid) -> Option<SubscriptionRow> {
        self.changed.get(stream).or_else(|| self.subscriptions.get(stream)).copied()
    }

    /// Sets a subscription as of this batch.
    pub(crate) fn set_subscription(&mut self, stream: Txid, row: SubscriptionRow) {
        self.changed.insert(stream, row);
    }

    /// Notes a block that joined the active branch, and pushes its items of streams that are followed.
    pub(crate) fn apply_block(&mut self, batch: &mut Batch, block: &IndexedBlock<'_>) -> Result<()> {
        let mut streams = BTreeSet::new();
        for ((transaction, txid), place) in block.block.transactions.iter().zip(block.txids).zip(block.places) {
            for item in items(transaction) {
                let stream = item.publish.stream;
                if streams.insert(stream) {
                    batch.put(&STREAM_BLOCK, &(stream_prefix(&stream), block.height), &())?;
                }
                if let Some(row) = self.subscription(&stream).filter(|row| row.covers(block.height)) {
                    self.push(batch, &row, transaction, txid, place, &item)?;
                }
            }
        }
        Ok(())
    }

    /// Pushes a block's items of one stream, whose history is being indexed.
    pub(crate) fn apply_history(
        &mut self,
        batch: &mut Batch,
        stream: &Txid,
        row: &SubscriptionRow,
        block: &IndexedBlock<'_>,
    ) -> Result<()> {
        for ((transaction, txid), place) in block.block.transactions.iter().zip(block.txids).zip(block.places) {
            for item in items(transaction).filter(|item| item.publish.stream == *stream) {
                self.push(batch, row, transaction, txid, place, &item)?;
            }
        }
        Ok(())
    }

    /// Forgets a block that left the active branch, and pops its items. They keep their place in local order.
    pub(crate) fn undo_block(&mut self, batch: &mut Batch, height: Height, block: &Block) -> Result<()> {
        let mut streams = BTreeSet::new();
        for transaction in block.transactions.iter().rev() {
            for item in items(transaction).rev() {
                let stream = item.publish.stream;
                if streams.insert(stream) {
                    batch.delete(&STREAM_BLOCK, &(stream_prefix(&stream), height))?;
                }
                if let Some(row) = self.subscription(&stream).filter(|row| row.covers(height)) {
                    self.pop(batch, &row, transaction, &item)?;
                }
            }
        }
        let known: Vec<Txid> = self.subscriptions.keys().chain(self.changed.keys()).copied().collect();
        for stream in known {
            let Some(before) = self.subscription(&stream) else { continue };
            let mut after = before;
            after.rewind(height);
            if after != before {
                self.changed.insert(stream, after);
            }
        }
        Ok(())
    }

    /// Gives the items of a transaction that came to this node their place in local order; whether any was new.
    pub(crate) fn see(&mut self, batch: &mut Batch, txid: &Txid, transaction: &Transaction) -> Result<bool> {
        let mut new = false;
        for item in items(transaction) {
            let row = self.subscription(&item.publish.stream).filter(|row| row.next.is_none());
            if let Some(row) = row {
                new |= self.push_local(batch, &row, transaction, txid, &item)?;
            }
        }
        Ok(new)
    }

    fn push(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        transaction: &Transaction,
        txid: &Txid,
        place: &TransactionLocation,
        item: &Item<'_>,
    ) -> Result<()> {
        if row.indexes.has_order(Order::Chain) {
            let check = txid.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
            let value = ItemRow { location: *place, vout: item.vout, ordinal: item.ordinal, check };
            let position = self.next_position(row.id, item_counter(Order::Chain))?;
            batch.put(&INDEX_CHAIN, &(row.id, position), &value)?;
            self.push_terms(batch, row, Order::Chain, transaction, item, position)?;
        }
        self.push_local(batch, row, transaction, txid, item)?;
        if self.database.has(&LOST, txid)? {
            batch.delete(&LOST, txid)?;
        }
        Ok(())
    }

    fn push_local(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        transaction: &Transaction,
        txid: &Txid,
        item: &Item<'_>,
    ) -> Result<bool> {
        if !row.indexes.has_order(Order::Local) {
            return Ok(false);
        }
        let value = SeenRow { txid: *txid, vout: item.vout, ordinal: item.ordinal };
        let name = (row.id, value.hash());
        if self.seen.contains(&name) || self.database.has(&INDEX_SEEN, &name)? {
            return Ok(false);
        }
        let position = self.next_position(row.id, item_counter(Order::Local))?;
        batch.put(&INDEX_LOCAL, &(row.id, position), &value)?;
        batch.put(&INDEX_SEEN, &name, &position)?;
        self.seen.insert(name);
        self.push_terms(batch, row, Order::Local, transaction, item, position)?;
        Ok(true)
    }

    fn push_terms(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        order: Order,
        transaction: &Transaction,
        item: &Item<'_>,
        position: u32,
    ) -> Result<()> {
        for (kind, terms) in wanted_terms(row, order, transaction, item) {
            let space = space(order, kind);
            for term in terms {
                self.push_term(batch, row.id, space, term, position)?;
            }
        }
        Ok(())
    }

    fn push_term(&mut self, batch: &mut Batch, id: u32, space: u8, term: Vec<u8>, position: u32) -> Result<()> {
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
        Ok(())
    }

    fn pop(
        &mut self,
        batch: &mut Batch,
        row: &SubscriptionRow,
        transaction: &Transaction,
        item: &Item<'_>,
    ) -> Result<()> {
        if !row.indexes.has_order(Order::Chain) {
            return Ok(());
        }
        let position = self.last_position(row.id, item_counter(Order::Chain))?;
        batch.delete(&INDEX_CHAIN, &(row.id, position))?;
        for (kind, terms) in wanted_terms(row, Order::Chain, transaction, item).into_iter().rev() {
            let space = space(Order::Chain, kind);
            for term in terms.into_iter().rev() {
                self.pop_term(batch, row.id, space, term)?;
            }
        }
        Ok(())
    }

    fn pop_term(&mut self, batch: &mut Batch, id: u32, space: u8, term: Vec<u8>) -> Result<()> {
        let key = (id, space, term);
        let mut row = self.term(&key)?.ok_or_else(|| uneven(id))?;
        row.count = row.count.checked_sub(1).ok_or_else(|| uneven(id))?;
        if row.count > 0 {
            batch.delete(&INDEX_POSTING, &(id, space, row.number, row.count))?;
            self.terms.insert(key, Some(row));
            return Ok(());
        }
        if self.last_position(id, term_counter(space))? != row.number {
            return Err(uneven(id));
        }
        batch.delete(&INDEX_TERM_LIST, &(id, space, row.number))?;
        self.terms.insert(key, None);
        Ok(())
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

    /// Writes counts, terms and subscriptions to the batch; gives back the subscriptions that changed.
    pub(crate) fn finish(self, batch: &mut Batch) -> Result<HashMap<Txid, SubscriptionRow>> {
        for (key, count) in &self.counts {
            batch.put(&INDEX_COUNT, key, count)?;
        }
        for (key, row) in &self.terms {
            match row {
                Some(row) => batch.put(&INDEX_TERM, key, row)?,
                None => batch.delete(&INDEX_TERM, key)?,
            }
        }
        for (stream, row) in &self.changed {
            batch.put(&SUBSCRIPTION, stream, row)?;
        }
        Ok(self.changed)
    }
}

/// The terms of an item that a subscription keeps for an order.
fn wanted_terms(
    row: &SubscriptionRow,
    order: Order,
    transaction: &Transaction,
    item: &Item<'_>,
) -> Vec<(TermKind, Vec<Vec<u8>>)> {
    let mut terms = Vec::with_capacity(2);
    if row.indexes.has_terms(order, TermKind::Key) {
        terms.push((TermKind::Key, key_terms(item.publish)));
    }
    if row.indexes.has_terms(order, TermKind::Publisher) {
        terms.push((TermKind::Publisher, publisher_terms(transaction, item.vout)));
    }
    terms
}

fn too_many() -> StorageError {
    StorageError::Limit {
        what: "number of items of a stream",
        got: u64::from(u32::MAX),
        limit: u64::from(u32::MAX) - 1,
    }
}

fn uneven(id: u32) -> StorageError {
    StorageError::Corrupt(format!("index {id} has not what a block put there"))
}
