//! The newest transactions of the wallet or of one address, from the wallet's index, in the order this node saw them.

use rota_api::cursor::{After, Paging};
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::{Page, Params};
use rota_storage::index::party::MINE;
use rota_storage::index::{Order, Selector, StreamReader, Subject};
use serde_json::Value;

use super::note;
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::decode::{Moment, Whose, wallet_transaction};
use crate::rpc::history::Index;
use crate::rpc::resolve::storage_error;

/// Transactions of a list unless the caller says how many.
const LISTED: i64 = 10;
/// Transactions that one call lists at most.
const MAX_LISTED: u64 = 100_000;

/// Which transactions a caller wants, and of whom.
pub struct Wanted {
    /// Whose.
    pub whose: Whose,
    /// The method that lists them.
    pub method: &'static str,
    /// The newest, or those after a token.
    pub which: Which,
    /// Whether inputs and outputs are shown.
    pub verbose: bool,
}

/// Which of the transactions.
pub enum Which {
    /// So many of the newest, less those left out.
    Newest {
        /// How many.
        count: u64,
        /// How many are left out.
        skip: u64,
    },
    /// Those after a token, from the oldest on.
    After(After),
}

impl Which {
    /// `count` and `skip` at two positions: -8 where negative.
    pub fn read(params: &Params, index: usize) -> Result<Which, RpcError> {
        let count = params.integer_or(index, LISTED)?;
        let number = |number: i64, name: &str| {
            let refused = |_| RpcError::parameter(ParameterRule::Range, format!("Negative {name}"));
            u64::try_from(number).map_err(refused).map_err(|error| error.got(number).allowed("0 or more"))
        };
        let given = number(count, "count")?;
        match params.given(index + 1) {
            Some(Value::Object(map)) => After::read(map, count).map(Which::After),
            _ => Ok(Which::Newest { count: given, skip: number(params.integer_or(index + 1, 0)?, "skip")? }),
        }
    }
}

/// Lists transactions of the wallet, oldest first.
pub fn list(ctx: &Context, wanted: Wanted) -> Answer {
    let moment = Moment::settled(ctx)?;
    let Some(reader) = index(&moment)? else {
        return match wanted.which {
            Which::Newest { .. } => Ok(Value::Array(Vec::new())),
            Which::After(_) => Err(RpcError::not_allowed("The wallet has no index yet")),
        };
    };
    let selector = match &wanted.whose {
        Whose::Wallet { watch_only: true } => Selector::All,
        Whose::Wallet { watch_only: false } => Selector::Key(MINE),
        Whose::Address(lock) => Selector::Publisher(lock),
    };
    let paging = match wanted.which {
        Which::After(after) => Paging::After(after),
        Which::Newest { count, skip } => {
            Paging::Page(newest(reader.count(Order::Local, selector).map_err(storage_error)?, count, skip)?)
        }
    };
    let notes = note::all(ctx);
    let index = Index { moment: &moment, reader: &reader, method: wanted.method, order: Order::Local, selector };
    index.answer(
        paging,
        |_| false,
        |known| {
            let mut shown = wallet_transaction(&moment, known, wanted.whose, wanted.verbose)?;
            if let Some(value) = &mut shown {
                note::show(&notes, &known.txid, value);
            }
            Ok(shown)
        },
    )
}

/// The page of so many of the newest of `size` transactions, less those left out.
///
/// # Errors
/// -702 if it has more than [`MAX_LISTED`].
fn newest(size: u64, count: u64, skip: u64) -> Result<Page, RpcError> {
    let end = size.saturating_sub(skip);
    let count = count.min(end);
    if count > MAX_LISTED {
        let advice = r#"a skip of {"after":""} reads on in steps"#;
        let sentence = format!("{count} transactions asked for, at most {MAX_LISTED} are listed at once; {advice}");
        return Err(RpcError::not_supported(sentence).rule("list-size").got(count).allowed(MAX_LISTED));
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Ok(Page { count: number(count), start: number(end - count) })
}

/// The wallet's index, none before there is one.
///
/// # Errors
/// -32603 if storage fails.
pub fn index(moment: &Moment<'_>) -> Result<Option<StreamReader>, RpcError> {
    moment.snapshot.index(Subject::Wallet).map_err(storage_error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn more_transactions_than_a_call_lists_are_refused_however_many_are_asked_for() {
        let ends = |size, count, skip| {
            newest(size, count, skip).map(|page| (page.start, page.count)).map_err(|error| error.code.number())
        };
        assert_eq!(ends(7, 2_147_483_647, 0), Ok((0, 7)));
        assert_eq!(ends(7, 2, 1), Ok((4, 2)));
        assert_eq!(ends(7, 2, 9), Ok((0, 0)));
        assert_eq!(ends(MAX_LISTED, u64::MAX, 0), Ok((0, 100_000)));
        assert_eq!(ends(MAX_LISTED + 1, u64::MAX, 0), Err(-702));
        assert_eq!(ends(MAX_LISTED + 1, u64::MAX, 1), Ok((0, 100_000)));
        assert_eq!(ends(u64::MAX, MAX_LISTED, 5).unwrap().1, 100_000);
    }
}
