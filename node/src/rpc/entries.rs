//! The entries of a list while it is made. They are shown one after the other, and a list that no reply holds ends where
//! that is known: neither what it is made of nor the whole of it is in memory.

use std::ops::Range;

use rota_api::error::{Code, RpcError};
use serde_json::Value;

use super::http::REPLY_LIMIT;

/// Rows of an index that are read at a time.
const ROWS: u64 = 4_096;

/// Entries that a reply may have room for.
pub struct Entries {
    list: Vec<Value>,
    room: usize,
}

impl Entries {
    /// None yet.
    #[must_use]
    pub const fn new() -> Entries {
        Entries { list: Vec::new(), room: REPLY_LIMIT }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// -8 if no reply holds it with those before.
    pub fn push(&mut self, entry: Value) -> Result<(), RpcError> {
        let room = self.room.checked_sub(least_length(&entry));
        self.room = room.ok_or_else(|| RpcError::new(Code::InvalidParameter, oversize(REPLY_LIMIT)))?;
        self.list.push(entry);
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Vec<Value> {
        self.list
    }
}

impl Default for Entries {
    fn default() -> Entries {
        Entries::new()
    }
}

/// What a caller is told whose reply is too large.
#[must_use]
pub fn oversize(limit: usize) -> String {
    format!("The reply would exceed {limit} bytes: ask for fewer entries at once")
}

/// Positions of a page in steps.
pub fn steps(positions: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = positions.end;
    let step = usize::try_from(ROWS).unwrap_or(usize::MAX);
    positions.step_by(step).map(move |start| start..end.min(start.saturating_add(ROWS)))
}

/// Bytes that a value takes in a reply at the least: a look at it, where writing it down would cost as much again.
fn least_length(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 1,
        Value::String(text) => text.len() + 2,
        // A mark beside each, and one more.
        Value::Array(list) => list.iter().map(|value| least_length(value) + 1).sum::<usize>() + 1,
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + 4 + least_length(value)).sum::<usize>() + 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_that_no_reply_holds_ends_while_it_is_made() {
        let mut entries = Entries { list: Vec::new(), room: 100 };
        let entry = || json!({"data": "00".repeat(20)});
        entries.push(entry()).unwrap();
        let refused = entries.push(entry()).and_then(|()| entries.push(entry())).unwrap_err();
        assert_eq!(refused.code.number(), -8);
        assert!(refused.message.contains("ask for fewer entries"), "{}", refused.message);
        assert_eq!(entries.finish().len(), 1);
    }

    #[test]
    fn what_is_counted_never_exceeds_what_is_written() {
        for value in [
            json!(null),
            json!(true),
            json!(7),
            json!("a\u{1}\"é"),
            json!([]),
            json!({}),
            json!([1, [null, "x"], {}]),
            json!({"a": {"b": [1.5, -2, false]}, "": ""}),
        ] {
            let (counted, written) = (least_length(&value), value.to_string().len());
            assert!(counted <= written, "{value}: {counted} for {written}");
        }
    }

    #[test]
    fn a_page_is_read_in_steps_that_leave_nothing_out() {
        assert_eq!(steps(3..3).count(), 0);
        assert_eq!(steps(3..5).map(|step| (step.start, step.end)).collect::<Vec<_>>(), [(3, 5)]);
        assert_eq!(
            steps(1..2 * ROWS + 2).collect::<Vec<_>>(),
            [1..ROWS + 1, ROWS + 1..2 * ROWS + 1, 2 * ROWS + 1..2 * ROWS + 2]
        );
    }
}
