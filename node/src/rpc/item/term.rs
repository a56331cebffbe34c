//! liststreamkeys and liststreampublishers: what items of a stream are grouped by, in order of first appearance.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::cursor::Paging;
use rota_api::error::RpcError;
use rota_api::params::{ALL_ENTRIES, Page, Params, Selection};
use rota_api::stream::{KeyEntry, StreamItem};
use rota_chain::lock::Lock;
use rota_storage::index::{Order, Selector, TermKind};
use serde_json::Value;

use super::look::{Look, waiting_place, waiting_publish};
use super::{order, publisher, show_place};
use crate::context::Context;
use crate::pool::PoolItem;
use crate::rpc::cache::blocking;
use crate::rpc::cursor::Cursor;
use crate::rpc::cursor::list::List;
use crate::rpc::cursor::token::ListName;
use crate::rpc::entries::{Entries, steps};
use crate::rpc::{Answer, resolve};

/// A key or publisher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Term {
    Key(Vec<u8>),
    Publisher(Lock),
}

impl Term {
    fn selector(&self) -> Selector<'_> {
        match self {
            Term::Key(key) => Selector::Key(key),
            Term::Publisher(lock) => Selector::Publisher(lock),
        }
    }
}

/// Answers liststreamkeys.
pub fn list_keys(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let chosen = match params.identifier_selection(1)? {
            Selection::All => None,
            Selection::These(keys) => Some(keys.into_iter().map(|key| Term::Key(key.into_bytes())).collect()),
        };
        list(look, &params, TermKind::Key, chosen)
    })
}

/// Answers liststreampublishers.
pub fn list_publishers(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let chosen = match params.selection(1)? {
            Selection::All => None,
            Selection::These(addresses) => {
                let lock = |text: &String| publisher(&ctx, text).map(Term::Publisher);
                Some(addresses.iter().map(lock).collect::<Result<_, _>>()?)
            }
        };
        list(look, &params, TermKind::Publisher, chosen)
    })
}

fn list(look: Look<'_>, params: &Params, kind: TermKind, chosen: Option<Vec<Term>>) -> Answer {
    let verbose = params.verbose(2)?;
    let paging = params.paging(3, 4, ALL_ENTRIES)?;
    let order = order(params, 5)?;
    let look = &look.in_order(order)?;
    look.check_terms(order, kind)?;
    let waiting = Waiting::of(look, kind);
    let mut entries = Entries::new();
    let add = |term: &Term| entries.push(resolve::shape(&entry(look, order, term, &waiting, verbose)?)?);
    let after = match paging {
        Paging::After(after) => after,
        Paging::Page(page) => {
            match &chosen {
                Some(terms) => part(terms, page.window(terms.len() as u64)).iter().try_for_each(add)?,
                None => for_page(look, order, kind, &waiting, page, add)?,
            }
            return Ok(Value::Array(entries.finish()));
        }
    };
    let snapshot = &look.moment.snapshot;
    let method = match kind {
        TermKind::Key => "liststreamkeys",
        TermKind::Publisher => "liststreampublishers",
    };
    let list = match &chosen {
        Some(terms) => {
            let words = params.value(1).to_string();
            let name = ListName::new(method, &[look.stream.as_bytes(), &[order as u8], words.as_bytes()]);
            List::given(name, terms.len())
        }
        None => List::of_terms(snapshot, &look.reader, method, order, kind)?,
    };
    let cursor = Cursor::open(snapshot, list, &after)?;
    let window = cursor.window();
    match &chosen {
        Some(terms) => part(terms, window.clone()).iter().try_for_each(add)?,
        None => for_indexed(look, order, kind, window.clone(), add)?,
    }
    cursor.answer(window.end, entries.finish())
}

/// The terms at positions of a list of them.
fn part(terms: &[Term], positions: Range<u64>) -> &[Term] {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    terms.get(place(positions.start)..place(positions.end)).unwrap_or_default()
}

/// Waiting items by key or publisher, in order of first appearance.
struct Waiting {
    order: Vec<Term>,
    items: HashMap<Term, Vec<PoolItem>>,
}

impl Waiting {
    fn of(look: &Look<'_>, kind: TermKind) -> Waiting {
        let mut waiting = Waiting { order: Vec::new(), items: HashMap::new() };
        for item in look.waiting(Selector::All) {
            for term in terms_of(&item, kind) {
                if !waiting.items.contains_key(&term) {
                    waiting.order.push(term.clone());
                }
                waiting.items.entry(term).or_default().push(item.clone());
            }
        }
        waiting
    }

    fn of_term(&self, term: &Term) -> &[PoolItem] {
        self.items.get(term).map_or(&[], Vec::as_slice)
    }

    /// Terms that no indexed item has.
    fn new_terms(&self, look: &Look<'_>) -> Result<Vec<Term>, RpcError> {
        let mut new = Vec::new();
        for term in &self.order {
            if look.indexed(Order::Chain, term.selector())? == 0 {
                new.push(term.clone());
            }
        }
        Ok(new)
    }
}

