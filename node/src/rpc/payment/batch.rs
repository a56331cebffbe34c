//! Batches of coins of one address that are to be combined.

use rota_api::error::RpcError;
use rota_chain::amount::Amount;
use rota_chain::lock::Lock;
use rota_chain::transaction::{Coverage, Input, MAX_ASSETS, OutPoint, Output};
use rota_consensus::state::Coin;
use rota_storage::OwnedCoin;
use rota_wallet::select::Holding;

use super::{Choosing, Purse, Search, change, most_inputs, units};
use crate::coin::Reservation;
use crate::context::Context;
use crate::rpc::resolve::storage_error;

/// Which coins to combine, and how many at once.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Least confirmations of a coin.
    pub confirmations: u32,
    /// Least coins of a batch.
    pub least: usize,
    /// Most coins of a batch.
    pub most: usize,
}

/// Coins of one address, reserved.
#[derive(Debug)]
pub struct Batch {
    /// Whose they are.
    pub owner: Lock,
    /// Spends them, covered in full.
    pub inputs: Vec<Input>,
    /// What they hold together.
    pub total: Holding,
    /// Keeps others from the coins while it is held.
    pub reservation: Reservation,
}

/// The next coins of an address to combine, none if there are too few that may be spent.
pub fn batch(ctx: &Context, owner: Lock, batching: Batching) -> Result<Option<Batch>, RpcError> {
    if !ctx.wallet.can_sign(&owner) {
        return Ok(None);
    }
    let choosing = Choosing { confirmations: batching.confirmations, ..Choosing::default() };
    let search = Search::new(Purse::of(ctx), vec![owner], choosing);
    let coins = search.spendable(&owner, batching.most.min(most_inputs(&ctx.rules)))?;
    if coins.len() < batching.least {
        return Ok(None);
    }
    let mut total = Holding::default();
    for (_, coin) in &coins {
        let fits = total.add_amount(coin.amount)
            && units(coin).into_iter().all(|(unit, quantity)| total.add_asset(unit, quantity));
        if !fits {
            return Ok(None);
        }
    }
    let names: Vec<OutPoint> = coins.iter().map(|(outpoint, _)| *outpoint).collect();
    let inputs = names.iter().map(|outpoint| Input { outpoint: *outpoint, coverage: Coverage::Full }).collect();
    let Some(reservation) = ctx.coins.reserve(names) else { return Ok(None) };
    Ok(Some(Batch { owner, inputs, total, reservation }))
}

/// The outputs that hold what a batch holds, less a fee: one, if it has room for all.
#[must_use]
pub fn together(ctx: &Context, batch: &Batch, fee: Amount) -> Vec<Output> {
    let mut total = batch.total.clone();
    total.amount = Amount(total.amount.0.saturating_sub(fee.0));
    let fits = total.amount.0 <= ctx.rules.maximum_per_output && total.assets.len() <= MAX_ASSETS as usize;
    let enough = total.amount == Amount::ZERO || total.amount.0 >= ctx.rules.minimum_per_output;
    if fits && enough {
        let assets = total.quantities();
        return vec![Output { assets, ..Output::payment(batch.owner, total.amount) }];
    }
    change::outputs(&ctx.rules, &[], &total, Some(batch.owner)).0
}

impl Search<'_> {
    /// Up to `limit` coins of an address that may be spent.
    fn spendable(&self, owner: &Lock, limit: usize) -> Result<Vec<(OutPoint, Coin)>, RpcError> {
        let (mut judge, mut coins, mut failed) = (super::Judge::new(self.purse, self.height), Vec::new(), None);
        let take = |outpoint, owned: OwnedCoin, origin| {
            if self.is_deep(&owned.coin, origin) {
                match self.candidate(&mut judge, outpoint, &owned, origin) {
                    Ok(candidate) if candidate.hindrance.is_none() => coins.push((outpoint, owned.coin)),
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
            }
            coins.len() < limit && failed.is_none()
        };
        self.coins.for_each(owner, take).map_err(storage_error)?;
        failed.map_or(Ok(coins), Err)
    }
}
