//! Watching: subscriptions to the chain over a WebSocket. A task for each reads the chain when its connection takes more
//! (`walk`), so that nothing is kept for slow ones. The WebSocket itself is the front's (`http/session.rs`).

mod checkpoint;
mod item;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::{RegisterMethodError, SubscriptionError};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, RpcModule, SubscriptionCloseResponse, SubscriptionSink};
use rota_api::error::RpcError;
use rota_api::method;
use rota_api::params::Params;
use rota_chain::hash::Txid;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::context::Context;
use crate::ledger::LedgerEvent;
use crate::rpc::resolve::storage_error;
use item::ItemWatch;
use walk::{Rest, Walk, Watched};

/// Subscriptions that read the chain at the same moment: the others wait in line, so that many that catch up leave
/// threads and processors to callers.
const READS: usize = 4;
/// How often a stream whose history is still being indexed is looked at again: no new tip tells of that.
const INDEX_LOOK: Duration = Duration::from_secs(1);
/// Most unconfirmed transactions in one notification.
const ARRIVALS: usize = 64;

/// What may be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Blocks,
    StreamItems,
    Transactions,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Blocks, Kind::StreamItems, Kind::Transactions];

    /// The methods that begin and end it.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Kind::Blocks => ("watchblocks", "unwatchblocks"),
            Kind::StreamItems => ("watchstreamitems", "unwatchstreamitems"),
            Kind::Transactions => ("watchtransactions", "unwatchtransactions"),
        }
    }

    /// Which parameter says where to begin.
    const fn beginning_at(self) -> usize {
        match self {
            Kind::Blocks | Kind::Transactions => 0,
            Kind::StreamItems => 1,
        }
    }

    fn watched(self, ctx: &Context, params: &Params) -> Result<Watched, RpcError> {
        Ok(match self {
            Kind::Blocks => Watched::Blocks { verbose: params.boolean_or(1, false)? },
            Kind::StreamItems => Watched::Items(ItemWatch::read(ctx, params)?),
            Kind::Transactions => Watched::Transactions { verbose: params.boolean_or(1, true)? },
        })
    }

    /// Whether what comes into the pool is told too.
    fn tells_arrivals(self, params: &Params) -> Result<bool, RpcError> {
        match self {
            Kind::Blocks | Kind::StreamItems => Ok(false),
            Kind::Transactions => params.boolean_or(2, false),
        }
    }
}

/// Adds the subscriptions to the table of methods.
///
/// # Errors
/// [`RegisterMethodError`] if a name stands twice.
pub fn register(module: &mut RpcModule<Arc<Context>>) -> Result<(), RegisterMethodError> {
    let reads = Arc::new(Semaphore::new(READS));
    for kind in Kind::ALL {
        let (begin, end) = kind.names();
        let reads = Arc::clone(&reads);
        module.register_subscription(begin, begin, end, move |params, pending, context, _| {
            let params = params.as_str().map(str::to_owned);
            answer(kind, params, pending, Arc::clone(&context), Arc::clone(&reads))
        })?;
    }
    Ok(())
}