/// The distinct keys or publishers of a waiting item.
fn terms_of(item: &PoolItem, kind: TermKind) -> Vec<Term> {
    let terms: Vec<Term> = match kind {
        TermKind::Key => {
            waiting_publish(item).into_iter().flat_map(|p| &p.keys).map(|key| Term::Key(key.clone())).collect()
        }
        TermKind::Publisher => {
            item.entry.tx.transaction().answering_locks(item.vout).into_iter().map(Term::Publisher).collect()
        }
    };
    let mut seen = HashSet::new();
    terms.into_iter().filter(|term| seen.insert(term.clone())).collect()
}

/// Visits the terms of a page; in chain order those that only waiting items have come last.
fn for_page(
    look: &Look<'_>,
    order: Order,
    kind: TermKind,
    waiting: &Waiting,
    page: Page,
    mut visit: impl FnMut(&Term) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    let indexed = indexed_count(look, order, kind)?;
    let new = if order == Order::Chain { waiting.new_terms(look)? } else { Vec::new() };
    let window = page.window(indexed + new.len() as u64);
    for_indexed(look, order, kind, window.start.min(indexed)..window.end.min(indexed), &mut visit)?;
    let late = window.start.saturating_sub(indexed)..window.end.saturating_sub(indexed);
    part(&new, late).iter().try_for_each(visit)
}

/// Visits the terms at positions of the index.
fn for_indexed(
    look: &Look<'_>,
    order: Order,
    kind: TermKind,
    positions: Range<u64>,
    mut visit: impl FnMut(&Term) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    for step in steps(positions) {
        indexed_terms(look, order, kind, step)?.iter().try_for_each(&mut visit)?;
    }
    Ok(())
}

fn indexed_count(look: &Look<'_>, order: Order, kind: TermKind) -> Result<u64, RpcError> {
    match kind {
        TermKind::Key => look.reader.key_count(order),
        TermKind::Publisher => look.reader.publisher_count(order),
    }
    .map_err(resolve::storage_error)
}

fn indexed_terms(look: &Look<'_>, order: Order, kind: TermKind, part: Range<u64>) -> Result<Vec<Term>, RpcError> {
    Ok(match kind {
        TermKind::Key => {
            let keys = look.reader.keys(order, part).map_err(resolve::storage_error)?;
            keys.into_iter().map(Term::Key).collect()
        }
        TermKind::Publisher => {
            let locks = look.reader.publishers(order, part).map_err(resolve::storage_error)?;
            locks.into_iter().map(Term::Publisher).collect()
        }
    })
}

/// Number of distinct keys or publishers of a followed stream, waiting items included.
///
/// # Errors
/// -32603 if storage fails.
pub fn count(look: &Look<'_>, kind: TermKind) -> Result<u64, RpcError> {
    let new = Waiting::of(look, kind).new_terms(look)?;
    Ok(indexed_count(look, Order::Chain, kind)? + new.len() as u64)
}

fn entry(look: &Look<'_>, order: Order, term: &Term, waiting: &Waiting, verbose: bool) -> Result<KeyEntry, RpcError> {
    let selector = term.selector();
    let confirmed = look.indexed(Order::Chain, selector)?;
    let unconfirmed = waiting.of_term(term);
    let items = match order {
        Order::Chain => confirmed + unconfirmed.len() as u64,
        Order::Local => look.indexed(Order::Local, selector)?,
    };
    let (first, last) = if verbose { ends(look, order, selector, unconfirmed)? } else { (None, None) };
    let (key, publisher) = match term {
        Term::Key(key) => (Some(String::from_utf8_lossy(key).into_owned()), None),
        Term::Publisher(lock) => (None, Some(look.moment.address(lock))),
    };
    let (items, confirmed) = (items.cast_signed(), confirmed.cast_signed());
    Ok(KeyEntry { key, publisher, items, confirmed, first, last })
}

type Ends = (Option<StreamItem>, Option<StreamItem>);

/// The first and the last item of a key or publisher.
fn ends(look: &Look<'_>, order: Order, selector: Selector<'_>, unconfirmed: &[PoolItem]) -> Result<Ends, RpcError> {
    let summary = look.reader.summary(order, selector).map_err(resolve::storage_error)?;
    let (mut first, mut last) = (None, None);
    if let Some(summary) = summary {
        first = look.found(&summary.first)?;
        last = look.found(&summary.last)?;
    }
    if order == Order::Chain {
        first = first.or_else(|| unconfirmed.first().map(waiting_place));
        last = unconfirmed.last().map(waiting_place).or(last);
    }
    let show = |place: Option<super::Place>| place.map(|place| show_place(look, &place, true)).transpose();
    Ok((show(first)?.map(|shown| shown.item), show(last)?.map(|shown| shown.item)))
}
