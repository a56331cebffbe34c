//! Filters and libraries: code that judges transactions and items, and its approval. See docs/protocol/filter.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{bounded_bytes, bounded_list};
use crate::hash::Txid;
use crate::stream::MAX_NAME;

/// Most bytes of a filter's or library's code.
pub const MAX_CODE: u32 = 4_194_304;
/// Most entities or libraries a filter names.
pub const MAX_FILTER_REFERENCES: u32 = 64;

/// What a filter judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FilterKind {
    /// Whole transactions.
    Transaction,
    /// Items of the streams it is approved for.
    Stream,
}

/// Creates a filter; it works once approved.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreateFilter {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// What it judges.
    pub kind: FilterKind,
    /// Entities it is limited to; none means all.
    #[borsh(deserialize_with = "bounded_list::<MAX_FILTER_REFERENCES, _, _>")]
    pub entities: Vec<Txid>,
    /// Libraries loaded before it.
    #[borsh(deserialize_with = "bounded_list::<MAX_FILTER_REFERENCES, _, _>")]
    pub libraries: Vec<Txid>,
    /// The code.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_CODE, _>")]
    pub code: Vec<u8>,
}

/// How a library changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LibraryUpdateMode {
    /// Never.
    None,
    /// At once.
    Instant,
    /// When administrators approve.
    Approve,
}

/// Creates a library.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CreateLibrary {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// How it changes.
    pub update_mode: LibraryUpdateMode,
    /// The code.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_CODE, _>")]
    pub code: Vec<u8>,
}

/// Proposes new code of a library.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UpdateLibrary {
    /// The library.
    pub library: Txid,
    /// Name of the update.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// The code.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_CODE, _>")]
    pub code: Vec<u8>,
}

/// Approves or disapproves a filter, upgrade or library update.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Approve {
    /// The filter, upgrade or library.
    pub entity: Txid,
    /// The stream a stream filter is approved for.
    pub stream: Option<Txid>,
    /// The update of a library.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub update: Vec<u8>,
    /// For or against.
    pub approve: bool,
    /// Unix seconds; of one administrator's votes the newest counts.
    pub timestamp: u32,
}
