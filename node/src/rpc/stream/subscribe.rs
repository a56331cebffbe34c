//! subscribe and unsubscribe: following streams, with their history, and stopping to.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::RpcError;
use rota_api::params::Params;
use rota_chain::hash::Txid;
use rota_consensus::state::EntityKind;
use rota_storage::StorageError;
use rota_storage::index::{Indexes, items};
use serde_json::Value;

use crate::context::Context;
use crate::rpc::cache::blocking;
use crate::rpc::item::look;
use crate::rpc::{Answer, resolve};

/// Blocks of a stream looked through at a time for off-chain items.
const BLOCKS: usize = 256;

/// What to follow of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Indexes to keep.
    pub indexes: Indexes,
    /// Whether off-chain data is fetched.
    pub retrieve: bool,
    /// Whether history is indexed.
    pub history: bool,
}

impl Wish {
    /// Everything.
    pub const ALL: Wish = Wish { indexes: Indexes::ALL, retrieve: true, history: true };
}

/// Answers subscribe: when history is indexed, or at once with `{"wait":false}` last.
pub(super) fn subscribe(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let streams = streams(&ctx, &params)?;
        let (wish, wait) = wish(&params)?;
        let worker = Arc::clone(&ctx);
        let begun = tokio::task::spawn_blocking(move || -> Result<Vec<Txid>, StorageError> {
            streams.iter().try_for_each(|stream| begin(&worker, *stream, wish))?;
            Ok(streams)
        });
        let begun = begun.await.map_err(RpcError::internal)?.map_err(resolve::storage_error)?;
        let work = tokio::task::spawn_blocking(move || {
            let all = begun.into_iter().try_for_each(|stream| complete(&ctx, stream));
            if let Err(error) = &all {
                tracing::error!(%error, "the history of a stream cannot be indexed");
            }
            all
        });
        if wait {
            work.await.map_err(RpcError::internal)?.map_err(resolve::storage_error)?;
        }
        Ok(Value::Null)
    })
}

/// Answers unsubscribe.
pub(super) fn unsubscribe(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let streams = streams(&ctx, &params)?;
        let purge = params.switch(1, "purge")?;
        for stream in streams {
            ctx.store.unsubscribe(&stream).map_err(resolve::storage_error)?;
            if purge {
                ctx.offchain.purge(stream).map_err(resolve::storage_error)?;
            }
        }
        Ok(Value::Null)
    })
}

/// The streams that the first parameter names; other entities are refused.
fn streams(ctx: &Context, params: &Params) -> Result<Vec<Txid>, RpcError> {
    let mut streams = Vec::new();
    for identifier in params.identifiers(0)? {
        let (txid, entity) = resolve::entity(ctx, &identifier)?;
        if !matches!(entity.kind, EntityKind::Stream { .. }) {
            return Err(RpcError::not_supported("Only streams can be followed in this version"));
        }
        look::check_readable(&entity)?;
        streams.push(txid);
    }
    Ok(streams)
}

/// What to keep, and whether to wait: `rescan`, index names and `{"wait":..}`, of which the last may stand at any
/// place. A rescan that is no boolean is ignored, as callers know it.
fn wish(params: &Params) -> Result<(Wish, bool), RpcError> {
    let (mut wish, mut wait) = (Wish::ALL, true);
    for (index, value) in params.values().iter().enumerate().skip(1) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let known = (name == "wait").then(|| value.as_bool()).flatten();
                    wait = known.ok_or_else(|| RpcError::invalid("Invalid options, should be {\"wait\":boolean}"))?;
                }
            }
            Value::Bool(rescan) if index == 1 => wish.history = *rescan,
            Value::String(words) if index == 2 && !words.is_empty() => (wish.indexes, wish.retrieve) = indexes(words)?,
            _ => {}
        }
    }
    Ok((wish, wait))
}

/// Index names with commas between them; `retrieve` among them fetches off-chain data.
fn indexes(words: &str) -> Result<(Indexes, bool), RpcError> {
    let (mut indexes, mut retrieve) = (Indexes::NONE, false);
    for word in words.split(',').map(str::trim) {
        indexes = indexes.with(match word {
            "retrieve" => {
                retrieve = true;
                Indexes::NONE
            }
            "items" => Indexes::ITEMS,
            "keys" => Indexes::KEYS,
            "publishers" => Indexes::PUBLISHERS,
            "items-local" => Indexes::ITEMS_LOCAL,
            "keys-local" => Indexes::KEYS_LOCAL,
            "publishers-local" => Indexes::PUBLISHERS_LOCAL,
            other => {
                return Err(RpcError::invalid(format!("Invalid parameter value: {}", resolve::short(other))));
            }
        });
    }
    Ok((indexes, retrieve))
}

