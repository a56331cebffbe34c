//! Lists of transactions: of an asset that this node follows, and the wallet's in the forms of old clients.

use rota_api::cursor::Paging;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::params::{Page, Params};
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::Lock;
use rota_storage::index::party::{MINE, addresses, assets};
use rota_storage::index::{ItemRef, Order, Selector, StreamReader, Subject};
use serde_json::{Map, Value, json};

use super::cursor::Cursor;
use super::cursor::list::List;
use super::decode::movement::write_place;
use super::decode::wallet::{Spent, spent_outputs};
use super::decode::{Known, Moment, Whose, asset_transaction};
use super::entries::{Entries, steps};
use super::resolve::{entity_in, heavy, short, storage_error, txid};
use super::wallet::legacy;
use super::{Answer, Answerer};
use crate::context::Context;

/// Transactions that `listassettransactions` lists unless it is told otherwise.
const LISTED: i64 = 10;
/// Transactions that `listsinceblock` lists at most: about 50 MB of answer.
const MAX_SINCE: u64 = 100_000;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("listassettransactions", Answerer::Later(|ctx, params| heavy(ctx, params, listassettransactions))),
    ("getassettransaction", Answerer::Later(|ctx, params| heavy(ctx, params, getassettransaction))),
    ("gettransaction", Answerer::Later(|ctx, params| heavy(ctx, params, gettransaction))),
    ("listsinceblock", Answerer::Later(|ctx, params| heavy(ctx, params, listsinceblock))),
    ("listtransactions", Answerer::Now(legacy::no_accounts)),
];

/// The index of an asset that a caller names, with what just came in if its local order is asked for: -708 if there is no such asset, -703 if it is not followed.
fn asset_index<'c>(
    ctx: &'c Context,
    identifier: &str,
    local: bool,
) -> Result<(Txid, Moment<'c>, StreamReader), RpcError> {
    let (asset, _) = entity_in(&ctx.view.read(), identifier, Wanted::Asset)?;
    let moment = if local { Moment::settled(ctx) } else { Moment::fresh(ctx) }?;
    let reader = moment.snapshot.index(asset).map_err(storage_error)?;
    Ok((asset, moment, reader.ok_or_else(RpcError::asset_not_subscribed)?))
}

fn listassettransactions(ctx: &Context, params: &Params) -> Answer {
    let identifier = params.text(0)?;
    let verbose = params.verbose(1)?;
    let paging = params.paging(2, 3, LISTED)?;
    let local = params.switch(4, "local-ordering")?;
    let (asset, moment, reader) = asset_index(ctx, identifier, local)?;
    let order = if local { Order::Local } else { Order::Chain };
    let index =
        Index { moment: &moment, reader: &reader, method: "listassettransactions", order, selector: Selector::All };
    let concerned = |known: &Known| assets(&known.tx).contains(&asset);
    index.answer(paging, concerned, |known| asset_transaction(&moment, known, &asset, verbose).map(Some))
}

/// A list of transactions that an index keeps.
pub struct Index<'m, 'c> {
    /// The moment.
    pub moment: &'m Moment<'c>,
    /// The index then.
    pub reader: &'m StreamReader,
    /// The method that lists it.
    pub method: &'static str,
    /// In which order.
    pub order: Order,
    /// Which of them.
    pub selector: Selector<'m>,
}

impl Index<'_, '_> {
    /// Answers with a page of the list as `show` shows it, less what it shows nothing of. By offset in chain order,
    /// transactions that wait and are `concerned` come last; by cursor they have no place yet.
    ///
    /// # Errors
    /// -8 for a cursor that does not serve, -32603 if storage fails.
    pub fn answer(
        &self,
        paging: Paging,
        concerned: impl Fn(&Known) -> bool,
        show: impl Fn(&Known) -> Result<Option<Value>, RpcError>,
    ) -> Answer {
        let Index { moment, reader, method, order, selector } = *self;
        match paging {
            Paging::Page(page) => {
                let mut entries = Entries::new();
                let add = |known: &Known| show(known)?.map_or(Ok(()), |entry| entries.push(entry));
                for_page(moment, reader, order, selector, page, concerned, add)?;
                Ok(Value::Array(entries.finish()))
            }
            Paging::After(after) => {
                let list = List::of_index(&moment.snapshot, reader, method, order, selector)?;
                let cursor = Cursor::open(&moment.snapshot, list, &after)?;
                let window = cursor.window();
                let mut entries = Entries::new();
                for row in &reader.page(order, selector, window.clone()).map_err(storage_error)? {
                    match (moment.listed(row)?, row) {
                        (Some(known), _) => show(&known)?.map_or(Ok(()), |entry| entries.push(entry))?,
                        // It has its turn now or never: its name stands for it.
                        (None, ItemRef::Local(seen)) => {
                            entries.push(json!({"txid": seen.txid.to_string(), "confirmations": 0, "valid": false}))?;
                        }
                        (None, ItemRef::Chain(_)) => {}
                    }
                }
                cursor.answer(window.end, entries.finish())
            }
        }
    }
}

