//! Calls of old clients that concern accounts, fees and assets: those this version can answer.

use rota_api::params::Params;
use serde_json::Value;

use crate::context::Context;
use crate::rpc::Answer;

/// Fees are not estimated: they are due only where a chain says so.
pub fn no_estimate(_ctx: &Context, params: &Params) -> Answer {
    params.integer(0)?;
    Ok(Value::from(-1))
}

/// -702.
pub fn no_accounts(_ctx: &Context, _params: &Params) -> Answer {
    Err(crate::rpc::address::no_accounts())
}

/// Sets the fee that transactions of this wallet leave to the miner for every 1,000 bytes begun.
pub fn settxfee(ctx: &Context, params: &Params) -> Answer {
    ctx.coins.set_fee_rate(crate::rpc::amount::native(ctx, params.value(0))?);
    Ok(Value::from(true))
}
