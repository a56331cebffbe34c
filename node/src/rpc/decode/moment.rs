//! One moment of the ledger, taken for one answer, with what is looked up again and again while it is made.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rota_api::error::RpcError;
use rota_api::number::amount_value;
use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;
use rota_consensus::state::{Entity, StateView};
use rota_storage::index::ItemRef;
use rota_storage::index::reader::StoredTransaction;
use rota_storage::{Snapshot, Tip};
use serde_json::Value;

use crate::context::Context;
use crate::pool::PoolEntry;
use crate::rpc::resolve;
use crate::view::View;

/// Where a mined transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mined {
    /// Its block.
    pub hash: BlockHash,
    /// Height of the block.
    pub height: Height,
    /// Position in the block.
    pub index: u32,
    /// Time of the block, unix seconds.
    pub time: u32,
}

/// A transaction and what this node knows of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The transaction.
    pub tx: Arc<Transaction>,
    /// Its id.
    pub txid: Txid,
    /// Its block, none while it waits.
    pub mined: Option<Mined>,
    /// Unix seconds at which it came here.
    pub received: u64,
    /// False once it can no longer be confirmed.
    pub valid: bool,
}

impl Known {
    /// A transaction that only its bytes are known of.
    #[must_use]
    pub fn bare(tx: Arc<Transaction>) -> Known {
        let txid = tx.txid();
        Known { tx, txid, mined: None, received: 0, valid: true }
    }

    /// A transaction that waits.
    #[must_use]
    pub fn waiting(entry: &PoolEntry) -> Known {
        Known {
            tx: Arc::clone(entry.tx.transaction()),
            txid: entry.tx.txid(),
            mined: None,
            received: entry.received,
            valid: true,
        }
    }

    /// A transaction that was seen here and can no longer be confirmed.
    #[must_use]
    pub fn lost(txid: Txid, tx: Transaction) -> Known {
        Known { tx: Arc::new(tx), txid, mined: None, received: 0, valid: false }
    }

    /// The earlier of receipt and block time.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.mined.map_or(self.received, |mined| self.received.min(u64::from(mined.time)))
    }
}

/// Facts of a block that answers repeat for each of its transactions.
#[derive(Clone, Copy)]
struct BlockFacts {
    hash: BlockHash,
    time: u32,
    received: u64,
}

/// One moment of the ledger for one answer.
pub struct Moment<'c> {
    /// The node.
    pub ctx: &'c Context,
    /// State and indexes at the tip.
    pub snapshot: Snapshot,
    /// The tip.
    pub tip: Tip,
    /// Bytes of data an answer shows.
    pub max_shown: u64,
    /// Whether answers have the members of the first API version.
    pub old_api: bool,
    entities: RefCell<HashMap<Txid, Option<Entity>>>,
    blocks: RefCell<HashMap<Height, Option<BlockFacts>>>,
    addresses: RefCell<HashMap<Lock, String>>,
}

impl<'c> Moment<'c> {
    /// The present.
    #[must_use]
    pub fn now(ctx: &'c Context) -> Moment<'c> {
        Moment::at(ctx, &ctx.view.read())
    }

    /// The moment of a view that the caller looks at.
    #[must_use]
    pub fn at(ctx: &'c Context, view: &View) -> Moment<'c> {
        let tip = Tip { hash: view.tip.hash, height: view.tip.height };
        Moment::over(ctx, Snapshot::clone(&view.snapshot), tip)
    }

    /// The present with all that was written since the tip moved: subscriptions, and items in local order. Its tip
    /// may be ahead of the view's for an instant.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn fresh(ctx: &'c Context) -> Result<Moment<'c>, RpcError> {
        let snapshot = ctx.store.snapshot().map_err(resolve::storage_error)?;
        let view_tip = ctx.view.tip();
        let tip = snapshot.tip().unwrap_or(Tip { hash: view_tip.hash, height: view_tip.height });
        Ok(Moment::over(ctx, snapshot, tip))
    }

    /// The present as [`Moment::fresh`] gives it, with all that came in before this call in local orders.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn settled(ctx: &'c Context) -> Result<Moment<'c>, RpcError> {
        ctx.ledger.admission().settle();
        Moment::fresh(ctx)
    }

