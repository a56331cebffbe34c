//! Subscriptions: what is indexed, how, and how far.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_crash::{Point, reached};

use crate::error::{Result, StorageError};
use crate::index::writer::{Changed, IndexWriter};
use crate::index::{Order, Subject, SubscriptionRow, TermKind, item_counter, space, term_counter};
use crate::kv::{Batch, Durability, Read};
use crate::store::{Store, WriterState};
use crate::table::{
    INDEX_ADDRESS, INDEX_CHAIN, INDEX_COUNT, INDEX_LOCAL, INDEX_POSTING, INDEX_SEEN, INDEX_TERM, INDEX_TERM_LIST,
    INDEX_TOTAL, LOST, META, Meta, SUBSCRIPTION, TIP,
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
    /// Items in both orders, without keys and publishers.
    pub const PLAIN: Indexes = Indexes(9);
    /// Everything in chain order.
    pub const CHAIN: Indexes = Indexes(7);
    /// Nothing.
    pub const NONE: Indexes = Indexes(0);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Indexes) -> Indexes {
        Indexes(self.0 | other.0)
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub const fn without(self, other: Indexes) -> Indexes {
        Indexes(self.0 & !other.0)
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

/// What this node follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The stream, asset, or set of addresses.
    pub subject: Subject,
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
    pub(crate) const fn of(subject: Subject, row: SubscriptionRow) -> Subscription {
        let SubscriptionRow { id: _, indexes, retrieve, from, next } = row;
        Subscription { subject, indexes, retrieve, from, next }
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
    /// Begins to follow a stream, an asset, or every address. With `history`, [`Store::index_history_step`] has to be
    /// called until it says that it is complete; otherwise what comes from the next block on is indexed. Does nothing
    /// if it is followed with these indexes and this start already, and begins anew if with others. What waits in the
    /// pool is to be passed to [`Store::index_seen`] once the index is up to date.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn subscribe(
        &self,
        subject: impl Into<Subject>,
        indexes: Indexes,
        retrieve: bool,
        history: bool,
    ) -> Result<Subscription> {
        let subject = subject.into();
        if let Some(known) = self.subscription(subject)
            && known.indexes == indexes
            && (!history || known.from.0 == 0)
        {
            return self.set_retrieve(subject, retrieve);
        }
        let mut writer = self.writer();
        let mut batch = self.database().batch();
        let row = self.begin(&mut batch, indexes, retrieve, history)?;
        if let Some(old) = writer.subscriptions.get(&subject) {
            drop_rows(&mut batch, old.id)?;
        }
        batch.put(&SUBSCRIPTION, &subject, &row)?;
        self.database().write(batch, Durability::Synced)?;
        reached(Point::Subscribed);
        writer.subscriptions.insert(subject, row);
        Ok(Subscription::of(subject, row))
    }

    /// The row of a subscription that begins now, under the next number.
    pub(crate) fn begin(
        &self,
        batch: &mut Batch,
        indexes: Indexes,
        retrieve: bool,
        history: bool,
    ) -> Result<SubscriptionRow> {
        let number = self.database().get(&META, &Meta::NextSubscription.key())?.unwrap_or(0);
        let id = u32::try_from(number).ok().filter(|id| *id < u32::MAX).ok_or(StorageError::Limit {
            what: "number of subscriptions ever made",
            got: number,
            limit: u64::from(u32::MAX) - 1,
        })?;
        batch.put(&META, &Meta::NextSubscription.key(), &(number + 1))?;
        let next_block = self.next_height()?;
        Ok(match history && next_block.0 > 0 {
            true => SubscriptionRow { id, indexes, retrieve, from: Height(0), next: Some(Height(0)) },
            false => SubscriptionRow { id, indexes, retrieve, from: next_block, next: None },
        })
    }

    /// Height of the next block.
    pub(crate) fn next_height(&self) -> Result<Height> {
        Ok(self.database().get(&TIP, &())?.map_or(Height(0), |tip| tip.height.next()))
    }

    /// Ends following and drops its indexes; false if it was not followed. Chunks stay.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn unsubscribe(&self, subject: impl Into<Subject>) -> Result<bool> {
        let subject = subject.into();
        let mut writer = self.writer();
        let Some(row) = writer.subscriptions.get(&subject).copied() else { return Ok(false) };
        let mut batch = self.database().batch();
        batch.delete(&SUBSCRIPTION, &subject)?;
        drop_rows(&mut batch, row.id)?;
        self.database().write(batch, Durability::Synced)?;
        reached(Point::Unsubscribed);
        writer.subscriptions.remove(&subject);
        writer.members.remove(&row.id);
        Ok(true)
    }

    /// Sets whether off-chain data of a stream is fetched without being asked for.
    ///
    /// # Errors
    /// [`crate::StorageError`]: `storage-missing` if the stream is not followed.
    pub fn set_retrieve(&self, subject: impl Into<Subject>, retrieve: bool) -> Result<Subscription> {
        let subject = subject.into();
        let mut writer = self.writer();
        let Some(row) = writer.subscriptions.get_mut(&subject) else {
            return Err(StorageError::Missing(format!("a subscription of {subject}")));
        };
        if row.retrieve != retrieve {
            let changed = SubscriptionRow { retrieve, ..*row };
            let mut batch = self.database().batch();
            batch.put(&SUBSCRIPTION, &subject, &changed)?;
            self.database().write(batch, Durability::Synced)?;
            reached(Point::SubscriptionChanged);
            *row = changed;
        }
        Ok(Subscription::of(subject, *row))
    }

    /// Drops indexes of a followed stream with their rows; those that it does not keep are passed over.
    ///
    /// # Errors
    /// [`crate::StorageError`]: `storage-missing` if the stream is not followed.
    pub fn trim(&self, subject: impl Into<Subject>, indexes: Indexes) -> Result<Subscription> {
        let subject = subject.into();
        let mut writer = self.writer();
        let Some(row) = writer.subscriptions.get_mut(&subject) else {
            return Err(StorageError::Missing(format!("a subscription of {subject}")));
        };
        let changed = SubscriptionRow { indexes: row.indexes.without(indexes), ..*row };
        if changed != *row {
            let mut batch = self.database().batch();
            drop_indexes(&mut batch, *row, changed.indexes)?;
            batch.put(&SUBSCRIPTION, &subject, &changed)?;
            self.database().write(batch, Durability::Synced)?;
            reached(Point::IndexTrimmed);
            *row = changed;
        }
        Ok(Subscription::of(subject, *row))
    }

    /// A subscription as the writer has it, none if the subject is not followed.
    #[must_use]
    pub fn subscription(&self, subject: impl Into<Subject>) -> Option<Subscription> {
        let subject = subject.into();
        self.writer().subscriptions.get(&subject).map(|row| Subscription::of(subject, *row))
    }

    /// What this node follows, in order of subscription.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let mut rows: Vec<(Subject, SubscriptionRow)> =
            self.writer().subscriptions.iter().map(|(subject, row)| (*subject, *row)).collect();
        rows.sort_unstable_by_key(|(_, row)| row.id);
        rows.into_iter().map(|(subject, row)| Subscription::of(subject, row)).collect()
    }

    /// Gives transactions that came to this node, and their items, their place in local order, if they have none yet
    /// and the history of what they concern is indexed. Survives the end of the process.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn index_seen(&self, transactions: &[(Txid, &Transaction)]) -> Result<()> {
        let writer = self.writer();
        if writer.subscriptions.is_empty() {
            return Ok(());
        }
        let mut batch = self.database().batch();
        let mut index = IndexWriter::new(self.database(), &writer);
        let mut new = false;
        for (txid, transaction) in transactions {
            new |= index.see(&mut batch, txid, transaction)?;
        }
        if !new {
            return Ok(());
        }
        index.finish(&mut batch)?;
        self.database().write(batch, Durability::Written)?;
        reached(Point::SeenIndexed);
        Ok(())
    }

    /// Keeps a transaction that was seen and then lost its place: in conflict, expired, or without its right. It stays
    /// listed in local order and is shown as not valid. Nothing is kept of one that no local order lists.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn put_lost_transaction(&self, txid: &Txid, transaction: &Transaction) -> Result<()> {
        let writer = self.writer();
        if IndexWriter::new(self.database(), &writer).local_entries(transaction).is_empty() {
            return Ok(());
        }
        let mut batch = self.database().batch();
        batch.put(&LOST, txid, transaction)?;
        self.database().write(batch, Durability::Written)?;
        reached(Point::LostKept);
        Ok(())
    }
}

