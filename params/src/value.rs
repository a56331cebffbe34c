//! The value of a parameter: its types, its text form with range checks, and its raw bytes.

use crate::error::ParameterError;
use crate::kind::Kind;
use crate::number::{Number, print_millionths};
use crate::table::Parameter;

/// The text that stands for an empty value.
pub const EMPTY_TEXT: &str = "[null]";
/// Most characters of chain-description.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 90;
/// The only chain-protocol that this software runs.
pub const CHAIN_PROTOCOL: &str = "multichain";
/// Longest piece of a refused value that an error repeats.
const QUOTED_MAX: usize = 80;

/// A decimal in millionths, as parameters keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millionths(pub i32);

impl Millionths {
    /// The number as floating point, for the API's answers.
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl std::fmt::Display for Millionths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print_millionths(i64::from(self.0)))
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// For [`Kind::Bool`].
    Bool(bool),
    /// For [`Kind::U32`].
    U32(u32),
    /// For [`Kind::I32`].
    I32(i32),
    /// For [`Kind::I64`].
    I64(i64),
    /// For [`Kind::Decimal`].
    Decimal(Millionths),
    /// For [`Kind::Text`]; empty if there is none.
    Text(String),
    /// For [`Kind::Binary`]; empty if there is none.
    Binary(Vec<u8>),
}

impl Value {
    /// Reads the text form of a parameter's value and checks its range.
    ///
    /// # Errors
    /// Names parameter, value and what is allowed.
    pub fn parse(parameter: Parameter, text: &str) -> Result<Self, ParameterError> {
        let text = text.trim();
        let malformed = || ParameterError::Malformed {
            name: parameter.name(),
            value: quoted(text),
            expected: range_text(parameter),
        };
        let out_of_range =
            || ParameterError::OutOfRange { name: parameter.name(), value: quoted(text), range: range_text(parameter) };
        let whole = || Number::parse(text).and_then(Number::whole).ok_or_else(malformed);
        let value = match parameter.row().kind {
            Kind::Bool => Self::Bool(parse_bool(text).ok_or_else(malformed)?),
            Kind::U32(..) => Self::U32(u32::try_from(whole()?).map_err(|_| out_of_range())?),
            Kind::I32(..) => Self::I32(i32::try_from(whole()?).map_err(|_| out_of_range())?),
            Kind::I64(..) => Self::I64(i64::try_from(whole()?).map_err(|_| out_of_range())?),
            Kind::Decimal(..) => {
                let number = Number::parse(text).ok_or_else(malformed)?;
                Self::Decimal(Millionths(i32::try_from(number.millionths).map_err(|_| out_of_range())?))
            }
            Kind::Text(_) if text == EMPTY_TEXT => Self::Text(String::new()),
            Kind::Text(_) => Self::Text(text.to_owned()),
            Kind::Binary(..) if text == EMPTY_TEXT || text.is_empty() => Self::Binary(Vec::new()),
            Kind::Binary(..) => Self::Binary(hex::decode(text).map_err(|_| malformed())?),
        };
        match value.check(parameter) {
            Ok(()) => Ok(value),
            Err(ParameterError::OutOfRange { .. }) => Err(out_of_range()),
            Err(error) => Err(error),
        }
    }

    /// Checks type and range of a value for a parameter.
    ///
    /// # Errors
    /// Names parameter, value and range.
    pub fn check(&self, parameter: Parameter) -> Result<(), ParameterError> {
        let fits = match (parameter.row().kind, self) {
            (Kind::Bool, Self::Bool(_)) => true,
            (Kind::U32(low, high), Self::U32(value)) => (low..=high).contains(value),
            (Kind::I32(low, high), Self::I32(value)) => (low..=high).contains(value),
            (Kind::I64(low, high), Self::I64(value)) => (low..=high).contains(value),
            (Kind::Decimal(low, high), Self::Decimal(value)) => (low..=high).contains(&value.0),
            (Kind::Text(limit), Self::Text(text)) => text.len() <= limit && text_is_fit(parameter, text),
            (Kind::Binary(low, high), Self::Binary(bytes)) => bytes.is_empty() || (low..=high).contains(&bytes.len()),
            _ => {
                return Err(ParameterError::Type { name: parameter.name() });
            }
        };
        if fits {
            return Ok(());
        }
        let (name, value) = (parameter.name(), quoted(&self.to_text()));
        Err(match self {
            Self::Text(_) | Self::Binary(_) => {
                ParameterError::Malformed { name, value, expected: range_text(parameter) }
            }
            _ => ParameterError::OutOfRange { name, value, range: range_text(parameter) },
        })
    }

