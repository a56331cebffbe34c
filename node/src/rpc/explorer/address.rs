//! What explorers list of addresses: all of them, what each uses, who holds an asset, and how each came to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use rota_api::cursor::Paging;
use rota_api::error::{EntityKind as Wanted, RpcError};
use rota_api::params::{ALL_ENTRIES, Detail, Params, Selection};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::{OutPoint, Output};
use rota_consensus::state::{Coin, StateView};
use rota_storage::index::party::{Kind, Pair, Used, addresses, uses};
use rota_storage::index::{Order, PairList, Selector, StreamReader, TermKind};
use serde_json::{Map, Value};

use super::quantity::quantity;
use super::{LISTED, index, shown};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::cursor::list::List;
use crate::rpc::cursor::token::ListName;
use crate::rpc::cursor::{self, Cursor};
use crate::rpc::decode::wallet::spent_outputs;
use crate::rpc::decode::{Known, Moment};
use crate::rpc::entries::{Entries, steps};
use crate::rpc::history::waiting;
use crate::rpc::resolve::{address, entity_in, entity_value, state_error, storage_error};

/// The list whose entries have a running balance.
const ASSET_TRANSACTIONS: &str = "explorerlistaddressassettransactions";

/// Waiting transactions by the addresses that they concern.
struct Waiting {
    all: Vec<Known>,
    by_address: HashMap<Lock, Vec<usize>>,
}

impl Waiting {
    fn at(moment: &Moment<'_>) -> Waiting {
        let all = waiting(moment, |_| true);
        let mut by_address: HashMap<Lock, Vec<usize>> = HashMap::new();
        for (place, known) in all.iter().enumerate() {
            for lock in addresses(&known.tx) {
                by_address.entry(lock).or_default().push(place);
            }
        }
        Waiting { all, by_address }
    }

    /// Those of an address, as they arrived.
    fn of(&self, lock: &Lock) -> impl DoubleEndedIterator<Item = &Known> + ExactSizeIterator {
        let places = self.by_address.get(lock).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.all[*place])
    }
}

/// Answers explorerlistaddresses.
pub(super) fn list(ctx: &Context, params: &Params) -> Answer {
    let selection = params.selection(0)?;
    let detail = params.detail(1)?;
    let paging = params.paging(2, 3, ALL_ENTRIES)?;
    let (moment, reader) = index(ctx)?;
    let chosen = match selection {
        Selection::All => None,
        Selection::These(words) => Some(words.iter().map(|word| address(ctx, word)).collect::<Result<Vec<Lock>, _>>()?),
    };
    let method = "explorerlistaddresses";
    let list = match &chosen {
        None => List::of_terms(&moment.snapshot, &reader, method, Order::Chain, TermKind::Publisher)?,
        Some(locks) => List::given(ListName::new(method, &[params.value(0).to_string().as_bytes()]), locks.len()),
    };
    if detail == Detail::Number {
        return Ok(list.size.into());
    }
    let part = |positions: Range<u64>| match &chosen {
        None => reader.publishers(Order::Chain, positions).map_err(storage_error),
        Some(locks) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            Ok(locks.get(place(positions.start)..place(positions.end)).unwrap_or_default().to_vec())
        }
    };
    cursor::answer(&moment.snapshot, list, paging, |positions| {
        let waiting = Waiting::at(&moment);
        let mut entries = Entries::new();
        for step in steps(positions) {
            for lock in &part(step)? {
                entries.push(entry(&moment, &reader, &waiting, lock, detail)?)?;
            }
        }
        Ok(entries.finish())
    })
}

/// An address with how much there is of it; verbose adds its first and its last transaction.
fn entry(moment: &Moment<'_>, reader: &StreamReader, waiting: &Waiting, lock: &Lock, detail: Detail) -> Answer {
    let selector = Selector::Publisher(lock);
    let confirmed = reader.count(Order::Chain, selector).map_err(storage_error)?;
    let waits = waiting.of(lock);
    let pairs = |kind| reader.pair_count(PairList::Of(*lock, kind)).map_err(storage_error);
    let mut map = Map::new();
    map.insert("address".into(), moment.address(lock).into());
    map.insert("txs".into(), (confirmed + waits.len() as u64).into());
    map.insert("confirmed".into(), confirmed.into());
    map.insert("assets".into(), pairs(Kind::Asset)?.into());
    map.insert("streams".into(), pairs(Kind::Stream)?.into());
    if detail == Detail::Verbose {
        write_ends(moment, reader, selector, waits, &mut map)?;
    }
    Ok(Value::Object(map))
}

