//! Grants in the form that transactions built by hand have: `{"type": .., "for": .., "startblock": .., ..}`.

use rota_api::error::{Code, RpcError};
use rota_api::params::{as_integer, as_text};
use rota_chain::lock::Lock;
use rota_chain::permission::{BlockRange, Grant};
use rota_consensus::authority;
use serde_json::Value;

use super::{FOR_EVER, height, invalid_permission, rights};
use crate::context::{Context, unix_time};
use crate::rpc::resolve::{state_error, unknown_field};

/// Reads a grant.
///
/// # Errors
/// -8 for a wrong form or an unknown right, -708 for an unknown entity.
pub fn read(ctx: &Context, value: &Value) -> Result<Grant, RpcError> {
    let refused = || RpcError::mistyped(value, "obj", "Invalid permissions, should be object");
    let members = value.as_object().ok_or_else(refused)?;
    let now = u32::try_from(unix_time()).unwrap_or(u32::MAX);
    let (mut words, mut entity) = (None, None);
    let (mut range, mut timestamp) = (BlockRange { start: 0, end: u32::MAX }, now);
    for (name, value) in members {
        match name.as_str() {
            "type" => words = Some(as_text(value)?),
            "for" if value.is_null() => {}
            "for" => entity = Some(as_text(value)?),
            "startblock" => range.start = number(name, value)?,
            "endblock" => range.end = number(name, value)?,
            "timestamp" => timestamp = number(name, value)?,
            other => return Err(unknown_field(other, &["type", "for", "startblock", "endblock", "timestamp"])),
        }
    }
    let words = words.ok_or_else(|| RpcError::missing_field("type"))?;
    if words.contains('.') {
        return Err(invalid_permission(words));
    }
    let text = entity.map_or_else(|| words.to_owned(), |entity| format!("{entity}.{words}"));
    let rights = rights(&ctx.view.read(), &text)?;
    Ok(Grant { entity: rights.entity_id(), permissions: rights.permissions, range, timestamp })
}

fn number(name: &str, value: &Value) -> Result<u32, RpcError> {
    let given = as_integer(value)?;
    height(if given == -1 && name == "endblock" { FOR_EVER } else { given }, name)
}

/// -8 unless an address may make a grant.
///
/// # Errors
/// -8, or -32603 if storage fails.
pub fn check_granter(ctx: &Context, lock: &Lock, grant: &Grant) -> Result<(), RpcError> {
    let view = ctx.view.read();
    let (state, next) = (view.pool.state(), view.pool.place().height);
    for right in grant.permissions.iter() {
        if !authority::may_grant(state, &ctx.rules, grant.entity, right, lock, next).map_err(state_error)? {
            let sentence = "from-address doesn't have admin or activate permission";
            let error = RpcError::new(Code::InvalidParameter, sentence).rule("perm-denied");
            return Err(error.got(ctx.scheme.encode(lock)).allowed("admin or activate"));
        }
    }
    Ok(())
}
