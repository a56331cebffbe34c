//! Variables: named JSON values with a history. See docs/protocol/variable.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::bounded_bytes;
use crate::hash::Txid;
use crate::stream::{MAX_DETAILS, MAX_NAME};

/// Creates a variable.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreateVariable {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// Setting the value needs the variable's write permission.
    pub restrict_write: bool,
    /// The first value, JSON text.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DETAILS, _>")]
    pub value: Vec<u8>,
}

/// Sets a variable.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SetVariable {
    /// The variable.
    pub variable: Txid,
    /// The new value, JSON text.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DETAILS, _>")]
    pub value: Vec<u8>,
}
