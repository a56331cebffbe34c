//! Strict reading of JSON that ends up on the chain: members keep their order, a duplicate member is refused,
//! nesting and, for callers, the number of values are bounded. Numbers follow serde_json: integers within i64 and u64
//! exact, others as f64.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// Deepest nesting of a JSON item: what the protocol allows in stream data and details.
pub const ITEM_DEPTH_LIMIT: usize = 100;

/// Deepest nesting of a whole request body: an item, plus the batch, the request, its parameters and at most
/// five levels that calls such as `publishmulti` and `createrawsendfrom` put around an item.
pub const BODY_DEPTH_LIMIT: usize = ITEM_DEPTH_LIMIT + 8;

/// Most values in the parameters of a request, arrays and objects included, members of an object one each. Kept in memory a
/// value takes up to 200 bytes where its text has two or three, so that this many take 200 MB; calls need a tenth of them.
pub const BODY_VALUE_LIMIT: usize = 1_000_000;

/// Why a JSON text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// An object has two members of one name.
    #[error("duplicate member \"{0}\" in a JSON object")]
    DuplicateMember(String),
    /// Arrays and objects nest too deeply.
    #[error("JSON nested deeper than {0} levels")]
    TooDeep(usize),
    /// There are too many values.
    #[error("JSON of more than the limit of {0} values")]
    TooManyValues(usize),
}

/// Reads one JSON value, at most `depth_limit` arrays and objects inside each other.
pub fn parse_strict(text: &str, depth_limit: usize) -> Result<Value, JsonFault> {
    parse_bounded(text, depth_limit, usize::MAX)
}

/// Reads one JSON value as [`parse_strict`] does, at most `value_limit` values in all. What is beyond is not read.
pub fn parse_bounded(text: &str, depth_limit: usize, value_limit: usize) -> Result<Value, JsonFault> {
    let (fault, values) = (Cell::new(None), Cell::new(value_limit));
    let mut reader = serde_json::Deserializer::from_str(text);
    let strict = Strict { left: depth_limit, limit: depth_limit, values: &values, value_limit, fault: &fault };
    let parsed = strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| fault.take().unwrap_or_else(|| JsonFault::Syntax(error.to_string())))
}

/// Whether no more than `limit` arrays and objects are open at once anywhere in a JSON text. Iterative, so
/// that hostile nesting costs no stack; says nothing about validity otherwise.
#[must_use]
pub fn depth_within(text: &[u8], limit: usize) -> bool {
    if text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= limit {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return false;
        }
    }
    true
}

#[derive(Clone, Copy)]
struct Strict<'f> {
    left: usize,
    limit: usize,
    /// Values that may still come.
    values: &'f Cell<usize>,
    value_limit: usize,
    fault: &'f Cell<Option<JsonFault>>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => {
                self.fault.set(Some(JsonFault::TooDeep(self.limit)));
                Err(E::custom("too deep"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(values) = self.values.get().checked_sub(1) else {
            self.fault.set(Some(JsonFault::TooManyValues(self.value_limit)));
            return Err(D::Error::custom("too many values"));
        };
        self.values.set(values);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(value) = members.next_element_seed(inner)? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                self.fault.set(Some(JsonFault::DuplicateMember(name)));
                return Err(A::Error::custom("duplicate member"));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{JsonFault, depth_within, parse_bounded, parse_strict};

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn a_number_of_many_digits_is_read_as_the_nearest_there_is() {
        for text in [
            "92233720368547758084092233720368547758084",
            "0.000123456789012345678901234567890",
            "1.7976931348623157e308",
        ] {
            let nearest: f64 = text.parse().unwrap();
            assert_eq!(parse_strict(text, 1).unwrap().as_f64(), Some(nearest), "{text}");
        }
    }

    #[test]
    fn values_keep_member_order_and_exact_integers() {
        for text in [r#"{"z":1,"a":[true,null,1.5,"é"],"b":{}}"#, "18446744073709551615", "-9223372036854775808", "1e3"]
        {
            let parsed = parse_strict(text, 100).unwrap();
            assert_eq!(parsed, serde_json::from_str::<serde_json::Value>(text).unwrap());
        }
        assert_eq!(parse_strict(r#"{"z":1,"a":2}"#, 1).unwrap().to_string(), r#"{"z":1,"a":2}"#);
    }

    #[test]
    fn a_duplicate_member_is_refused_by_name_at_any_depth() {
        let fault = parse_strict(r#"[{"x":{"a":1,"b":2,"a":3}}]"#, 100).unwrap_err();
        assert_eq!(fault, JsonFault::DuplicateMember("a".into()));
    }

    #[test]
    fn nesting_is_taken_up_to_the_limit_and_refused_beyond() {
        assert!(parse_strict(&nested(100), 100).is_ok());
        assert_eq!(parse_strict(&nested(101), 100).unwrap_err(), JsonFault::TooDeep(100));
        assert!(depth_within(nested(100).as_bytes(), 100));
        assert!(!depth_within(nested(101).as_bytes(), 100));
        assert!(!depth_within("[".repeat(5_000_000).as_bytes(), 100));
    }

    #[test]
    fn values_are_counted_at_any_depth_and_taken_up_to_the_limit() {
        for text in ["[1,[2],{\"a\":3}]", "[[[[[0]]]]]", "[null,\"x\",true,{},[]]"] {
            assert!(parse_bounded(text, 100, 6).is_ok(), "{text}");
            assert_eq!(parse_bounded(text, 100, 5).unwrap_err(), JsonFault::TooManyValues(5), "{text}");
            assert!(parse_strict(text, 100).is_ok(), "{text}");
        }
    }

    #[test]
    fn values_beyond_the_limit_are_not_looked_at() {
        assert_eq!(parse_bounded("[1,2,3,4 and no JSON", 100, 3).unwrap_err(), JsonFault::TooManyValues(3));
    }

    #[test]
    fn brackets_inside_strings_and_side_by_side_do_not_count_as_depth() {
        assert!(depth_within(br#"["[[[[","a\"[[[",[],[],[],{}]"#, 2));
    }

    #[test]
    fn text_that_is_not_json_or_goes_on_is_refused() {
        for text in ["", "{", "[1,]", "nul", "1 2", "\"\u{1}\"", "01"] {
            assert!(matches!(parse_strict(text, 100), Err(JsonFault::Syntax(_))), "{text}");
        }
    }
}
