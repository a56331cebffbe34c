//! appendrawchange: what the inputs hold beyond the outputs goes to an address.

use rota_api::error::{Code, RpcError};
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::codec::encoded_length;
use rota_chain::lock::Lock;
use rota_chain::transaction::{MAX_ASSETS, Output};
use rota_consensus::rules::Rules;
use rota_consensus::state::StateView;
use rota_wallet::select::Holding;

use super::action;
use super::build::Added;
use super::read_transaction;
use super::sign::Previous;
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::amount::{self, Balance};
use crate::rpc::payment::{self, WITNESS_BYTES};
use crate::rpc::resolve::{address, state_error};

/// Bytes that the outputs of change take at most, without assets.
const CHANGE_BYTES: usize = 128;

/// Answers appendrawchange.
pub(super) fn append_change(ctx: &Context, params: &Params) -> Answer {
    let mut tx = read_transaction(ctx, params.text(0)?)?;
    let to = address(ctx, params.text(1)?)?;
    let fee = match params.given(2) {
        Some(value) => amount::native(ctx, value)?,
        None => {
            let signatures = tx.body.inputs.len() + tx.body.authors.len();
            payment::fee_of(ctx, encoded_length(&tx.body) + CHANGE_BYTES + signatures * WITNESS_BYTES)
        }
    };
    let mut balance = Balance::default();
    {
        let view = ctx.view.read();
        for input in &tx.body.inputs {
            let outpoint = input.outpoint;
            let coin = view.pool.state().coin(outpoint).map_err(state_error)?.ok_or_else(|| {
                let sentence = format!("Output {} of {} is not found or spent", outpoint.index, outpoint.txid);
                RpcError::new(Code::OutputNotFound, sentence).rule("coin-missing").got(outpoint.to_string())
            })?;
            balance.count(1, coin.amount, &coin.assets);
        }
    }
    balance.pay(&tx.body.outputs);
    balance.count(-1, fee, &[]);
    if !balance.side(-1)?.is_empty() {
        return Err(RpcError::new(Code::InsufficientFunds, "Insufficient funds: the outputs exceed the inputs."));
    }
    let outputs = change(&ctx.rules, &balance.side(1)?, to);
    Added { outputs, ..Added::default() }.to(ctx, &mut tx, &Previous::default())?;
    Ok(action::text(&tx))
}

/// The outputs that take change: assets first, then native currency. What no output may hold is left to the miner.
fn change(rules: &Rules, change: &Holding, to: Lock) -> Vec<Output> {
    let mut outputs = Vec::new();
    for assets in change.quantities().chunks(MAX_ASSETS as usize) {
        outputs.push(Output { assets: assets.to_vec(), ..Output::payment(to, Amount::ZERO) });
    }
    let mut left = change.amount.0;
    while left > 0 && left >= rules.minimum_per_output {
        let paid = left.min(rules.maximum_per_output.max(1));
        outputs.push(Output::payment(to, Amount(paid)));
        left -= paid;
    }
    outputs
}
