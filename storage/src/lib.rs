//! What is kept: typed RocksDB tables, block files, apply and undo of blocks, per-node indexes, chunks, the journal.
//! No rules and no decisions: what is stored was judged before. See docs/protocol/storage.md.

pub mod block;
pub mod block_file;
pub mod cache;
pub mod chunk;
pub mod coin;
pub mod commit;
pub mod entity;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod index;
pub mod journal;
pub mod key;
pub mod kv;
mod room;
pub mod snapshot;
pub mod store;
pub mod sync_count;
pub mod table;
pub mod transaction;

pub use block::{BlockEntry, BlockStatus, Location, Tip, UndoBlock};
pub use coin::{Beside, OwnedCoin};
pub use commit::{AppliedBlock, TipCommit};
pub use error::StorageError;
pub use room::LEAST_FREE;
pub use snapshot::{EntityList, Snapshot};
pub use store::{MemoryStore, OpenOptions, Store, StorePaths};
pub use transaction::TransactionLocation;
