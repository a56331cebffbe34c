//! The newest transactions of the wallet or of one address, from the wallet's index, in the order this node saw them.

use rota_api::error::RpcError;
use rota_storage::index::party::MINE;
use rota_storage::index::{Order, Selector, StreamReader, Subject};
use serde_json::Value;

use super::note;
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::decode::{Moment, Whose, wallet_transaction};
use crate::rpc::resolve::storage_error;

/// Transactions that one call lists at most.
const MAX_LISTED: u64 = 100_000;

/// The newest transactions less those left out, oldest first.
pub fn list(ctx: &Context, whose: Whose, count: u64, skip: u64, verbose: bool) -> Answer {
    let moment = Moment::fresh(ctx)?;
    let Some(reader) = index(&moment)? else { return Ok(Value::Array(Vec::new())) };
    let selector = match &whose {
        Whose::Wallet { watch_only: true } => Selector::All,
        Whose::Wallet { watch_only: false } => Selector::Key(MINE),
        Whose::Address(lock) => Selector::Publisher(lock),
    };
    let size = reader.count(Order::Local, selector).map_err(storage_error)?;
    let end = size.saturating_sub(skip);
    let start = end.saturating_sub(count.min(MAX_LISTED));
    let rows = reader.page(Order::Local, selector, start..end).map_err(storage_error)?;
    let notes = note::all(ctx);
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(known) = moment.listed(row)? else { continue };
        if let Some(mut value) = wallet_transaction(&moment, &known, whose, verbose)? {
            note::show(&notes, &known.txid, &mut value);
            shown.push(value);
        }
    }
    Ok(Value::Array(shown))
}

/// The wallet's index, none before there is one.
///
/// # Errors
/// -32603 if storage fails.
pub fn index(moment: &Moment<'_>) -> Result<Option<StreamReader>, RpcError> {
    moment.snapshot.index(Subject::Wallet).map_err(storage_error)
}
