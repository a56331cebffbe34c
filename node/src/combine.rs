//! Automatic combining: at every new tip, addresses of this wallet with many coins get few instead (`autocombine*`). It
//! rests for a while after a caller looked at coins, who may be about to name some as inputs.

use std::sync::Arc;
use std::time::Duration;

use rota_chain::hash::BlockHash;
use rota_chain::lock::Lock;
use rota_params::runtime::Autocombine;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::context::Context;
use crate::rpc::payment::Batching;
use crate::rpc::unspent::combine::{Combining, combine};

/// Longest time that one round begins transactions in.
const ROUND: Duration = Duration::from_secs(15);
/// Most transactions of a round, whatever `autocombinemaxtxs` says: a round leaves the pool to others.
const MOST_TRANSACTIONS: u32 = 100;

/// Combines until the node stops.
pub async fn run(ctx: Arc<Context>, mut shutdown: watch::Receiver<bool>) {
    let mut done: Option<BlockHash> = None;
    while !*shutdown.borrow() {
        let settings = ctx.settings().autocombine;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(u64::from(settings.delay.max(1)))) => {}
            _ = shutdown.changed() => continue,
        }
        let tip = ctx.view.tip().hash;
        if done == Some(tip) || !is_due(&ctx, settings) {
            continue;
        }
        done = Some(tip);
        round(&ctx, settings).await;
    }
}

/// Whether a round may begin: it is not switched off, and nobody looked at coins just now.
fn is_due(ctx: &Context, settings: Autocombine) -> bool {
    let suspend = Duration::from_secs(u64::from(settings.suspend));
    let looked_at = ctx.coins.looked_at().is_some_and(|at| at.elapsed() < suspend);
    settings.min_inputs >= 2 && settings.max_inputs >= settings.min_inputs && settings.max_txs > 0 && !looked_at
}

async fn round(ctx: &Arc<Context>, settings: Autocombine) {
    let combining = Combining {
        batch: Batching {
            confirmations: settings.min_conf,
            least: usize::try_from(settings.min_inputs).unwrap_or(usize::MAX),
            most: usize::try_from(settings.max_inputs).unwrap_or(usize::MAX),
        },
        transactions: usize::try_from(settings.max_txs.min(MOST_TRANSACTIONS)).unwrap_or(1),
        until: Instant::now() + ROUND,
    };
    let owners: Vec<Lock> = ctx.wallet.locks().into_iter().map(|info| info.lock).collect();
    match combine(ctx, owners, combining).await {
        Ok(sent) if sent.is_empty() => {}
        Ok(sent) => tracing::info!(transactions = sent.len(), "coins were combined"),
        Err(error) => tracing::debug!(error = error.message, "coins were not combined"),
    }
}