    /// The text form, as params.dat shows it.
    pub fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::U32(value) => value.to_string(),
            Self::I32(value) => value.to_string(),
            Self::I64(value) => value.to_string(),
            Self::Decimal(Millionths(0)) => "0.0".to_owned(),
            Self::Decimal(value) => value.to_string(),
            Self::Text(text) if text.is_empty() => EMPTY_TEXT.to_owned(),
            Self::Text(text) => text.clone(),
            Self::Binary(bytes) if bytes.is_empty() => EMPTY_TEXT.to_owned(),
            Self::Binary(bytes) => hex::encode(bytes),
        }
    }

    /// The bytes of the value: numbers little-endian in their width, text and binary as they are.
    pub fn raw(&self) -> Vec<u8> {
        match self {
            Self::Bool(value) => vec![u8::from(*value)],
            Self::U32(value) => value.to_le_bytes().to_vec(),
            Self::I32(value) | Self::Decimal(Millionths(value)) => value.to_le_bytes().to_vec(),
            Self::I64(value) => value.to_le_bytes().to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Binary(bytes) => bytes.clone(),
        }
    }

    /// Reads the bytes of [`Value::raw`], strictly, and checks the range.
    ///
    /// # Errors
    /// Refuses other widths, truth values other than 0 and 1, text that is not UTF-8, values out of range.
    pub fn from_raw(parameter: Parameter, raw: &[u8]) -> Result<Self, ParameterError> {
        let width = || ParameterError::Wire(format!("{} has {} bytes", parameter.name(), raw.len()));
        let value = match parameter.row().kind {
            Kind::Bool => match raw {
                [0] => Self::Bool(false),
                [1] => Self::Bool(true),
                _ => return Err(width()),
            },
            Kind::U32(..) => Self::U32(u32::from_le_bytes(raw.try_into().map_err(|_| width())?)),
            Kind::I32(..) => Self::I32(i32::from_le_bytes(raw.try_into().map_err(|_| width())?)),
            Kind::I64(..) => Self::I64(i64::from_le_bytes(raw.try_into().map_err(|_| width())?)),
            Kind::Decimal(..) => Self::Decimal(Millionths(i32::from_le_bytes(raw.try_into().map_err(|_| width())?))),
            Kind::Text(_) => Self::Text(
                std::str::from_utf8(raw)
                    .map_err(|_| ParameterError::Wire(format!("{} is not UTF-8", parameter.name())))?
                    .to_owned(),
            ),
            Kind::Binary(..) => Self::Binary(raw.to_vec()),
        };
        value.check(parameter)?;
        Ok(value)
    }

    /// Whether this is an empty text or empty bytes.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Binary(bytes) => bytes.is_empty(),
            _ => false,
        }
    }
}

/// "true" and "false" in any case, otherwise a whole number, 0 being false.
pub fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Some(false);
    }
    Number::parse(text).and_then(Number::whole).map(|number| number != 0)
}

/// What a parameter may hold, in words for an error.
pub fn range_text(parameter: Parameter) -> String {
    match parameter.row().kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::U32(low, high) => format!("{low} to {high}"),
        Kind::I32(low, high) => format!("{low} to {high}"),
        Kind::I64(low, high) => format!("{low} to {high}"),
        Kind::Decimal(low, high) => format!("{} to {}", Millionths(low), Millionths(high)),
        Kind::Text(_) if parameter == Parameter::ChainProtocol => {
            format!("the word {CHAIN_PROTOCOL}")
        }
        Kind::Text(limit) if parameter == Parameter::ChainDescription => {
            format!(
                "at most {DESCRIPTION_CHARACTERS_MAX} characters and {limit} bytes without # and control characters"
            )
        }
        Kind::Text(limit) => format!("at most {limit} bytes without # and control characters"),
        Kind::Binary(low, high) if low == high => format!("{low} bytes in hex"),
        Kind::Binary(low, high) => format!("{low} to {high} bytes in hex"),
    }
}

/// Whether params.dat can hold the text, and the parameter's own rule for it holds.
fn text_is_fit(parameter: Parameter, text: &str) -> bool {
    let own_rule = match parameter {
        Parameter::ChainProtocol => text == CHAIN_PROTOCOL,
        Parameter::ChainDescription => text.chars().count() <= DESCRIPTION_CHARACTERS_MAX,
        Parameter::ChainName => crate::generate::check_name(text).is_ok(),
        _ => true,
    };
    own_rule && text.trim() == text && text != EMPTY_TEXT && !text.chars().any(|c| c == '#' || c.is_control())
}

/// The beginning of a refused text, in a form that is safe to print.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_MAX).is_some() {
        short.push_str("...");
    }
    short
}
