//! Lists as cursors see them: how many entries, and what tells where one stands. Lists of the indexes are made here,
//! others beside what they list.

use rota_api::error::RpcError;
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::lock::Lock;
use rota_storage::Snapshot;
use rota_storage::index::{ItemRef, ItemRow, Order, PairList, SeenRow, Selector, StreamReader, TermKind};

use super::token::{ChainPlace, ListName, Origin, short_hash};
use crate::rpc::resolve::storage_error;

/// Where an entry of a list in chain order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Where on the chain.
    pub place: ChainPlace,
    /// What tells it from others of the same place: zeros where there are none.
    pub check: [u8; 8],
}

impl Stand {
    /// Of an entry that nothing else shares its place with.
    #[must_use]
    pub const fn alone(place: ChainPlace) -> Stand {
        Stand { place, check: [0; 8] }
    }
}

/// The place of a row of an index in chain order.
#[must_use]
pub const fn place_of(row: &ItemRow) -> ChainPlace {
    let Height(height) = row.location.height;
    ChainPlace { height, index: row.location.index, vout: row.vout, ordinal: row.ordinal }
}

/// Gives the stand of an entry by its position.
type StandAt<'l> = Box<dyn Fn(u64) -> Result<Stand, RpcError> + 'l>;
/// Gives what tells an entry from others by its position.
type CheckAt<'l> = Box<dyn Fn(u64) -> Result<[u8; 8], RpcError> + 'l>;

/// What positions in a list mean.
pub enum Basis<'l> {
    /// Entries stand in blocks and ascend by their places.
    Chain(StandAt<'l>),
    /// Entries only ever come in at the end.
    Arrival(Origin, CheckAt<'l>),
}

/// A list at one moment.
pub struct List<'l> {
    /// Its name.
    pub name: ListName,
    /// Number of entries.
    pub size: u64,
    /// What positions in it mean.
    pub basis: Basis<'l>,
}

impl<'l> List<'l> {
    /// A list of entries that stand in blocks.
    pub fn in_chain_order(name: ListName, size: u64, stand: impl Fn(u64) -> Result<Stand, RpcError> + 'l) -> List<'l> {
        List { name, size, basis: Basis::Chain(Box::new(stand)) }
    }

    /// A list that only grows.
    pub fn by_arrival(
        name: ListName,
        size: u64,
        origin: Origin,
        check: impl Fn(u64) -> Result<[u8; 8], RpcError> + 'l,
    ) -> List<'l> {
        List { name, size, basis: Basis::Arrival(origin, Box::new(check)) }
    }

    /// What an index lists in an order.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn of_index(
        snapshot: &Snapshot,
        reader: &'l StreamReader,
        method: &str,
        order: Order,
        selector: Selector<'l>,
    ) -> Result<List<'l>, RpcError> {
        let subject = reader.subscription().subject.to_string();
        let name = ListName::new(method, &[subject.as_bytes(), &[order as u8], &selector_bytes(selector)]);
        let size = reader.count(order, selector).map_err(storage_error)?;
        Ok(match order {
            Order::Chain => List::in_chain_order(name, size, move |position| {
                Ok(Stand::alone(place_of(&chain_row(reader, selector, position)?)))
            }),
            Order::Local => List::by_arrival(name, size, origin(snapshot, reader)?, move |position| {
                Ok(short_hash(&encode(&seen_row(reader, selector, position)?)))
            }),
        })
    }

    /// Keys or publishers of an index by first appearance.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn of_terms(
        snapshot: &Snapshot,
        reader: &'l StreamReader,
        method: &str,
        order: Order,
        kind: TermKind,
    ) -> Result<List<'l>, RpcError> {
        let subject = reader.subscription().subject.to_string();
        let name = ListName::new(method, &[subject.as_bytes(), &[order as u8]]);
        let size = match kind {
            TermKind::Key => reader.key_count(order),
            TermKind::Publisher => reader.publisher_count(order),
        };
        let size = size.map_err(storage_error)?;
        let term = move |position| Term::at(reader, order, kind, position);
        Ok(match order {
            Order::Chain => List::in_chain_order(name, size, move |position| {
                let term = term(position)?;
                Ok(Stand { place: place_of(&chain_row(reader, term.selector(), 0)?), check: term.check() })
            }),
            Order::Local => {
                List::by_arrival(name, size, origin(snapshot, reader)?, move |position| Ok(term(position)?.check()))
            }
        })
    }

    /// Pairs of an index by first appearance.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn of_pairs(reader: &'l StreamReader, method: &str, list: PairList) -> Result<List<'l>, RpcError> {
        let of = match list {
            PairList::Of(address, kind) => encode(&(address, kind as u8)),
            PairList::By(used) => encode(&used),
        };
        let size = reader.pair_count(list).map_err(storage_error)?;
        Ok(List::in_chain_order(ListName::new(method, &[&of]), size, move |position| {
            let pairs = reader.pairs(list, position..position.saturating_add(1)).map_err(storage_error)?;
            let pair = pairs.first().ok_or_else(missing)?;
            let place = place_of(&chain_row(reader, Selector::Pair(pair), 0)?);
            Ok(Stand { place, check: short_hash(&encode(pair)) })
        }))
    }

    /// A list that the caller gave: its name has all of it, so that it stays what it is.
    #[must_use]
    pub fn given(name: ListName, size: usize) -> List<'l> {
        List::by_arrival(name, size as u64, Origin::default(), |_| Ok([0; 8]))
    }
}

