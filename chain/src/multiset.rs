//! An incremental hash of a multiset: elements may be added and removed in any order at a constant cost each
//! (one BLAKE3 expansion to 2,048 bytes and 1,024 additions). See docs/protocol/state.md.

use std::io::{Error, ErrorKind, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::{StateHash, tagged_hash};

const LANES: usize = 1_024;
const BYTES: usize = 2_048;
const CONTEXT: &str = "rota 2026 state multiset element";

/// The accumulator: 1,024 lanes of 16 bits (the LtHash construction).
#[derive(Clone, PartialEq, Eq)]
pub struct Multiset(Box<[u16; LANES]>);

impl Multiset {
    /// The empty multiset.
    #[must_use]
    pub fn new() -> Multiset {
        Multiset(Box::new([0; LANES]))
    }

    /// Adds an element.
    pub fn add(&mut self, element: &[u8]) {
        for (lane, value) in self.0.iter_mut().zip(expand(element).as_chunks::<2>().0) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*value));
        }
    }

    /// Removes an element that was added.
    pub fn remove(&mut self, element: &[u8]) {
        for (lane, value) in self.0.iter_mut().zip(expand(element).as_chunks::<2>().0) {
            *lane = lane.wrapping_sub(u16::from_le_bytes(*value));
        }
    }

    /// The hash of the multiset.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        StateHash(tagged_hash("rota/state", &[&self.to_bytes()]))
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }
}

fn expand(element: &[u8]) -> [u8; BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(element);
    let mut bytes = [0; BYTES];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

impl Default for Multiset {
    fn default() -> Multiset {
        Multiset::new()
    }
}

impl std::fmt::Debug for Multiset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Multiset({})", self.hash())
    }
}

impl BorshSerialize for Multiset {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<(), Error> {
        writer.write_all(&self.to_bytes())
    }
}

impl BorshDeserialize for Multiset {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
        let mut multiset = Multiset::new();
        let mut bytes = [0; BYTES];
        reader.read_exact(&mut bytes).map_err(|_| Error::new(ErrorKind::UnexpectedEof, "input ends early"))?;
        for (lane, value) in multiset.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = u16::from_le_bytes(*value);
        }
        Ok(multiset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let (mut a, mut b) = (Multiset::new(), Multiset::new());
        a.add(b"x");
        a.add(b"y");
        b.add(b"y");
        b.add(b"x");
        assert_eq!(a.hash(), b.hash());
        b.add(b"z");
        assert_ne!(a.hash(), b.hash());
        b.remove(b"z");
        assert_eq!(a, b);
        a.remove(b"x");
        a.remove(b"y");
        assert_eq!(a, Multiset::new());
    }

    #[test]
    fn an_element_twice_is_not_once() {
        let mut once = Multiset::new();
        once.add(b"x");
        let mut twice = once.clone();
        twice.add(b"x");
        assert_ne!(once.hash(), twice.hash());
    }
}
