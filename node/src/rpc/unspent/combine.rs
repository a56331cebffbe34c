//! Combining: many coins of an address become few, by transactions that pay the address what they spend.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::codec::encoded_length;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::Body;
use serde_json::Value;
use tokio::time::Instant;

use crate::context::Context;
use crate::rpc::payment::{self, Batch, WITNESS_BYTES};
use crate::rpc::resolve::{address, body, submit_body};
use crate::rpc::{Answer, payment::Batching};

/// Most transactions of one call.
const MOST_COMBINES: i64 = 10_000;
/// Longest time of one call in seconds: a connection's patience.
const LONGEST: i64 = 3_600;

/// How to combine.
#[derive(Clone, Copy, Debug)]
pub struct Combining {
    /// Which coins, and how many a transaction.
    pub batch: Batching,
    /// Most transactions.
    pub transactions: usize,
    /// After this no further transaction is begun, the first excepted.
    pub until: Instant,
}

/// Combines the coins of addresses, one transaction after the other; what was sent before an error is told if it is
/// anything.
pub async fn combine(ctx: &Arc<Context>, owners: Vec<Lock>, combining: Combining) -> Result<Vec<Txid>, RpcError> {
    let mut sent = Vec::new();
    for owner in owners {
        while sent.len() < combining.transactions && (sent.is_empty() || Instant::now() < combining.until) {
            match combine_once(ctx, owner, combining.batch).await {
                Ok(Some(txid)) => sent.push(txid),
                Ok(None) => break,
                Err(error) if sent.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(error = error.message, "combining ended early");
                    return Ok(sent);
                }
            }
        }
    }
    Ok(sent)
}

/// One transaction that combines coins of an address, none if there are too few.
async fn combine_once(ctx: &Arc<Context>, owner: Lock, batching: Batching) -> Result<Option<Txid>, RpcError> {
    let worker = Arc::clone(ctx);
    let found = tokio::task::spawn_blocking(move || payment::batch(&worker, owner, batching)).await;
    let Some(batch) = found.map_err(RpcError::internal)?? else { return Ok(None) };
    let Some(body) = combined(ctx, &batch) else { return Ok(None) };
    submit_body(Arc::clone(ctx), body).await.map(Some)
}

/// The body that spends a batch, none if it would not make fewer coins or cannot pay its fee.
fn combined(ctx: &Context, batch: &Batch) -> Option<Body> {
    let mut body = body(ctx, Vec::new(), Vec::new());
    body.inputs.clone_from(&batch.inputs);
    body.last_height = 0;
    body.outputs = payment::together(ctx, batch, Amount::ZERO);
    let fee = payment::fee_of(ctx, encoded_length(&body) + WITNESS_BYTES);
    if fee > Amount::ZERO {
        if batch.total.amount < fee {
            return None;
        }
        body.outputs = payment::together(ctx, batch, fee);
    }
    let fewer = !body.outputs.is_empty() && body.outputs.len() < body.inputs.len();
    fewer.then_some(body)
}

/// A number of the call within its bounds: -8 otherwise.
fn number(params: &Params, index: usize, default: i64, name: &str, least: i64, most: i64) -> Result<i64, RpcError> {
    let number = params.integer_or(index, default)?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    let sentence = format!("Invalid {name}: {number}, should be between {least} and {most}");
    Err(RpcError::parameter(ParameterRule::Range, sentence).got(number).allowed(format!("{least} to {most}")))
}

fn owners(ctx: &Context, params: &Params) -> Result<Vec<Lock>, RpcError> {
    let words = params.text_or(0, "*")?;
    if words == "*" {
        let locks = ctx.wallet.locks().into_iter().map(|info| info.lock);
        return Ok(locks.filter(|lock| ctx.wallet.can_sign(lock)).collect());
    }
    words.split(',').map(|word| address(ctx, word.trim())).collect()
}

/// Answers `combineunspent`.
pub fn combineunspent(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let owners = owners(&ctx, &params)?;
        let most_inputs = i64::try_from(payment::MOST_INPUTS).unwrap_or(i64::MAX);
        let confirmations = number(&params, 1, 1, "minconf", 0, i64::from(u32::MAX))?;
        let transactions = number(&params, 2, 100, "maxcombines", 0, MOST_COMBINES)?;
        let least = number(&params, 3, 2, "mininputs", 2, most_inputs)?;
        let most = number(&params, 4, 100, "maxinputs", least, most_inputs)?;
        let seconds = number(&params, 5, 15, "maxtime", 0, LONGEST)?;
        let combining = Combining {
            batch: Batching {
                confirmations: u32::try_from(confirmations).unwrap_or(u32::MAX),
                least: usize::try_from(least).unwrap_or(2),
                most: usize::try_from(most).unwrap_or(2),
            },
            transactions: usize::try_from(transactions).unwrap_or(0),
            until: Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        };
        let sent = combine(&ctx, owners, combining).await?;
        Ok(sent.iter().map(|txid| Value::from(txid.to_string())).collect())
    })
}
