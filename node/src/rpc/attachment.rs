//! Data that goes along with a payment, a grant or an exchange: plain data, or an item of a stream.

use std::sync::Arc;

use rota_api::error::RpcError;
use rota_chain::hash::{ChunkHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_consensus::authority;
use serde_json::Value;

use super::resolve::state_error;
use super::{data, publish};
use crate::context::Context;

/// Data that goes along.
#[derive(Debug)]
pub struct Attached {
    /// Carries it.
    pub operation: Operation,
    /// Chunks of an item that are new here: to be forgotten if the transaction is refused.
    pub fresh: Vec<ChunkHash>,
    /// The stream of an item, if writing there needs permission.
    pub stream: Option<Txid>,
}

/// Reads data as a caller gives it. This may touch files: it runs on a thread for such work.
///
/// # Errors
/// As [`data::inline`] and [`publish::item`].
pub async fn read(ctx: &Arc<Context>, value: Value) -> Result<Attached, RpcError> {
    let worker = Arc::clone(ctx);
    let work = tokio::task::spawn_blocking(move || read_now(&worker, &value));
    work.await.map_err(RpcError::internal)?
}

/// As [`read`], at once.
///
/// # Errors
/// As [`read`].
pub fn read_now(ctx: &Context, value: &Value) -> Result<Attached, RpcError> {
    match value {
        Value::Object(members) if members.contains_key("for") => {
            let publish::Item { operation, fresh, stream } = publish::item(ctx, members)?;
            Ok(Attached { operation, fresh, stream })
        }
        other => {
            let operation = Operation::Data(data::inline(ctx, other)?);
            Ok(Attached { operation, fresh: Vec::new(), stream: None })
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
    Err(RpcError::no_permission("Publishing in this stream is not allowed from this address"))
}
