//! retrievestreamitems, purgestreamitems and purgepublisheditems: fetching and deleting off-chain data of items that a
//! caller chooses: all, by transaction, by output, by blocks, or by key and publisher.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_api::stream::ChunkCounts;
use rota_chain::amount::Height;
use rota_chain::data::ChunkedData;
use rota_chain::hash::Txid;
use rota_chain::stream::ItemData;
use rota_chain::transaction::Transaction;
use rota_storage::StorageError;
use rota_storage::chunk::ChunkTotals;
use rota_storage::index::items;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::offchain::Place;
use crate::rpc::blockset::{BlockSet, block_set};
use crate::rpc::cache::blocking;
use crate::rpc::decode::Moment;
use crate::rpc::item::{look::Look, query};
use crate::rpc::{Answer, resolve};

/// Transactions that a selector names: each is looked up by itself.
const MAX_CHOSEN: usize = 65_536;
/// Blocks of a stream looked through at a time.
const BLOCKS: usize = 256;

/// What a caller chooses.
#[derive(Debug, PartialEq)]
enum Chosen<'p> {
    All,
    /// Transactions, each with one output or with all.
    Transactions(Vec<(Txid, Option<u32>)>),
    Blocks(&'p Value),
    Query(&'p Map<String, Value>),
}

impl<'p> Chosen<'p> {
    fn read(value: &'p Value) -> Result<Chosen<'p>, RpcError> {
        let sentence =
            "Invalid selector, should be \"all\", txids, [{\"txid\":..,\"vout\":..}], {\"blocks\":..} or a query";
        match value {
            Value::String(text) if text == "all" => Ok(Chosen::All),
            Value::String(text) => {
                let txids = text.split(',').map(|word| Ok((resolve::txid(word.trim(), "txid")?, None)));
                txids.collect::<Result<_, RpcError>>().and_then(bounded)
            }
            Value::Array(list) => list.iter().map(output).collect::<Result<_, _>>().and_then(bounded),
            Value::Object(map) if map.contains_key("txid") => output(value).map(|one| Chosen::Transactions(vec![one])),
            Value::Object(map) => match (map.get("blocks"), map.len()) {
                (Some(blocks), 1) => Ok(Chosen::Blocks(blocks)),
                (Some(_), _) => Err(RpcError::parameter(ParameterRule::Unknown, sentence).allowed("blocks")),
                (None, _) => Ok(Chosen::Query(map)),
            },
            other => Err(RpcError::mistyped(other, "str, array or obj", sentence)),
        }
    }
}

fn bounded<'p>(chosen: Vec<(Txid, Option<u32>)>) -> Result<Chosen<'p>, RpcError> {
    if chosen.len() > MAX_CHOSEN {
        let sentence = format!("{} items chosen, the limit is {MAX_CHOSEN}", chosen.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(chosen.len()).allowed(MAX_CHOSEN));
    }
    Ok(Chosen::Transactions(chosen))
}

/// A txid, or `{txid, vout?}`.
fn output(value: &Value) -> Result<(Txid, Option<u32>), RpcError> {
    let map = match value {
        Value::String(text) => return Ok((resolve::txid(text, "txid")?, None)),
        Value::Object(map) => map,
        other => {
            let sentence = "Invalid selector, expected txids or objects of txid and vout";
            return Err(RpcError::mistyped(other, "str or obj", sentence));
        }
    };
    if let Some(name) = map.keys().find(|name| !matches!(name.as_str(), "txid" | "vout")) {
        return Err(resolve::unknown_field(name, &["txid", "vout"]));
    }
    let txid = map.get("txid").and_then(Value::as_str).ok_or_else(|| RpcError::missing_field("txid"))?;
    let index = |vout: &Value| {
        let sentence = "Invalid vout field, should be an output number";
        let refused = || RpcError::not_whole(vout, format!("0 to {}", u32::MAX), sentence);
        vout.as_u64().and_then(|vout| u32::try_from(vout).ok()).ok_or_else(refused)
    };
    let vout = map.get("vout").map(index).transpose()?;
    Ok((resolve::txid(txid, "txid")?, vout))
}

/// Off-chain items that were chosen, given one by one.
type Visit<'v> = &'v mut dyn FnMut(Place, &ChunkedData) -> Result<(), StorageError>;

/// Answers retrievestreamitems: what was queued.
pub(super) fn retrieve(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    of_stream(ctx, params, |ctx, place, chunked| ctx.offchain.retrieve(place, chunked))
}

/// Answers purgestreamitems: what was removed.
pub(super) fn purge(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    of_stream(ctx, params, |ctx, place, chunked| ctx.offchain.purge_item(place, chunked))
}

/// Answers purgepublisheditems: what was removed.
pub(super) fn purge_published(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let moment = Moment::fresh(&ctx)?;
        let mut totals = ChunkTotals::default();
        let mut visit = |place: Place, chunked: &ChunkedData| {
            sum(&mut totals, ctx.offchain.purge_published_item(place.stream, chunked)?);
            Ok(())
        };
        match Chosen::read(params.value(0))? {
            Chosen::All => sum(&mut totals, ctx.offchain.purge_published().map_err(resolve::storage_error)?),
            Chosen::Transactions(chosen) => transactions(&moment, None, &chosen, &mut visit)?,
            Chosen::Blocks(set) => blocks(&moment, None, &heights(&moment, set)?, &mut visit)?,
            Chosen::Query(_) => {
                let error =
                    RpcError::parameter(ParameterRule::Word, "Published items are chosen by transaction or block");
                return Err(error.got("query").allowed(["all", "txid", "blocks"]));
            }
        }
        counts(totals)
    })
}

