//! Hash functions and the newtypes of everything named by a hash.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 applied twice: how ids are made.
#[must_use]
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    sha256(&sha256(bytes))
}

/// RIPEMD-160 of SHA-256: how locks are made from keys and redeem scripts.
#[must_use]
pub fn hash160(bytes: &[u8]) -> [u8; 20] {
    ripemd::Ripemd160::digest(sha256(bytes)).into()
}

/// SHA-256 under a tag: `sha256(sha256(tag) || sha256(tag) || parts...)`. Two tags never share a value.
#[must_use]
pub fn tagged_hash(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let tag = sha256(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update(tag);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Bytes of a block of SHA-256, to which HMAC fills up its key.
const HMAC_BLOCK: usize = 64;

/// HMAC-SHA256 of `message` under `key` (RFC 2104): how passwords are salted.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let hashed = sha256(key);
    let key = if key.len() > HMAC_BLOCK { &hashed } else { key };
    let padded = |pad: u8| {
        let mut block = [pad; HMAC_BLOCK];
        block.iter_mut().zip(key).for_each(|(place, byte)| *place ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, got {0:?}")]
pub struct HashTextError(String);

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// All bytes zero: stands for "none" where a field must be filled.
            pub const ZERO: $name = $name([0; 32]);

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 64];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = HashTextError;

            fn from_str(text: &str) -> Result<Self, HashTextError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| HashTextError(text.chars().take(80).collect()))?;
                Ok($name(bytes))
            }
        }
    };
}

hash_type!(
    /// Double SHA-256 of a transaction's body: its id, the same before and after signing.
    Txid
);
hash_type!(
    /// Double SHA-256 of a transaction's body and witnesses: what blocks commit to and peers speak of.
    FullHash
);
hash_type!(
    /// Double SHA-256 of a block header without its signature: the block's id.
    BlockHash
);
hash_type!(
    /// Root of the Merkle tree over a block's full hashes. See docs/protocol/merkle.md.
    MerkleRoot
);
hash_type!(
    /// Hash of the whole consensus state at a height. See docs/protocol/state.md.
    StateHash
);
hash_type!(
    /// Double SHA-256 of salt and chunk of an off-chain item. See docs/protocol/stream.md.
    ChunkHash
);
hash_type!(
    /// Hash over the chain's parameters: two nodes with equal values follow the same rules.
    ParamsHash
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_separate_equal_content() {
        assert_ne!(tagged_hash("a", &[b"x"]), tagged_hash("b", &[b"x"]));
        assert_eq!(tagged_hash("a", &[b"xy"]), tagged_hash("a", &[b"x", b"y"]));
    }

    #[test]
    fn hmac_gives_what_rfc_4231_says_for_short_and_for_long_keys() {
        let shown = |key: &[u8], message: &[u8]| hex::encode(hmac_sha256(key, message));
        let jefe = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(shown(b"Jefe", b"what do ya want for nothing?"), jefe);
        let long = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(shown(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"), long);
    }

    #[test]
    fn text_round_trip_and_refusal() {
        let id = Txid(sha256d(b"rota"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("12".parse::<Txid>().is_err());
        assert!("zz".repeat(32).parse::<Txid>().is_err());
    }
}
