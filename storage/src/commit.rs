//! Moving the tip: blocks undone and applied with state, entities, transactions and indexes in one atomic batch.

use std::collections::HashMap;
use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::multiset::Multiset;
use rota_chain::transaction::Transaction;
use rota_consensus::block::BLOCK_PREFIX;
use rota_consensus::state::{Changes, StateKey, StateValue};
use rota_crash::{Point, reached};

use crate::block::{BlockEntry, Location, Tip};
use crate::cache::is_hot;
use crate::coin::{CoinIndex, accompanied};
use crate::entity::HistoryWriter;
use crate::error::{Result, StorageError};
use crate::index::writer::{Changed, IndexWriter, IndexedBlock};
use crate::kv::{Batch, Durability, Read};
use crate::snapshot::{EntityList, entity_count};
use crate::store::{Store, WriterState, put_entry};
use crate::table::{ACTIVE, ENTITY, MULTISET, STATE, TIP, TRANSACTION};
use crate::transaction::TransactionLocation;

/// A block to be applied, with what it changes.
#[derive(Clone, Debug)]
pub struct AppliedBlock {
    /// Its id.
    pub hash: BlockHash,
    /// Its height.
    pub height: Height,
    /// Its entry after being applied: with body and undo.
    pub entry: BlockEntry,
    /// The block.
    pub block: Arc<Block>,
    /// Ids of its transactions, in order.
    pub txids: Vec<Txid>,
    /// What it changes, on top of the blocks before it.
    pub changes: Changes,
}

impl AppliedBlock {
    /// Takes id and ids from the block itself.
    #[must_use]
    pub fn new(block: Arc<Block>, entry: BlockEntry, changes: Changes) -> AppliedBlock {
        AppliedBlock {
            hash: block.hash(),
            height: entry.height,
            txids: block.transactions.iter().map(Transaction::txid).collect(),
            entry,
            block,
            changes,
        }
    }
}

/// A move of the tip.
#[derive(Clone, Debug)]
pub struct TipCommit {
    /// Blocks that leave the active branch, tip first.
    pub undone: Vec<BlockHash>,
    /// Blocks that join it, lowest first.
    pub applied: Vec<AppliedBlock>,
    /// Over the state after the move.
    pub multiset: Multiset,
    /// The tip after the move.
    pub tip: Tip,
    /// Whether the call waits until the move is safe from power loss.
    pub durability: Durability,
}

/// Where the transactions of a block stand, in order.
///
/// # Errors
/// [`StorageError`]: `storage-limit` if an offset does not fit 32 bits.
pub fn places(block: &Block, height: Height, body: Location) -> Result<Vec<TransactionLocation>> {
    let mut offset = BLOCK_PREFIX as usize;
    let mut places = Vec::with_capacity(block.transactions.len());
    for (index, transaction) in (0u32..).zip(&block.transactions) {
        let size = transaction.size();
        let start = narrow(offset)?;
        let place = Location { file: body.file, offset: narrow(offset + body.offset as usize)?, length: narrow(size)? };
        places.push(TransactionLocation { height, index, offset: start, place });
        offset += size;
    }
    Ok(places)
}

fn narrow(bytes: usize) -> Result<u32> {
    u32::try_from(bytes).map_err(|_| StorageError::Limit {
        what: "bytes of a block",
        got: bytes as u64,
        limit: u64::from(u32::MAX),
    })
}

impl Store {
    /// Moves the tip as a whole: a crash leaves the old tip or the new one. Bodies and undo data were appended and
    /// synced before.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-order` if the blocks do not continue from the stored tip, and then or on any other
    /// error nothing changed.
    pub fn commit(&self, commit: &TipCommit) -> Result<()> {
        let mut writer = self.writer();
        let mut work = Work::new(self, &writer)?;
        for hash in &commit.undone {
            work.undo(hash)?;
        }
        for block in &commit.applied {
            work.apply(block)?;
        }
        let (batch, hot, changed) = work.finish(commit)?;
        self.cache().begin();
        match self.database().write(batch, commit.durability) {
            Ok(()) => {
                reached(if commit.undone.is_empty() { Point::TipMoved } else { Point::TipMovedBack });
                self.cache().finish(Some(hot));
            }
            Err(error) => {
                self.cache().finish(None);
                return Err(error);
            }
        }
        writer.take(changed);
        Ok(())
    }
}

/// An element and its new value.
type Element = (StateKey, Option<StateValue>);

/// A batch being put together.
struct Work<'a> {
    store: &'a Store,
    batch: Batch,
    index: IndexWriter<'a>,
    coins: CoinIndex<'a>,
    history: HistoryWriter<'a>,
    tip: Option<Tip>,
    entities: HashMap<u8, u32>,
    hot: Vec<Element>,
}

