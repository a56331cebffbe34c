//! Publishing items: keys, data on and off the chain, one item or several in one transaction.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, RpcError};
use rota_api::params::Params;
use rota_chain::data::{ChunkedData, DataFormat};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::stream::{ItemData, MAX_KEY, MAX_KEYS, Publish};
use rota_chain::transaction::Output;
use rota_consensus::authority;
use rota_consensus::state::{EntityKind, StateError};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::offchain::{Claim, Fresh, OffchainError, Safe};
use crate::rpc::data::{self, Given};
use crate::rpc::{Answer, Answerer, resolve};
use crate::view::View;

/// Data from here on is cut and hashed on a thread for long work: about a millisecond of it.
const LONG_DATA: usize = 256 << 10;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("publish", Answerer::Later(publish)),
    ("publishfrom", Answerer::Later(publish_from)),
    ("publishmulti", Answerer::Later(publish_multi)),
    ("publishmultifrom", Answerer::Later(publish_multi_from)),
    ("storechunk", Answerer::Now(store_chunk)),
];

fn publish(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { one(ctx, &params, None, 0).await })
}

fn publish_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        one(ctx, &params, from, 1).await
    })
}

fn publish_multi(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { several(ctx, &params, None, 0).await })
}

fn publish_multi_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        several(ctx, &params, from, 1).await
    })
}

/// The address a `...from` call names; none for `*`, which lets the wallet choose.
///
/// # Errors
/// -5 if it is no address, -709 if its key is not here.
pub fn from_address(ctx: &Context, text: &str) -> Result<Option<Lock>, RpcError> {
    if text == "*" {
        return Ok(None);
    }
    let lock = resolve::address(ctx, text)?;
    resolve::own_key(ctx, &lock)?;
    Ok(Some(lock))
}

/// One item that a caller asks for, checked as far as the call goes.
#[derive(Debug)]
struct Draft {
    stream: Txid,
    open: bool,
    salted: bool,
    keys: Vec<Vec<u8>>,
    data: Given,
    offchain: bool,
}

impl Draft {
    fn read(ctx: &Context, identifier: &str, given: &Value, data: &Value, options: &Value) -> Result<Draft, RpcError> {
        let (stream, entity) = {
            let view = ctx.view.read();
            resolve::entity_in(&view, identifier, Wanted::Stream)?
        };
        let keys = keys(given)?;
        let EntityKind::Stream { restriction, salted } = entity.kind else {
            return Err(RpcError::internal("a stream is no stream"));
        };
        let offchain = is_offchain(options)?;
        let data = data::read(ctx, data, offchain)?;
        let (forbidden, place) =
            if offchain { (restriction.offchain, "offchain") } else { (restriction.onchain, "onchain") };
        if forbidden {
            return Err(RpcError::not_allowed(format!("Publishing {place} items is not allowed to this stream")));
        }
        Ok(Draft { stream, open: !restriction.write, salted, keys, data, offchain })
    }

    /// Whether making the item touches files or takes long.
    fn is_slow(&self) -> bool {
        match &self.data {
            Given::Inline(data) => self.offchain || data.bytes.len() >= LONG_DATA,
            Given::Cached(_) | Given::Chunks(_) => true,
        }
    }

    /// The item's operation; claims of chunks that are new are in `fresh`.
    fn finish(self, ctx: &Context, fresh: &mut Vec<Claim>) -> Result<Operation, RpcError> {
        let data = if self.offchain {
            let (chunked, new) = cut(ctx, self.stream, self.data, self.salted)?;
            fresh.extend(new);
            ItemData::Offchain(chunked)
        } else {
            ItemData::Onchain(data::into_inline(ctx, self.data)?)
        };
        Ok(Operation::Publish(Publish { stream: self.stream, keys: self.keys, data }))
    }
}

/// Stores data as chunks of a stream.
fn cut(ctx: &Context, stream: Txid, data: Given, salted: bool) -> Result<(ChunkedData, Vec<Claim>), RpcError> {
    let size = ctx.offchain.chunk_size();
    match data {
        Given::Inline(data) => {
            let mut cutter = ctx.offchain.cutter(stream, data.format, salted);
            for piece in data.bytes.chunks(size.max(1)) {
                cutter.push(piece).map_err(offchain_error)?;
            }
            Ok(cutter.finish())
        }
        Given::Cached(file) => {
            let mut cutter = ctx.offchain.cutter(stream, DataFormat::Raw, salted);
            file.read_pieces(size, |piece| cutter.push(piece).map_err(offchain_error))?;
            Ok(cutter.finish())
        }
        Given::Chunks(hashes) => ctx.offchain.adopt(stream, &hashes).map_err(offchain_error),
    }
}

/// What a caller is told when chunks cannot be stored or found.
pub fn offchain_error(error: OffchainError) -> RpcError {
    match error {
        OffchainError::TooBig { .. } => RpcError::not_supported(error.to_string()),
        OffchainError::Unknown(_) => RpcError::invalid("Chunk not found in this wallet"),
        OffchainError::MixedSalts | OffchainError::Size { .. } => RpcError::invalid(error.to_string()),
        OffchainError::Storage(error) => RpcError::new(Code::Database, error.to_string()),
    }
}

