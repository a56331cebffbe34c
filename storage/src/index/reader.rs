//! Answering from the indexes: counts, pages by position, keys and publishers. Nothing here scans more than it answers.

use std::ops::Range;

use borsh::BorshDeserialize;
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;

use crate::error::{Result, StorageError};
use crate::index::party::{Kind, Pair, Used};
use crate::index::subscription::Subscription;
use crate::index::{
    ItemRow, Order, PAIR, PAIR_LIST, SeenRow, Subject, SubscriptionRow, TermKind, TermRow, item_counter,
    publisher_term, space, stream_prefix, term_counter,
};
use crate::kv::Read;
use crate::snapshot::Snapshot;
use crate::table::{
    ENTITY_BLOCK, INDEX_CHAIN, INDEX_COUNT, INDEX_LOCAL, INDEX_POSTING, INDEX_TERM, INDEX_TERM_LIST, INDEX_TOTAL,
    SUBSCRIPTION,
};
use crate::transaction::TransactionLocation;

/// Which items of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector<'a> {
    /// All.
    All,
    /// Those with a key.
    Key(&'a [u8]),
    /// Those of a publisher, or of an address.
    Publisher(&'a Lock),
    /// Those in which an address uses something.
    Pair(&'a Pair),
}

/// Which pairs of an address and what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairList {
    /// What an address uses of one kind.
    Of(Lock, Kind),
    /// The addresses that use something.
    By(Used),
}

/// Names an item in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemRef {
    /// On the active branch: where.
    Chain(ItemRow),
    /// Seen by this node, on the active branch or not: which.
    Local(SeenRow),
}

impl ItemRef {
    /// Index of the output.
    #[must_use]
    pub const fn vout(&self) -> u32 {
        match self {
            ItemRef::Chain(row) => row.vout,
            ItemRef::Local(row) => row.vout,
        }
    }

    /// Index of the operation in the output.
    #[must_use]
    pub const fn ordinal(&self) -> u16 {
        match self {
            ItemRef::Chain(row) => row.ordinal,
            ItemRef::Local(row) => row.ordinal,
        }
    }
}

/// A key or publisher with its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermSummary {
    /// Items that have it.
    pub items: u64,
    /// The first of them.
    pub first: ItemRef,
    /// The last of them.
    pub last: ItemRef,
}

/// A transaction found by an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransaction {
    /// Its id.
    pub txid: Txid,
    /// The transaction.
    pub transaction: Transaction,
    /// Where it stands, none if it is not on the active branch.
    pub location: Option<TransactionLocation>,
}

/// The indexes of one subject in a snapshot.
#[derive(Clone, Debug)]
pub struct StreamReader {
    snapshot: Snapshot,
    subject: Subject,
    row: SubscriptionRow,
}

impl Snapshot {
    /// The indexes of a stream, none if it is not followed.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn stream(&self, stream: &Txid) -> Result<Option<StreamReader>> {
        self.index(stream)
    }

    /// The indexes of a subject, none if it is not followed.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn index(&self, subject: impl Into<Subject>) -> Result<Option<StreamReader>> {
        let subject = subject.into();
        let row = self.view().get(&SUBSCRIPTION, &subject)?;
        Ok(row.map(|row| StreamReader { snapshot: self.clone(), subject, row }))
    }

    /// Heights of blocks that hold items of a stream, followed or not, from `from` on. Two streams whose ids begin
    /// alike share them: a block may turn out to hold none.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn stream_heights(&self, stream: &Txid, from: Height, limit: usize) -> Result<Vec<Height>> {
        let prefix = stream_prefix(stream);
        let rows = self.view().scan_from(&ENTITY_BLOCK, &prefix, &(prefix, from))?;
        rows.take(limit).map(|row| row.map(|((_, height), ())| height)).collect()
    }

    /// The transaction of an item: from the active branch, or from what was lost. None for one that may still wait in
    /// the pool.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails or a block file is damaged.
    pub fn item_transaction(&self, item: &ItemRef) -> Result<Option<StoredTransaction>> {
        match item {
            ItemRef::Chain(row) => {
                let (txid, transaction) = self.files().read_transaction(&row.location)?;
                if !txid.as_bytes().starts_with(&row.check) {
                    return Err(StorageError::DamagedFile {
                        file: row.location.place.file,
                        offset: u64::from(row.location.place.offset),
                        detail: "another transaction should be here".to_owned(),
                    });
                }
                Ok(Some(StoredTransaction { txid, transaction, location: Some(row.location) }))
            }
            ItemRef::Local(row) => {
                if let Some((transaction, location)) = self.transaction(&row.txid)? {
                    return Ok(Some(StoredTransaction { txid: row.txid, transaction, location: Some(location) }));
                }
                let lost = self.lost_transaction(&row.txid)?;
                Ok(lost.map(|transaction| StoredTransaction { txid: row.txid, transaction, location: None }))
            }
        }
    }
}

