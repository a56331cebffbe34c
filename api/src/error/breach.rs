//! What an error tells programs beside its code and sentence: the rule that was broken, what was got, what is allowed.
//! The rules of parameters stand here; those of the chain bring their own codes.

use crate::params::type_word;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

macro_rules! parameter_rules {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// Rules that parameters are held against before anything else is asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ParameterRule {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ParameterRule {
            /// All of them, in the order of docs/protocol/rpc.md.
            pub const ALL: &'static [ParameterRule] = &[$(ParameterRule::$variant,)+];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ParameterRule::$variant => $name,)+
                }
            }
        }
    };
}

parameter_rules! {
    /// How many parameters a method takes.
    Count = "parameter-count";
    /// The JSON type.
    Type = "parameter-type";
    /// How a text is written: hexadecimal digits, a reference, a range of blocks.
    Form = "parameter-form";
    /// A number between its least and its most.
    Range = "parameter-range";
    /// How long or how many.
    Size = "parameter-size";
    /// A word out of a closed set.
    Word = "parameter-word";
    /// A member that an object needs.
    Missing = "parameter-missing";
    /// A member that an object does not take.
    Unknown = "parameter-unknown";
    /// A value or member that stands twice, or beside one that it excludes.
    Twice = "parameter-twice";
}

/// The `data` of an error.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Breach {
    /// The stable name of the rule.
    pub rule: Cow<'static, str>,
    /// What was got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<Value>,
    /// What is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Value>,
    /// The help page of the method, after a wrong number of parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Longest text of what was got that an error repeats, in bytes: an id and then some. Longer ones are cut, so that a
/// refusal never grows with what it refuses.
const SHOWN_BYTES: usize = 200;

/// What was got, as an error repeats it: short values as they are, long texts cut, lists and objects by their type.
pub(super) fn shown(got: Value) -> Value {
    match got {
        Value::String(text) if text.len() > SHOWN_BYTES => {
            let mut end = SHOWN_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Value::String(format!("{}...", text.get(..end).unwrap_or_default()))
        }
        list @ (Value::Array(_) | Value::Object(_)) => Value::from(type_word(&list)),
        short => short,
    }
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_BYTES, shown};
    use serde_json::json;

    #[test]
    fn what_was_got_is_repeated_only_as_far_as_it_is_short() {
        assert_eq!(shown(json!(5)), json!(5));
        assert_eq!(shown(json!("abc")), json!("abc"));
        assert_eq!(shown(json!([1, 2])), json!("array"));
        let long = shown(json!("\u{e9}".repeat(10_000)));
        assert_eq!(long.as_str().map(str::len), Some(SHOWN_BYTES + 3));
    }
}
