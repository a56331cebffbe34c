//! Data that goes along with a payment, a grant or an exchange: plain data, or an item of a stream.

use std::sync::Arc;

use rota_api::error::RpcError;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_consensus::authority;
use serde_json::Value;

use super::resolve::state_error;
use super::{data, publish};
use crate::context::Context;
use crate::offchain::{Claim, Safe};

/// Data that goes along.
#[derive(Debug)]
pub struct Attached {
    /// Carries it.
    pub operation: Operation,
    /// The stream of an item, if writing there needs permission.
    pub stream: Option<Txid>,
}

/// Reads data as a caller gives it, and the claims of its chunks that are new here: to be held until the transaction is
/// taken, and forgotten if it is refused. This may touch files: it runs on a thread for such work.
///
/// # Errors
/// As [`data::inline`] and [`publish::item`].
pub async fn read(ctx: &Arc<Context>, value: Value) -> Result<(Attached, Safe), RpcError> {
    let worker = Arc::clone(ctx);
    let work = tokio::task::spawn_blocking(move || {
        let (attached, fresh) = read_now(&worker, &value)?;
        let safe = match &attached.operation {
            Operation::Publish(_) => worker.offchain.make_safe(fresh).map_err(publish::offchain_error)?,
            _ => Safe::default(),
        };
        Ok((attached, safe))
    });
    work.await.map_err(RpcError::internal)?
}

/// As [`read`], at once, and without making chunks safe.
///
/// # Errors
/// As [`read`].
pub fn read_now(ctx: &Context, value: &Value) -> Result<(Attached, Vec<Claim>), RpcError> {
    match value {
        Value::Object(members) if members.contains_key("for") => {
            let publish::Item { operation, fresh, stream } = publish::item(ctx, members)?;
            Ok((Attached { operation, stream }, fresh))
        }
        other => {
            let operation = Operation::Data(data::inline(ctx, other)?);
            Ok((Attached { operation, stream: None }, Vec::new()))
        }
    }
}

/// -704 unless an address may write to a stream.
///
/// # Errors
/// -704, or -32603 if storage fails.
pub fn check_writer(ctx: &Context, lock: &Lock, stream: Txid) -> Result<(), RpcError> {
    let view = ctx.view.read();
    let (state, height) = (view.pool.state(), view.pool.place().height);
    if authority::may_on(state, stream, Permission::Write, lock, height).map_err(state_error)? {
        return Ok(());
    }
    Err(cannot_write(ctx, lock))
}

/// -704: an address may not write to a stream.
#[must_use]
pub fn cannot_write(ctx: &Context, lock: &Lock) -> RpcError {
    let error = RpcError::no_permission("Publishing in this stream is not allowed from this address");
    error.rule("stream-write").got(ctx.scheme.encode(lock)).allowed("write")
}
