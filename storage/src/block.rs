//! What is kept of a block besides its bytes: where it stands, what is known of it, and how to undo it.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::block::SignedHeader;
use rota_chain::hash::{BlockHash, Txid};
use rota_consensus::state::{Changes, StateKey, StateValue};

/// Where a record's bytes are in the block files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Location {
    /// Number of the file.
    pub file: u32,
    /// First byte, after the record's own header.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BlockStatus {
    /// The header passed its checks; the body is not here.
    Header,
    /// The body is here and passed the checks that need no state.
    Body,
    /// It was applied once, so it is valid on its branch.
    Applied,
    /// It breaks a rule.
    Invalid,
    /// It descends from a block that breaks a rule.
    InvalidAncestor,
}

/// What is kept of every block known, on whatever branch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockEntry {
    /// Header and signature.
    pub header: SignedHeader,
    /// Position on its branch.
    pub height: Height,
    /// Sum of the work of its branch up to it.
    pub chainwork: u128,
    /// Bytes of the whole block, 0 while only the header is here.
    pub size: u32,
    /// Number of transactions, 0 while only the header is here.
    pub transactions: u32,
    /// Where the body is.
    pub body: Option<Location>,
    /// Where the undo data is.
    pub undo: Option<Location>,
    /// What is known of it.
    pub status: BlockStatus,
    /// Order in which blocks came to be here whole; 0 while only the header is here.
    pub sequence: u64,
    /// Unix seconds at which this node had it whole.
    pub received: u64,
    /// Whether it changes a range of a global admin or mine right; before it is applied, whether it may change who mines.
    pub governance: bool,
}

/// The block whose state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Its id.
    pub hash: BlockHash,
    /// Its height.
    pub height: Height,
}

/// How to undo a block: the elements it changed as they were before, and its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UndoBlock {
    /// Changed elements with the value before, none if absent.
    pub elements: Vec<(StateKey, Option<StateValue>)>,
    /// Transactions that the block brought onto the branch.
    pub transactions: Vec<Txid>,
}

impl UndoBlock {
    /// What undoes `changes`.
    #[must_use]
    pub fn of(changes: &Changes) -> UndoBlock {
        UndoBlock {
            elements: changes
                .elements
                .iter()
                .filter(|(_, change)| change.before != change.after)
                .map(|(key, change)| (key.clone(), change.before.clone()))
                .collect(),
            transactions: changes.transactions.keys().copied().collect(),
        }
    }
}
