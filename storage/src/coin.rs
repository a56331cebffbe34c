//! Coins by owner: an index of the state's coins that moves with every block. What a block does to it follows from the
//! state elements it changes, so that undoing is the same as applying. See docs/protocol/storage.md.

use std::collections::HashMap;

use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::{Change, Coin, StateKey, StateValue};

use crate::error::{Result, StorageError};
use crate::kv::{Batch, Read};
use crate::snapshot::Snapshot;
use crate::table::{COIN_OWNER, STATE};

impl Snapshot {
    /// Up to `limit` coins of an address in the order of transaction id and index, those after `after` if given.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn coins_of(&self, owner: &Lock, after: Option<OutPoint>, limit: usize) -> Result<Vec<(OutPoint, Coin)>> {
        let start = after.unwrap_or(OutPoint { txid: Txid([0; 32]), index: 0 });
        let rows = self.view().scan_from(&COIN_OWNER, owner, &(*owner, start))?;
        let rows = rows.map(|row| row.map(|((_, outpoint), coin)| (outpoint, coin)));
        let skipped = rows.filter(|row| !matches!(row, Ok((outpoint, _)) if Some(*outpoint) == after));
        skipped.take(limit).collect()
    }

    /// Calls `visit` for the coins of an address, in the order of transaction id and index, until it returns false.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn for_each_coin_of(&self, owner: &Lock, mut visit: impl FnMut(OutPoint, Coin) -> bool) -> Result<()> {
        for row in self.view().scan(&COIN_OWNER, owner)? {
            let ((_, outpoint), coin) = row?;
            if !visit(outpoint, coin) {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` for every coin of the chain, owner by owner. Long work: for sums over all of it alone.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn for_each_coin(&self, mut visit: impl FnMut(OutPoint, Coin)) -> Result<()> {
        for row in self.view().scan(&COIN_OWNER, &())? {
            let ((_, outpoint), coin) = row?;
            visit(outpoint, coin);
        }
        Ok(())
    }
}

/// Keeps the index beside the state while a batch is put together.
#[derive(Debug, Default)]
pub(crate) struct CoinIndex {
    /// Owners of coins that this batch brings back: a lower block that is undone too may have made them.
    returned: HashMap<OutPoint, Lock>,
}

impl CoinIndex {
    /// Follows an element that a block changes.
    pub(crate) fn apply(batch: &mut Batch, key: &StateKey, change: &Change) -> Result<()> {
        let StateKey::Coin(outpoint) = key else { return Ok(()) };
        if let Some(StateValue::Coin(coin)) = &change.before {
            batch.delete(&COIN_OWNER, &(coin.owner, *outpoint))?;
        }
        if let Some(StateValue::Coin(coin)) = &change.after {
            batch.put(&COIN_OWNER, &(coin.owner, *outpoint), coin)?;
        }
        Ok(())
    }

    /// Follows an element that goes back to what it was before a block.
    pub(crate) fn undo(
        &mut self,
        batch: &mut Batch,
        stored: &impl Read,
        key: &StateKey,
        before: Option<&StateValue>,
    ) -> Result<()> {
        let StateKey::Coin(outpoint) = key else { return Ok(()) };
        if let Some(StateValue::Coin(coin)) = before {
            self.returned.insert(*outpoint, coin.owner);
            return batch.put(&COIN_OWNER, &(coin.owner, *outpoint), coin);
        }
        let owner = match self.returned.remove(outpoint) {
            Some(owner) => owner,
            None => match stored.get(&STATE, key)? {
                Some(StateValue::Coin(coin)) => coin.owner,
                _ => {
                    return Err(StorageError::Corrupt(format!("coin {outpoint:?} of a block to be undone is missing")));
                }
            },
        };
        batch.delete(&COIN_OWNER, &(owner, *outpoint))
    }
}

#[cfg(test)]
mod tests;
