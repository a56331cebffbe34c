//! Streams: what creating one and publishing in one carry. See docs/protocol/stream.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{bounded_byte_strings, bounded_bytes};
use crate::data::{ChunkedData, Data, DataFormat};
use crate::hash::Txid;

/// Most bytes of an entity's name, as users know it; consensus refuses more.
pub const MAX_NAME: u32 = 256;
/// Most bytes of an entity's details: a small document, not a store.
pub const MAX_DETAILS: u32 = 4_194_304;
/// Most bytes of an item's key.
pub const MAX_KEY: u32 = 256;
/// Most keys of an item: each costs an index entry on every subscriber.
pub const MAX_KEYS: u32 = 1_024;

/// What a stream forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StreamRestriction {
    /// Publishing needs the stream's write permission.
    pub write: bool,
    /// Reading needs the stream's read permission.
    pub read: bool,
    /// Items on the chain are forbidden.
    pub onchain: bool,
    /// Items off the chain are forbidden.
    pub offchain: bool,
}

/// Creates a stream.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreateStream {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// What is forbidden.
    pub restriction: StreamRestriction,
    /// Whether chunks of off-chain items are hashed with a salt.
    pub salted: bool,
    /// A JSON object as text, empty for none.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DETAILS, _>")]
    pub details: Vec<u8>,
}

/// Where an item's data is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ItemData {
    /// In the transaction.
    Onchain(Data),
    /// With peers, named by chunk hashes.
    Offchain(ChunkedData),
}

impl ItemData {
    /// How the data is shown.
    #[must_use]
    pub const fn format(&self) -> DataFormat {
        match self {
            ItemData::Onchain(data) => data.format,
            ItemData::Offchain(data) => data.format,
        }
    }
}

/// Publishes one item.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Publish {
    /// The stream, by its creating transaction.
    pub stream: Txid,
    /// Keys in the order given; repetitions are kept.
    #[borsh(deserialize_with = "bounded_byte_strings::<MAX_KEYS, MAX_KEY, _>")]
    pub keys: Vec<Vec<u8>>,
    /// The data.
    pub data: ItemData,
}