/// Writes the first and the last transaction of what a selector selects and of what waits.
fn write_ends<'w>(
    moment: &Moment<'_>,
    reader: &StreamReader,
    selector: Selector<'_>,
    mut waits: impl DoubleEndedIterator<Item = &'w Known>,
    map: &mut Map<String, Value>,
) -> Result<(), RpcError> {
    let summary = reader.summary(Order::Chain, selector).map_err(storage_error)?;
    let (mut first, mut last) = (None, None);
    if let Some(summary) = summary {
        first = moment.listed(&summary.first)?;
        last = moment.listed(&summary.last)?;
    }
    let last_waiting = waits.next_back();
    let first = first.as_ref().or_else(|| waits.next()).or(last_waiting);
    for (name, known) in [("first", first), ("last", last_waiting.or(last.as_ref()))] {
        if let Some(known) = known {
            map.insert(name.into(), Value::Object(shown(moment, known, Detail::Verbose)));
        }
    }
    Ok(())
}

/// One page of a list of pairs, each shown by `write`, or how many there are.
fn pairs(
    ctx: &Context,
    params: &Params,
    method: &str,
    list: PairList,
    write: impl Fn(&Look<'_>, &Pair, &mut Map<String, Value>) -> Result<(), RpcError>,
) -> Answer {
    let detail = params.detail(1)?;
    let paging = params.paging(2, 3, ALL_ENTRIES)?;
    let look = Look::at(ctx)?;
    let pairs = List::of_pairs(&look.reader, method, list)?;
    if detail == Detail::Number {
        return Ok(pairs.size.into());
    }
    cursor::answer(&look.moment.snapshot, pairs, paging, |positions| {
        let mut entries = Entries::new();
        for step in steps(positions) {
            for pair in &look.reader.pairs(list, step).map_err(storage_error)? {
                let mut map = Map::new();
                write(&look, pair, &mut map)?;
                if detail == Detail::Verbose {
                    write_ends(&look.moment, &look.reader, Selector::Pair(pair), [].into_iter(), &mut map)?;
                }
                entries.push(Value::Object(map))?;
            }
        }
        Ok(entries.finish())
    })
}

/// Answers explorerlistaddressassets.
pub(super) fn assets(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    pairs(ctx, params, "explorerlistaddressassets", PairList::Of(lock, Kind::Asset), |look, pair, map| {
        map.extend(look.quantity(&pair.used, look.units(pair)?)?);
        map.insert("confirmed".into(), look.transactions(pair)?.into());
        Ok(())
    })
}

/// Answers explorerlistaddressstreams.
pub(super) fn streams(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    pairs(ctx, params, "explorerlistaddressstreams", PairList::Of(lock, Kind::Stream), |look, pair, map| {
        let Used::Stream(stream) = pair.used else { return Ok(()) };
        if let Some(found) = look.moment.entity(&stream)?
            && let Value::Object(named) = entity_value(&stream, &found)
        {
            map.extend(named);
        }
        map.insert("createtxid".into(), stream.to_string().into());
        let confirmed = look.reader.total(pair).map_err(storage_error)?;
        let confirmed = u64::try_from(confirmed).unwrap_or(u64::MAX);
        map.insert("items".into(), confirmed.saturating_add(look.waiting_items(&stream, &lock)).into());
        map.insert("confirmed".into(), confirmed.into());
        Ok(())
    })
}

/// Answers explorerlistassetaddresses.
pub(super) fn holders(ctx: &Context, params: &Params) -> Answer {
    let used = asset(ctx, params.text(0)?)?;
    pairs(ctx, params, "explorerlistassetaddresses", PairList::By(used), |look, pair, map| {
        map.insert("address".into(), look.moment.address(&pair.address).into());
        let mut quantity = look.quantity(&used, look.units(pair)?)?;
        for name in ["qty", "raw"] {
            map.insert(name.into(), quantity.remove(name).unwrap_or_default());
        }
        map.insert("confirmed".into(), look.transactions(pair)?.into());
        Ok(())
    })
}

/// An asset that a caller names; the empty name stands for native currency.
fn asset(ctx: &Context, identifier: &str) -> Result<Used, RpcError> {
    if identifier.is_empty() {
        return Ok(Used::Native);
    }
    entity_in(&ctx.view.read(), identifier, Wanted::Asset).map(|(asset, _)| Used::Asset(asset))
}

/// Answers explorerlistaddressassettransactions. Clients give address and asset in either order.
pub(super) fn asset_transactions(ctx: &Context, params: &Params) -> Answer {
    let (first, second) = (params.text(0)?, params.text(1)?);
    let (lock, named) = match (address(ctx, first), address(ctx, second)) {
        (Err(_), Ok(lock)) => (lock, first),
        (lock, _) => (lock?, second),
    };
    let pair = Pair { address: lock, used: asset(ctx, named)? };
    let detail = params.detail(2)?;
    let paging = params.paging(3, 4, LISTED)?;
    let look = Look::at(ctx)?;
    let indexed = look.transactions(&pair)?;
    let moves = look.waiting_moves(&pair)?;
    let size = indexed + moves.len() as u64;
    if detail == Detail::Number {
        return Ok(size.into());
    }
    let mut entries = Entries::new();
    let page = match paging {
        Paging::Page(page) => page,
        Paging::After(after) => {
            let (snapshot, selector) = (&look.moment.snapshot, Selector::Pair(&pair));
            let list = List::of_index(snapshot, &look.reader, ASSET_TRANSACTIONS, Order::Chain, selector)?;
            let cursor = Cursor::open(snapshot, list, &after)?;
            let window = cursor.window();
            look.add_mined_moves(&pair, window.clone(), detail, &mut entries)?;
            return cursor.answer(window.end, entries.finish());
        }
    };
    let window = page.window(size);
    look.add_mined_moves(&pair, window.start.min(indexed)..window.end.min(indexed), detail, &mut entries)?;
    let mut balance = i128::try_from(look.reader.total(&pair).map_err(storage_error)?).unwrap_or(i128::MAX);
    for (place, (known, change)) in (indexed..).zip(&moves) {
        balance += change;
        if window.contains(&place) {
            entries.push(look.moved(known, detail, &pair.used, *change, balance)?)?;
        }
    }
    Ok(Value::Array(entries.finish()))
}

/// One look at the index for one answer.
struct Look<'c> {
    moment: Moment<'c>,
    reader: StreamReader,
    /// What waiting transactions change for each address that was asked about.
    waiting: RefCell<HashMap<Lock, HashMap<Used, i128>>>,
}