/// Begins to follow a stream; one that is followed stays as it is.
///
/// # Errors
/// [`StorageError`].
pub fn begin(ctx: &Context, stream: Txid, wish: Wish) -> Result<(), StorageError> {
    if let Some(known) = ctx.store.subscription(&stream)
        && known.indexes.contains(wish.indexes)
    {
        return Ok(());
    }
    ctx.store.subscribe(&stream, wish.indexes, wish.retrieve, wish.history).map(|_| ())
}

/// Indexes the history of a followed stream up to now, and notes what waits and what is off the chain. Takes long on a
/// thread for it; the store's writer is held up for no longer than a step.
///
/// # Errors
/// [`StorageError`].
pub fn complete(ctx: &Context, stream: Txid) -> Result<(), StorageError> {
    let going_on = |_| !*ctx.shutdown.borrow() && ctx.store.subscription(&stream).is_some();
    if !ctx.store.index_history(&stream, going_on)? {
        return Ok(());
    }
    let waiting: Vec<_> = {
        let view = ctx.view.read();
        view.pool.items(&stream).iter().map(|item| Arc::clone(&item.entry)).collect()
    };
    let seen: Vec<_> = waiting.iter().map(|entry| (entry.tx.txid(), entry.tx.transaction().as_ref())).collect();
    ctx.store.index_seen(&seen)?;
    want_history(ctx, stream)
}

/// Notes all off-chain items of a stream to be fetched, if the subscription says so.
fn want_history(ctx: &Context, stream: Txid) -> Result<(), StorageError> {
    let Some(subscription) = ctx.store.subscription(&stream).filter(|known| known.retrieve) else { return Ok(()) };
    let followed = |other: &Txid| *other == stream;
    let snapshot = ctx.store.snapshot()?;
    let mut from = subscription.from;
    loop {
        let heights = snapshot.stream_heights(&stream, from, BLOCKS)?;
        let Some(last) = heights.last() else { break };
        from = last.next();
        for height in heights {
            let Some(hash) = snapshot.block_hash(height)? else { continue };
            if let Some(block) = snapshot.block(&hash)? {
                ctx.offchain.want_block(&block, &followed)?;
            }
        }
    }
    let waiting: Vec<_> = ctx.view.read().pool.items(&stream).iter().map(|item| Arc::clone(&item.entry)).collect();
    for entry in waiting.iter().filter(|entry| items(entry.tx.transaction()).next().is_some()) {
        ctx.offchain.want_transaction(entry.tx.txid(), entry.tx.transaction(), &followed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    fn read(values: Vec<Value>) -> Result<(Wish, bool), RpcError> {
        wish(&Params::new(values))
    }

    #[test]
    fn subscribing_waits_for_history_unless_the_last_object_says_otherwise() {
        assert_eq!(read(vec![json!("s")]).unwrap(), (Wish::ALL, true));
        assert_eq!(read(vec![json!("s"), json!({"wait": false})]).unwrap(), (Wish::ALL, false));
        let all = vec![json!("s"), json!(false), json!("items,retrieve"), json!({"wait": false})];
        let (wish, wait) = read(all).unwrap();
        assert!(!wait && !wish.history && wish.retrieve);
        assert!(wish.indexes.contains(Indexes::ITEMS) && !wish.indexes.contains(Indexes::KEYS));
    }

    #[test]
    fn a_rescan_that_is_no_boolean_is_ignored() {
        assert_eq!(read(vec![json!("s"), json!("yes")]).unwrap(), (Wish::ALL, true));
        assert_eq!(read(vec![json!("s"), json!(false)]).unwrap().0, Wish { history: false, ..Wish::ALL });
    }

    #[test]
    fn unknown_options_and_indexes_are_refused() {
        assert_eq!(read(vec![json!("s"), json!({"wait": 1})]).unwrap_err().code.number(), -8);
        assert_eq!(read(vec![json!("s"), json!({"later": true})]).unwrap_err().code.number(), -8);
        assert_eq!(read(vec![json!("s"), json!(true), json!("nonsense")]).unwrap_err().code.number(), -8);
    }
}
