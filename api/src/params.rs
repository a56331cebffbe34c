//! Reads the positional parameters of a call with the old API's strictness: which wrong type is -1 and which
//! -8, how lists and pages are given, what null means. No method's own rules live here.

use crate::cursor::{After, Paging};
use crate::error::{Code, ParameterRule, RpcError};
use crate::json::{BODY_DEPTH_LIMIT, BODY_VALUE_LIMIT, JsonFault, parse_bounded};
use crate::method::Method;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::ops::Range;

/// The `count` that stands for "all": clients send it literally.
pub const ALL_ENTRIES: i64 = 2_147_483_647;

/// The short word for a JSON value's type in error texts: null, bool, int, real, str, array, obj.
#[must_use]
pub fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "real",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "array",
        Value::Object(_) => "obj",
    }
}

/// Which entries of an ascending list a caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most this many, never negative.
    pub count: i64,
    /// Offset from the beginning, or from the end where negative.
    pub start: i64,
}

impl Page {
    /// The page that holds everything.
    pub const ALL: Page = Page { count: ALL_ENTRIES, start: -ALL_ENTRIES };

    /// The indexes of a list of `size` entries that belong to the page; empty if it lies outside.
    #[must_use]
    pub fn window(self, size: u64) -> Range<u64> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let count = self.count.clamp(0, size);
        let start = if self.start < 0 { self.start.saturating_add(size).max(0) } else { self.start.min(size) };
        let end = start.saturating_add(count).min(size);
        start.unsigned_abs()..end.unsigned_abs()
    }
}

/// What a caller asks for of a list that can tell its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The number of entries alone.
    Number,
    /// Entries.
    Brief,
    /// Entries with all that is known of each.
    Verbose,
}

/// A list parameter where `*` or nothing stands for every entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// These, in the caller's order, without duplicates.
    These(Vec<String>),
}

/// The positional parameters of one call. Index 0 is the first. Null counts as given where a parameter is
/// required and as left out where it has a default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    values: Vec<Value>,
}

impl Params {
    /// Wraps values that are parsed already.
    #[must_use]
    pub fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// Reads the raw `params` member: an array; null or nothing is the empty list. A duplicate object member is
    /// -8 (which of the two was meant?), as are more than [`BODY_VALUE_LIMIT`] values, another structure -32600.
    pub fn parse(text: Option<&str>) -> Result<Self, RpcError> {
        let text = text.map_or("", str::trim);
        if matches!(text, "" | "null" | "[]") {
            return Ok(Self::default());
        }
        match parse_bounded(text, BODY_DEPTH_LIMIT, BODY_VALUE_LIMIT) {
            Ok(Value::Array(values)) => Ok(Self { values }),
            Ok(_) => Err(RpcError::new(Code::InvalidRequest, "Params must be an array")),
            Err(JsonFault::DuplicateMember(name)) => {
                let sentence = JsonFault::DuplicateMember(name.clone()).to_string();
                Err(RpcError::parameter(ParameterRule::Twice, sentence).got(name))
            }
            Err(JsonFault::TooManyValues(limit)) => {
                let sentence = format!("Parameters of more than the limit of {limit} values");
                Err(RpcError::parameter(ParameterRule::Size, sentence).allowed(limit))
            }
            Err(fault @ (JsonFault::Syntax(_) | JsonFault::TooDeep(_))) => {
                Err(RpcError::new(Code::ParseError, fault.to_string()))
            }
        }
    }

    /// Reads the raw `params` member for a method and checks how many there are: -1 with the help in `data`.
    pub fn for_method(method: &Method, text: Option<&str>) -> Result<Self, RpcError> {
        let params = Self::parse(text)?;
        method.check_count(params.len())?;
        Ok(params)
    }

    /// How many parameters were given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether none was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at this position as it came.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }

