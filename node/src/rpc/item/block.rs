//! liststreamblockitems: items in chosen blocks. A page counts transactions, as callers know it, and shows all items of
//! each.

use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::cursor::{After, Paging};
use rota_api::error::RpcError;
use rota_api::params::{ALL_ENTRIES, Page, Params};
use rota_chain::amount::Height;
use rota_storage::index::{ItemRef, Order, Selector};
use serde_json::Value;

use super::add_place;
use super::look::Look;
use crate::context::Context;
use crate::rpc::blockset::{BlockSet, block_set};
use crate::rpc::cache::blocking;
use crate::rpc::cursor::Cursor;
use crate::rpc::cursor::list::List;
use crate::rpc::cursor::token::ListName;
use crate::rpc::entries::Entries;
use crate::rpc::{Answer, resolve};

/// The method's name, for tokens.
const METHOD: &str = "liststreamblockitems";
/// Index rows read at a time while blocks are looked through.
const ROWS: u64 = 4_096;

/// Answers liststreamblockitems.
pub fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        look.check_index(Order::Chain, Selector::All)?;
        let set = block_set(&look.moment.snapshot, look.moment.tip.height, &params, 1)?;
        let verbose = params.verbose(2)?;
        match params.paging(3, 4, ALL_ENTRIES)? {
            Paging::Page(page) => page_of(&look, &set, page, verbose),
            Paging::After(after) => following(&look, &set, params.value(1), &after, verbose),
        }
    })
}

fn page_of(look: &Look<'_>, set: &BlockSet, page: Page, verbose: bool) -> Answer {
    let mut transactions: Vec<Range<u64>> = Vec::new();
    for heights in set.ranges() {
        transactions_in(look, stretch(look, *heights)?, u64::MAX, &mut transactions)?;
    }
    let window = page.window(transactions.len() as u64);
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let wanted = transactions.get(place(window.start)..place(window.end)).unwrap_or_default();
    shown(look, wanted, verbose).map(Value::Array)
}

/// The page after a token. Positions are those among all items of the stream, of which chosen blocks are shown.
fn following(look: &Look<'_>, set: &BlockSet, blocks: &Value, after: &After, verbose: bool) -> Answer {
    let snapshot = &look.moment.snapshot;
    let mut list = List::of_index(snapshot, &look.reader, METHOD, Order::Chain, Selector::All)?;
    list.name = ListName::new(METHOD, &[look.stream.as_bytes(), blocks.to_string().as_bytes()]);
    list.size = chosen_end(look, set)?;
    let cursor = Cursor::open(snapshot, list, after)?;
    let start = cursor.window().start;
    let mut transactions: Vec<Range<u64>> = Vec::new();
    if start < cursor.size() {
        let rows = look.reader.page(Order::Chain, Selector::All, start..start + 1).map_err(resolve::storage_error)?;
        let height = rows.first().map_or(0, |row| height_of(row).0);
        let passed = set.ranges().partition_point(|(_, last)| *last < height);
        for heights in set.ranges().iter().skip(passed) {
            let found = stretch(look, *heights)?;
            transactions_in(look, found.start.max(start)..found.end, cursor.count(), &mut transactions)?;
            if transactions.len() as u64 >= cursor.count() {
                break;
            }
        }
    }
    let end = transactions.last().map_or(start, |last| last.end);
    cursor.answer(end, shown(look, &transactions, verbose)?)
}

/// The position behind the last item in chosen blocks, 0 if they have none.
fn chosen_end(look: &Look<'_>, set: &BlockSet) -> Result<u64, RpcError> {
    for heights in set.ranges().iter().rev() {
        let found = stretch(look, *heights)?;
        if !found.is_empty() {
            return Ok(found.end);
        }
    }
    Ok(0)
}

/// The positions of the items at heights, both included.
fn stretch(look: &Look<'_>, (first, last): (u32, u32)) -> Result<Range<u64>, RpcError> {
    let position = |height: u32| look.reader.position_at(Height(height)).map_err(resolve::storage_error);
    Ok(position(first)?..position(last.saturating_add(1))?)
}

fn height_of(row: &ItemRef) -> Height {
    match row {
        ItemRef::Chain(row) => row.location.height,
        ItemRef::Local(_) => Height(0),
    }
}

fn shown(look: &Look<'_>, transactions: &[Range<u64>], verbose: bool) -> Result<Vec<Value>, RpcError> {
    let mut entries = Entries::new();
    for positions in transactions {
        look.for_places(Selector::All, positions.clone(), |place| add_place(look, place, verbose, &mut entries))?;
    }
    Ok(entries.finish())
}

/// Adds the positions that each transaction in a stretch takes, until there are `limit`.
fn transactions_in(
    look: &Look<'_>,
    stretch: Range<u64>,
    limit: u64,
    found: &mut Vec<Range<u64>>,
) -> Result<(), RpcError> {
    let Range { start: mut at, end } = stretch;
    let step = ROWS.min(limit.saturating_mul(2).max(1));
    let mut before = None;
    while at < end {
        let rows = look.reader.page(Order::Chain, Selector::All, at..end.min(at + step));
        for row in rows.map_err(resolve::storage_error)? {
            let ItemRef::Chain(row) = row else { continue };
            let transaction = Some((row.location.height, row.location.index));
            let is_full = found.len() as u64 >= limit;
            match found.last_mut() {
                Some(range) if before == transaction => range.end = at + 1,
                _ if is_full => return Ok(()),
                _ => found.push(at..at + 1),
            }
            before = transaction;
            at += 1;
        }
    }
    Ok(())
}