    fn over(ctx: &'c Context, snapshot: Snapshot, tip: Tip) -> Moment<'c> {
        let (max_shown, old_api) = {
            let settings = ctx.settings();
            (u64::from(settings.maxshowndata), settings.v1apicompatible)
        };
        Moment {
            ctx,
            snapshot,
            tip,
            max_shown,
            old_api,
            entities: RefCell::default(),
            blocks: RefCell::default(),
            addresses: RefCell::default(),
        }
    }

    /// A lock as text.
    #[must_use]
    pub fn address(&self, lock: &Lock) -> String {
        // A page repeats few addresses, and the check digits of each cost two hashes and a long division.
        self.addresses.borrow_mut().entry(*lock).or_insert_with(|| self.ctx.scheme.encode(lock)).clone()
    }

    /// Native currency in raw units as the API prints it.
    #[must_use]
    pub fn amount(&self, raw: i128) -> Value {
        let raw = i64::try_from(raw).unwrap_or(if raw < 0 { i64::MIN } else { i64::MAX });
        amount_value(raw, self.ctx.parameters.native_currency_multiple())
    }

    /// Blocks since a transaction was mined: 0 while it waits.
    #[must_use]
    pub fn confirmations(&self, known: &Known) -> i64 {
        resolve::confirmations(self.tip.height, known.mined.map(|mined| mined.height)).max(0)
    }

    /// An entity, waiting ones included. Must not be called while the view is looked at.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn entity(&self, txid: &Txid) -> Result<Option<Entity>, RpcError> {
        if let Some(known) = self.entities.borrow().get(txid) {
            return Ok(known.clone());
        }
        let mut entity = self.snapshot.entity(txid).map_err(resolve::state_error)?;
        if entity.is_none() {
            entity = self.ctx.view.read().pool.state().entity(txid).map_err(resolve::state_error)?;
        }
        self.entities.borrow_mut().insert(*txid, entity.clone());
        Ok(entity)
    }

    /// A transaction of the active branch or the pool. Must not be called while the view is looked at.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn transaction(&self, txid: &Txid) -> Result<Option<Known>, RpcError> {
        if let Some(known) = self.mined_transaction(txid)? {
            return Ok(Some(known));
        }
        // Either it waits, or it was mined after this moment: the view switches both at once.
        let newest = {
            let view = self.ctx.view.read();
            if let Some(entry) = view.pool.get(txid) {
                return Ok(Some(Known::waiting(entry)));
            }
            if view.tip.hash == self.tip.hash {
                return Ok(None);
            }
            Moment::at(self.ctx, &view)
        };
        newest.mined_transaction(txid)
    }

    fn mined_transaction(&self, txid: &Txid) -> Result<Option<Known>, RpcError> {
        let Some((tx, location)) = self.snapshot.transaction(txid).map_err(resolve::storage_error)? else {
            return Ok(None);
        };
        self.mined(*txid, Arc::new(tx), location.height, location.index)
    }

    /// The transaction of a row of an index: on the active branch, waiting, or lost. None if it is nowhere any more, as
    /// one that left the chain in the instant between. Must not be called while the view is looked at.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn listed(&self, row: &ItemRef) -> Result<Option<Known>, RpcError> {
        let found = self.snapshot.item_transaction(row).map_err(resolve::storage_error)?;
        let lost = match found {
            Some(StoredTransaction { txid, transaction, location: Some(location) }) => {
                return self.mined(txid, Arc::new(transaction), location.height, location.index);
            }
            found => found.map(|found| Known::lost(found.txid, found.transaction)),
        };
        match row {
            ItemRef::Local(seen) => Ok(self.transaction(&seen.txid)?.or(lost)),
            ItemRef::Chain(_) => Ok(lost),
        }
    }

    /// A transaction of the active branch with its place.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn mined(
        &self,
        txid: Txid,
        tx: Arc<Transaction>,
        height: Height,
        index: u32,
    ) -> Result<Option<Known>, RpcError> {
        let Some(facts) = self.block_facts(height)? else { return Ok(None) };
        let mined = Mined { hash: facts.hash, height, index, time: facts.time };
        Ok(Some(Known { tx, txid, mined: Some(mined), received: facts.received, valid: true }))
    }

    fn block_facts(&self, height: Height) -> Result<Option<BlockFacts>, RpcError> {
        if let Some(facts) = self.blocks.borrow().get(&height) {
            return Ok(*facts);
        }
        let facts = match self.snapshot.block_hash(height).map_err(resolve::storage_error)? {
            Some(hash) => {
                let entry = self.snapshot.block_entry(&hash).map_err(resolve::storage_error)?;
                entry.map(|entry| BlockFacts { hash, time: entry.header.header.time.0, received: entry.received })
            }
            None => None,
        };
        self.blocks.borrow_mut().insert(height, facts);
        Ok(facts)
    }
}