/// A key or publisher.
enum Term {
    Key(Vec<u8>),
    Publisher(Lock),
}

impl Term {
    fn at(reader: &StreamReader, order: Order, kind: TermKind, position: u64) -> Result<Term, RpcError> {
        let positions = position..position.saturating_add(1);
        let term = match kind {
            TermKind::Key => reader.keys(order, positions).map_err(storage_error)?.pop().map(Term::Key),
            TermKind::Publisher => {
                reader.publishers(order, positions).map_err(storage_error)?.pop().map(Term::Publisher)
            }
        };
        term.ok_or_else(missing)
    }

    fn selector(&self) -> Selector<'_> {
        match self {
            Term::Key(key) => Selector::Key(key),
            Term::Publisher(lock) => Selector::Publisher(lock),
        }
    }

    fn check(&self) -> [u8; 8] {
        match self {
            Term::Key(key) => short_hash(key),
            Term::Publisher(lock) => short_hash(&encode(lock)),
        }
    }
}

fn selector_bytes(selector: Selector<'_>) -> Vec<u8> {
    let (tag, rest) = match selector {
        Selector::All => (0, Vec::new()),
        Selector::Key(key) => (1, key.to_vec()),
        Selector::Publisher(lock) => (2, encode(lock)),
        Selector::Pair(pair) => (3, encode(pair)),
    };
    [vec![tag], rest].concat()
}

/// Which order of arrival an index keeps.
fn origin(snapshot: &Snapshot, reader: &StreamReader) -> Result<Origin, RpcError> {
    let database = snapshot.mark().map_err(storage_error)?;
    Ok(Origin { database, subscription: reader.number() })
}

fn chain_row(reader: &StreamReader, selector: Selector<'_>, position: u64) -> Result<ItemRow, RpcError> {
    match row(reader, Order::Chain, selector, position)? {
        ItemRef::Chain(row) => Ok(row),
        ItemRef::Local(_) => Err(missing()),
    }
}

fn seen_row(reader: &StreamReader, selector: Selector<'_>, position: u64) -> Result<SeenRow, RpcError> {
    match row(reader, Order::Local, selector, position)? {
        ItemRef::Local(row) => Ok(row),
        ItemRef::Chain(_) => Err(missing()),
    }
}

fn row(reader: &StreamReader, order: Order, selector: Selector<'_>, position: u64) -> Result<ItemRef, RpcError> {
    let rows = reader.page(order, selector, position..position.saturating_add(1)).map_err(storage_error)?;
    rows.first().copied().ok_or_else(missing)
}

fn missing() -> RpcError {
    storage_error("an index has no entry at a position below its size")
}
