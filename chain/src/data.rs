//! Data carried by transactions: its format, and bodies on or off the chain. See docs/protocol/data.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{bounded_bytes, bounded_list};
use crate::hash::{ChunkHash, sha256d};

/// Most bytes of one piece of data in a transaction: the largest max-std-op-return-size.
pub const MAX_DATA: u32 = 67_108_864;
/// Most chunks of an off-chain item: the largest maximum-chunk-count, doubled by each of a few upgrades.
pub const MAX_CHUNKS: u32 = 65_536;
/// Most bytes of a chunk: the largest maximum-chunk-size, with room for upgrades by doubling.
pub const MAX_CHUNK: u32 = 67_108_864;
/// Bytes of the salt of a salted item.
pub const SALT_BYTES: u8 = 16;

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum DataFormat {
    /// Bytes, shown as hexadecimal digits.
    Raw,
    /// UTF-8 text.
    Text,
    /// JSON text in UTF-8.
    Json,
}

impl DataFormat {
    /// The name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DataFormat::Raw => "raw",
            DataFormat::Text => "text",
            DataFormat::Json => "json",
        }
    }
}

/// Data on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Data {
    /// How it is shown.
    pub format: DataFormat,
    /// The bytes.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DATA, _>")]
    pub bytes: Vec<u8>,
}

/// One chunk of an off-chain item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct ChunkReference {
    /// Bytes of the chunk without salt.
    pub size: u32,
    /// Hash of salt and chunk.
    pub hash: ChunkHash,
}

/// Data off the chain: what a transaction says of it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkedData {
    /// How it is shown.
    pub format: DataFormat,
    /// Bytes of each chunk's salt: 0 or [`SALT_BYTES`].
    pub salt_size: u8,
    /// The chunks in order.
    #[borsh(deserialize_with = "bounded_list::<MAX_CHUNKS, _, _>")]
    pub chunks: Vec<ChunkReference>,
}

impl ChunkedData {
    /// Bytes of the whole item.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.chunks.iter().fold(0, |sum, chunk| sum.saturating_add(u64::from(chunk.size)))
    }
}

/// Hash that names a chunk on the chain.
#[must_use]
pub fn chunk_hash(salt: &[u8], chunk: &[u8]) -> ChunkHash {
    let mut bytes = Vec::with_capacity(salt.len().saturating_add(chunk.len()));
    bytes.extend_from_slice(salt);
    bytes.extend_from_slice(chunk);
    ChunkHash(sha256d(&bytes))
}
