//! Subscriptions: which streams are indexed, how, and how far.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;

use crate::error::{Result, StorageError};
use crate::index::stream::IndexWriter;
use crate::index::{Order, SubscriptionRow, TermKind};
use crate::kv::{Batch, Durability, Read};
use crate::store::Store;
use crate::table::{
    INDEX_CHAIN, INDEX_COUNT, INDEX_LOCAL, INDEX_POSTING, INDEX_SEEN, INDEX_TERM, INDEX_TERM_LIST, LOST, META, Meta,
    SUBSCRIPTION, TIP,
};

/// Which indexes a subscription keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Indexes(u8);

impl Indexes {
    /// Items in chain order.
    pub const ITEMS: Indexes = Indexes(1);
    /// Items by key.
    pub const KEYS: Indexes = Indexes(2);
    /// Items by publisher.
    pub const PUBLISHERS: Indexes = Indexes(4);
    /// Items in local order.
    pub const ITEMS_LOCAL: Indexes = Indexes(8);
    /// Items by key in local order.
    pub const KEYS_LOCAL: Indexes = Indexes(16);
    /// Items by publisher in local order.
    pub const PUBLISHERS_LOCAL: Indexes = Indexes(32);
    /// Everything.
    pub const ALL: Indexes = Indexes(63);
    /// Nothing.
    pub const NONE: Indexes = Indexes(0);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Indexes) -> Indexes {
        Indexes(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Indexes) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether anything of an order is in it.
    #[must_use]
    pub const fn has_order(self, order: Order) -> bool {
        match order {
            Order::Chain => self.0 & 7 != 0,
            Order::Local => self.0 & 56 != 0,
        }
    }

    /// Whether an order's items are grouped by keys or publishers.
    #[must_use]
    pub const fn has_terms(self, order: Order, kind: TermKind) -> bool {
        self.contains(match (order, kind) {
            (Order::Chain, TermKind::Key) => Indexes::KEYS,
            (Order::Chain, TermKind::Publisher) => Indexes::PUBLISHERS,
            (Order::Local, TermKind::Key) => Indexes::KEYS_LOCAL,
            (Order::Local, TermKind::Publisher) => Indexes::PUBLISHERS_LOCAL,
        })
    }
}

/// A stream this node follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The stream.
    pub stream: Txid,
    /// What is kept.
    pub indexes: Indexes,
    /// Whether off-chain data is fetched without being asked for.
    pub retrieve: bool,
    /// First height indexed: above 0 if history was not asked for.
    pub from: Height,
    /// Next height to index while history is behind; none once blocks are indexed as they come.
    pub next: Option<Height>,
}

impl Subscription {
    pub(crate) const fn of(stream: Txid, row: SubscriptionRow) -> Subscription {
        let SubscriptionRow { id: _, indexes, retrieve, from, next } = row;
        Subscription { stream, indexes, retrieve, from, next }
    }

    /// Whether every item of the active branch is in the index.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.from.0 == 0 && self.next.is_none()
    }

    /// Whether history is being indexed.
    #[must_use]
    pub const fn is_catching_up(&self) -> bool {
        self.next.is_some()
    }
}

