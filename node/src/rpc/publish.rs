//! Publishing items: keys, data on and off the chain, one item or several in one transaction.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
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
use crate::rpc::{Answer, Answerer, attachment, resolve};
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
            let error = RpcError::not_allowed(format!("Publishing {place} items is not allowed to this stream"));
            return Err(error.rule(if offchain { "stream-offchain" } else { "stream-onchain" }).got(place));
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
    let sentence = error.to_string();
    match error {
        OffchainError::TooBig { limit } => RpcError::not_supported(sentence).rule("offchain-size").allowed(limit),
        OffchainError::Unknown(hash) => {
            let error = RpcError::new(Code::InvalidParameter, "Chunk not found in this wallet");
            error.rule("chunk-missing").got(hash.to_string())
        }
        OffchainError::MixedSalts => RpcError::new(Code::InvalidParameter, sentence).rule("chunk-salts"),
        OffchainError::Size { size, limit } => {
            RpcError::parameter(ParameterRule::Size, sentence).got(size).allowed(format!("1 to {limit}"))
        }
        OffchainError::Storage(cause) => RpcError::new(Code::Database, sentence).rule(cause.code()),
    }
}

/// Whether an item's data goes off the chain: `""` or `"offchain"`, null for neither.
fn is_offchain(options: &Value) -> Result<bool, RpcError> {
    match options {
        Value::Null => Ok(false),
        Value::String(text) if text.is_empty() => Ok(false),
        Value::String(text) if text == "offchain" => Ok(true),
        other => {
            let error = RpcError::parameter(ParameterRule::Word, "Stream item options must be offchain or empty");
            Err(error.got(other.clone()).allowed(["", "offchain"]))
        }
    }
}

/// The keys of an item: one text, or several.
fn keys(value: &Value) -> Result<Vec<Vec<u8>>, RpcError> {
    let texts = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(list) if list.is_empty() => {
            let error = RpcError::parameter(ParameterRule::Size, "Item keys array cannot be empty");
            return Err(error.got(0).allowed(format!("1 to {MAX_KEYS}")));
        }
        Value::Array(list) => {
            let refused = |key: &Value| RpcError::mistyped(key, "str", "Item key should be string");
            list.iter().map(|key| key.as_str().ok_or_else(|| refused(key))).collect::<Result<_, _>>()?
        }
        other => {
            return Err(RpcError::mistyped(other, "str or array", "Item keys should be either string or array"));
        }
    };
    if texts.len() > MAX_KEYS as usize {
        let sentence = format!("An item has at most {MAX_KEYS} keys, this has {}", texts.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(texts.len()).allowed(MAX_KEYS));
    }
    for text in &texts {
        if *text == "*" {
            return Err(RpcError::parameter(ParameterRule::Form, "Invalid item-key-string: *").got(*text));
        }
        if text.len() > MAX_KEY as usize {
            let sentence = format!("Item key is too long: {} bytes, the limit is {MAX_KEY}", text.len());
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(text.len()).allowed(MAX_KEY));
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
    let items = params.value(at + 1);
    let items = items.as_array().ok_or_else(|| RpcError::mistyped(items, "array", "Items should be array"))?;
    let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_data_outputs;
    let count = items.len();
    let refused = |sentence: String| {
        RpcError::parameter(ParameterRule::Size, sentence).got(count).allowed(format!("1 to {limit}"))
    };
    if count == 0 {
        return Err(refused("The array of items should not be empty".to_owned()));
    }
    if count > limit as usize {
        return Err(refused(format!("{count} items given, a transaction holds {limit} at most")));
    }
    let mut drafts = Vec::with_capacity(items.len());
    for item in items {
        let item = item.as_object().ok_or_else(|| RpcError::mistyped(item, "obj", "Item should be object"))?;
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
        return Err(RpcError::missing_field("for"));
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
                let refused = || RpcError::mistyped(value, "str", "Invalid for field, should be string");
                stream = value.as_str().ok_or_else(refused)?;
            }
            "options" => options = value,
            "key" if !value.is_string() => {
                return Err(RpcError::mistyped(value, "str", "Invalid key field, should be string"));
            }
            "keys" if !value.is_array() => {
                return Err(RpcError::mistyped(value, "array", "Invalid keys field, should be array"));
            }
            "key" | "keys" => {
                if given.replace(value).is_some() {
                    let sentence = "only one of the key fields can appear in the object";
                    return Err(RpcError::parameter(ParameterRule::Twice, sentence).got(name.as_str()));
                }
            }
            "data" => data = Some(value),
            other => return Err(resolve::unknown_field(other, &["for", "options", "key", "keys", "data"])),
        }
    }
    let keys = given.ok_or_else(|| RpcError::missing_field("keys"))?;
    let data = data.ok_or_else(|| RpcError::missing_field("data"))?;
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
            return Err(resolve::cannot_send(ctx, &from));
        }
        if !may_write(&from).map_err(resolve::state_error)? {
            return Err(attachment::cannot_write(ctx, &from));
        }
        return Ok(from);
    }
    resolve::own_author(ctx, None, |lock| Ok(may_send(lock)? && may_write(lock)?)).map_err(|error| {
        if error.code == Code::InsufficientPermissions {
            let sentence = "This wallet contains no address with permission to write to this stream";
            return RpcError::no_permission(sentence).rule("stream-write").allowed("write, send");
        }
        error
    })
}

fn store_chunk(ctx: &Context, params: &Params) -> Answer {
    let bytes = data::hexadecimal(params.value(0))?;
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