/// Visits the transactions of a page of an index, one after the other: they may be large. In chain order those that wait
/// and are `concerned` come last, as they arrived; local order has them already.
///
/// # Errors
/// -32603 if storage fails, and what `visit` answers.
fn for_page(
    moment: &Moment<'_>,
    reader: &StreamReader,
    order: Order,
    selector: Selector<'_>,
    page: Page,
    concerned: impl Fn(&Known) -> bool,
    mut visit: impl FnMut(&Known) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    let indexed = reader.count(order, selector).map_err(storage_error)?;
    let waiting = if order == Order::Local { Vec::new() } else { waiting(moment, concerned) };
    let window = page.window(indexed + waiting.len() as u64);
    for step in steps(window.start.min(indexed)..window.end.min(indexed)) {
        for row in &reader.page(order, selector, step).map_err(storage_error)? {
            moment.listed(row)?.map_or(Ok(()), |known| visit(&known))?;
        }
    }
    let place = |at: u64| usize::try_from(at.saturating_sub(indexed)).unwrap_or(usize::MAX);
    waiting.get(place(window.start)..place(window.end)).unwrap_or_default().iter().try_for_each(visit)
}

/// Transactions that wait and are `concerned`, as they arrived, less those that the moment's chain has already.
#[must_use]
pub fn waiting(moment: &Moment<'_>, concerned: impl Fn(&Known) -> bool) -> Vec<Known> {
    let (mut found, settled) = {
        let view = moment.ctx.view.read();
        let waiting: Vec<Known> = view.pool.entries().map(|entry| Known::waiting(entry)).filter(concerned).collect();
        (waiting, view.tip.hash == moment.tip.hash)
    };
    if !settled {
        let mined =
            |known: &Known| moment.snapshot.transaction_location(&known.txid).is_ok_and(|place| place.is_some());
        found.retain(|known| !mined(known));
    }
    found
}

/// Number of transactions that wait, less those that the moment's chain has already: counted without a copy where pool
/// and moment stand on the same tip.
#[must_use]
pub fn waiting_count(moment: &Moment<'_>) -> u64 {
    {
        let view = moment.ctx.view.read();
        if view.tip.hash == moment.tip.hash {
            return view.pool.len() as u64;
        }
    }
    waiting(moment, |_| true).len() as u64
}

fn getassettransaction(ctx: &Context, params: &Params) -> Answer {
    let (identifier, id) = (params.text(0)?, txid(params.text(1)?, "txid")?);
    let verbose = params.verbose(2)?;
    let (asset, moment, _) = asset_index(ctx, identifier, false)?;
    let refused =
        || RpcError::new(Code::TxNotFound, "This transaction was not found for this asset").got(id.to_string());
    let known = moment.transaction(&id)?.filter(|known| assets(&known.tx).contains(&asset)).ok_or_else(refused)?;
    asset_transaction(&moment, &known, &asset, verbose)
}

