//! Upgrades of the chain's parameters. See docs/protocol/upgrade.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{bounded_bytes, bounded_list};
use crate::stream::MAX_NAME;

/// Most parameters an upgrade changes: more than there are.
pub const MAX_CHANGES: u32 = 128;
/// Most bytes of a parameter's name.
pub const MAX_PARAMETER_NAME: u32 = 64;

/// One parameter's new value.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ParameterChange {
    /// The parameter's name as users write it.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_PARAMETER_NAME, _>")]
    pub name: Vec<u8>,
    /// The value as a number (truth values are 0 and 1).
    pub value: i64,
}

/// Proposes an upgrade; it applies once approved.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreateUpgrade {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// First block it may apply at.
    pub start: u32,
    /// The changes.
    #[borsh(deserialize_with = "bounded_list::<MAX_CHANGES, _, _>")]
    pub changes: Vec<ParameterChange>,
}
