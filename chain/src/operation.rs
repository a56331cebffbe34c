//! Operations: everything an output can do besides carrying coins. A closed set; the order is the encoding.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::asset::{IssueAsset, IssueMore, UpdateAsset};
use crate::codec::bounded_bytes;
use crate::data::Data;
use crate::filter::{Approve, CreateFilter, CreateLibrary, UpdateLibrary};
use crate::hash::ParamsHash;
use crate::permission::Grant;
use crate::stream::{CreateStream, Publish};
use crate::upgrade::CreateUpgrade;
use crate::variable::{CreateVariable, SetVariable};

/// Most bytes of the chain's description in the genesis coinbase.
pub const MAX_DESCRIPTION: u32 = 256;

/// What the genesis coinbase binds the chain to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Genesis {
    /// Hash over all rule parameters: a node with other rules cannot hold this genesis block.
    pub rules: ParamsHash,
    /// The chain's description.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_DESCRIPTION, _>")]
    pub description: Vec<u8>,
}

/// One operation of an output. See docs/protocol/operation.md.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Operation {
    /// Sets or votes for rights of the output's recipient.
    Grant(Grant),
    /// Creates a stream.
    CreateStream(CreateStream),
    /// Publishes an item.
    Publish(Publish),
    /// Carries data that belongs to no stream.
    Data(Data),
    /// Creates an asset.
    IssueAsset(IssueAsset),
    /// Issues more of an asset.
    IssueMore(IssueMore),
    /// Opens or closes an asset.
    UpdateAsset(UpdateAsset),
    /// Creates a variable.
    CreateVariable(CreateVariable),
    /// Sets a variable.
    SetVariable(SetVariable),
    /// Proposes an upgrade.
    CreateUpgrade(CreateUpgrade),
    /// Creates a filter.
    CreateFilter(CreateFilter),
    /// Creates a library.
    CreateLibrary(CreateLibrary),
    /// Proposes new code of a library.
    UpdateLibrary(UpdateLibrary),
    /// Approves or disapproves.
    Approve(Approve),
    /// Binds the chain's rules; in the genesis coinbase alone.
    Genesis(Genesis),
}

impl Operation {
    /// Whether this operation creates an entity, of which a transaction may create one.
    #[must_use]
    pub const fn creates_entity(&self) -> bool {
        match self {
            Operation::CreateStream(_)
            | Operation::IssueAsset(_)
            | Operation::CreateVariable(_)
            | Operation::CreateUpgrade(_)
            | Operation::CreateFilter(_)
            | Operation::CreateLibrary(_) => true,
            Operation::Grant(_)
            | Operation::Publish(_)
            | Operation::Data(_)
            | Operation::IssueMore(_)
            | Operation::UpdateAsset(_)
            | Operation::SetVariable(_)
            | Operation::UpdateLibrary(_)
            | Operation::Approve(_)
            | Operation::Genesis(_) => false,
        }
    }
}