/// A payment to or from the wallet, as old clients list it.
fn payments(
    moment: &Moment<'_>,
    known: &Known,
    spent: &[Spent],
    whose: Whose,
) -> (Vec<Map<String, Value>>, i128, i128) {
    let ours = |lock: &Lock| whose.owns(moment, lock);
    let given: i128 = spent
        .iter()
        .filter_map(|(_, out)| out.as_ref())
        .filter(|out| out.recipient.as_ref().is_some_and(ours))
        .map(|out| i128::from(out.amount.0))
        .sum();
    let spends_ours =
        spent.iter().any(|(_, out)| out.as_ref().is_some_and(|out| out.recipient.as_ref().is_some_and(ours)));
    let (mut list, mut received) = (Vec::new(), 0i128);
    for (index, out) in (0u32..).zip(&known.tx.body.outputs) {
        let Some(lock) = out.recipient else { continue };
        let amount = i128::from(out.amount.0);
        let label = moment.ctx.wallet.info(&lock).map_or_else(String::new, |info| info.label);
        let mut entry = |category: &str, amount: i128| {
            let mut map = Map::new();
            map.insert("account".into(), label.clone().into());
            map.insert("address".into(), moment.address(&lock).into());
            map.insert("category".into(), category.into());
            map.insert("amount".into(), moment.amount(amount));
            map.insert("vout".into(), index.into());
            list.push(map);
        };
        if ours(&lock) {
            received += amount;
            entry(if known.tx.is_coinbase() { "generate" } else { "receive" }, amount);
        } else if spends_ours {
            entry("send", -amount);
        }
    }
    (list, received, given)
}

fn gettransaction(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.text(0)?, "txid")?;
    let whose = Whose::Wallet { watch_only: params.boolean_or(1, false)? };
    let moment = Moment::fresh(ctx)?;
    let refused = || RpcError::new(Code::TxNotFound, "Invalid or non-wallet transaction id").got(id.to_string());
    let known = moment.transaction(&id)?.ok_or_else(refused)?;
    if !addresses(&known.tx).iter().any(|lock| whose.owns(&moment, lock)) {
        return Err(refused());
    }
    let spent = spent_outputs(&moment, &known)?;
    let (details, received, given) = payments(&moment, &known, &spent, whose);
    let mut map = Map::new();
    map.insert("amount".into(), moment.amount(received - given));
    if let Some(fee) = own_fee(&known, &spent, given) {
        map.insert("fee".into(), moment.amount(-fee));
    }
    write_place(&moment, &known, &mut map);
    map.insert("details".into(), details.into_iter().map(Value::Object).collect());
    map.insert("hex".into(), hex::encode(encode(known.tx.as_ref())).into());
    Ok(Value::Object(map))
}

/// The fee, if every output spent is known and the wallet's own.
fn own_fee(known: &Known, spent: &[Spent], given: i128) -> Option<i128> {
    let all: Option<i128> =
        spent.iter().map(|(_, out)| out.as_ref().map(|out| i128::from(out.amount.0))).sum::<Option<i128>>();
    let paid: i128 = known.tx.body.outputs.iter().map(|out| i128::from(out.amount.0)).sum();
    all.filter(|all| !spent.is_empty() && *all == given).map(|all| all - paid)
}

/// The wallet's payments in blocks after one, and those that wait; from the first block if none is named.
fn listsinceblock(ctx: &Context, params: &Params) -> Answer {
    let text = params.text_or(0, "")?;
    let target = params.integer_or(1, 1)?;
    let depth = u32::try_from(target).ok().filter(|target| *target > 0);
    let refused = || {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid parameter, target-confirmations is at least 1");
        error.got(target).allowed(format!("1 to {}", u32::MAX))
    };
    let depth = depth.ok_or_else(refused)?;
    let whose = Whose::Wallet { watch_only: params.boolean_or(2, false)? };
    let moment = Moment::fresh(ctx)?;
    let from = since(&moment, text)?;
    let selector = if whose == (Whose::Wallet { watch_only: true }) { Selector::All } else { Selector::Key(MINE) };
    let mut entries = Entries::new();
    let mut last = Height(moment.tip.height.0.saturating_sub(depth - 1));
    if let Some(reader) = moment.snapshot.index(Subject::Wallet).map_err(storage_error)? {
        let concerned = |known: &Known| addresses(&known.tx).iter().any(|lock| whose.owns(&moment, lock));
        let (page, end) = whole_blocks(&reader, selector, from, MAX_SINCE)?;
        last = last.min(end.unwrap_or(last));
        for_page(&moment, &reader, Order::Chain, selector, page, concerned, |known| {
            let spent = spent_outputs(&moment, known)?;
            payments(&moment, known, &spent, whose).0.into_iter().try_for_each(|mut payment| {
                write_place(&moment, known, &mut payment);
                entries.push(Value::Object(payment))
            })
        })?;
    }
    let last = moment.snapshot.block_hash(last).map_err(storage_error)?.unwrap_or(moment.tip.hash);
    Ok(json!({"transactions": entries.finish(), "lastblock": last.to_string()}))
}