    /// Whether a value other than null was given.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.given(index).is_some()
    }

    /// The value at this position, null and nothing being the same.
    #[must_use]
    pub fn given(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|value| !value.is_null())
    }

    /// All values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All values, taken out.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The value at this position, null if there is none: what a required parameter is read from.
    #[must_use]
    pub fn value(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Null)
    }

    /// A required string; another type is -1.
    pub fn text(&self, index: usize) -> Result<&str, RpcError> {
        as_text(self.value(index))
    }

    /// An optional string; another type is -1.
    pub fn text_or<'a>(&'a self, index: usize, default: &'a str) -> Result<&'a str, RpcError> {
        self.given(index).map_or(Ok(default), as_text)
    }

    /// A required integer. Only JSON integers count: 1.0 is -1.
    pub fn integer(&self, index: usize) -> Result<i64, RpcError> {
        as_integer(self.value(index))
    }

    /// An optional integer; another type is -1.
    pub fn integer_or(&self, index: usize, default: i64) -> Result<i64, RpcError> {
        self.given(index).map_or(Ok(default), as_integer)
    }

    /// A required real; integers are taken too, another type is -1.
    pub fn real(&self, index: usize) -> Result<f64, RpcError> {
        as_real(self.value(index))
    }

    /// An optional real; another type is -1.
    pub fn real_or(&self, index: usize, default: f64) -> Result<f64, RpcError> {
        self.given(index).map_or(Ok(default), as_real)
    }

    /// A required boolean; another type is -1.
    pub fn boolean(&self, index: usize) -> Result<bool, RpcError> {
        as_boolean(self.value(index))
    }

    /// An optional boolean; another type is -1.
    pub fn boolean_or(&self, index: usize, default: bool) -> Result<bool, RpcError> {
        self.given(index).map_or(Ok(default), as_boolean)
    }

    /// An optional switch such as `verbose`, false by default: a real JSON boolean or -8.
    pub fn switch(&self, index: usize, name: &str) -> Result<bool, RpcError> {
        match self.given(index) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => {
                let sentence = format!("Invalid value for '{name}' parameter, should be boolean");
                Err(RpcError::parameter(ParameterRule::Type, sentence).got(type_word(other)).allowed("bool"))
            }
        }
    }

    /// The usual `verbose` switch.
    pub fn verbose(&self, index: usize) -> Result<bool, RpcError> {
        self.switch(index, "verbose")
    }

    /// The `verbose` switch of a list that can tell its length: `-` stands for that, another text is -8.
    pub fn detail(&self, index: usize) -> Result<Detail, RpcError> {
        if self.given(index).is_some_and(|value| value == "-") {
            return Ok(Detail::Number);
        }
        Ok(if self.verbose(index)? { Detail::Verbose } else { Detail::Brief })
    }

    /// A verbosity level given as boolean or integer from 0 to `highest`; -8 outside, -1 on another type.
    pub fn level(&self, index: usize, default: i64, highest: i64) -> Result<i64, RpcError> {
        let level = match self.given(index) {
            None => default,
            Some(Value::Bool(value)) => i64::from(*value),
            Some(other) => as_integer(other)?,
        };
        if (0..=highest).contains(&level) {
            return Ok(level);
        }
        let error = RpcError::parameter(ParameterRule::Range, "verbose out of range");
        Err(error.got(level).allowed(format!("0 to {highest}")))
    }

    /// An optional `count`: a JSON integer of at least 0, or -8.
    pub fn count(&self, index: usize, default: i64) -> Result<i64, RpcError> {
        let Some(given) = self.given(index) else { return Ok(default) };
        match given.as_i64() {
            Some(count) if count >= 0 => Ok(count),
            Some(count) => {
                Err(RpcError::parameter(ParameterRule::Range, "Invalid count").got(count).allowed("0 or more"))
            }
            None => Err(RpcError::parameter(ParameterRule::Type, "Invalid count").got(type_word(given)).allowed("int")),
        }
    }

    /// `count` and `start` at two positions. Left out, `start` is minus `count`, so that the last entries come; an
    /// object reads on by cursor.
    pub fn paging(&self, count_at: usize, start_at: usize, default_count: i64) -> Result<Paging, RpcError> {
        let count = self.count(count_at, default_count)?;
        let start = match self.given(start_at) {
            None => count.saturating_neg(),
            Some(Value::Object(map)) => return After::read(map, count).map(Paging::After),
            Some(other) => {
                let wrong = || RpcError::parameter(ParameterRule::Type, "Invalid start");
                other.as_i64().ok_or_else(|| wrong().got(type_word(other)).allowed("int or obj"))?
            }
        };
        Ok(Paging::Page(Page { count, start }))
    }

    /// A required list: an array of strings or integers, or one string split at commas. Another type or a
    /// duplicate is -8.
    pub fn list(&self, index: usize) -> Result<Vec<String>, RpcError> {
        match self.value(index) {
            Value::String(text) if text.is_empty() => Ok(Vec::new()),
            Value::String(text) => without_duplicates(text.split(',').map(str::to_owned).collect()),
            Value::Array(members) => without_duplicates(members.iter().map(list_member).collect::<Result<_, _>>()?),
            other => Err(expected_string_or_array(other)),
        }
    }

    /// A required list of secrets: as [`Params::list`], but a refusal repeats none of them.
    pub fn secrets(&self, index: usize) -> Result<Vec<String>, RpcError> {
        self.list(index).map_err(|error| match error.data().rule.as_ref() == ParameterRule::Twice.name() {
            true => RpcError::parameter(ParameterRule::Twice, "Invalid parameter, duplicate value"),
            false => error,
        })
    }

    /// A required list of identifiers: as [`Params::list`], but a plain string is one identifier, never split.
    pub fn identifiers(&self, index: usize) -> Result<Vec<String>, RpcError> {
        match self.value(index) {
            Value::String(text) => Ok(vec![text.clone()]),
            Value::Array(_) => self.list(index),
            other => Err(expected_string_or_array(other)),
        }
    }

    /// An optional list in which nothing or `*` selects everything.
    pub fn selection(&self, index: usize) -> Result<Selection, RpcError> {
        self.select(index, Self::list)
    }

    /// An optional list of identifiers in which nothing or `*` selects everything.
    pub fn identifier_selection(&self, index: usize) -> Result<Selection, RpcError> {
        self.select(index, Self::identifiers)
    }

    fn select(
        &self,
        index: usize,
        read: impl Fn(&Self, usize) -> Result<Vec<String>, RpcError>,
    ) -> Result<Selection, RpcError> {
        match self.given(index) {
            None => Ok(Selection::All),
            Some(Value::String(text)) if text == "*" => Ok(Selection::All),
            Some(_) => read(self, index).map(Selection::These),
        }
    }

    /// A required array; another type is -1.
    pub fn array(&self, index: usize) -> Result<&[Value], RpcError> {
        let value = self.value(index);
        value.as_array().map(Vec::as_slice).ok_or_else(|| RpcError::wrong_type(type_word(value), "array"))
    }

    /// A required object; another type is -1.
    pub fn object(&self, index: usize) -> Result<&Map<String, Value>, RpcError> {
        let value = self.value(index);
        value.as_object().ok_or_else(|| RpcError::wrong_type(type_word(value), "obj"))
    }

    /// A required string of exactly `digits` hexadecimal digits, such as a transaction id (64); anything else,
    /// other types included, is -8. `name` says which parameter it was.
    pub fn hex(&self, index: usize, digits: usize, name: &str) -> Result<&str, RpcError> {
        let text = self.value(index).as_str().unwrap_or_default();
        let broken = |sentence: String| {
            let error = RpcError::parameter(ParameterRule::Form, sentence);
            error.got(self.value(index).clone()).allowed(format!("{digits} hexadecimal digits"))
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(broken(format!("{name} must be hexadecimal string (not '{text}')")));
        }
        if text.len() != digits {
            return Err(broken(format!("{name} must have {digits} hexadecimal digits, has {}", text.len())));
        }
        Ok(text)
    }
}