/// Whether an item's data goes off the chain: `""` or `"offchain"`, null for neither.
fn is_offchain(options: &Value) -> Result<bool, RpcError> {
    match options {
        Value::Null => Ok(false),
        Value::String(text) if text.is_empty() => Ok(false),
        Value::String(text) if text == "offchain" => Ok(true),
        _ => Err(RpcError::invalid("Stream item options must be offchain or empty")),
    }
}

/// The keys of an item: one text, or several.
fn keys(value: &Value) -> Result<Vec<Vec<u8>>, RpcError> {
    let texts = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(list) if list.is_empty() => return Err(RpcError::invalid("Item keys array cannot be empty")),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| RpcError::invalid("Item key should be string"))?
        }
        _ => return Err(RpcError::invalid("Item keys should be either string or array")),
    };
    if texts.len() > MAX_KEYS as usize {
        return Err(RpcError::invalid(format!("An item has at most {MAX_KEYS} keys, this has {}", texts.len())));
    }
    for text in &texts {
        if *text == "*" {
            return Err(RpcError::invalid("Invalid item-key-string: *"));
        }
        if text.len() > MAX_KEY as usize {
            return Err(RpcError::invalid(format!(
                "Item key is too long: {} bytes, the limit is {MAX_KEY}",
                text.len()
            )));
        }
    }
    Ok(texts.into_iter().map(|text| text.as_bytes().to_vec()).collect())
}

async fn one(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let (keys, data, options) = (params.value(at + 1), params.value(at + 2), params.value(at + 3));
    let draft = Draft::read(&ctx, params.text(at)?, keys, data, options)?;
    send(ctx, vec![draft], from).await
}

async fn several(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let default = params.text(at)?;
    resolve::stream(&ctx, default)?;
    let items = params.value(at + 1).as_array().ok_or_else(|| RpcError::invalid("Items should be array"))?;
    if items.is_empty() {
        return Err(RpcError::invalid("The array of items should not be empty"));
    }
    let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_data_outputs;
    if items.len() > limit as usize {
        let count = items.len();
        return Err(RpcError::invalid(format!("{count} items given, a transaction holds {limit} at most")));
    }
    let mut drafts = Vec::with_capacity(items.len());
    for item in items {
        let item = item.as_object().ok_or_else(|| RpcError::invalid("Item should be object"))?;
        drafts.push(draft(&ctx, default, item, params.value(at + 2))?);
    }
    send(ctx, drafts, from).await
}

/// An item that goes along with something else.
#[derive(Debug)]
pub struct Item {
    /// Publishes it.
    pub operation: Operation,
    /// Its chunks that are new here; no transaction names them before they are safe.
    pub fresh: Vec<Claim>,
    /// Its stream, if writing there needs permission.
    pub stream: Option<Txid>,
}

/// Reads an item as `{for, options?, key|keys, data}` and stores its chunks. It may touch files.
///
/// # Errors
/// -8 for a wrong form, -708 for an unknown stream, -701 for a stream that forbids it.
pub fn item(ctx: &Context, members: &Map<String, Value>) -> Result<Item, RpcError> {
    if !members.contains_key("for") {
        return Err(RpcError::invalid("Missing for field"));
    }
    let draft = draft(ctx, "", members, &Value::Null)?;
    let stream = (!draft.open).then_some(draft.stream);
    let mut fresh = Vec::new();
    match draft.finish(ctx, &mut fresh) {
        Ok(operation) => Ok(Item { operation, fresh, stream }),
        Err(error) => {
            ctx.offchain.give_up(fresh);
            Err(error)
        }
    }
}

/// One item of publishmulti: `{for?, options?, key|keys, data}`.
fn draft(ctx: &Context, default: &str, item: &Map<String, Value>, options: &Value) -> Result<Draft, RpcError> {
    let (mut stream, mut options, mut given, mut data) = (default, options, None, None);
    for (name, value) in item {
        match name.as_str() {
            "for" => {
                stream = value.as_str().ok_or_else(|| RpcError::invalid("Invalid for field, should be string"))?;
            }
            "options" => options = value,
            "key" if !value.is_string() => return Err(RpcError::invalid("Invalid key field, should be string")),
            "keys" if !value.is_array() => return Err(RpcError::invalid("Invalid keys field, should be array")),
            "key" | "keys" => {
                if given.replace(value).is_some() {
                    return Err(RpcError::invalid("only one of the key fields can appear in the object"));
                }
            }
            "data" => data = Some(value),
            other => return Err(RpcError::invalid(format!("Invalid field: {}", resolve::short(other)))),
        }
    }
    let keys = given.ok_or_else(|| RpcError::invalid("Missing keys field"))?;
    let data = data.ok_or_else(|| RpcError::invalid("Missing data field"))?;
    Draft::read(ctx, stream, keys, data, options)
}

