//! Data as callers give it and as answers show it: hexadecimal, text, JSON, the binary cache and chunks that are
//! here already. What publishes it is in `publish`, the files of the binary cache are in `cache`.

use rota_api::error::{ParameterRule, RpcError};
use rota_api::json::{ITEM_DEPTH_LIMIT, parse_strict};
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::{ChunkHash, Txid};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::rpc::cache::{self, CacheFile};
use crate::rpc::resolve;

/// Data that a caller gave.
#[derive(Debug)]
pub enum Given {
    /// Bytes in the call.
    Inline(Data),
    /// A file of the binary cache, raw.
    Cached(CacheFile),
    /// Chunks that are here, in order.
    Chunks(Vec<ChunkHash>),
}

/// Reads data as publish takes it. Chunks are taken with `offchain` alone.
///
/// # Errors
/// -8 for a wrong form or an unknown file, -702 for an unknown form or JSON that is nested too deeply.
pub fn read(ctx: &Context, value: &Value, offchain: bool) -> Result<Given, RpcError> {
    let sentence = "data should be hexadecimal string or recognized object";
    match value {
        Value::String(text) => {
            let bytes = hex::decode(text).map_err(|_| not_hexadecimal(text, sentence))?;
            Ok(Given::Inline(Data { format: DataFormat::Raw, bytes }))
        }
        Value::Object(map) => read_object(ctx, map, offchain),
        other => Err(RpcError::mistyped(other, "str or obj", sentence)),
    }
}

fn not_hexadecimal(text: &str, sentence: &str) -> RpcError {
    RpcError::parameter(ParameterRule::Form, sentence).got(text).allowed("hexadecimal digits")
}

/// Bytes given as hexadecimal digits.
///
/// # Errors
/// -8 for anything else.
pub fn hexadecimal(value: &Value) -> Result<Vec<u8>, RpcError> {
    let sentence = "data should be hexadecimal string";
    let text = value.as_str().ok_or_else(|| RpcError::mistyped(value, "str", sentence))?;
    hex::decode(text).map_err(|_| not_hexadecimal(text, sentence))
}

fn read_object(ctx: &Context, map: &Map<String, Value>, offchain: bool) -> Result<Given, RpcError> {
    let mut members = map.iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        let error = RpcError::parameter(ParameterRule::Size, "data should be object with single element");
        return Err(error.got(map.len()).allowed(1));
    };
    match name.as_str() {
        "text" => {
            let refused = || RpcError::mistyped(value, "str", "value in data object should be string");
            let text = value.as_str().ok_or_else(refused)?;
            Ok(Given::Inline(Data { format: DataFormat::Text, bytes: text.as_bytes().to_vec() }))
        }
        "json" => json_bytes(value).map(|bytes| Given::Inline(Data { format: DataFormat::Json, bytes })),
        "cache" => {
            let refused = || RpcError::mistyped(value, "str", "cache identifier in data object should be string");
            cache::open(ctx, value.as_str().ok_or_else(refused)?).map(Given::Cached)
        }
        "chunks" => chunks(ctx, value, offchain).map(Given::Chunks),
        other => {
            let error = RpcError::not_supported(format!("Unsupported item data type: {}", resolve::short(other)));
            Err(error.rule(ParameterRule::Word.name()).got(other).allowed(["text", "json", "cache", "chunks"]))
        }
    }
}

/// The bytes a JSON value has on the chain: compact text, members in the order given.
///
/// # Errors
/// -8 if it is nested deeper than [`ITEM_DEPTH_LIMIT`].
pub fn json_bytes(value: &Value) -> Result<Vec<u8>, RpcError> {
    if depth(value, ITEM_DEPTH_LIMIT).is_none() {
        let sentence = format!("JSON nested deeper than {ITEM_DEPTH_LIMIT} levels");
        return Err(RpcError::parameter(ParameterRule::Size, sentence).allowed(ITEM_DEPTH_LIMIT));
    }
    serde_json::to_vec(value).map_err(RpcError::internal)
}

/// How many arrays and objects are open at once at most; none beyond `limit`.
fn depth(value: &Value, limit: usize) -> Option<usize> {
    let inner = |values: &mut dyn Iterator<Item = &Value>| -> Option<usize> {
        let below = limit.checked_sub(1)?;
        let mut deepest = 0;
        for value in values {
            deepest = deepest.max(depth(value, below)?);
        }
        Some(deepest + 1)
    };
    match value {
        Value::Array(list) => inner(&mut list.iter()),
        Value::Object(map) => inner(&mut map.values()),
        _ => Some(0),
    }
}

