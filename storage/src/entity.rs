//! The history of entities: the operations that issued units of an asset or set a variable, in the order of the active
//! branch. Kept with every block, whatever this node follows. See docs/protocol/storage.md.

use std::collections::HashMap;
use std::ops::Range;

use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::transaction::Transaction;

use crate::error::{Result, StorageError};
use crate::index::ItemRow;
use crate::index::writer::IndexedBlock;
use crate::kv::{Batch, Database, Read};
use crate::snapshot::Snapshot;
use crate::table::ENTITY_HISTORY;

/// An operation that adds to an entity's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryStep<'a> {
    /// The entity.
    pub entity: Txid,
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
    /// The operation.
    pub operation: &'a Operation,
}

/// The operations of a transaction that add to the history of an entity, in order.
pub fn history_steps<'a>(
    txid: Txid,
    transaction: &'a Transaction,
) -> impl DoubleEndedIterator<Item = HistoryStep<'a>> + 'a {
    transaction.body.outputs.iter().enumerate().flat_map(move |(vout, output)| {
        output.operations.iter().enumerate().filter_map(move |(ordinal, operation)| {
            let entity = match operation {
                Operation::IssueAsset(_) | Operation::CreateVariable(_) => txid,
                Operation::IssueMore(issue) => issue.asset,
                Operation::SetVariable(set) => set.variable,
                _ => return None,
            };
            Some(HistoryStep {
                entity,
                vout: u32::try_from(vout).ok()?,
                ordinal: u16::try_from(ordinal).ok()?,
                operation,
            })
        })
    })
}

/// Collects the changes of histories in one batch.
#[derive(Debug)]
pub(crate) struct HistoryWriter<'a> {
    database: &'a Database,
    counts: HashMap<Txid, u32>,
}

impl<'a> HistoryWriter<'a> {
    pub(crate) fn new(database: &'a Database) -> HistoryWriter<'a> {
        HistoryWriter { database, counts: HashMap::new() }
    }

    /// Pushes what a block adds.
    pub(crate) fn apply_block(&mut self, batch: &mut Batch, block: &IndexedBlock<'_>) -> Result<()> {
        for ((transaction, txid), place) in block.block.transactions.iter().zip(block.txids).zip(block.places) {
            for step in history_steps(*txid, transaction) {
                let count = self.count(&step.entity)?;
                let check = txid.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
                let row = ItemRow { location: *place, vout: step.vout, ordinal: step.ordinal, check };
                batch.put(&ENTITY_HISTORY, &(step.entity, count), &row)?;
                self.counts.insert(step.entity, count.saturating_add(1));
            }
        }
        Ok(())
    }

    /// Pops what a block that leaves the active branch added.
    pub(crate) fn undo_block(&mut self, batch: &mut Batch, block: &Block) -> Result<()> {
        for transaction in block.transactions.iter().rev() {
            // A transaction's id costs a hash over it, and most have no step.
            if history_steps(Txid::ZERO, transaction).next().is_none() {
                continue;
            }
            for step in history_steps(transaction.txid(), transaction).rev() {
                let last = self.count(&step.entity)?.checked_sub(1).ok_or_else(|| {
                    StorageError::Corrupt(format!(
                        "the history of entity {} has not what a block put there",
                        step.entity
                    ))
                })?;
                batch.delete(&ENTITY_HISTORY, &(step.entity, last))?;
                self.counts.insert(step.entity, last);
            }
        }
        Ok(())
    }

    fn count(&self, entity: &Txid) -> Result<u32> {
        match self.counts.get(entity) {
            Some(count) => Ok(*count),
            None => history_count(self.database, entity),
        }
    }
}

impl Snapshot {
    /// Number of operations of the active branch that issued units of an asset or set a variable; 0 if there is no such
    /// entity.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn entity_history_count(&self, entity: &Txid) -> Result<u32> {
        history_count(self.view(), entity)
    }

    /// The operations of the active branch that issued units of an asset or set a variable, by position from 0, the
    /// creating one. [`Snapshot::item_transaction`] reads the transaction of [`crate::index::ItemRef::Chain`].
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn entity_history(&self, entity: &Txid, positions: Range<u32>) -> Result<Vec<ItemRow>> {
        let limit = positions.end.saturating_sub(positions.start) as usize;
        let rows = self.view().scan_from(&ENTITY_HISTORY, entity, &(*entity, positions.start))?;
        rows.take(limit).map(|row| row.map(|(_, item)| item)).collect()
    }
}

/// Dense positions, so one more than the last.
fn history_count(read: &impl Read, entity: &Txid) -> Result<u32> {
    match read.scan_back(&ENTITY_HISTORY, entity)?.next() {
        Some(row) => Ok(row?.0.1.saturating_add(1)),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests;