/// The page of an index from a height on, and if more than `most` stand in blocks from there on, the height of the last
/// block that the page then ends with: who goes on after that block misses none. What waits is left out then, and where
/// it is too much: it comes with its block.
///
/// # Errors
/// -702 if one block has more than `most`, -32603 if storage fails.
fn whole_blocks(
    reader: &StreamReader,
    selector: Selector<'_>,
    from: Height,
    most: u64,
) -> Result<(Page, Option<Height>), RpcError> {
    let page = |first: u64, count: u64| {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Page { count: number(count), start: number(first) }
    };
    let first = reader.position_in(selector, from).map_err(storage_error)?;
    let beyond = first.saturating_add(most);
    let rows = reader.page(Order::Chain, selector, beyond..beyond.saturating_add(1)).map_err(storage_error)?;
    let Some(ItemRef::Chain(row)) = rows.first() else { return Ok((page(first, most), None)) };
    let cut = row.location.height;
    let end = reader.position_in(selector, cut).map_err(storage_error)?;
    match cut.previous() {
        Some(last) if end > first => Ok((page(first, end - first), Some(last))),
        _ => {
            let sentence = format!("Block {cut} alone has more than {most} of these transactions");
            Err(RpcError::not_supported(sentence).rule("list-size").allowed(most))
        }
    }
}

/// The first height after a block that a caller names, 0 for none; a block that left the chain counts from where its
/// branch left.
fn since(moment: &Moment<'_>, text: &str) -> Result<Height, RpcError> {
    if text.is_empty() {
        return Ok(Height(0));
    }
    let missing = || RpcError::new(Code::BlockNotFound, format!("Block not found: {}", short(text))).got(text);
    let hash: BlockHash = text.parse().map_err(|_| missing())?;
    let fork = moment.snapshot.fork_height(&hash).map_err(storage_error)?;
    Ok(fork.ok_or_else(missing)?.next())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_storage::index::Indexes;

    use super::*;
    use crate::ledger::tests::world::{Chain, FIRST};

    #[test]
    fn a_list_since_a_block_that_is_too_long_ends_with_a_whole_block() {
        let chain = Chain::new();
        let mut node = chain.node("node");
        let stream = node.submit(node.stream(FIRST, "s", 1));
        node.mine(FIRST, 10);
        node.ledger.store().subscribe(stream, Indexes::ALL, true, false).unwrap();
        let mut nonce = 2;
        for items in [2, 0, 1, 3] {
            for _ in 0..items {
                node.submit(node.item(FIRST, stream, nonce));
                nonce += 1;
            }
            node.mine(FIRST, 10 * u64::from(node.height() + 1));
        }
        let reader = node.ledger.store().snapshot().unwrap().stream(&stream).unwrap().unwrap();
        let pages = |most: u64| {
            let (mut from, mut pages) = (Height(0), Vec::new());
            loop {
                let (page, last) = whole_blocks(&reader, Selector::All, from, most)?;
                pages.push((page.start, page.count, last.map(|last| last.0)));
                let Some(last) = last else { return Ok::<_, RpcError>(pages) };
                from = last.next();
            }
        };
        assert_eq!(pages(6).unwrap(), [(0, 6, None)]);
        assert_eq!(pages(5).unwrap(), [(0, 3, Some(4)), (3, 5, None)]);
        assert_eq!(pages(3).unwrap(), [(0, 3, Some(4)), (3, 3, None)]);
        let refused = pages(2).unwrap_err();
        assert_eq!((refused.code.number(), refused.data().rule.as_ref()), (-702, "list-size"));
        let (page, last) = whole_blocks(&reader, Selector::All, Height(0), 2).unwrap();
        assert_eq!((page.start, page.count, last), (0, 2, Some(Height(3))), "the empty block belongs to the page");
    }
}