/// The life of a subscription: until it is ended, its connection closes, the node stops, or it cannot go on.
async fn answer(
    kind: Kind,
    params: Option<String>,
    pending: PendingSubscriptionSink,
    ctx: Arc<Context>,
    reads: Arc<Semaphore>,
) -> SubscriptionCloseResponse {
    let mut stop = ctx.shutdown.subscribe();
    let begun = on_thread(&reads, {
        let ctx = Arc::clone(&ctx);
        move || begin(kind, params.as_deref(), &ctx)
    });
    let watcher = match begun.await.flatten() {
        Ok((walk, arrivals)) => Watcher { tips: ctx.view.tips(), walk, arrivals, reads },
        Err(error) => {
            pending.reject(ErrorObjectOwned::from(error)).await;
            return SubscriptionCloseResponse::None;
        }
    };
    let Ok(sink) = pending.accept().await else { return SubscriptionCloseResponse::None };
    let ended = tokio::select! {
        ended = watcher.run(&sink) => ended,
        () = sink.closed() => Ok(()),
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    let Err(error) = ended else { return SubscriptionCloseResponse::None };
    tracing::debug!(method = kind.names().0, error = error.message, "a subscription cannot go on");
    let shown = serde_json::value::to_raw_value(&ErrorObjectOwned::from(error));
    shown.map_or(SubscriptionCloseResponse::None, |json| {
        SubscriptionCloseResponse::NotifErr(SubscriptionError::from_json(json))
    })
}

type Arrivals = Option<broadcast::Receiver<LedgerEvent>>;

fn begin(kind: Kind, params: Option<&str>, ctx: &Arc<Context>) -> Result<(Walk, Arrivals), RpcError> {
    let method = method::find(kind.names().0).ok_or_else(RpcError::method_not_found)?;
    let params = Params::for_method(method, params)?;
    let watched = kind.watched(ctx, &params)?;
    let arrivals = kind.tells_arrivals(&params)?.then(|| ctx.ledger.subscribe_events());
    let snapshot = ctx.store.snapshot().map_err(storage_error)?;
    let last = checkpoint::read(&snapshot, params.given(kind.beginning_at()))?;
    Ok((Walk::new(Arc::clone(ctx), watched, last), arrivals))
}

/// Does work on a thread for it, once there is a place among the [`READS`].
async fn on_thread<R: Send + 'static>(
    reads: &Arc<Semaphore>,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, RpcError> {
    let place = Arc::clone(reads).acquire_owned().await.map_err(RpcError::internal)?;
    let working = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    working.await.map_err(RpcError::internal)
}

/// A walk, and what makes it go on.
struct Watcher {
    walk: Walk,
    tips: watch::Receiver<crate::view::Tip>,
    arrivals: Arrivals,
    reads: Arc<Semaphore>,
}

impl Watcher {
    async fn run(mut self, sink: &SubscriptionSink) -> Result<(), RpcError> {
        loop {
            self.tips.borrow_and_update();
            let mut walk = self.walk;
            let (walk, batch) = on_thread(&self.reads, move || {
                let batch = walk.read();
                (walk, batch)
            })
            .await?;
            self.walk = walk;
            let batch = batch?;
            for message in batch.messages {
                if sink.send(message).await.is_err() {
                    return Ok(());
                }
            }
            match batch.rest {
                Rest::Nowhere => {}
                rest => {
                    if !self.wait(rest, sink).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits until there may be more to read, and tells what comes into the pool meanwhile. False if nobody listens.
    async fn wait(&mut self, rest: Rest, sink: &SubscriptionSink) -> Result<bool, RpcError> {
        loop {
            let arrived = tokio::select! {
                moved = self.tips.changed() => return Ok(moved.is_ok()),
                () = tokio::time::sleep(INDEX_LOOK), if rest == Rest::BehindIndex => return Ok(true),
                arrived = next_arrivals(&mut self.arrivals) => arrived,
            };
            let shown = on_thread(&self.reads, self.walk.arrivals(arrived)).await??;
            if let Some(message) = shown
                && sink.send(message).await.is_err()
            {
                return Ok(false);
            }
        }
    }
}

/// The next transactions that came into the pool; never, if they are not asked for. What could not be told in time is
/// left out.
async fn next_arrivals(arrivals: &mut Arrivals) -> Vec<Txid> {
    let Some(events) = arrivals else { return std::future::pending().await };
    let mut arrived = Vec::new();
    while arrived.is_empty() {
        match events.recv().await {
            Ok(LedgerEvent::Admitted { txid, .. }) => arrived.push(txid),
            Ok(LedgerEvent::Tip { .. } | LedgerEvent::Ended { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
    while arrived.len() < ARRIVALS
        && let Ok(LedgerEvent::Admitted { txid, .. }) = events.try_recv()
    {
        arrived.push(txid);
    }
    arrived
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use rota_api::method::Family;

    #[test]
    fn the_table_names_every_subscription_with_its_end_and_its_beginning_and_no_other() {
        let listed: Vec<&str> = Family::Watch.methods().iter().map(|method| method.name).collect();
        let known: Vec<&str> = Kind::ALL.iter().flat_map(|kind| <[&str; 2]>::from(kind.names())).collect();
        assert_eq!(listed, known);
        for kind in Kind::ALL {
            let method = Family::Watch.methods().iter().find(|method| method.name == kind.names().0);
            let from = method.and_then(|method| method.parameters.get(kind.beginning_at()));
            assert_eq!(from.map(|parameter| parameter.name), Some("from"));
        }
    }
}