fn chunks(ctx: &Context, value: &Value, offchain: bool) -> Result<Vec<ChunkHash>, RpcError> {
    let refused = || RpcError::mistyped(value, "array", "chunks in data object should be array");
    let list = value.as_array().ok_or_else(refused)?;
    let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_chunk_count;
    if list.len() > limit as usize {
        let sentence = format!("{} chunks given, the limit is {limit}", list.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(list.len()).allowed(limit));
    }
    let mut hashes = Vec::with_capacity(list.len());
    for chunk in list {
        let refused = || {
            let error = RpcError::parameter(ParameterRule::Form, "Chunk hash should be hexadecimal string");
            error.got(chunk.clone()).allowed("64 hexadecimal digits")
        };
        hashes.push(chunk.as_str().and_then(|text| text.parse().ok()).ok_or_else(refused)?);
    }
    if !offchain {
        return Err(no_chunks("chunks data type is not allowed with missing options field"));
    }
    Ok(hashes)
}

fn no_chunks(sentence: &str) -> RpcError {
    RpcError::parameter(ParameterRule::Word, sentence).got("chunks").allowed(["text", "json", "cache"])
}

/// Data to put into a transaction as it is: bytes in the call or a cached file.
///
/// # Errors
/// As [`read`]; -702 if a cached file is longer than the chain allows, -717 if it cannot be read.
pub fn inline(ctx: &Context, value: &Value) -> Result<Data, RpcError> {
    into_inline(ctx, read(ctx, value, false)?)
}

/// Given data as it goes into a transaction.
///
/// # Errors
/// As [`inline`].
pub fn into_inline(ctx: &Context, given: Given) -> Result<Data, RpcError> {
    match given {
        Given::Inline(data) => Ok(data),
        Given::Cached(file) => {
            let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_data_size;
            if file.size() > u64::from(limit) {
                let size = file.size();
                let message = format!("Cached data is too big: {size} bytes, the limit on the chain is {limit}");
                return Err(RpcError::not_supported(message).rule("stream-data-size").got(size).allowed(limit));
            }
            Ok(Data { format: DataFormat::Raw, bytes: file.read_all()? })
        }
        Given::Chunks(_) => Err(no_chunks("chunks data type is not allowed here")),
    }
}

/// Data as answers show it: hexadecimal text, `{"text":..}` or `{"json":..}`; null inside where bytes do not decode.
#[must_use]
pub fn shown(format: DataFormat, bytes: &[u8]) -> Value {
    match format {
        DataFormat::Raw => Value::from(hex::encode(bytes)),
        DataFormat::Text => json!({"text": std::str::from_utf8(bytes).ok()}),
        DataFormat::Json => json!({"json": json_value(bytes)}),
    }
}

/// The JSON value that bytes of the chain are; null if they are none.
#[must_use]
pub fn json_value(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    parse_strict(text, ITEM_DEPTH_LIMIT).ok()
}

/// What stands for data that is too long to show, or not here.
#[must_use]
pub fn reference(txid: Txid, vout: u32, format: DataFormat, size: u64) -> Value {
    json!({"txid": txid.to_string(), "vout": vout, "format": format.name(), "size": size})
}

/// The details an entity was created with; an empty object if there are none.
#[must_use]
pub fn details(bytes: &[u8]) -> Value {
    json_value(bytes).filter(Value::is_object).unwrap_or_else(|| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| json!([inner]))
    }

    #[test]
    fn json_keeps_the_order_of_members_and_exact_integers_on_the_chain() {
        let text = r#"{"z":1,"a":[true,null,18446744073709551615,-9223372036854775808],"m":0.1}"#;
        let value = parse_strict(text, 100).unwrap();
        assert_eq!(json_bytes(&value).unwrap(), text.as_bytes());
        assert_eq!(shown(DataFormat::Json, text.as_bytes()).to_string(), format!(r#"{{"json":{text}}}"#));
    }

    #[test]
    fn json_is_taken_up_to_the_depth_limit_and_refused_beyond() {
        assert!(json_bytes(&nested(ITEM_DEPTH_LIMIT)).is_ok());
        assert_eq!(json_bytes(&nested(ITEM_DEPTH_LIMIT + 1)).unwrap_err().code.number(), -8);
    }

    #[test]
    fn bytes_that_do_not_decode_are_shown_as_null() {
        assert_eq!(shown(DataFormat::Text, &[0xff]), json!({"text": null}));
        assert_eq!(shown(DataFormat::Json, b"{\"a\":1,\"a\":2}"), json!({"json": null}));
        assert_eq!(shown(DataFormat::Raw, &[0xff]), json!("ff"));
    }

    #[test]
    fn details_that_are_no_object_are_shown_as_an_empty_one() {
        assert_eq!(details(b""), json!({}));
        assert_eq!(details(b"[1]"), json!({}));
        assert_eq!(details(br#"{"k":"v"}"#), json!({"k": "v"}));
    }
}