impl StreamReader {
    /// The subscription.
    #[must_use]
    pub fn subscription(&self) -> Subscription {
        Subscription::of(self.subject, self.row)
    }

    /// The number of the subscription: another one once the index was made anew, but the same through a rebuild of the
    /// database.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.row.id
    }

    /// Number of items.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn count(&self, order: Order, selector: Selector<'_>) -> Result<u64> {
        Ok(match self.term_of(order, selector)? {
            Term::All => self.counter(item_counter(order))?,
            Term::Absent => 0,
            Term::Found(_, row) => u64::from(row.count),
        })
    }

    /// Items by position; positions that do not exist are left out.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn page(&self, order: Order, selector: Selector<'_>, positions: Range<u64>) -> Result<Vec<ItemRef>> {
        let (start, end) = clamp(&positions);
        match self.term_of(order, selector)? {
            Term::All => self.items(order, start, end),
            Term::Absent => Ok(Vec::new()),
            Term::Found(space, row) => {
                let positions = self.postings(space, &row, start, end)?;
                positions.into_iter().map(|position| self.item(order, position)).collect()
            }
        }
    }

    /// Keys by first appearance.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn keys(&self, order: Order, positions: Range<u64>) -> Result<Vec<Vec<u8>>> {
        self.terms(space(order, TermKind::Key), &positions)
    }

    /// Number of distinct keys.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn key_count(&self, order: Order) -> Result<u64> {
        self.counter(term_counter(space(order, TermKind::Key)))
    }

    /// Publishers by first appearance.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn publishers(&self, order: Order, positions: Range<u64>) -> Result<Vec<Lock>> {
        let terms = self.terms(space(order, TermKind::Publisher), &positions)?;
        terms
            .iter()
            .map(|term| {
                Lock::try_from_slice(term)
                    .map_err(|error| StorageError::Corrupt(format!("a publisher in an index: {error}")))
            })
            .collect()
    }

    /// Number of distinct publishers.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn publisher_count(&self, order: Order) -> Result<u64> {
        self.counter(term_counter(space(order, TermKind::Publisher)))
    }

    /// Number of pairs of a list.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn pair_count(&self, list: PairList) -> Result<u64> {
        Ok(self.pair_list(list)?.map_or(0, |row| u64::from(row.count)))
    }

    /// Pairs of a list by first appearance.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn pairs(&self, list: PairList, positions: Range<u64>) -> Result<Vec<Pair>> {
        let Some(row) = self.pair_list(list)? else { return Ok(Vec::new()) };
        let (start, end) = clamp(&positions);
        let pair = |number: u32| {
            let bytes = self.snapshot.view().get(&INDEX_TERM_LIST, &(self.row.id, PAIR, number))?;
            let bytes =
                bytes.ok_or_else(|| StorageError::Corrupt(format!("index {} has no pair {number}", self.row.id)))?;
            Pair::try_from_slice(&bytes).map_err(|error| StorageError::Corrupt(format!("a pair in an index: {error}")))
        };
        self.postings(PAIR_LIST, &row, start, end)?.into_iter().map(pair).collect()
    }

    /// What the address of a pair has of what is used: raw units of an asset or native currency, or items written.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn total(&self, pair: &Pair) -> Result<u128> {
        let count = self.count(Order::Chain, Selector::Pair(pair))?;
        let Some(last) = count.checked_sub(1) else { return Ok(0) };
        Ok(self.totals(pair, last..count)?.last().copied().unwrap_or(0))
    }

    /// The same after each of the pair's transactions, by position.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn totals(&self, pair: &Pair, positions: Range<u64>) -> Result<Vec<u128>> {
        let (start, end) = clamp(&positions);
        let Term::Found(_, row) = self.term_of(Order::Chain, Selector::Pair(pair))? else { return Ok(Vec::new()) };
        let limit = end.min(row.count).saturating_sub(start) as usize;
        let prefix = (self.row.id, row.number);
        let rows = self.snapshot.view().scan_from(&INDEX_TOTAL, &prefix, &(self.row.id, row.number, start))?;
        rows.take(limit).map(|row| row.map(|(_, total)| total)).collect()
    }

    fn pair_list(&self, list: PairList) -> Result<Option<TermRow>> {
        let term = match list {
            PairList::Of(address, kind) => kind.list_of(&address),
            PairList::By(used) => encode(&used),
        };
        self.snapshot.view().get(&INDEX_TERM, &(self.row.id, PAIR_LIST, term))
    }

    /// A key's or publisher's number of items, first and last; none without items, and for [`Selector::All`] over all.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn summary(&self, order: Order, selector: Selector<'_>) -> Result<Option<TermSummary>> {
        let items = self.count(order, selector)?;
        let Some(end) = items.checked_sub(1) else { return Ok(None) };
        let first = self.page(order, selector, 0..1)?.first().copied();
        let last = self.page(order, selector, end..items)?.last().copied();
        Ok(first.zip(last).map(|(first, last)| TermSummary { items, first, last }))
    }

    /// Position in chain order of the first item at `height` or above, or the number of items. By halving.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn position_at(&self, height: Height) -> Result<u64> {
        self.position_in(Selector::All, height)
    }

    /// The same among those that a selector selects.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn position_in(&self, selector: Selector<'_>, height: Height) -> Result<u64> {
        let (mut low, mut high) = (0, self.count(Order::Chain, selector)?);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(Order::Chain, selector, middle..middle + 1)?.first() {
                Some(ItemRef::Chain(row)) if row.location.height < height => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn counter(&self, counter: u8) -> Result<u64> {
        Ok(self.snapshot.view().get(&INDEX_COUNT, &(self.row.id, counter))?.map_or(0, u64::from))
    }

    fn term_of(&self, order: Order, selector: Selector<'_>) -> Result<Term> {
        let (space, bytes) = match selector {
            Selector::All => return Ok(Term::All),
            Selector::Key(key) => (space(order, TermKind::Key), key.to_vec()),
            Selector::Publisher(lock) => (space(order, TermKind::Publisher), publisher_term(lock)),
            Selector::Pair(pair) => (PAIR, encode(pair)),
        };
        let row = self.snapshot.view().get(&INDEX_TERM, &(self.row.id, space, bytes))?;
        Ok(row.map_or(Term::Absent, |row| Term::Found(space, row)))
    }

    fn items(&self, order: Order, start: u32, end: u32) -> Result<Vec<ItemRef>> {
        let (view, id, limit) = (self.snapshot.view(), self.row.id, end.saturating_sub(start) as usize);
        match order {
            Order::Chain => view
                .scan_from(&INDEX_CHAIN, &id, &(id, start))?
                .take(limit)
                .map(|row| row.map(|(_, item)| ItemRef::Chain(item)))
                .collect(),
            Order::Local => view
                .scan_from(&INDEX_LOCAL, &id, &(id, start))?
                .take(limit)
                .map(|row| row.map(|(_, item)| ItemRef::Local(item)))
                .collect(),
        }
    }

    fn item(&self, order: Order, position: u32) -> Result<ItemRef> {
        let (view, key) = (self.snapshot.view(), (self.row.id, position));
        let found = match order {
            Order::Chain => view.get(&INDEX_CHAIN, &key)?.map(ItemRef::Chain),
            Order::Local => view.get(&INDEX_LOCAL, &key)?.map(ItemRef::Local),
        };
        found.ok_or_else(|| StorageError::Corrupt(format!("index {} has no item at {position}", self.row.id)))
    }

    /// Positions in the order of a term's items: the first stands in the term's own row.
    fn postings(&self, space: u8, row: &TermRow, start: u32, end: u32) -> Result<Vec<u32>> {
        let end = end.min(row.count);
        let mut positions = Vec::new();
        if start == 0 && end > 0 {
            positions.push(row.first);
        }
        let start = start.max(1);
        let limit = end.saturating_sub(start) as usize;
        if limit == 0 {
            return Ok(positions);
        }
        let prefix = (self.row.id, space, row.number);
        let key = (self.row.id, space, row.number, start);
        for row in self.snapshot.view().scan_from(&INDEX_POSTING, &prefix, &key)?.take(limit) {
            positions.push(row?.1);
        }
        Ok(positions)
    }

    fn terms(&self, space: u8, positions: &Range<u64>) -> Result<Vec<Vec<u8>>> {
        let (start, end) = clamp(positions);
        let limit = end.saturating_sub(start) as usize;
        let rows =
            self.snapshot.view().scan_from(&INDEX_TERM_LIST, &(self.row.id, space), &(self.row.id, space, start))?;
        rows.take(limit).map(|row| row.map(|(_, term)| term)).collect()
    }
}

enum Term {
    All,
    Absent,
    Found(u8, TermRow),
}

fn clamp(positions: &Range<u64>) -> (u32, u32) {
    let number = |position: u64| u32::try_from(position).unwrap_or(u32::MAX);
    (number(positions.start), number(positions.end))
}
