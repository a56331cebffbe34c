//! All that is in the databases, as one list: name, key, value and meaning of every table.

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, ChunkHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::multiset::Multiset;
use rota_chain::transaction::{OutPoint, Transaction};
use rota_consensus::state::{StateKey, StateValue};

use crate::block::{BlockEntry, Tip};
use crate::chunk::{ChunkInfo, ChunkOwner, ChunkTotals, PendingChunk};
use crate::coin::OwnedCoin;
use crate::index::party::MemberRow;
use crate::index::{ItemRow, SeenRow, Subject, SubscriptionRow, TermRow};
use crate::kv::{Table, TableSpec};
use crate::transaction::TransactionLocation;

/// The format this program reads and writes.
///
/// History: 1, the first; 2, what is asked of assets, coins and wallets; 3, what stands beside coins, and totals of what
/// addresses use.
pub const FORMAT: u64 = 3;

macro_rules! tables {
    ($all:ident, $list:ident;
     $($(#[$doc:meta])* $name:ident = $kind:ident $text:literal: $key:ty => $value:ty;)*) => {
        $($(#[$doc])* pub const $name: Table<$key, $value> = Table::$kind($text);)*

        /// Every table of this database.
        pub const $all: &[TableSpec] = &[$($name.spec()),*];

        /// Name, key type and value type of every table of this database, as written here.
        pub const $list: &[(&str, &str, &str)] = &[$(($text, stringify!($key), stringify!($value))),*];
    };
}

// What can be rebuilt from the block files, but for subscriptions and local order.
tables! {
    ALL, LIST;
    /// Numbers by [`Meta`].
    META = new "meta": u8 => u64;
    /// The one row: the block whose state this is.
    TIP = new "tip": () => Tip;
    /// The one row: the multiset hash over the state after the tip.
    MULTISET = new "multiset": () => Multiset;
    /// Every block known, on whatever branch.
    BLOCK = new "block": BlockHash => BlockEntry;
    /// Blocks known at each height, on whatever branch.
    BLOCK_AT = new "block_at": (Height, BlockHash) => ();
    /// The active branch.
    ACTIVE = new "active": Height => BlockHash;
    /// The consensus state after the tip.
    STATE = probed "state": StateKey => StateValue;
    /// The coins of the state once more, by owner, with what stands beside them.
    COIN_OWNER = new "coin_owner": (Lock, OutPoint) => OwnedCoin;
    /// Transactions of the active branch.
    TRANSACTION = probed "transaction": Txid => TransactionLocation;
    /// Entities of the active branch by list and dense position, in order of creation.
    ENTITY = new "entity": (u8, u32) => Txid;
    /// Operations of the active branch that issued an asset or set a variable. (entity, dense position)
    ENTITY_HISTORY = new "entity_history": (Txid, u32) => ItemRow;
    /// Blocks of the active branch that hold items of a stream or move an asset: first bytes of its id, height.
    ENTITY_BLOCK = new "entity_block": ([u8; 8], Height) => ();
    /// What this node follows.
    SUBSCRIPTION = new "subscription": Subject => SubscriptionRow;
    /// Addresses of the wallet's index. (subscription, lock)
    INDEX_ADDRESS = new "index_address": (u32, Vec<u8>) => MemberRow;
    /// Counts of a subscription: items of an order, distinct terms of a space. (subscription, counter)
    INDEX_COUNT = new "index_count": (u32, u8) => u32;
    /// Items in chain order. (subscription, position)
    INDEX_CHAIN = new "index_chain": (u32, u32) => ItemRow;
    /// Items in local order. (subscription, position)
    INDEX_LOCAL = new "index_local": (u32, u32) => SeenRow;
    /// Position in local order of an item, by the first bytes of a hash that names it. (subscription, hash)
    INDEX_SEEN = probed "index_seen": (u32, [u8; 16]) => u32;
    /// Keys and publishers. (subscription, space, bytes)
    INDEX_TERM = probed "index_term": (u32, u8, Vec<u8>) => TermRow;
    /// Keys and publishers by first appearance. (subscription, space, number)
    INDEX_TERM_LIST = new "index_term_list": (u32, u8, u32) => Vec<u8>;
    /// Items of a key or publisher but its first: their positions. (subscription, space, term's number, position)
    INDEX_POSTING = new "index_posting": (u32, u8, u32, u32) => u32;
    /// What an address has of something after each transaction that changes it: raw units, or items written.
    /// (subscription, number of the pair, position among its transactions)
    INDEX_TOTAL = new "index_total": (u32, u32, u32) => u128;
    /// Transactions that are indexed in local order but neither on the active branch nor waiting any more.
    LOST = new "lost": Txid => Transaction;
}

// A database of its own, since it cannot be rebuilt.
tables! {
    CHUNK_ALL, CHUNK_LIST;
    /// Number and bytes of the chunks that are here.
    CHUNK_TOTALS = new "chunk_totals": () => ChunkTotals;
    /// Chunks of off-chain items.
    CHUNK = large "chunk": ChunkHash => Vec<u8>;
    /// Size and salt of each chunk that is here.
    CHUNK_INFO = new "chunk_info": ChunkHash => ChunkInfo;
    /// Why a chunk is kept.
    CHUNK_OWNER = new "chunk_owner": (ChunkHash, ChunkOwner) => ();
    /// The same, by owner.
    OWNER_CHUNK = new "owner_chunk": (ChunkOwner, ChunkHash) => ();
    /// Chunks to be fetched from peers. (chunk, stream it is fetched for)
    CHUNK_PENDING = new "chunk_pending": (ChunkHash, Txid) => PendingChunk;
    /// Items whose data was purged and is not fetched again by itself. (stream, transaction, output)
    ITEM_PURGED = new "item_purged": (Txid, Txid, u32) => ();
}

/// Keys of [`META`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// [`FORMAT`] of the program that wrote the database.
    Format,
    /// Number of the next subscription.
    NextSubscription,
    /// Present while the database is made anew from the block files.
    Rebuilding,
    /// Tells this database from others and from itself before a rebuild: a number drawn when it was made.
    Mark,
    /// Bytes of the journal when the node ended; absent while it runs.
    Journal,
}

impl Meta {
    /// The key.
    #[must_use]
    pub const fn key(self) -> u8 {
        match self {
            Meta::Format => 0,
            Meta::NextSubscription => 1,
            Meta::Rebuilding => 2,
            Meta::Mark => 3,
            Meta::Journal => 4,
        }
    }
}

#[cfg(test)]
mod tests;
