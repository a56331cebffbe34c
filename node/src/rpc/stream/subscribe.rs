//! subscribe, trimsubscribe and unsubscribe: following streams and assets, with their history, less of them, and stopping.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_consensus::state::{Entity, EntityKind};
use rota_storage::StorageError;
use rota_storage::index::history::HistoryProgress;
use rota_storage::index::{Indexes, Subject, items};
use serde_json::Value;

use crate::context::Context;
use crate::rpc::cache::blocking;
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

    /// The same of an entity of some kind: of an asset both orders are kept, and it has no off-chain data.
    #[must_use]
    pub const fn of(self, kind: Kind) -> Wish {
        match kind {
            Kind::Stream => self,
            Kind::Asset => Wish { indexes: Indexes::PLAIN, retrieve: false, history: self.history },
        }
    }
}

/// Answers subscribe: when history is indexed, or at once with `{"wait":false}` last.
pub(super) fn subscribe(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let entities = entities(&ctx, &params)?;
        for followed in &entities {
            check_readable(&ctx, followed)?;
        }
        let (wish, wait) = wish(&params)?;
        if params.given(2).is_some_and(Value::is_string) && entities.iter().any(|entity| entity.kind == Kind::Asset) {
            let error = RpcError::not_allowed("An asset has no indexes to choose from: leave out the parameters");
            return Err(error.rule("entity-kind").got("asset").allowed("stream"));
        }
        let worker = Arc::clone(&ctx);
        let begun = tokio::task::spawn_blocking(move || -> Result<Vec<Txid>, StorageError> {
            entities.iter().try_for_each(|entity| begin(&worker, entity.txid, wish.of(entity.kind)))?;
            Ok(entities.iter().map(|entity| entity.txid).collect())
        });
        let begun = begun.await.map_err(RpcError::internal)?.map_err(resolve::storage_error)?;
        let work = tokio::task::spawn_blocking(move || {
            let all = begun.into_iter().try_for_each(|entity| complete(&ctx, entity));
            if let Err(error) = &all {
                tracing::error!(%error, "a history cannot be indexed");
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
        let entities = entities(&ctx, &params)?;
        let purge = params.switch(1, "purge")?;
        for entity in entities {
            ctx.store.unsubscribe(entity.txid).map_err(resolve::storage_error)?;
            if purge && entity.kind == Kind::Stream {
                ctx.offchain.purge_stream(entity.txid).map_err(resolve::storage_error)?;
            }
        }
        Ok(Value::Null)
    })
}

/// Answers trimsubscribe: drops single indexes of followed streams; with `retrieve` off-chain data is no longer fetched
/// by itself.
pub(super) fn trim(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let streams = entities(&ctx, &params)?;
        if streams.iter().any(|followed| followed.kind != Kind::Stream) {
            let error = RpcError::not_supported("Only subscriptions of streams have indexes to choose from");
            return Err(error.rule("entity-kind").got("asset").allowed("stream"));
        }
        let (indexes, retrieve) = indexes(params.text(1)?)?;
        if streams.iter().any(|followed| ctx.store.subscription(followed.txid).is_none()) {
            return Err(RpcError::stream_not_subscribed());
        }
        for Followed { txid, .. } in streams {
            ctx.store.trim(txid, indexes).map_err(resolve::storage_error)?;
            if retrieve {
                ctx.store.set_retrieve(txid, false).map_err(resolve::storage_error)?;
            }
        }
        Ok(Value::Null)
    })
}

