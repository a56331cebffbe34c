//! How a caller reads a list on from where it stopped: `{"after":TOKEN}` in the place of an offset, and the form of
//! the answer. What a token holds is the node's business.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{ParameterRule, RpcError};
use crate::params::Page;

/// Most entries of one page by cursor; a larger `count` gives this many. With items at the default of `maxshowndata`
/// a page then stays within the limit of a reply in all but the worst case.
pub const MAX_CURSOR_PAGE: u64 = 10_000;

/// Longest token that is looked at, in characters: those that nodes give have at most half of it.
pub const MAX_TOKEN: usize = 160;

/// Which entries of a list a caller asked for, in either form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// By offset: the answer is the entries.
    Page(Page),
    /// By cursor: the answer is a [`CursorPage`].
    After(After),
}

/// The entries that follow a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// At most this many, within [`MAX_CURSOR_PAGE`].
    pub count: u64,
    /// From an earlier answer; empty for the beginning of the list.
    pub token: String,
}

impl After {
    /// Reads `{"after":TOKEN}`, where null stands for the beginning; anything else is -8.
    pub fn read(map: &Map<String, Value>, count: i64) -> Result<After, RpcError> {
        let malformed = || {
            let sentence = r#"Invalid start, expected an integer or {"after":TOKEN}"#;
            RpcError::parameter(ParameterRule::Form, sentence).allowed(r#"{"after":TOKEN}"#)
        };
        let token = match (map.get("after"), map.len()) {
            (Some(Value::Null), 1) => String::new(),
            (Some(Value::String(token)), 1) => token.clone(),
            _ => return Err(malformed()),
        };
        if token.len() > MAX_TOKEN {
            let length = token.len();
            let sentence = format!("Invalid cursor: {length} characters, at most {MAX_TOKEN}");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(length).allowed(MAX_TOKEN));
        }
        Ok(After { count: u64::try_from(count).unwrap_or(0).min(MAX_CURSOR_PAGE), token })
    }
}

/// One page of a list that is read by cursor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CursorPage {
    /// The entries in ascending order, each as it stands in the list that is read by offset.
    pub entries: Vec<Value>,
    /// What to ask for next: the entries that follow these.
    pub after: String,
    /// Whether there are some already.
    pub more: bool,
    /// Where blocks that the caller's token stood on have left the chain: entries above this height may come again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewound: Option<i64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::{After, MAX_CURSOR_PAGE, MAX_TOKEN};

    fn read(value: serde_json::Value, count: i64) -> Result<After, (i32, String)> {
        let read = After::read(value.as_object().unwrap(), count);
        read.map_err(|error| (error.code.number(), error.message))
    }

    #[test]
    fn null_and_the_empty_text_stand_for_the_beginning() {
        let beginning = After { count: 7, token: String::new() };
        assert_eq!(read(json!({"after": null}), 7), Ok(beginning.clone()));
        assert_eq!(read(json!({"after": ""}), 7), Ok(beginning));
        assert_eq!(read(json!({"after": "abc"}), 0), Ok(After { count: 0, token: "abc".into() }));
    }

    #[test]
    fn a_page_never_exceeds_the_limit_whatever_count_says() {
        assert_eq!(read(json!({"after": ""}), i64::MAX).unwrap().count, MAX_CURSOR_PAGE);
        assert_eq!(read(json!({"after": ""}), -1).unwrap().count, 0);
    }

    #[test]
    fn another_object_and_a_token_beyond_the_limit_are_refused() {
        for wrong in [json!({}), json!({"after": 1}), json!({"before": ""}), json!({"after": "", "x": 1})] {
            assert_eq!(read(wrong, 1).unwrap_err().0, -8);
        }
        assert!(read(json!({"after": "a".repeat(MAX_TOKEN)}), 1).is_ok());
        let (code, message) = read(json!({"after": "a".repeat(MAX_TOKEN + 1)}), 1).unwrap_err();
        assert_eq!((code, message.as_str()), (-8, "Invalid cursor: 161 characters, at most 160"));
    }
}