/// Does something with every chosen off-chain item of a followed stream, and answers the sum.
fn of_stream(
    ctx: Arc<Context>,
    params: Params,
    act: fn(&Context, Place, &ChunkedData) -> Result<ChunkTotals, StorageError>,
) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let (moment, stream) = (&look.moment, Some(look.stream));
        let mut totals = ChunkTotals::default();
        let mut visit = |place: Place, chunked: &ChunkedData| {
            sum(&mut totals, act(&ctx, place, chunked)?);
            Ok(())
        };
        match Chosen::read(params.value(1))? {
            Chosen::All => {
                blocks(moment, stream, &BlockSet::up_to(moment.tip.height), &mut visit)?;
                let waiting: Vec<_> =
                    ctx.view.read().pool.items(&look.stream).iter().map(|item| Arc::clone(&item.entry)).collect();
                for entry in waiting {
                    visit_items(entry.tx.txid(), entry.tx.transaction(), stream, None, &mut visit)?;
                }
            }
            Chosen::Transactions(chosen) => transactions(moment, stream, &chosen, &mut visit)?,
            Chosen::Blocks(set) => blocks(moment, stream, &heights(moment, set)?, &mut visit)?,
            Chosen::Query(map) => {
                for place in query::matching(&look, map)? {
                    visit_items(place.known.txid, &place.known.tx, stream, Some(place.vout), &mut visit)?;
                }
            }
        }
        counts(totals)
    })
}

fn sum(totals: &mut ChunkTotals, more: ChunkTotals) {
    totals.chunks = totals.chunks.saturating_add(more.chunks);
    totals.bytes = totals.bytes.saturating_add(more.bytes);
}

fn counts(totals: ChunkTotals) -> Answer {
    resolve::shape(&ChunkCounts { chunks: totals.chunks, bytes: totals.bytes })
}

fn heights(moment: &Moment<'_>, set: &Value) -> Result<BlockSet, RpcError> {
    block_set(&moment.snapshot, moment.tip.height, &Params::new(vec![set.clone()]), 0)
}

