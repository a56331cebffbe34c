//! Data that goes along with a grant: plain data, or an item of a stream on the chain.

use std::sync::Arc;

use rota_api::error::{EntityKind as Wanted, RpcError};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::stream::{ItemData, MAX_KEY, MAX_KEYS, Publish};
use rota_chain::transaction::Output;
use rota_consensus::authority;
use rota_consensus::state::EntityKind;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::rpc::data;
use crate::rpc::resolve::{entity_in, short, state_error};

/// The output that carries what a caller attaches. Reading it may touch files: it runs on a thread for such work.
pub async fn output(ctx: &Arc<Context>, author: Lock, value: Value) -> Result<Output, RpcError> {
    let worker = Arc::clone(ctx);
    let work = tokio::task::spawn_blocking(move || operation(&worker, &author, &value));
    work.await.map_err(RpcError::internal)?.map(Output::operation)
}

fn operation(ctx: &Context, author: &Lock, value: &Value) -> Result<Operation, RpcError> {
    match value {
        Value::Object(members) if members.contains_key("for") => item(ctx, author, members).map(Operation::Publish),
        other => data::inline(ctx, other).map(Operation::Data),
    }
}

fn item(ctx: &Context, author: &Lock, members: &Map<String, Value>) -> Result<Publish, RpcError> {
    let known = |name: &&String| matches!(name.as_str(), "for" | "key" | "keys" | "data" | "options");
    if let Some(name) = members.keys().find(|name| !known(name)) {
        return Err(RpcError::invalid(format!("Invalid field: {}", short(name))));
    }
    let keys = match (members.get("key"), members.get("keys")) {
        (Some(Value::String(key)), None) => keys(&[key.as_str()])?,
        (None, Some(Value::Array(list))) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            keys(&texts.ok_or_else(|| RpcError::invalid("Item key should be string"))?)?
        }
        (Some(_), Some(_)) => return Err(RpcError::invalid("only one of the key fields can appear in the object")),
        _ => return Err(RpcError::invalid("Missing keys field")),
    };
    match members.get("options").and_then(Value::as_str).unwrap_or_default() {
        "" => {}
        "offchain" => return Err(RpcError::not_supported("Items along with a grant stand on the chain")),
        other => return Err(RpcError::invalid(format!("Stream item options must be empty, not {}", short(other)))),
    }
    let identifier = members.get("for").and_then(Value::as_str);
    let identifier = identifier.ok_or_else(|| RpcError::invalid("Invalid for field, should be string"))?;
    let missing = || RpcError::invalid("Missing data field");
    let data = data::inline(ctx, members.get("data").ok_or_else(missing)?)?;
    let stream = writable(ctx, author, identifier)?;
    Ok(Publish { stream, keys, data: ItemData::Onchain(data) })
}

fn keys(texts: &[&str]) -> Result<Vec<Vec<u8>>, RpcError> {
    if texts.is_empty() || texts.len() > MAX_KEYS as usize {
        return Err(RpcError::invalid(format!("An item has 1 to {MAX_KEYS} keys, this has {}", texts.len())));
    }
    match texts.iter().find(|text| **text == "*" || text.len() > MAX_KEY as usize) {
        Some(text) => Err(RpcError::invalid(format!("Invalid item key: {}", short(text)))),
        None => Ok(texts.iter().map(|text| text.as_bytes().to_vec()).collect()),
    }
}

/// The stream of an identifier, if the author may write to it.
fn writable(ctx: &Context, author: &Lock, identifier: &str) -> Result<rota_chain::hash::Txid, RpcError> {
    let view = ctx.view.read();
    let (stream, entity) = entity_in(&view, identifier, Wanted::Stream)?;
    let EntityKind::Stream { restriction, .. } = entity.kind else {
        return Err(RpcError::internal("a stream is no stream"));
    };
    if restriction.onchain {
        return Err(RpcError::not_allowed("Publishing onchain items is not allowed to this stream"));
    }
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let open = !restriction.write;
    if open || authority::may_on(state, stream, Permission::Write, author, height).map_err(state_error)? {
        return Ok(stream);
    }
    Err(RpcError::no_permission("The granting address may not publish in this stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_the_star_is_none() {
        assert_eq!(keys(&["b", "a", "b"]), Ok(vec![b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]));
        assert!(keys(&[]).is_err() && keys(&["*"]).is_err());
        assert!(keys(&["x".repeat(MAX_KEY as usize + 1).as_str()]).is_err());
    }
}
