//! Per-node indexes of what this node follows: what their rows hold. `writer` writes them with blocks, `party` says
//! which transactions concern whom, `subscription` and `wallet` begin and end them, `history` catches up, `reader`
//! answers. See docs/protocol/storage.md.

pub mod history;
pub mod party;
pub mod reader;
pub mod subject;
pub mod subscription;
pub mod wallet;
pub(crate) mod writer;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::{Txid, sha256};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::stream::Publish;
use rota_chain::transaction::Transaction;

pub use reader::{ItemRef, PairList, Selector, StreamReader, TermSummary};
pub use subject::Subject;
pub use subscription::{Indexes, Subscription};

use crate::transaction::TransactionLocation;

/// In which order items are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// By block, transaction in the block, and output.
    Chain,
    /// In the order this node first saw them.
    Local,
}

/// What items are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TermKind {
    /// An item's key.
    Key,
    /// An item's publisher.
    Publisher,
}

/// The number of an order and term kind in keys.
pub(crate) const fn space(order: Order, kind: TermKind) -> u8 {
    match (order, kind) {
        (Order::Chain, TermKind::Key) => 0,
        (Order::Chain, TermKind::Publisher) => 1,
        (Order::Local, TermKind::Key) => 2,
        (Order::Local, TermKind::Publisher) => 3,
    }
}

/// The space of pairs of an address and what it uses: positions of transactions.
pub(crate) const PAIR: u8 = 4;
/// The space of pairs by their address and kind, and by what is used: numbers of pairs.
pub(crate) const PAIR_LIST: u8 = 5;

/// The counter of an order's items.
pub(crate) const fn item_counter(order: Order) -> u8 {
    match order {
        Order::Chain => 0,
        Order::Local => 1,
    }
}

/// The counter of a space's distinct terms.
pub(crate) const fn term_counter(space: u8) -> u8 {
    space + 2
}

/// A subscription as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubscriptionRow {
    /// Its number, the first part of the keys of all its rows.
    pub id: u32,
    /// What is kept.
    pub indexes: Indexes,
    /// Whether off-chain data is fetched without being asked for.
    pub retrieve: bool,
    /// First height indexed.
    pub from: Height,
    /// Next height to index while history is behind; none once blocks are indexed as they come.
    pub next: Option<Height>,
}

impl SubscriptionRow {
    /// Whether the items of a block at `height` on the active branch are in the index.
    pub(crate) fn covers(&self, height: Height) -> bool {
        height >= self.from && self.next.is_none_or(|next| height < next)
    }

    /// Notes that the block at `height` left the active branch.
    pub(crate) fn rewind(&mut self, height: Height) {
        self.from = self.from.min(height);
        self.next = self.next.map(|next| next.min(height));
    }

    /// The same for an empty database, to be filled from genesis.
    pub(crate) fn restarted(mut self) -> SubscriptionRow {
        self.next = None;
        self
    }
}

/// An item in chain order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ItemRow {
    /// The transaction.
    pub location: TransactionLocation,
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
    /// First bytes of the transaction's id, to notice a damaged file.
    pub check: [u8; 4],
}

/// An item in local order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SeenRow {
    /// The transaction.
    pub txid: Txid,
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
}

impl SeenRow {
    /// Names the item in the table of what was seen.
    pub(crate) fn hash(&self) -> [u8; 16] {
        let hash = sha256(&encode(self));
        hash.first_chunk::<16>().copied().unwrap_or_default()
    }
}

/// A key or publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TermRow {
    /// Position among the terms of its space, by first appearance.
    pub number: u32,
    /// Items that have it.
    pub count: u32,
    /// Position of the first of them in its order.
    pub first: u32,
}

/// An item as a transaction carries it.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
    /// The operation.
    pub publish: &'a Publish,
}

/// What an index lists of a transaction: where it stands there, and the terms it is found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Index of the output, 0 where transactions are listed.
    pub vout: u32,
    /// Index of the operation in the output, 0 where transactions are listed.
    pub ordinal: u16,
    /// Distinct keys.
    pub keys: Vec<Vec<u8>>,
    /// Distinct publishers, or addresses.
    pub publishers: Vec<Vec<u8>>,
    /// Distinct pairs of an address and what it uses, with what changes of it.
    pub pairs: Vec<party::PairChange>,
}

impl Entry {
    /// An item of a stream.
    pub(crate) fn of_item(transaction: &Transaction, item: &Item<'_>) -> Entry {
        Entry {
            vout: item.vout,
            ordinal: item.ordinal,
            keys: key_terms(item.publish),
            publishers: publisher_terms(transaction, item.vout),
            pairs: Vec::new(),
        }
    }
}

/// The items of a transaction, in order.
pub fn items(transaction: &Transaction) -> impl DoubleEndedIterator<Item = Item<'_>> {
    transaction.body.outputs.iter().enumerate().flat_map(|(vout, output)| {
        output.operations.iter().enumerate().filter_map(move |(ordinal, operation)| match operation {
            Operation::Publish(publish) => {
                Some(Item { vout: u32::try_from(vout).ok()?, ordinal: u16::try_from(ordinal).ok()?, publish })
            }
            _ => None,
        })
    })
}

/// The distinct keys of an item as terms, in the order given.
pub(crate) fn key_terms(publish: &Publish) -> Vec<Vec<u8>> {
    distinct(publish.keys.iter().cloned())
}

/// The distinct publishers of an item as terms.
pub(crate) fn publisher_terms(transaction: &Transaction, vout: u32) -> Vec<Vec<u8>> {
    distinct(transaction.answering_locks(vout).iter().map(publisher_term))
}

/// A publisher as a term.
pub(crate) fn publisher_term(lock: &Lock) -> Vec<u8> {
    encode(lock)
}

/// First bytes of a stream's or asset's id: enough for a table that is only a hint.
pub(crate) fn stream_prefix(stream: &Txid) -> [u8; 8] {
    stream.as_bytes().first_chunk::<8>().copied().unwrap_or_default()
}

pub(crate) fn distinct(terms: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut seen = std::collections::HashSet::new();
    terms.filter(|term| seen.insert(term.clone())).collect()
}

#[cfg(test)]
mod tests;
