//! What this node follows without being asked each time: the root stream, new streams with autosubscribe, and
//! histories that an earlier run left half indexed.

use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::transaction::Transaction;
use rota_storage::StorageError;

use crate::context::Context;
use crate::rpc::stream::subscribe::{Wish, begin, complete};

/// Follows the root stream from the start, and goes on with histories that are not complete.
pub(super) async fn resume(ctx: &Arc<Context>) {
    let worker = Arc::clone(ctx);
    let root = move || -> Result<Vec<Txid>, StorageError> {
        if let Some(root) = root_stream(&worker)? {
            begin(&worker, root, Wish::ALL)?;
        }
        let behind = worker.store.subscriptions().into_iter().filter(|known| known.is_catching_up());
        Ok(behind.map(|known| known.stream).collect())
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
fn history(ctx: &Arc<Context>, streams: Vec<Txid>) {
    let worker = Arc::clone(ctx);
    tokio::task::spawn_blocking(move || {
        for stream in streams {
            if let Err(error) = complete(&worker, stream) {
                tracing::error!(%stream, %error, "the history of a stream cannot be indexed");
            }
        }
    });
}

/// Follows the stream that a transaction creates, if autosubscribe says so.
///
/// # Errors
/// [`StorageError`].
pub(super) fn follow_new(ctx: &Context, txid: Txid, tx: &Transaction) -> Result<(), StorageError> {
    if !creates_stream(tx) || !ctx.settings().subscribes_streams() {
        return Ok(());
    }
    begin(ctx, txid, Wish::ALL)?;
    complete(ctx, txid)
}