impl<'a> Work<'a> {
    fn new(store: &'a Store, writer: &'a WriterState) -> Result<Work<'a>> {
        Ok(Work {
            store,
            batch: store.database().batch(),
            index: IndexWriter::new(store.database(), writer),
            coins: CoinIndex::new(store.database(), store.files()),
            history: HistoryWriter::new(store.database()),
            tip: store.database().get(&TIP, &())?,
            entities: HashMap::new(),
            hot: Vec::new(),
        })
    }

    fn undo(&mut self, hash: &BlockHash) -> Result<()> {
        let height = match self.tip {
            Some(tip) if tip.hash == *hash => tip.height,
            _ => return Err(StorageError::Order(format!("block {hash} to be undone is not the tip"))),
        };
        let missing = |what: &str| StorageError::Missing(format!("{what} of block {hash}"));
        let entry = self.store.block_entry(hash)?.ok_or_else(|| missing("the entry"))?;
        let undo = self.store.read_undo(entry.undo.ok_or_else(|| missing("undo data"))?)?;
        let block = self.store.read_block(entry.body.ok_or_else(|| missing("the body"))?)?;
        let before = undo.elements.iter().map(|(key, value)| (key, value.as_ref()));
        self.index.undo_block(&mut self.batch, height, &block, before)?;
        self.history.undo_block(&mut self.batch, &block)?;
        for (key, before) in undo.elements {
            if let (StateKey::Entity(_), None) = (&key, &before) {
                self.pop_entity(&key)?;
            }
            self.coins.undo(&mut self.batch, &key, before.as_ref())?;
            self.element(key, before)?;
        }
        for txid in &undo.transactions {
            self.batch.delete(&TRANSACTION, txid)?;
        }
        self.batch.delete(&ACTIVE, &height)?;
        self.tip = height.previous().map(|height| Tip { hash: entry.header.header.previous, height });
        Ok(())
    }

    fn apply(&mut self, applied: &AppliedBlock) -> Result<()> {
        let AppliedBlock { hash, height, entry, block, txids, changes } = applied;
        let follows = match self.tip {
            Some(tip) => tip.hash == block.header().previous && tip.height.next() == *height,
            None => *height == Height(0),
        };
        if !follows || txids.len() != block.transactions.len() || entry.height != *height {
            return Err(StorageError::Order(format!("block {hash} at height {height} does not follow {:?}", self.tip)));
        }
        let body = entry.body.ok_or_else(|| StorageError::Order(format!("block {hash} has no body on disk")))?;
        let places = places(block, *height, body)?;
        let accompanied = accompanied(block, txids);
        for (key, change) in &changes.elements {
            if change.before != change.after {
                CoinIndex::apply(&mut self.batch, key, change, &accompanied)?;
                self.element(key.clone(), change.after.clone())?;
            }
        }
        self.push_entities(changes)?;
        for (txid, place) in txids.iter().zip(&places) {
            self.batch.put(&TRANSACTION, txid, place)?;
        }
        put_entry(&mut self.batch, hash, entry)?;
        self.batch.put(&ACTIVE, height, hash)?;
        let indexed = IndexedBlock { height: *height, block, txids, places: &places };
        let before = changes.elements.iter().map(|(key, change)| (key, change.before.as_ref()));
        self.index.apply_block(&mut self.batch, &indexed, before)?;
        self.history.apply_block(&mut self.batch, &indexed)?;
        self.tip = Some(Tip { hash: *hash, height: *height });
        Ok(())
    }

    fn element(&mut self, key: StateKey, value: Option<StateValue>) -> Result<()> {
        match &value {
            Some(value) => self.batch.put(&STATE, &key, value)?,
            None => self.batch.delete(&STATE, &key)?,
        }
        if is_hot(&key) {
            self.hot.push((key, value));
        }
        Ok(())
    }

    /// Lists the entities that a block creates, in the order of their transactions.
    fn push_entities(&mut self, changes: &Changes) -> Result<()> {
        let mut created: Vec<(u32, EntityList, Txid)> = changes
            .elements
            .iter()
            .filter_map(|(key, change)| match (key, &change.before, &change.after) {
                (StateKey::Entity(txid), None, Some(StateValue::Entity(entity))) => {
                    Some((entity.offset, EntityList::of(&entity.kind), *txid))
                }
                _ => None,
            })
            .collect();
        created.sort_unstable_by_key(|(offset, _, txid)| (*offset, *txid));
        for (_, list, txid) in created {
            let count = self.entity_count(list)?;
            self.batch.put(&ENTITY, &(list.number(), count), &txid)?;
            self.entities.insert(list.number(), count.saturating_add(1));
        }
        Ok(())
    }

    /// Takes the last entity off the list of this one; a block that created several takes as many off.
    fn pop_entity(&mut self, key: &StateKey) -> Result<()> {
        let Some(StateValue::Entity(entity)) = self.store.database().get(&STATE, key)? else {
            return Err(StorageError::Corrupt(format!("entity {key:?} of a block to be undone is missing")));
        };
        let list = EntityList::of(&entity.kind);
        let last = self
            .entity_count(list)?
            .checked_sub(1)
            .ok_or_else(|| StorageError::Corrupt(format!("entity {key:?} of a block to be undone is not listed")))?;
        self.batch.delete(&ENTITY, &(list.number(), last))?;
        self.entities.insert(list.number(), last);
        Ok(())
    }

    fn entity_count(&self, list: EntityList) -> Result<u32> {
        match self.entities.get(&list.number()) {
            Some(count) => Ok(*count),
            None => entity_count(self.store.database(), list),
        }
    }

    fn finish(mut self, commit: &TipCommit) -> Result<(Batch, Vec<Element>, Changed)> {
        if self.tip != Some(commit.tip) {
            return Err(StorageError::Order(format!("it ends at {:?}, not at {:?}", self.tip, commit.tip)));
        }
        self.batch.put(&TIP, &(), &commit.tip)?;
        self.batch.put(&MULTISET, &(), &commit.multiset)?;
        let changed = self.index.finish(&mut self.batch)?;
        Ok((self.batch, self.hot, changed))
    }
}

#[cfg(test)]
mod tests;
