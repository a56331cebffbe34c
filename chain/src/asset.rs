//! Assets and tokens: quantities, issuance and changes. See docs/protocol/asset.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{bounded_bytes, bounded_option};
use crate::hash::Txid;
use crate::stream::{MAX_DETAILS, MAX_NAME};

/// Most bytes of a token's identifier.
pub const MAX_TOKEN: u32 = 32;

/// The asset a quantity is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum AssetReference {
    /// The asset this very transaction issues (its id is not known while the body is built).
    New,
    /// An asset by its issuing transaction.
    Existing(Txid),
}

/// A quantity of an asset or of one of its tokens, in raw units.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct AssetQuantity {
    /// The asset.
    pub asset: AssetReference,
    /// The token, for assets that are not fungible.
    #[borsh(deserialize_with = "bounded_option::<MAX_TOKEN, _>")]
    pub token: Option<Vec<u8>>,
    /// Raw units, above 0.
    pub quantity: u64,
}

/// What an asset allows and forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AssetRules {
    /// More may be issued later.
    pub open: bool,
    /// Units are interchangeable; otherwise each belongs to a token.
    pub fungible: bool,
    /// May be opened later.
    pub can_open: bool,
    /// May be closed later.
    pub can_close: bool,
    /// Sending needs the asset's send permission.
    pub restrict_send: bool,
    /// Receiving needs the asset's receive permission.
    pub restrict_receive: bool,
    /// Issuing more needs the asset's issue permission.
    pub restrict_issue: bool,
    /// Most raw units ever issued, none for no limit.
    pub total_limit: Option<u64>,
    /// Most raw units a follow-on issuance, none for no limit.
    pub issue_limit: Option<u64>,
}

/// Creates an asset and issues its first units.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IssueAsset {
    /// UTF-8, may be empty.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_NAME, _>")]
    pub name: Vec<u8>,
    /// Raw units a displayed unit.
    pub multiple: u64,
    /// What is allowed.
    pub rules: AssetRules,
    /// Raw units issued; the outputs of this transaction must place exactly as many.
    pub quantity: u64,
    /// A JSON object as text, empty for none.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DETAILS, _>")]
    pub details: Vec<u8>,
}

/// Issues more of an open asset, or a token.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IssueMore {
    /// The asset.
    pub asset: Txid,
    /// The token, for assets that are not fungible.
    #[borsh(deserialize_with = "bounded_option::<MAX_TOKEN, _>")]
    pub token: Option<Vec<u8>>,
    /// Raw units issued.
    pub quantity: u64,
    /// A JSON object as text, empty for none.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DETAILS, _>")]
    pub details: Vec<u8>,
}

/// Opens or closes an asset for follow-on issuance.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UpdateAsset {
    /// The asset.
    pub asset: Txid,
    /// The new state.
    pub open: bool,
}