impl<'c> Look<'c> {
    fn at(ctx: &'c Context) -> Result<Look<'c>, RpcError> {
        let (moment, reader) = index(ctx)?;
        Ok(Look { moment, reader, waiting: RefCell::default() })
    }

    /// Transactions of the chain in which an address uses something.
    fn transactions(&self, pair: &Pair) -> Result<u64, RpcError> {
        self.reader.count(Order::Chain, Selector::Pair(pair)).map_err(storage_error)
    }

    /// Raw units that an address holds, waiting transactions included.
    fn units(&self, pair: &Pair) -> Result<i128, RpcError> {
        let stored = i128::try_from(self.reader.total(pair).map_err(storage_error)?).unwrap_or(i128::MAX);
        if !self.waiting.borrow().contains_key(&pair.address) {
            let units = waiting_units(&self.moment, &pair.address)?;
            self.waiting.borrow_mut().insert(pair.address, units);
        }
        let waiting = self.waiting.borrow();
        Ok(stored + waiting.get(&pair.address).and_then(|units| units.get(&pair.used)).copied().unwrap_or(0))
    }

    /// A quantity with what it is of; nothing for a stream.
    fn quantity(&self, used: &Used, raw: i128) -> Result<Map<String, Value>, RpcError> {
        match used {
            Used::Asset(asset) => quantity(&self.moment, Some(&(*asset, None)), raw),
            Used::Native => quantity(&self.moment, None, raw),
            Used::Stream(_) => Ok(Map::new()),
        }
    }

    /// Items of a stream that an address writes and that wait.
    fn waiting_items(&self, stream: &Txid, lock: &Lock) -> u64 {
        let (waiting, settled): (Vec<Txid>, bool) = {
            let view = self.moment.ctx.view.read();
            let items = view.pool.items(stream).iter();
            let own = items.filter(|item| item.entry.tx.transaction().answering_locks(item.vout).contains(lock));
            (own.map(|item| item.entry.tx.txid()).collect(), view.tip.hash == self.moment.tip.hash)
        };
        let waits = |txid: &&Txid| {
            settled || self.moment.snapshot.transaction_location(txid).is_ok_and(|location| location.is_none())
        };
        waiting.iter().filter(waits).count() as u64
    }

    /// A transaction with what it changes for an address, and what the address holds after it.
    fn moved(&self, known: &Known, detail: Detail, used: &Used, change: i128, balance: i128) -> Answer {
        let mut map = shown(&self.moment, known, detail);
        for (name, raw) in [("amount", change), ("balance", balance)] {
            let quantity = self.quantity(used, raw)?.remove("qty");
            map.insert(name.into(), quantity.unwrap_or_default());
        }
        Ok(Value::Object(map))
    }

    /// Adds the chain's transactions of a pair at these positions to the entries of a list.
    fn add_mined_moves(
        &self,
        pair: &Pair,
        positions: Range<u64>,
        detail: Detail,
        entries: &mut Entries,
    ) -> Result<(), RpcError> {
        for step in steps(positions) {
            let before = step.start.saturating_sub(1);
            let totals = self.reader.totals(pair, before..step.end).map_err(storage_error)?;
            let mut totals = totals.into_iter().map(|total| i128::try_from(total).unwrap_or(i128::MAX));
            let mut balance = if step.start > 0 { totals.next().unwrap_or(0) } else { 0 };
            let found = self.reader.page(Order::Chain, Selector::Pair(pair), step).map_err(storage_error)?;
            for (row, total) in found.iter().zip(totals) {
                if let Some(known) = self.moment.listed(row)? {
                    entries.push(self.moved(&known, detail, &pair.used, total - balance, total)?)?;
                }
                balance = total;
            }
        }
        Ok(())
    }

    /// Waiting transactions in which an address gives or takes something, as they arrived, and what they change for it.
    fn waiting_moves(&self, pair: &Pair) -> Result<Vec<(Known, i128)>, RpcError> {
        let mut moves = Vec::new();
        for known in waiting(&self.moment, |known| addresses(&known.tx).contains(&pair.address)) {
            let mut change = None;
            let mut count = |own: Txid, out: &Output, sign: i128| {
                let own_uses = uses(&own, out.amount, &out.assets).filter(|(used, _)| *used == pair.used);
                for (_, units) in own_uses.filter(|_| out.recipient == Some(pair.address)) {
                    *change.get_or_insert(0) += sign * units;
                }
            };
            for (outpoint, out) in spent_outputs(&self.moment, &known)? {
                out.iter().for_each(|out| count(outpoint.txid, out, -1));
            }
            known.tx.body.outputs.iter().for_each(|out| count(known.txid, out, 1));
            moves.extend(change.map(|change| (known, change)));
        }
        Ok(moves)
    }
}

/// What waiting transactions add to what an address holds on the moment's chain.
fn waiting_units(moment: &Moment<'_>, owner: &Lock) -> Result<HashMap<Used, i128>, RpcError> {
    let (made, spent, settled): (Vec<(OutPoint, Coin)>, Vec<OutPoint>, bool) = {
        let view = moment.ctx.view.read();
        let coins = view.pool.coins();
        let made = coins.made_for(owner).map(|(outpoint, coin)| (outpoint, coin.clone())).collect();
        (made, coins.spent_of(owner).to_vec(), view.tip.hash == moment.tip.hash)
    };
    let mut units: HashMap<Used, i128> = HashMap::new();
    let mut count = |outpoint: &OutPoint, coin: &Coin, sign: i128| {
        for (used, raw) in uses(&outpoint.txid, coin.amount, &coin.assets) {
            *units.entry(used).or_default() += sign * raw;
        }
    };
    for (outpoint, coin) in &made {
        // The moment's chain may have it already.
        if settled || moment.snapshot.transaction_location(&outpoint.txid).map_err(storage_error)?.is_none() {
            count(outpoint, coin, 1);
        }
    }
    for outpoint in &spent {
        // One that a waiting transaction made itself is in neither.
        if let Some(coin) = moment.snapshot.coin(*outpoint).map_err(state_error)? {
            count(outpoint, &coin, -1);
        }
    }
    Ok(units)
}
