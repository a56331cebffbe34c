//! Where a transaction of the active branch stands.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;

use crate::block::Location;

/// Where a transaction of the active branch stands, on the chain and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionLocation {
    /// Height of its block.
    pub height: Height,
    /// Index in the block; 0 is the coinbase.
    pub index: u32,
    /// First byte in the block's canonical bytes.
    pub offset: u32,
    /// Its own bytes in the block file.
    pub place: Location,
}
