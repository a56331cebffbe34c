//! What a block explorer asks: every transaction by its addresses, what addresses use, and who spent an output.
//! Answered by nodes with `explorersupport`, from an index of chain order; what waits comes last.

pub mod tag;

use rota_api::error::{Code, EntityKind as Wanted, RpcError};
use rota_api::params::{ALL_ENTRIES, Params, Selection};
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_storage::index::party::{Kind, Pair, Used, addresses};
use rota_storage::index::{ItemRef, Order, PairList, Selector, StreamReader, Subject};
use serde_json::{Map, Value, json};

use super::decode::asset::unit;
use super::decode::movement::write_place;
use super::decode::wallet::spent_outputs;
use super::decode::{self, Known, Moment};
use super::history::page_of;
use super::resolve::{address, entity_in, entity_value, heavy, short, storage_error, txid};
use super::{Answer, Answerer};
use crate::context::Context;

/// Entries of a list unless the caller says how many.
const LISTED: i64 = 10;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("explorerlisttransactions", Answerer::Later(|ctx, params| heavy(ctx, params, transactions))),
    ("explorerlistaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, list_addresses))),
    ("explorerlistaddresstransactions", Answerer::Later(|ctx, params| heavy(ctx, params, address_transactions))),
    ("explorerlistblocktransactions", Answerer::Later(|ctx, params| heavy(ctx, params, block_transactions))),
    ("explorerlistredeemtransactions", Answerer::Later(|ctx, params| heavy(ctx, params, redeem_transactions))),
    ("explorerlistaddressassets", Answerer::Later(|ctx, params| heavy(ctx, params, address_assets))),
    ("explorerlistaddressstreams", Answerer::Later(|ctx, params| heavy(ctx, params, address_streams))),
    ("explorerlistassetaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, asset_addresses))),
    (
        "explorerlistaddressassettransactions",
        Answerer::Later(|ctx, params| heavy(ctx, params, address_asset_transactions)),
    ),
    ("explorergetrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, raw_transaction))),
];

/// The index and its moment: -702 without `explorersupport`.
fn index(ctx: &Context) -> Result<(Moment<'_>, StreamReader), RpcError> {
    let missing = || RpcError::not_supported("Explorer calls need a node started with -explorersupport=2");
    if !ctx.facts.explorer {
        return Err(missing());
    }
    let moment = Moment::fresh(ctx)?;
    let reader = moment.snapshot.index(Subject::Explorer).map_err(storage_error)?;
    Ok((moment, reader.ok_or_else(missing)?))
}

/// Addresses and transactions that an explorer's index has, none without one.
///
/// # Errors
/// -32603 if storage fails.
pub fn totals(ctx: &Context) -> Result<Option<(i64, i64)>, RpcError> {
    if !ctx.facts.explorer {
        return Ok(None);
    }
    let Some(reader) = ctx.view.snapshot().index(Subject::Explorer).map_err(storage_error)? else { return Ok(None) };
    let addresses = reader.publisher_count(Order::Chain).map_err(storage_error)?;
    let transactions = reader.count(Order::Chain, Selector::All).map_err(storage_error)?;
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Some((whole(addresses), whole(transactions))))
}

/// A transaction in a list; verbose adds what it does.
fn shown(moment: &Moment<'_>, known: &Known, verbose: bool) -> Answer {
    let mut map = Map::new();
    write_place(moment, known, &mut map);
    if verbose {
        map.insert("tags".into(), tag::of_transaction(&known.tx).into());
        map.insert("addresses".into(), addresses(&known.tx).iter().map(|lock| moment.address(lock)).collect());
    }
    Ok(Value::Object(map))
}

fn transactions(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(0)?;
    let page = params.page(1, 2, LISTED)?;
    let (moment, reader) = index(ctx)?;
    let found = page_of(&moment, &reader, Order::Chain, Selector::All, page, |_| true)?;
    found.iter().map(|known| shown(&moment, known, verbose)).collect()
}

fn address_transactions(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    let verbose = params.verbose(1)?;
    let page = params.page(2, 3, LISTED)?;
    let (moment, reader) = index(ctx)?;
    let concerned = |known: &Known| addresses(&known.tx).contains(&lock);
    let found = page_of(&moment, &reader, Order::Chain, Selector::Publisher(&lock), page, concerned)?;
    found.iter().map(|known| shown(&moment, known, verbose)).collect()
}

fn address_asset_transactions(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    let (asset, _) = entity_in(&ctx.view.read(), params.text(1)?, Wanted::Asset)?;
    let verbose = params.verbose(2)?;
    let page = params.page(3, 4, LISTED)?;
    let (moment, reader) = index(ctx)?;
    let pair = Pair { address: lock, used: Used::Asset(asset) };
    // Whether a waiting transaction takes the asset from the address needs what it spends: asked of few.
    let concerned = |known: &Known| {
        let takes =
            known.tx.body.outputs.iter().any(|out| {
                out.recipient == Some(lock) && out.assets.iter().any(|held| unit(known.txid, held).0 == asset)
            });
        let gives = || {
            let spent = spent_outputs(&moment, known).unwrap_or_default();
            spent.iter().any(|(outpoint, out)| {
                out.as_ref().is_some_and(|out| {
                    let holds = out.assets.iter().any(|held| unit(outpoint.txid, held).0 == asset);
                    out.recipient == Some(lock) && holds
                })
            })
        };
        takes || (addresses(&known.tx).contains(&lock) && gives())
    };
    let mined = page_of_waiting(&moment, concerned);
    let found =
        page_of(&moment, &reader, Order::Chain, Selector::Pair(&pair), page, |known| mined.contains(&known.txid))?;
    found.iter().map(|known| shown(&moment, known, verbose)).collect()
}

/// Waiting transactions that are `concerned`, looked at one by one without holding the view.
fn page_of_waiting(moment: &Moment<'_>, concerned: impl Fn(&Known) -> bool) -> std::collections::HashSet<Txid> {
    let waiting: Vec<Known> = moment.ctx.view.read().pool.entries().map(|entry| Known::waiting(entry)).collect();
    waiting.iter().filter(|known| concerned(known)).map(|known| known.txid).collect()
}

fn list_addresses(ctx: &Context, params: &Params) -> Answer {
    let selection = params.selection(0)?;
    let verbose = params.verbose(1)?;
    let page = params.page(2, 3, ALL_ENTRIES)?;
    let (moment, reader) = index(ctx)?;
    let locks = match selection {
        Selection::All => {
            let size = reader.publisher_count(Order::Chain).map_err(storage_error)?;
            reader.publishers(Order::Chain, page.window(size)).map_err(storage_error)?
        }
        Selection::These(words) => {
            let locks = words.iter().map(|word| address(ctx, word)).collect::<Result<Vec<Lock>, _>>()?;
            let window = page.window(locks.len() as u64);
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            locks.get(place(window.start)..place(window.end)).unwrap_or_default().to_vec()
        }
    };
    locks
        .iter()
        .map(|lock| {
            let mut map = Map::new();
            map.insert("address".into(), moment.address(lock).into());
            let known = summary(&moment, &reader, Selector::Publisher(lock), verbose, &mut map)?;
            Ok(if known { Value::Object(map) } else { json!({"address": moment.address(lock), "transactions": 0}) })
        })
        .collect()
}

/// Writes the number of transactions and, verbose, the first and the last; whether there are any.
fn summary(
    moment: &Moment<'_>,
    reader: &StreamReader,
    selector: Selector<'_>,
    verbose: bool,
    map: &mut Map<String, Value>,
) -> Result<bool, RpcError> {
    let Some(found) = reader.summary(Order::Chain, selector).map_err(storage_error)? else { return Ok(false) };
    map.insert("transactions".into(), found.items.into());
    if verbose {
        for (name, row) in [("first", &found.first), ("last", &found.last)] {
            if let Some(known) = moment.listed(row)? {
                map.insert(name.into(), shown(moment, &known, true)?);
            }
        }
    }
    Ok(true)
}

/// One page of a list of pairs, each shown by `name` with its number of transactions.
fn pairs(
    ctx: &Context,
    params: &Params,
    list: PairList,
    name: impl Fn(&Moment<'_>, &Pair, &mut Map<String, Value>) -> Result<(), RpcError>,
) -> Answer {
    let verbose = params.verbose(1)?;
    let page = params.page(2, 3, ALL_ENTRIES)?;
    let (moment, reader) = index(ctx)?;
    let size = reader.pair_count(list).map_err(storage_error)?;
    let found = reader.pairs(list, page.window(size)).map_err(storage_error)?;
    found
        .iter()
        .map(|pair| {
            let mut map = Map::new();
            name(&moment, pair, &mut map)?;
            summary(&moment, &reader, Selector::Pair(pair), verbose, &mut map)?;
            Ok(Value::Object(map))
        })
        .collect()
}

/// Writes what an address uses, as other answers refer to it.
fn write_used(moment: &Moment<'_>, pair: &Pair, map: &mut Map<String, Value>) -> Result<(), RpcError> {
    let (Used::Asset(entity) | Used::Stream(entity)) = pair.used;
    if let Some(found) = moment.entity(&entity)?
        && let Value::Object(named) = entity_value(&entity, &found)
    {
        map.extend(named);
    }
    let id = if matches!(pair.used, Used::Asset(_)) { "issuetxid" } else { "createtxid" };
    map.insert(id.into(), entity.to_string().into());
    Ok(())
}

fn address_assets(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    pairs(ctx, params, PairList::Of(lock, Kind::Asset), write_used)
}

fn address_streams(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    pairs(ctx, params, PairList::Of(lock, Kind::Stream), write_used)
}

fn asset_addresses(ctx: &Context, params: &Params) -> Answer {
    let (asset, _) = entity_in(&ctx.view.read(), params.text(0)?, Wanted::Asset)?;
    pairs(ctx, params, PairList::By(Used::Asset(asset)), |moment, pair, map| {
        map.insert("address".into(), moment.address(&pair.address).into());
        Ok(())
    })
}

fn block_transactions(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(1)?;
    let page = params.page(2, 3, LISTED)?;
    let (moment, _) = index(ctx)?;
    let hash = block_hash(&moment, params.value(0))?;
    let missing = || RpcError::new(Code::BlockNotFound, "Block not found on the active chain");
    let height = moment.snapshot.block_entry(&hash).map_err(storage_error)?.ok_or_else(missing)?.height;
    let block = moment.snapshot.block(&hash).map_err(storage_error)?.ok_or_else(missing)?;
    let window = page.window(block.transactions.len() as u64);
    let mut list = Vec::new();
    for (index, tx) in (0u32..).zip(block.transactions) {
        if window.contains(&u64::from(index))
            && let Some(known) = moment.mined(tx.txid(), std::sync::Arc::new(tx), height, index)?
        {
            list.push(shown(&moment, &known, verbose)?);
        }
    }
    Ok(Value::Array(list))
}

/// A block of the active chain by height or hash.
fn block_hash(moment: &Moment<'_>, value: &Value) -> Result<BlockHash, RpcError> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let missing = || RpcError::new(Code::BlockNotFound, format!("Block not found: {}", short(&text)));
    let found = match text.parse::<u32>() {
        Ok(height) => moment.snapshot.block_hash(Height(height)).map_err(storage_error)?,
        Err(_) => text.parse().ok(),
    };
    let hash: BlockHash = found.ok_or_else(missing)?;
    if moment.snapshot.is_active(&hash).map_err(storage_error)? { Ok(hash) } else { Err(missing()) }
}

/// The transaction and input that spend an output on the active chain.
fn redeemer(
    moment: &Moment<'_>,
    reader: &StreamReader,
    outpoint: OutPoint,
) -> Result<Option<(Known, usize)>, RpcError> {
    let rows = reader.page(Order::Chain, Selector::Key(&encode(&outpoint)), 0..1).map_err(storage_error)?;
    let Some(row) = rows.first() else { return Ok(None) };
    debug_assert!(matches!(row, ItemRef::Chain(_)), "explorers have chain order alone");
    let Some(known) = moment.listed(row)? else { return Ok(None) };
    let place = known.tx.body.inputs.iter().position(|input| input.outpoint == outpoint);
    Ok(place.map(|place| (known, place)))
}

fn redeem_transactions(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.text(0)?, "txid")?;
    let number = |value: &Value| {
        let index = value.as_u64().and_then(|index| u32::try_from(index).ok());
        index.ok_or_else(|| RpcError::invalid("Invalid vout, should be an integer from 0 or an array of them"))
    };
    let vouts = match params.value(1) {
        Value::Array(values) => values.iter().map(number).collect::<Result<Vec<u32>, _>>()?,
        value => vec![number(value)?],
    };
    let (moment, reader) = index(ctx)?;
    let mut list = Vec::with_capacity(vouts.len());
    for vout in vouts {
        list.push(match redeemer(&moment, &reader, OutPoint { txid: id, index: vout })? {
            Some((known, vin)) => json!({"txid": known.txid.to_string(), "vin": vin, "vout": vout}),
            None => json!({"txid": null, "vin": null, "vout": vout}),
        });
    }
    Ok(Value::Array(list))
}

fn raw_transaction(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.text(0)?, "txid")?;
    let verbose = match params.given(1) {
        None => false,
        Some(Value::Bool(verbose)) => *verbose,
        Some(value) => value.as_i64().is_some_and(|level| level != 0),
    };
    let (moment, reader) = index(ctx)?;
    let known = moment.transaction(&id)?.ok_or_else(|| RpcError::tx_not_found(&id.to_string()))?;
    if !verbose {
        return Ok(Value::from(hex::encode(encode(known.tx.as_ref()))));
    }
    let mut shown = decode::raw_transaction(&moment, &known)?;
    shown["tags"] = tag::of_transaction(&known.tx).into();
    let spent = spent_outputs(&moment, &known)?;
    if known.tx.is_coinbase() {
        let vin = &mut shown["vin"][0];
        vin["addresses"] = json!([]);
        vin["assets"] = json!([]);
        vin["tags"] = json!(["coinbase"]);
    }
    for (index, input) in decode::wallet::shown_inputs(&moment, &spent)?.into_iter().enumerate() {
        let vin = &mut shown["vin"][index];
        vin["addresses"] = input["addresses"].clone();
        vin["amount"] = input["amount"].clone();
        vin["assets"] = input.get("assets").cloned().unwrap_or_else(|| json!([]));
        vin["tags"] = tag::of_input(spent.get(index).and_then(|(_, out)| out.as_ref())).into();
    }
    for (index, out) in (0u32..).zip(&known.tx.body.outputs) {
        let redeemed = redeemer(&moment, &reader, OutPoint { txid: id, index })?;
        let vout = &mut shown["vout"][index as usize];
        vout["tags"] = tag::of_output(&known.tx, out).into();
        vout["redeem"] = redeemed.map_or(Value::Null, |(by, vin)| json!({"txid": by.txid.to_string(), "vin": vin}));
        if vout.get("assets").is_none() {
            vout["assets"] = json!([]);
        }
        if vout["scriptPubKey"].get("addresses").is_none() {
            vout["scriptPubKey"]["addresses"] = json!([]);
        }
    }
    Ok(shown)
}
