//! Coins by owner: an index of the state's coins that moves with every block. What a block does to it follows from the
//! state elements it changes, so that undoing is the same as applying. See docs/protocol/storage.md.

use std::collections::HashMap;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{OutPoint, Output};
use rota_consensus::state::{Change, Coin, StateKey, StateValue};

use crate::block_file::BlockFiles;
use crate::error::{Result, StorageError};
use crate::kv::{Batch, Database, Read};
use crate::snapshot::Snapshot;
use crate::table::{COIN_OWNER, STATE, TRANSACTION};

/// What stands in a coin's output beside its value: who asks for that alone opens the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Beside {
    /// Data of no stream.
    pub data: bool,
    /// Grants.
    pub grants: bool,
}

impl Beside {
    /// What stands in an output.
    #[must_use]
    pub fn of(output: &Output) -> Beside {
        let any = |is: fn(&Operation) -> bool| output.operations.iter().any(is);
        Beside {
            data: any(|operation| matches!(operation, Operation::Data(_))),
            grants: any(|operation| matches!(operation, Operation::Grant(_))),
        }
    }

    /// Whether nothing does.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Beside::default()
    }
}

/// A coin as its owner's list has it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwnedCoin {
    /// The coin, as in the state.
    pub coin: Coin,
    /// What stands beside it.
    pub beside: Beside,
}

impl Snapshot {
    /// Up to `limit` coins of an address in the order of transaction id and index, those after `after` if given.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn coins_of(&self, owner: &Lock, after: Option<OutPoint>, limit: usize) -> Result<Vec<(OutPoint, OwnedCoin)>> {
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
    pub fn for_each_coin_of(&self, owner: &Lock, mut visit: impl FnMut(OutPoint, OwnedCoin) -> bool) -> Result<()> {
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
            let ((_, outpoint), owned) = row?;
            visit(outpoint, owned.coin);
        }
        Ok(())
    }
}

/// Keeps the index beside the state while a batch is put together.
#[derive(Debug)]
pub(crate) struct CoinIndex<'a> {
    database: &'a Database,
    files: &'a BlockFiles,
    /// Owners of coins that this batch brings back: a lower block that is undone too may have made them.
    returned: HashMap<OutPoint, Lock>,
    /// What stands in the outputs of transactions whose coins come back.
    outputs: HashMap<Txid, Vec<Beside>>,
}

/// The coins of a block beside which something stands.
pub(crate) fn accompanied(block: &Block, txids: &[Txid]) -> HashMap<OutPoint, Beside> {
    let mut accompanied = HashMap::new();
    for (txid, transaction) in txids.iter().zip(&block.transactions) {
        for (index, output) in (0u32..).zip(&transaction.body.outputs) {
            let beside = Beside::of(output);
            if !beside.is_nothing() {
                accompanied.insert(OutPoint { txid: *txid, index }, beside);
            }
        }
    }
    accompanied
}

impl<'a> CoinIndex<'a> {
    pub(crate) fn new(database: &'a Database, files: &'a BlockFiles) -> CoinIndex<'a> {
        CoinIndex { database, files, returned: HashMap::new(), outputs: HashMap::new() }
    }

    /// Follows an element that a block changes, whose coins something stands beside are [`accompanied`].
    pub(crate) fn apply(
        batch: &mut Batch,
        key: &StateKey,
        change: &Change,
        accompanied: &HashMap<OutPoint, Beside>,
    ) -> Result<()> {
        let StateKey::Coin(outpoint) = key else { return Ok(()) };
        if let Some(StateValue::Coin(coin)) = &change.before {
            batch.delete(&COIN_OWNER, &(coin.owner, *outpoint))?;
        }
        if let Some(StateValue::Coin(coin)) = &change.after {
            let beside = accompanied.get(outpoint).copied().unwrap_or_default();
            batch.put(&COIN_OWNER, &(coin.owner, *outpoint), &OwnedCoin { coin: coin.clone(), beside })?;
        }
        Ok(())
    }

    /// Follows an element that goes back to what it was before a block.
    pub(crate) fn undo(&mut self, batch: &mut Batch, key: &StateKey, before: Option<&StateValue>) -> Result<()> {
        let StateKey::Coin(outpoint) = key else { return Ok(()) };
        if let Some(StateValue::Coin(coin)) = before {
            self.returned.insert(*outpoint, coin.owner);
            let beside = self.beside(outpoint)?;
            return batch.put(&COIN_OWNER, &(coin.owner, *outpoint), &OwnedCoin { coin: coin.clone(), beside });
        }
        let owner = match self.returned.remove(outpoint) {
            Some(owner) => owner,
            None => match self.database.get(&STATE, key)? {
                Some(StateValue::Coin(coin)) => coin.owner,
                _ => {
                    return Err(StorageError::Corrupt(format!("coin {outpoint:?} of a block to be undone is missing")));
                }
            },
        };
        batch.delete(&COIN_OWNER, &(owner, *outpoint))
    }

    /// What stands beside a coin that comes back: its transaction is read once a batch.
    fn beside(&mut self, outpoint: &OutPoint) -> Result<Beside> {
        if !self.outputs.contains_key(&outpoint.txid) {
            let place = self.database.get(&TRANSACTION, &outpoint.txid)?;
            let place = place.ok_or_else(|| StorageError::Missing(format!("the place of {}", outpoint.txid)))?;
            let (_, transaction) = self.files.read_transaction(&place)?;
            self.outputs.insert(outpoint.txid, transaction.body.outputs.iter().map(Beside::of).collect());
        }
        let index = usize::try_from(outpoint.index).ok();
        let outputs = self.outputs.get(&outpoint.txid);
        Ok(outputs.zip(index).and_then(|(outputs, index)| outputs.get(index)).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
