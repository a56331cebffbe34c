//! What this node follows without being asked each time: the root stream, new streams and assets with autosubscribe,
//! everything for an explorer, and histories that an earlier run left half indexed.

use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::transaction::Transaction;
use rota_storage::index::{Indexes, Subject};
use rota_storage::{EntityList, StorageError};

use crate::context::Context;
use crate::rpc::stream::subscribe::{Kind, Wish, begin, complete, wish_for_new};

/// Follows the root stream from the start, and goes on with histories that are not complete.
pub(super) async fn resume(ctx: &Arc<Context>) {
    let worker = Arc::clone(ctx);
    let root = move || -> Result<Vec<Subject>, StorageError> {
        if let Some(root) = root_stream(&worker)? {
            begin(&worker, root, Wish::ALL)?;
        }
        follow_explorer(&worker)?;
        let behind = worker.store.subscriptions().into_iter().filter(|known| known.is_catching_up());
        Ok(behind.map(|known| known.subject).collect())
    };
    match tokio::task::spawn_blocking(root).await {
        Ok(Ok(behind)) => history(ctx, behind),
        Ok(Err(error)) => tracing::error!(%error, "the streams this node follows cannot be read"),
        Err(_) => {}
    }
}

/// The root stream: the genesis coinbase creates it, if the chain has one.
fn root_stream(ctx: &Context) -> Result<Option<Txid>, StorageError> {
    let snapshot = ctx.view.snapshot();
    let Some(genesis) = snapshot.block_hash(Height(0))? else { return Ok(None) };
    let block = snapshot.block(&genesis)?;
    let coinbase = block.and_then(|block| block.transactions.into_iter().next());
    Ok(coinbase.filter(creates_stream).map(|coinbase| coinbase.txid()))
}

fn creates_stream(tx: &Transaction) -> bool {
    tx.operations().any(|(_, operation)| matches!(operation, Operation::CreateStream(_)))
}

/// Indexes histories on a thread for it; nothing waits for the end.
fn history(ctx: &Arc<Context>, subjects: Vec<Subject>) {
    let worker = Arc::clone(ctx);
    tokio::task::spawn_blocking(move || {
        for subject in subjects {
            if let Err(error) = complete(&worker, subject) {
                tracing::error!(%subject, %error, "a history cannot be indexed");
            }
        }
    });
}

/// Indexes all addresses, and follows all streams and assets, if `explorersupport` asks for it; otherwise drops the
/// index of addresses.
fn follow_explorer(ctx: &Context) -> Result<(), StorageError> {
    if !ctx.facts.explorer {
        return ctx.store.unsubscribe(Subject::Explorer).map(drop);
    }
    ctx.store.subscribe(Subject::Explorer, Indexes::CHAIN, false, true)?;
    let snapshot = ctx.view.snapshot();
    for (list, kind) in [(EntityList::Streams, Kind::Stream), (EntityList::Assets, Kind::Asset)] {
        for entity in snapshot.entities(list, 0..u32::MAX)? {
            begin(ctx, entity, Wish::ALL.of(kind))?;
        }
    }
    Ok(())
}

/// Follows the stream or asset that a transaction creates, if autosubscribe or an explorer asks for it.
///
/// # Errors
/// [`StorageError`].
pub(super) fn follow_new(ctx: &Context, txid: Txid, tx: &Transaction) -> Result<(), StorageError> {
    let created = tx.operations().find_map(|(_, operation)| match operation {
        Operation::CreateStream(_) => Some(Kind::Stream),
        Operation::IssueAsset(_) => Some(Kind::Asset),
        _ => None,
    });
    let Some(kind) = created else { return Ok(()) };
    let wish = match kind {
        _ if ctx.facts.explorer => Some(Wish::ALL),
        // The setting was checked when it was set: a word that is none follows nothing.
        Kind::Stream => wish_for_new(&ctx.settings().autosubscribe).ok().flatten(),
        Kind::Asset => ctx.settings().subscribes_assets().then_some(Wish::ALL),
    };
    let Some(wish) = wish else { return Ok(()) };
    begin(ctx, txid, wish.of(kind))?;
    complete(ctx, txid)
}