/// A string, or -1.
pub fn as_text(value: &Value) -> Result<&str, RpcError> {
    value.as_str().ok_or_else(|| RpcError::wrong_type(type_word(value), "str"))
}

/// A JSON integer within 64 bits, or -1.
pub fn as_integer(value: &Value) -> Result<i64, RpcError> {
    value.as_i64().ok_or_else(|| match value.is_u64() {
        true => RpcError::parameter(ParameterRule::Range, format!("integer out of range: {value}"))
            .got(value.clone())
            .allowed(format!("{} to {}", i64::MIN, i64::MAX)),
        false => RpcError::wrong_type(type_word(value), "int"),
    })
}

/// A JSON number, or -1.
pub fn as_real(value: &Value) -> Result<f64, RpcError> {
    value.as_f64().ok_or_else(|| RpcError::wrong_type(type_word(value), "real"))
}

/// A JSON boolean, or -1.
pub fn as_boolean(value: &Value) -> Result<bool, RpcError> {
    value.as_bool().ok_or_else(|| RpcError::wrong_type(type_word(value), "bool"))
}

/// One member of a list: a string, or an integer as its digits; -8 otherwise.
fn list_member(value: &Value) -> Result<String, RpcError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => {
            let error = RpcError::parameter(ParameterRule::Type, "Invalid value, expected string");
            Err(error.got(type_word(other)).allowed("str"))
        }
    }
}

/// The list itself if no value occurs twice, else -8.
pub fn without_duplicates(list: Vec<String>) -> Result<Vec<String>, RpcError> {
    let mut seen = HashSet::with_capacity(list.len());
    match list.iter().find(|value| !seen.insert(value.as_str())) {
        Some(value) => {
            let sentence = format!("Invalid parameter, duplicate value: {value}");
            Err(RpcError::parameter(ParameterRule::Twice, sentence).got(value.as_str()))
        }
        None => Ok(list),
    }
}

fn expected_string_or_array(got: &Value) -> RpcError {
    let error = RpcError::parameter(ParameterRule::Type, "Invalid value, expected string or array");
    error.got(type_word(got)).allowed("str or array")
}

#[cfg(test)]
mod tests;
