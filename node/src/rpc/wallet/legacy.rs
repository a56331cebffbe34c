//! Calls of old clients that concern accounts, fees and assets: those this version can answer.

use rota_api::error::{EntityKind as Wanted, RpcError};
use rota_api::params::Params;
use serde_json::Value;

use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::resolve::entity_in;

/// Fees are not estimated: they are due only where a chain says so.
pub fn no_estimate(_ctx: &Context, params: &Params) -> Answer {
    params.integer(0)?;
    Ok(Value::from(-1))
}

/// -702.
pub fn no_accounts(_ctx: &Context, _params: &Params) -> Answer {
    Err(crate::rpc::address::no_accounts())
}

/// Looks an asset up: -708 if there is none.
pub fn named_asset(ctx: &Context, params: &Params) -> Answer {
    entity_in(&ctx.view.read(), params.text(0)?, Wanted::Asset)?;
    Err(unavailable())
}

fn unavailable() -> RpcError {
    RpcError::not_supported("Listing transactions of assets is not available in this version")
}