impl Store {
    /// Begins to follow a stream. With `history`, [`Store::index_history_step`] has to be called until it says that it
    /// is complete; otherwise items are indexed from the next block on. Does nothing if the stream is followed with
    /// these indexes and this start already, and begins anew if with others. Items that wait in the pool are to be
    /// passed to [`Store::index_seen`] once the index is up to date.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn subscribe(&self, stream: &Txid, indexes: Indexes, retrieve: bool, history: bool) -> Result<Subscription> {
        if let Some(known) = self.subscription(stream)
            && known.indexes == indexes
            && (!history || known.from.0 == 0)
        {
            return self.set_retrieve(stream, retrieve);
        }
        let mut writer = self.writer();
        let number = self.database().get(&META, &Meta::NextSubscription.key())?.unwrap_or(0);
        let id = u32::try_from(number).ok().filter(|id| *id < u32::MAX).ok_or(StorageError::Limit {
            what: "number of subscriptions ever made",
            got: number,
            limit: u64::from(u32::MAX) - 1,
        })?;
        let next_block = self.database().get(&TIP, &())?.map_or(Height(0), |tip| tip.height.next());
        let row = match history && next_block.0 > 0 {
            true => SubscriptionRow { id, indexes, retrieve, from: Height(0), next: Some(Height(0)) },
            false => SubscriptionRow { id, indexes, retrieve, from: next_block, next: None },
        };
        let mut batch = self.database().batch();
        if let Some(old) = writer.subscriptions.get(stream) {
            drop_rows(&mut batch, old.id)?;
        }
        batch.put(&META, &Meta::NextSubscription.key(), &(number + 1))?;
        batch.put(&SUBSCRIPTION, stream, &row)?;
        self.database().write(batch, Durability::Synced)?;
        writer.subscriptions.insert(*stream, row);
        Ok(Subscription::of(*stream, row))
    }

    /// Ends following a stream and drops its indexes; false if it was not followed. Chunks stay: see
    /// [`Store::purge_chunks`].
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn unsubscribe(&self, stream: &Txid) -> Result<bool> {
        let mut writer = self.writer();
        let Some(row) = writer.subscriptions.get(stream).copied() else { return Ok(false) };
        let mut batch = self.database().batch();
        batch.delete(&SUBSCRIPTION, stream)?;
        drop_rows(&mut batch, row.id)?;
        self.database().write(batch, Durability::Synced)?;
        writer.subscriptions.remove(stream);
        Ok(true)
    }

    /// Sets whether off-chain data of a stream is fetched without being asked for.
    ///
    /// # Errors
    /// [`crate::StorageError`]: `storage-missing` if the stream is not followed.
    pub fn set_retrieve(&self, stream: &Txid, retrieve: bool) -> Result<Subscription> {
        let mut writer = self.writer();
        let Some(row) = writer.subscriptions.get_mut(stream) else {
            return Err(StorageError::Missing(format!("a subscription of stream {stream}")));
        };
        if row.retrieve != retrieve {
            let changed = SubscriptionRow { retrieve, ..*row };
            let mut batch = self.database().batch();
            batch.put(&SUBSCRIPTION, stream, &changed)?;
            self.database().write(batch, Durability::Synced)?;
            *row = changed;
        }
        Ok(Subscription::of(*stream, *row))
    }

    /// A subscription as the writer has it, none if the stream is not followed.
    #[must_use]
    pub fn subscription(&self, stream: &Txid) -> Option<Subscription> {
        self.writer().subscriptions.get(stream).map(|row| Subscription::of(*stream, *row))
    }

    /// The streams this node follows, in order of subscription.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let mut rows: Vec<(Txid, SubscriptionRow)> =
            self.writer().subscriptions.iter().map(|(stream, row)| (*stream, *row)).collect();
        rows.sort_unstable_by_key(|(_, row)| row.id);
        rows.into_iter().map(|(stream, row)| Subscription::of(stream, row)).collect()
    }

    /// Gives the items of transactions that came to this node their place in local order, if they have none yet and
    /// their stream's history is indexed. Survives the end of the process.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn index_seen(&self, transactions: &[(Txid, &Transaction)]) -> Result<()> {
        let writer = self.writer();
        if writer.subscriptions.is_empty() {
            return Ok(());
        }
        let mut batch = self.database().batch();
        let mut index = IndexWriter::new(self.database(), &writer.subscriptions);
        let mut new = false;
        for (txid, transaction) in transactions {
            new |= index.see(&mut batch, txid, transaction)?;
        }
        if !new {
            return Ok(());
        }
        index.finish(&mut batch)?;
        self.database().write(batch, Durability::Written)
    }

    /// Keeps a transaction that was seen and then lost its place: in conflict, expired, or without its right. Items of
    /// it stay listed in local order and are shown as not valid.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn put_lost_transaction(&self, txid: &Txid, transaction: &Transaction) -> Result<()> {
        let mut batch = self.database().batch();
        batch.put(&LOST, txid, transaction)?;
        self.database().write(batch, Durability::Written)
    }
}

fn drop_rows(batch: &mut Batch, id: u32) -> Result<()> {
    batch.delete_prefix(&INDEX_COUNT, &id)?;
    batch.delete_prefix(&INDEX_CHAIN, &id)?;
    batch.delete_prefix(&INDEX_LOCAL, &id)?;
    batch.delete_prefix(&INDEX_SEEN, &id)?;
    batch.delete_prefix(&INDEX_TERM, &id)?;
    batch.delete_prefix(&INDEX_TERM_LIST, &id)?;
    batch.delete_prefix(&INDEX_POSTING, &id)
}
