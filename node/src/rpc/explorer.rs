//! What a block explorer asks: lists of transactions, and who spent an output; of addresses in `address`, of one
//! transaction in `raw`. Answered by nodes with `explorersupport`, from an index of chain order; what waits comes last.

mod address;
mod quantity;
mod raw;
mod tag;

use std::collections::HashMap;
use std::sync::Arc;

use rota_api::cursor::Paging;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::{Detail, Params};
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::transaction::{OutPoint, Transaction};
use rota_storage::TransactionLocation;
use rota_storage::index::party::addresses;
use rota_storage::index::{ItemRef, Order, Selector, StreamReader, Subject};
use serde_json::{Map, Value, json};

use super::cursor::list::{List, Stand};
use super::cursor::token::{ChainPlace, ListName};
use super::decode::movement::write_place;
use super::decode::{Known, Moment};
use super::entries::Entries;
use super::history::{Index, waiting, waiting_count};
use super::resolve::{self, heavy, short, storage_error, txid};
use super::{Answer, Answerer, cursor};
use crate::context::Context;

/// Entries of a list unless the caller says how many.
const LISTED: i64 = 10;
/// Outputs of a call of explorerlistredeemtransactions at most: each is looked up by itself.
const REDEEMS: usize = 10_000;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("explorerlisttransactions", Answerer::Later(|ctx, params| heavy(ctx, params, transactions))),
    ("explorerlistaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, address::list))),
    ("explorerlistaddresstransactions", Answerer::Later(|ctx, params| heavy(ctx, params, address_transactions))),
    ("explorerlistblocktransactions", Answerer::Later(|ctx, params| heavy(ctx, params, block_transactions))),
    ("explorerlistredeemtransactions", Answerer::Later(|ctx, params| heavy(ctx, params, redeem_transactions))),
    ("explorerlistaddressassets", Answerer::Later(|ctx, params| heavy(ctx, params, address::assets))),
    ("explorerlistaddressstreams", Answerer::Later(|ctx, params| heavy(ctx, params, address::streams))),
    ("explorerlistassetaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, address::holders))),
    (
        "explorerlistaddressassettransactions",
        Answerer::Later(|ctx, params| heavy(ctx, params, address::asset_transactions)),
    ),
    ("explorergetrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, raw::transaction))),
];

/// The index and its moment: -702 without `explorersupport`.
fn index(ctx: &Context) -> Result<(Moment<'_>, StreamReader), RpcError> {
    let missing =
        || RpcError::not_supported("Explorer calls need a node started with -explorersupport=2").rule("explorer-off");
    known_index(ctx)?.ok_or_else(missing)
}

fn known_index(ctx: &Context) -> Result<Option<(Moment<'_>, StreamReader)>, RpcError> {
    if !ctx.facts.explorer {
        return Ok(None);
    }
    let moment = Moment::fresh(ctx)?;
    let reader = moment.snapshot.index(Subject::Explorer).map_err(storage_error)?;
    Ok(reader.map(|reader| (moment, reader)))
}

/// Numbers of addresses and transactions, as the lists of all have them: none without `explorersupport`.
///
/// # Errors
/// -32603 if storage fails.
pub fn totals(ctx: &Context) -> Result<Option<(u64, u64)>, RpcError> {
    let Some((moment, reader)) = known_index(ctx)? else { return Ok(None) };
    let addresses = reader.publisher_count(Order::Chain).map_err(storage_error)?;
    let indexed = reader.count(Order::Chain, Selector::All).map_err(storage_error)?;
    Ok(Some((addresses, indexed + waiting_count(&moment))))
}

/// A transaction in a list; verbose adds what it does.
fn shown(moment: &Moment<'_>, known: &Known, detail: Detail) -> Map<String, Value> {
    let mut map = Map::new();
    write_place(moment, known, &mut map);
    if known.mined.is_none() {
        map.insert("blockheight".into(), Value::Null);
    }
    if detail == Detail::Verbose {
        map.insert("tags".into(), tag::of_transaction(known).into());
        map.insert("addresses".into(), addresses(&known.tx).iter().map(|lock| moment.address(lock)).collect());
    }
    map
}

/// A page of what a selector selects and of what waits and is `concerned`, or how many there are.
fn list(index: &Index<'_, '_>, (detail, paging): (Detail, Paging), concerned: impl Fn(&Known) -> bool) -> Answer {
    if detail == Detail::Number {
        let indexed = index.reader.count(index.order, index.selector).map_err(storage_error)?;
        return Ok((indexed + waiting(index.moment, concerned).len() as u64).into());
    }
    index.answer(paging, concerned, |known| Ok(Some(Value::Object(shown(index.moment, known, detail)))))
}

fn transactions(ctx: &Context, params: &Params) -> Answer {
    let asked = (params.detail(0)?, params.paging(1, 2, LISTED)?);
    let (moment, reader) = index(ctx)?;
    let (order, selector) = (Order::Chain, Selector::All);
    let index = Index { moment: &moment, reader: &reader, method: "explorerlisttransactions", order, selector };
    list(&index, asked, |_| true)
}

fn address_transactions(ctx: &Context, params: &Params) -> Answer {
    let lock = resolve::address(ctx, params.text(0)?)?;
    let asked = (params.detail(1)?, params.paging(2, 3, LISTED)?);
    let (moment, reader) = index(ctx)?;
    let (order, selector) = (Order::Chain, Selector::Publisher(&lock));
    let index = Index { moment: &moment, reader: &reader, method: "explorerlistaddresstransactions", order, selector };
    list(&index, asked, |known| addresses(&known.tx).contains(&lock))
}

fn block_transactions(ctx: &Context, params: &Params) -> Answer {
    let detail = params.detail(1)?;
    let paging = params.paging(2, 3, LISTED)?;
    let (moment, _) = index(ctx)?;
    let hash = block_hash(&moment, params.value(0))?;
    let missing = || RpcError::new(Code::BlockNotFound, "Block not found on the active chain").got(hash.to_string());
    let entry = moment.snapshot.block_entry(&hash).map_err(storage_error)?.ok_or_else(missing)?;
    if detail == Detail::Number {
        return Ok(entry.transactions.into());
    }
    let block = moment.snapshot.block(&hash).map_err(storage_error)?.ok_or_else(missing)?;
    let size = block.transactions.len() as u64;
    let place = |index: u32| ChainPlace { height: entry.height.0, index, vout: 0, ordinal: 0 };
    let stand = |position: u64| Ok(Stand::alone(place(u32::try_from(position).unwrap_or(u32::MAX))));
    let name = ListName::new("explorerlistblocktransactions", &[params.value(0).to_string().as_bytes()]);
    let transactions: Vec<Arc<Transaction>> = block.transactions.into_iter().map(Arc::new).collect();
    cursor::answer(&moment.snapshot, List::in_chain_order(name, size, stand), paging, |positions| {
        let mut entries = Entries::new();
        for (index, tx) in (0u32..).zip(&transactions).filter(|(index, _)| positions.contains(&u64::from(*index))) {
            if let Some(known) = moment.mined(tx.txid(), Arc::clone(tx), entry.height, index)? {
                entries.push(Value::Object(shown(&moment, &known, detail)))?;
            }
        }
        Ok(entries.finish())
    })
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

/// Who spent outputs on the active chain. The last spender is remembered: it may be large and have spent the next too.
struct Redeemers<'m, 'c> {
    moment: &'m Moment<'c>,
    reader: &'m StreamReader,
    last: Option<(TransactionLocation, Txid, HashMap<OutPoint, usize>)>,
}

impl<'m, 'c> Redeemers<'m, 'c> {
    fn new(moment: &'m Moment<'c>, reader: &'m StreamReader) -> Redeemers<'m, 'c> {
        Redeemers { moment, reader, last: None }
    }

    /// The transaction and input that spend an output.
    fn of(&mut self, outpoint: OutPoint) -> Result<Option<(Txid, usize)>, RpcError> {
        let rows = self.reader.page(Order::Chain, Selector::Key(&encode(&outpoint)), 0..1).map_err(storage_error)?;
        // Explorers have chain order alone.
        let Some(ItemRef::Chain(row)) = rows.first() else { return Ok(None) };
        if self.last.as_ref().is_none_or(|(location, ..)| *location != row.location) {
            let Some(known) = self.moment.listed(&ItemRef::Chain(*row))? else { return Ok(None) };
            let inputs = known.tx.body.inputs.iter().enumerate();
            let places = inputs.map(|(place, input)| (input.outpoint, place)).collect();
            self.last = Some((row.location, known.txid, places));
        }
        Ok(self.last.as_ref().and_then(|(_, txid, places)| Some((*txid, *places.get(&outpoint)?))))
    }
}

/// Which outputs of a transaction a caller asks about.
enum Outputs {
    /// So many, from the first on: an entry of what was not spent is null.
    First(u32),
    /// These.
    Listed(Vec<u32>),
}

impl Outputs {
    fn read(value: &Value) -> Result<Outputs, RpcError> {
        let number = |value: &Value| {
            let sentence = "Invalid vouts, should be a number of outputs, or an array of indexes from 0";
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| RpcError::not_whole(value, format!("0 to {}", u32::MAX), sentence))
        };
        match value {
            Value::Array(values) => values.iter().map(number).collect::<Result<_, _>>().map(Outputs::Listed),
            value => number(value).map(Outputs::First),
        }
    }

    /// Their indexes in a transaction of so many outputs; those of a list are taken as they are.
    fn indexes(&self, count: usize) -> Result<Vec<u32>, RpcError> {
        let indexes = match self {
            Outputs::First(asked) => (0..(*asked).min(u32::try_from(count).unwrap_or(u32::MAX))).collect(),
            Outputs::Listed(indexes) => indexes.clone(),
        };
        if indexes.len() <= REDEEMS {
            return Ok(indexes);
        }
        let sentence = format!("Invalid vouts, at most {REDEEMS} outputs are looked up at once, not {}", indexes.len());
        Err(RpcError::parameter(ParameterRule::Size, sentence).got(indexes.len()).allowed(REDEEMS))
    }
}

fn redeem_transactions(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.text(0)?, "txid")?;
    let outputs = Outputs::read(params.value(1))?;
    let (moment, reader) = index(ctx)?;
    let unspent = |vout: u32| match outputs {
        Outputs::First(_) => Value::Null,
        Outputs::Listed(_) => json!({"txid": null, "vin": null, "vout": vout}),
    };
    let known = moment.transaction(&id)?.ok_or_else(|| RpcError::tx_not_found(&id.to_string()))?;
    let indexes = outputs.indexes(known.tx.body.outputs.len())?;
    let mut redeemers = Redeemers::new(&moment, &reader);
    let entry = |vout: u32| {
        let redeemed = redeemers.of(OutPoint { txid: id, index: vout })?;
        let shown = |(by, vin): (Txid, usize)| json!({"txid": by.to_string(), "vin": vin, "vout": vout});
        Ok(redeemed.map_or_else(|| unspent(vout), shown))
    };
    indexes.into_iter().map(entry).collect()
}
