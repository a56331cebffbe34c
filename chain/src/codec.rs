//! Canonical bytes: borsh with every length bounded before memory is taken. See docs/protocol/encoding.md.

use std::io::{Error, ErrorKind, Read};

use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes that are not the canonical encoding of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bytes do not decode: {0}")]
pub struct DecodeError(pub String);

/// The canonical bytes of `value`.
#[must_use]
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(&mut bytes).expect("writing to memory does not fail");
    bytes
}

/// Length of the canonical bytes of `value`, without keeping them.
#[must_use]
pub fn encoded_length<T: BorshSerialize>(value: &T) -> usize {
    let mut counter = Counter(0);
    value.serialize(&mut counter).expect("counting does not fail");
    counter.0
}

/// Decodes the whole of `bytes`; trailing bytes are refused.
///
/// # Errors
/// [`DecodeError`] if the bytes are not the canonical encoding of a `T`.
pub fn decode<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::try_from_slice(bytes).map_err(|error| DecodeError(error.to_string()))
}

/// Most elements for which a bounded list takes memory before it has read them.
const CAUTIOUS_CAPACITY: usize = 1_024;

/// Reads a list whose length must not exceed `MAX`. For `#[borsh(deserialize_with = ...)]`.
///
/// # Errors
/// `InvalidData` if the length is above `MAX` or an element does not decode.
pub fn bounded_list<const MAX: u32, T: BorshDeserialize, R: Read>(reader: &mut R) -> Result<Vec<T>, Error> {
    let length = bounded_length::<MAX, R>(reader)?;
    let mut list = Vec::with_capacity(length.min(CAUTIOUS_CAPACITY));
    for _ in 0..length {
        list.push(T::deserialize_reader(reader)?);
    }
    Ok(list)
}

/// Reads a byte string of at most `MAX` bytes. For `#[borsh(deserialize_with = ...)]`.
///
/// # Errors
/// `InvalidData` if the length is above `MAX` or the input ends early.
pub fn bounded_bytes<const MAX: u32, R: Read>(reader: &mut R) -> Result<Vec<u8>, Error> {
    let length = bounded_length::<MAX, R>(reader)?;
    let mut bytes = Vec::with_capacity(length.min(65_536));
    let taken = reader.take(length as u64).read_to_end(&mut bytes)?;
    if taken != length {
        return Err(Error::new(ErrorKind::UnexpectedEof, "input ends inside a byte string"));
    }
    Ok(bytes)
}

/// Reads a list of byte strings, at most `COUNT` of at most `MAX` bytes each.
///
/// # Errors
/// As [`bounded_bytes`].
pub fn bounded_byte_strings<const COUNT: u32, const MAX: u32, R: Read>(reader: &mut R) -> Result<Vec<Vec<u8>>, Error> {
    let length = bounded_length::<COUNT, R>(reader)?;
    let mut list = Vec::with_capacity(length.min(CAUTIOUS_CAPACITY));
    for _ in 0..length {
        list.push(bounded_bytes::<MAX, R>(reader)?);
    }
    Ok(list)
}

/// Reads an optional byte string of at most `MAX` bytes.
///
/// # Errors
/// As [`bounded_bytes`].
pub fn bounded_option<const MAX: u32, R: Read>(reader: &mut R) -> Result<Option<Vec<u8>>, Error> {
    match u8::deserialize_reader(reader)? {
        0 => Ok(None),
        1 => bounded_bytes::<MAX, R>(reader).map(Some),
        tag => Err(Error::new(ErrorKind::InvalidData, format!("option tag {tag}"))),
    }
}

fn bounded_length<const MAX: u32, R: Read>(reader: &mut R) -> Result<usize, Error> {
    let length = u32::deserialize_reader(reader)?;
    if length > MAX {
        return Err(Error::new(ErrorKind::InvalidData, format!("length {length} exceeds the limit of {MAX}")));
    }
    Ok(length as usize)
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_above_the_limit_is_refused_before_memory_is_taken() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(bounded_bytes::<1000, _>(&mut &bytes[..]).is_err());
        assert!(bounded_list::<1000, u64, _>(&mut &bytes[..]).is_err());
    }

    #[test]
    fn a_short_input_is_refused() {
        let bytes = [4, 0, 0, 0, 1, 2];
        assert!(bounded_bytes::<1000, _>(&mut &bytes[..]).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(decode::<u8>(&[1]), Ok(1));
        assert!(decode::<u8>(&[1, 0]).is_err());
    }
}