/// Refuses to follow a read-restricted stream that no address of this wallet may read; the sentence names the address
/// that peers go by.
fn check_readable(ctx: &Context, followed: &Followed) -> Result<(), RpcError> {
    let Followed { txid: stream, entity, .. } = followed;
    if !matches!(entity.kind, EntityKind::Stream { restriction, .. } if restriction.read) {
        return Ok(());
    }
    let handshake = ctx.network.handshake();
    let view = ctx.view.read();
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let wallet = ctx.wallet.locks().into_iter().map(|info| info.lock).filter(|lock| ctx.wallet.can_sign(lock));
    for lock in wallet.chain(handshake.map(Lock::Key)) {
        if authority::may_on(state, *stream, Permission::Read, &lock, height).map_err(resolve::state_error)? {
            return Ok(());
        }
    }
    let name = String::from_utf8_lossy(&entity.name);
    let name = if name.is_empty() { stream.to_string() } else { name.into_owned() };
    let ask = handshake.map(|address| {
        let address = ctx.scheme.encode_key_hash(&address);
        format!(": ask for grant {address} {name}.read, {address} being the address this node proves to peers")
    });
    let sentence = "This wallet contains no address with permission to read from this stream";
    let error = RpcError::no_permission(format!("{sentence}{}", ask.unwrap_or_default()));
    Err(error.rule("stream-read").allowed("read"))
}

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream.
    Stream,
    /// An asset.
    Asset,
}

/// Something to follow.
#[derive(Clone, Debug)]
struct Followed {
    txid: Txid,
    kind: Kind,
    entity: Entity,
}

/// The streams and assets that the first parameter names.
fn entities(ctx: &Context, params: &Params) -> Result<Vec<Followed>, RpcError> {
    let mut entities = Vec::new();
    for identifier in params.identifiers(0)? {
        let (txid, entity) = resolve::entity(ctx, &identifier)?;
        let kind = match &entity.kind {
            EntityKind::Stream { .. } => Kind::Stream,
            EntityKind::Asset { .. } => Kind::Asset,
            EntityKind::Variable { .. } | EntityKind::Upgrade { .. } => {
                let error = RpcError::not_supported("Only streams and assets are followed").rule("entity-kind");
                return Err(error.got(identifier).allowed("stream or asset"));
            }
        };
        entities.push(Followed { txid, kind, entity });
    }
    Ok(entities)
}

/// What to keep, and whether to wait: `rescan`, index names and `{"wait":..}`, of which the last may stand at any
/// place. A rescan that is no boolean is ignored, as callers know it.
fn wish(params: &Params) -> Result<(Wish, bool), RpcError> {
    let (mut wish, mut wait) = (Wish::ALL, true);
    for (index, value) in params.values().iter().enumerate().skip(1) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let sentence = "Invalid options, should be {\"wait\":boolean}";
                    if name != "wait" {
                        let error = RpcError::parameter(ParameterRule::Unknown, sentence);
                        return Err(error.got(name.as_str()).allowed("wait"));
                    }
                    wait = value.as_bool().ok_or_else(|| RpcError::mistyped(value, "bool", sentence))?;
                }
            }
            Value::Bool(rescan) if index == 1 => wish.history = *rescan,
            Value::String(words) if index == 2 && words.is_empty() => {}
            Value::String(words) if index == 2 => (wish.indexes, wish.retrieve) = indexes(words)?,
            Value::Null => {}
            _ if index == 1 => {}
            _ if index == 2 => {
                let sentence = "Invalid parameters, should be a string of index names";
                return Err(RpcError::mistyped(value, "str or obj", sentence));
            }
            _ => return Err(RpcError::mistyped(value, "obj", "Invalid options, should be {\"wait\":boolean}")),
        }
    }
    Ok((wish, wait))
}

/// The words that choose indexes.
const INDEX_WORDS: [&str; 7] =
    ["retrieve", "items", "keys", "publishers", "items-local", "keys-local", "publishers-local"];

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
                let sentence = format!("Invalid parameter value: {}", resolve::short(other));
                return Err(RpcError::parameter(ParameterRule::Word, sentence).got(other).allowed(INDEX_WORDS));
            }
        });
    }
    Ok((indexes, retrieve))
}

/// What autosubscribe wishes of a new stream, none if it names assets alone: everything for `streams`, else the indexes
/// that its words name, as `streams-keys`.
///
/// # Errors
/// -8 for a word that is none.
pub fn wish_for_new(words: &str) -> Result<Option<Wish>, RpcError> {
    let streams = words.split(',').map(str::trim).filter(|word| word.starts_with("streams"));
    let named: Vec<&str> = streams.map(|word| word.strip_prefix("streams-").unwrap_or("")).collect();
    if named.is_empty() || named.contains(&"") {
        return Ok((!named.is_empty()).then_some(Wish::ALL));
    }
    let (indexes, retrieve) = indexes(&named.join(","))?;
    Ok(Some(Wish { indexes, retrieve, history: true }))
}

