//! Keys of tables: bytes whose order is the order of scans. Numbers are big-endian; a prefix of a tuple is a prefix
//! of its bytes.

use borsh::BorshDeserialize;
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, ChunkHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::StateKey;

/// Something that can be a key, or the first part of one.
pub trait Key: Sized {
    /// Appends the bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes the value off the front of `bytes`, none if they are too short or not right.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// The bytes.
    #[must_use]
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.write(&mut out);
        out
    }

    /// The value of exactly these bytes.
    #[must_use]
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let value = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(value)
    }
}

impl Key for () {
    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(_bytes: &mut &[u8]) -> Option<()> {
        Some(())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (first, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*first)
    }
}

macro_rules! number_key {
    ($($number:ty),*) => {
        $(impl Key for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<$number> {
                Key::read(bytes).map(<$number>::from_be_bytes)
            }
        })*
    };
}

number_key!(u8, u32, u64);

macro_rules! wrapper_key {
    ($($wrapper:ident),*) => {
        $(impl Key for $wrapper {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }

            fn read(bytes: &mut &[u8]) -> Option<$wrapper> {
                Key::read(bytes).map($wrapper)
            }
        })*
    };
}

wrapper_key!(Txid, BlockHash, ChunkHash, Height);

/// All bytes that are left: only as the last part of a key.
impl Key for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(bytes: &mut &[u8]) -> Option<Vec<u8>> {
        Some(std::mem::take(bytes).to_vec())
    }
}

/// The canonical bytes.
impl Key for StateKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&encode(self));
    }

    fn read(bytes: &mut &[u8]) -> Option<StateKey> {
        StateKey::deserialize(bytes).ok()
    }
}

/// The canonical bytes: kind, then hash.
impl Key for Lock {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&encode(self));
    }

    fn read(bytes: &mut &[u8]) -> Option<Lock> {
        Lock::deserialize(bytes).ok()
    }
}

impl Key for OutPoint {
    fn write(&self, out: &mut Vec<u8>) {
        self.txid.write(out);
        self.index.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<OutPoint> {
        Some(OutPoint { txid: Key::read(bytes)?, index: Key::read(bytes)? })
    }
}

macro_rules! tuple_key {
    ($($name:ident),*) => {
        impl<$($name: Key),*> Key for ($($name,)*) {
            fn write(&self, out: &mut Vec<u8>) {
                #[allow(non_snake_case, reason = "one variable a type")]
                let ($($name,)*) = self;
                $($name.write(out);)*
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($name::read(bytes)?,)*))
            }
        }
    };
}

tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn numbers_sort_as_their_bytes() {
        let mut keys: Vec<Vec<u8>> = [300u32, 2, 70_000, 0].iter().map(|n| (1u8, *n).to_bytes()).collect();
        keys.sort();
        let numbers: Vec<u32> = keys.iter().map(|key| <(u8, u32)>::from_bytes(key).unwrap().1).collect();
        assert_eq!(numbers, [0, 2, 300, 70_000]);
    }

    #[test]
    fn short_and_long_keys_are_refused() {
        assert_eq!(u32::from_bytes(&[1, 2, 3]), None);
        assert_eq!(u32::from_bytes(&[1, 2, 3, 4, 5]), None);
        assert_eq!(<(u8, Vec<u8>)>::from_bytes(&[1, 2, 3]), Some((1, vec![2, 3])));
    }
}
