//! Locks: who must answer for a coin, hold a permission or sign as an author. Addresses are their text form.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

/// Hash160 of a compressed public key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct KeyHash(pub [u8; 20]);

/// Hash160 of the standard redeem script of m of n keys.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ScriptHash(pub [u8; 20]);

/// One key, or m of n keys. See docs/protocol/lock.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Lock {
    /// The holder of one key.
    Key(KeyHash),
    /// Any m holders of n keys.
    Multisig(ScriptHash),
}

impl Lock {
    /// The key hash, none for a multisignature lock.
    #[must_use]
    pub fn key_hash(&self) -> Option<KeyHash> {
        match self {
            Lock::Key(hash) => Some(*hash),
            Lock::Multisig(_) => None,
        }
    }
}

impl From<KeyHash> for Lock {
    fn from(hash: KeyHash) -> Lock {
        Lock::Key(hash)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ScriptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for ScriptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The hash in hexadecimal digits: for logs. What a caller reads is an address, which depends on the chain.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lock::Key(hash) => hash.fmt(f),
            Lock::Multisig(hash) => hash.fmt(f),
        }
    }
}