/// Drops the rows of those indexes that are not in `kept`. Items of an order are listed for its keys and publishers
/// too, and stay until nothing of the order is kept.
fn drop_indexes(batch: &mut Batch, row: SubscriptionRow, kept: Indexes) -> Result<()> {
    let id = row.id;
    for order in [Order::Chain, Order::Local] {
        for kind in [TermKind::Key, TermKind::Publisher] {
            if row.indexes.has_terms(order, kind) && !kept.has_terms(order, kind) {
                let space = space(order, kind);
                batch.delete_prefix(&INDEX_TERM, &(id, space))?;
                batch.delete_prefix(&INDEX_TERM_LIST, &(id, space))?;
                batch.delete_prefix(&INDEX_POSTING, &(id, space))?;
                batch.delete(&INDEX_COUNT, &(id, term_counter(space)))?;
            }
        }
        if row.indexes.has_order(order) && !kept.has_order(order) {
            batch.delete(&INDEX_COUNT, &(id, item_counter(order)))?;
            match order {
                Order::Chain => batch.delete_prefix(&INDEX_CHAIN, &id)?,
                Order::Local => {
                    batch.delete_prefix(&INDEX_LOCAL, &id)?;
                    batch.delete_prefix(&INDEX_SEEN, &id)?;
                }
            }
        }
    }
    Ok(())
}

impl WriterState {
    /// Takes over what a batch changed, once it is written.
    pub(crate) fn take(&mut self, changed: Changed) {
        self.subscriptions.extend(changed.subscriptions);
        for ((id, lock), row) in changed.members {
            self.members.entry(id).or_default().insert(lock, row);
        }
    }
}

/// Drops all rows of an index.
pub(crate) fn drop_rows(batch: &mut Batch, id: u32) -> Result<()> {
    batch.delete_prefix(&INDEX_ADDRESS, &id)?;
    batch.delete_prefix(&INDEX_COUNT, &id)?;
    batch.delete_prefix(&INDEX_CHAIN, &id)?;
    batch.delete_prefix(&INDEX_LOCAL, &id)?;
    batch.delete_prefix(&INDEX_SEEN, &id)?;
    batch.delete_prefix(&INDEX_TERM, &id)?;
    batch.delete_prefix(&INDEX_TERM_LIST, &id)?;
    batch.delete_prefix(&INDEX_POSTING, &id)?;
    batch.delete_prefix(&INDEX_TOTAL, &id)
}
