//! A parameter set as bytes for the join protocol, in one canonical form. Normative: docs/protocol/params.md.

use crate::error::ParameterError;
use crate::set::{ParameterSet, State};
use crate::table::{Parameter, all};
use crate::value::Value;

/// Longest message: 74 entries of at most 1,024 bytes (the longest row) with 3 bytes before each stay below it.
pub const WIRE_MAX: usize = 64 * 1024;
/// Version of the form.
const WIRE_VERSION: u8 = 1;
/// Second byte of a minimal set.
const WIRE_MINIMAL: u8 = 0;
/// Second byte of a full set.
const WIRE_FULL: u8 = 1;

impl ParameterSet {
    /// The set as bytes: all parameters of the chain's protocol, or only those that a stranger may know.
    pub fn to_wire(&self, minimal: bool) -> Vec<u8> {
        let protocol = self.protocol_version();
        let part = if minimal { self.minimal() } else { self.clone() };
        let entries: Vec<(Parameter, Vec<u8>)> = all()
            .filter(|parameter| parameter.exists_in(protocol))
            .filter_map(|parameter| part.get(parameter).map(|value| (parameter, value.raw())))
            .collect();
        let count = u8::try_from(entries.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![WIRE_VERSION, if minimal { WIRE_MINIMAL } else { WIRE_FULL }, count];
        for (parameter, raw) in entries {
            bytes.push(parameter as u8);
            bytes.extend(u16::try_from(raw.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(raw);
        }
        bytes
    }

    /// Reads the bytes of [`ParameterSet::to_wire`]. A full set's chain-params-hash must be right.
    ///
    /// # Errors
    /// Refuses everything but the canonical bytes of a minimal or a valid full set.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, ParameterError> {
        if bytes.len() > WIRE_MAX {
            return Err(refused(format!("{} bytes, the limit is {WIRE_MAX}", bytes.len())));
        }
        let (minimal, count, mut rest) = match bytes {
            [WIRE_VERSION, WIRE_MINIMAL, count, rest @ ..] => (true, *count, rest),
            [WIRE_VERSION, WIRE_FULL, count, rest @ ..] => (false, *count, rest),
            [version, _, _, ..] if *version != WIRE_VERSION => {
                return Err(refused(format!("version {version}")));
            }
            _ => return Err(refused("it has no head".to_owned())),
        };
        let mut set = Self::empty();
        for _ in 0..count {
            let (parameter, raw, after) = read_entry(rest)?;
            set.put(parameter, Value::from_raw(parameter, raw)?);
            rest = after;
        }
        let protocol = set.protocol_version();
        if !crate::table::protocol_is_supported(protocol) {
            return Err(ParameterError::Protocol(protocol));
        }
        if !minimal {
            set.fill_hidden();
        }
        if set.to_wire(minimal) != bytes {
            return Err(refused("it is not in canonical form".to_owned()));
        }
        match (minimal, set.state()) {
            (true, State::Minimal) => Ok(set),
            (false, State::Valid) => {
                set.check()?;
                Ok(set)
            }
            (_, State::Invalid { stored, computed }) => {
                Err(refused(format!("its chain-params-hash is {stored}, but its values have {computed}")))
            }
            _ => Err(refused("parameters are missing".to_owned())),
        }
    }
}

/// One entry: position, length in two bytes, value.
fn read_entry(bytes: &[u8]) -> Result<(Parameter, &[u8], &[u8]), ParameterError> {
    let [position, low, high, rest @ ..] = bytes else {
        return Err(refused("it ends early".to_owned()));
    };
    let parameter = Parameter::at(*position).ok_or_else(|| refused(format!("position {position} is no parameter")))?;
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (raw, after) = rest.split_at_checked(length).ok_or_else(|| refused("it ends early".to_owned()))?;
    Ok((parameter, raw, after))
}

fn refused(why: String) -> ParameterError {
    ParameterError::Wire(why)
}

#[cfg(test)]
mod tests;