/// Begins to follow a stream; one that is followed gets what it does not have yet, and loses nothing.
///
/// # Errors
/// [`StorageError`].
pub fn begin(ctx: &Context, stream: Txid, wish: Wish) -> Result<(), StorageError> {
    let Some(known) = ctx.store.subscription(stream) else {
        return ctx.store.subscribe(stream, wish.indexes, wish.retrieve, wish.history).map(|_| ());
    };
    if !known.indexes.contains(wish.indexes) {
        ctx.store.subscribe(stream, known.indexes.with(wish.indexes), known.retrieve, wish.history)?;
    }
    if wish.retrieve && !known.retrieve {
        ctx.store.set_retrieve(stream, true)?;
    }
    Ok(())
}

/// Indexes the history of what is followed up to now, and notes what waits and what is off the chain. Takes long on a
/// thread for it; the store's writer is held up for no longer than a step. Does nothing if it is not followed.
///
/// # Errors
/// [`StorageError`].
pub fn complete(ctx: &Context, subject: impl Into<Subject>) -> Result<(), StorageError> {
    let subject = subject.into();
    let mut told = 0;
    let going_on = |progress: HistoryProgress| {
        tell(subject, progress, &mut told);
        !*ctx.shutdown.borrow() && ctx.store.subscription(subject).is_some()
    };
    match ctx.store.index_history(subject, going_on) {
        Ok(true) => {}
        Ok(false) | Err(StorageError::Missing(_)) if ctx.store.subscription(subject).is_none() => return Ok(()),
        Ok(false) => return Ok(()),
        Err(error) => return Err(error),
    }
    let waiting: Vec<_> = ctx.view.read().pool.entries().cloned().collect();
    let seen: Vec<_> = waiting.iter().map(|entry| (entry.tx.txid(), entry.tx.transaction().as_ref())).collect();
    ctx.store.index_seen(&seen)?;
    match subject.entity() {
        Some(entity) => want_history(ctx, entity),
        None => Ok(()),
    }
}

/// A line in the log for each tenth of a long history.
fn tell(subject: Subject, progress: HistoryProgress, told: &mut u32) {
    let tenth = progress.next.0.saturating_mul(10) / progress.tip.0.max(1);
    if tenth > *told && !progress.complete {
        *told = tenth;
        tracing::info!(%subject, block = progress.next.0, of = progress.tip.0, "history is being indexed");
    }
}

/// Notes all off-chain items of a stream to be fetched, if the subscription says so.
fn want_history(ctx: &Context, stream: Txid) -> Result<(), StorageError> {
    let Some(subscription) = ctx.store.subscription(stream).filter(|known| known.retrieve) else { return Ok(()) };
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
    fn new_streams_are_followed_as_the_words_of_autosubscribe_say() {
        assert_eq!(wish_for_new("assets").unwrap(), None);
        assert_eq!(wish_for_new("").unwrap(), None);
        assert_eq!(wish_for_new("assets,streams").unwrap(), Some(Wish::ALL));
        assert_eq!(wish_for_new("streams-keys,streams").unwrap(), Some(Wish::ALL));
        let some = wish_for_new("streams-keys, streams-items-local").unwrap().unwrap();
        assert_eq!(some, Wish { indexes: Indexes::KEYS.with(Indexes::ITEMS_LOCAL), retrieve: false, history: true });
        assert!(wish_for_new("streams-items,streams-retrieve").unwrap().unwrap().retrieve);
    }

    #[test]
    fn unknown_options_and_indexes_are_refused() {
        assert_eq!(read(vec![json!("s"), json!({"wait": 1})]).unwrap_err().code.number(), -8);
        assert_eq!(read(vec![json!("s"), json!({"later": true})]).unwrap_err().code.number(), -8);
        assert_eq!(read(vec![json!("s"), json!(true), json!("nonsense")]).unwrap_err().code.number(), -8);
    }
}