/// The chosen transactions; -710 for one that has no such item.
fn transactions(
    moment: &Moment<'_>,
    stream: Option<Txid>,
    chosen: &[(Txid, Option<u32>)],
    visit: Visit<'_>,
) -> Result<(), RpcError> {
    for (txid, vout) in chosen {
        let missing = || {
            let place = vout.map_or(String::new(), |vout| format!(" in output {vout}"));
            RpcError::new(Code::TxNotFound, format!("Transaction {txid} has no such item{place}")).got(txid.to_string())
        };
        let known = moment.transaction(txid)?.ok_or_else(missing)?;
        if !visit_items(*txid, &known.tx, stream, *vout, visit)? {
            return Err(missing());
        }
    }
    Ok(())
}

/// The items of some blocks of the active chain; of a stream only those blocks are read that have items of it.
fn blocks(moment: &Moment<'_>, stream: Option<Txid>, set: &BlockSet, visit: Visit<'_>) -> Result<(), RpcError> {
    for (first, last) in set.ranges() {
        let mut next = Height(*first);
        while next.0 <= *last {
            let found = match &stream {
                Some(stream) => moment.snapshot.stream_heights(stream, next, BLOCKS).map_err(resolve::storage_error)?,
                None => vec![next],
            };
            let Some(end) = found.last() else { break };
            next = end.next();
            for height in found.into_iter().filter(|height| height.0 <= *last) {
                let hash = moment.snapshot.block_hash(height).map_err(resolve::storage_error)?;
                let Some(hash) = hash else { continue };
                let block = moment.snapshot.block(&hash).map_err(resolve::storage_error)?;
                for tx in block.iter().flat_map(|block| &block.transactions) {
                    if items(tx).next().is_some() {
                        visit_items(tx.txid(), tx, stream, None, visit)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The off-chain items of a transaction, of one stream and output if so wanted; whether it has such items at all, on
/// the chain or off it.
fn visit_items(
    txid: Txid,
    tx: &Transaction,
    stream: Option<Txid>,
    vout: Option<u32>,
    visit: Visit<'_>,
) -> Result<bool, RpcError> {
    let mut any = false;
    for item in items(tx) {
        let publish = item.publish;
        if stream.is_some_and(|stream| stream != publish.stream) || vout.is_some_and(|vout| vout != item.vout) {
            continue;
        }
        any = true;
        if let ItemData::Offchain(chunked) = &publish.data {
            let place = Place { stream: publish.stream, txid, vout: item.vout };
            visit(place, chunked).map_err(resolve::storage_error)?;
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_names_all_transactions_outputs_blocks_or_a_query() {
        let (one, two) = (Txid([1; 32]), Txid([2; 32]));
        let (a, b) = (one.to_string(), two.to_string());
        assert_eq!(Chosen::read(&json!("all")).unwrap(), Chosen::All);
        let both = Chosen::Transactions(vec![(one, None), (two, None)]);
        assert_eq!(Chosen::read(&json!(format!("{a},{b}"))).unwrap(), both);
        assert_eq!(Chosen::read(&json!([a, b])).unwrap(), both);
        let outputs = json!([{"txid": a, "vout": 3}, {"txid": b}]);
        assert_eq!(Chosen::read(&outputs).unwrap(), Chosen::Transactions(vec![(one, Some(3)), (two, None)]));
        let single = json!({"txid": a, "vout": 3});
        assert_eq!(Chosen::read(&single).unwrap(), Chosen::Transactions(vec![(one, Some(3))]));
        assert_eq!(Chosen::read(&json!({"blocks": "1-2"})).unwrap(), Chosen::Blocks(&json!("1-2")));
        assert!(matches!(Chosen::read(&json!({"key": "k"})).unwrap(), Chosen::Query(_)));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        let txid = Txid([1; 32]).to_string();
        let many: Vec<Value> = vec![json!(txid.clone()); MAX_CHOSEN + 1];
        for value in [
            json!(""),
            json!("some"),
            json!(5),
            Value::Null,
            json!([5]),
            json!([{"vout": 1}]),
            json!([{"txid": txid, "vout": -1}]),
            json!([{"txid": txid, "output": 1}]),
            json!({"blocks": "1", "key": "k"}),
            Value::Array(many),
        ] {
            assert_eq!(Chosen::read(&value).unwrap_err().code.number(), -8, "{}", resolve::short(&value.to_string()));
        }
    }
}