/// Chooses the author, stores chunks, and submits.
async fn send(ctx: Arc<Context>, drafts: Vec<Draft>, from: Option<Lock>) -> Answer {
    let author = author(&ctx, &drafts, from)?;
    let made = make(&ctx, drafts).await?;
    let sent = resolve::submit_outputs(Arc::clone(&ctx), vec![author], made.outputs).await;
    if sent.is_err() {
        made.fresh.forget();
    }
    sent.map(|txid| txid.to_string().into())
}

/// Outputs that carry items, and the hold on their new chunks: with it they are as safe on disk as the settings ask, so
/// that no transaction is sent before.
pub struct Made<'c> {
    /// One output an item.
    pub outputs: Vec<Output>,
    /// To be forgotten if the transaction is refused.
    pub fresh: Fresh<'c>,
}

/// Makes outputs of drafts, on a thread for long work if it is such.
async fn make(ctx: &Arc<Context>, drafts: Vec<Draft>) -> Result<Made<'_>, RpcError> {
    if !drafts.iter().any(Draft::is_slow) {
        let (outputs, _no_claims) = outputs(ctx, drafts)?;
        return Ok(Made { outputs, fresh: ctx.offchain.hold(Safe::default()) });
    }
    let worker = Arc::clone(ctx);
    let work = tokio::task::spawn_blocking(move || {
        let (outputs, fresh) = outputs(&worker, drafts)?;
        worker.offchain.make_safe(fresh).map_err(offchain_error).map(|safe| (outputs, safe))
    });
    let (outputs, safe) = work.await.map_err(RpcError::internal)??;
    Ok(Made { outputs, fresh: ctx.offchain.hold(safe) })
}

fn outputs(ctx: &Context, drafts: Vec<Draft>) -> Result<(Vec<Output>, Vec<Claim>), RpcError> {
    let (mut outputs, mut fresh) = (Vec::with_capacity(drafts.len()), Vec::new());
    for draft in drafts {
        match draft.finish(ctx, &mut fresh) {
            Ok(operation) => outputs.push(Output::operation(operation)),
            Err(error) => {
                ctx.offchain.give_up(fresh);
                return Err(error);
            }
        }
    }
    Ok((outputs, fresh))
}

/// Whether an address may write to the streams of all drafts.
fn may_write(view: &View, drafts: &[Draft], lock: &Lock) -> Result<bool, StateError> {
    for draft in drafts.iter().filter(|draft| !draft.open) {
        if !authority::may_on(view.pool.state(), draft.stream, Permission::Write, lock, view.pool.place().height)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The address that publishes: it may send, and write to every stream.
fn author(ctx: &Context, drafts: &[Draft], from: Option<Lock>) -> Result<Lock, RpcError> {
    let view = ctx.view.read();
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may_write = |lock: &Lock| may_write(&view, drafts, lock);
    let may_send = |lock: &Lock| authority::may(state, &ctx.rules, Permission::Send, lock, height);
    if let Some(from) = from {
        if !may_send(&from).map_err(resolve::state_error)? {
            return Err(RpcError::no_permission("from-address doesn't have send permission"));
        }
        if !may_write(&from).map_err(resolve::state_error)? {
            return Err(RpcError::no_permission("Publishing in this stream is not allowed from this address"));
        }
        return Ok(from);
    }
    resolve::own_author(ctx, None, |lock| Ok(may_send(lock)? && may_write(lock)?)).map_err(|error| {
        if error.code == Code::InsufficientPermissions {
            return RpcError::no_permission("This wallet contains no address with permission to write to this stream");
        }
        error
    })
}

fn store_chunk(ctx: &Context, params: &Params) -> Answer {
    let refused = || RpcError::invalid("data should be hexadecimal string");
    let text = params.value(0).as_str().ok_or_else(refused)?;
    let bytes = hex::decode(text).map_err(|_| refused())?;
    ctx.offchain.store_chunk(&bytes).map(|hash| hash.to_string().into()).map_err(offchain_error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_keep_their_order_and_repetitions() {
        assert_eq!(keys(&json!("k")).unwrap(), [b"k".to_vec()]);
        assert_eq!(keys(&json!("")).unwrap(), [b"".to_vec()]);
        assert_eq!(keys(&json!(["b", "a", "b"])).unwrap(), [b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(keys(&json!("k".repeat(256))).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let star = json!(["k", "*"]);
        for value in [json!("*"), star, json!([]), json!(5), json!({"k": 1}), json!([5]), json!("k".repeat(257))] {
            assert_eq!(keys(&value).unwrap_err().code.number(), -8, "{value}");
        }
        assert_eq!(keys(&json!(vec!["k"; 1_025])).unwrap_err().code.number(), -8);
    }

    #[test]
    fn only_the_two_words_of_options_are_taken() {
        assert!(!is_offchain(&Value::Null).unwrap() && !is_offchain(&json!("")).unwrap());
        assert!(is_offchain(&json!("offchain")).unwrap());
        for value in [json!("Offchain"), json!(5), json!("nonsense")] {
            assert_eq!(is_offchain(&value).unwrap_err().code.number(), -8);
        }
    }
}
