//! What peers say to each other once both may: requests, answers, announcements. See docs/protocol/peer.md.

use std::io::{Error, Read, Write};
use std::net::SocketAddr;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::block::{Block, SignedHeader};
use rota_chain::codec::{DecodeError, bounded_bytes, bounded_list, decode};
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, Txid};
use rota_chain::transaction::Transaction;

use crate::limit::{
    MAX_ADDRESSES, MAX_BLOCKS, MAX_CHUNK, MAX_CHUNKS, MAX_COMPACT_HASHES, MAX_HEADERS, MAX_INVENTORY, MAX_LOCATOR,
    MAX_SALT, MAX_TRANSACTIONS,
};

/// The request protocols; each is opened to peers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Headers and blocks: also for a peer not known yet, while the node is behind.
    Sync,
    /// Transactions, pools and peers' places.
    Pool,
    /// Bodies of off-chain items.
    Chunk,
}

impl Protocol {
    /// The word that stands for the protocol in its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Protocol::Sync => "sync",
            Protocol::Pool => "pool",
            Protocol::Chunk => "chunk",
        }
    }
}

/// What a node asks a peer.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Request {
    /// Headers after the newest block of `locator` that the peer has on its active branch, oldest first.
    Headers {
        /// Blocks the asking node has, newest first.
        locator: Vec<BlockHash>,
        /// The last block wanted; all zero for none.
        stop: BlockHash,
        /// Most headers wanted.
        limit: u32,
    },
    /// Whole blocks by id.
    Blocks {
        /// Their ids.
        #[borsh(deserialize_with = "bounded_list::<MAX_BLOCKS, _, _>")]
        hashes: Vec<BlockHash>,
    },
    /// Transactions of the pool by full hash.
    Transactions {
        /// Their full hashes.
        #[borsh(deserialize_with = "bounded_list::<MAX_TRANSACTIONS, _, _>")]
        hashes: Vec<FullHash>,
    },
    /// Transactions of the pool by id: parents a transaction names.
    TransactionsById {
        /// Their ids.
        #[borsh(deserialize_with = "bounded_list::<MAX_TRANSACTIONS, _, _>")]
        txids: Vec<Txid>,
    },
    /// Full hashes of the pool in ascending order, a page at a time.
    PoolInventory {
        /// Only hashes above this one; all zero for the first page.
        after: FullHash,
        /// Most hashes wanted.
        limit: u32,
    },
    /// Chunks of off-chain items of one stream.
    Chunks {
        /// The stream: a peer gives what belongs to it, if the asking side may read it.
        stream: Txid,
        /// Their salted hashes.
        #[borsh(deserialize_with = "bounded_list::<MAX_CHUNKS, _, _>")]
        hashes: Vec<ChunkHash>,
    },
    /// Transactions of a block by position: those a compact block left open.
    BlockTransactions {
        /// The block.
        block: BlockHash,
        /// Positions, ascending.
        #[borsh(deserialize_with = "bounded_list::<MAX_COMPACT_HASHES, _, _>")]
        indexes: Vec<u32>,
    },
    /// Places of other peers.
    Addresses,
}

impl Request {
    /// The protocol that carries the request.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self {
            Request::Headers { .. } | Request::Blocks { .. } => Protocol::Sync,
            Request::Transactions { .. }
            | Request::TransactionsById { .. }
            | Request::PoolInventory { .. }
            | Request::BlockTransactions { .. }
            | Request::Addresses => Protocol::Pool,
            Request::Chunks { .. } => Protocol::Chunk,
        }
    }

    /// The kind of answer the request has.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Request::Headers { .. } => Kind::Headers,
            Request::Blocks { .. } => Kind::Blocks,
            Request::Transactions { .. } | Request::TransactionsById { .. } => Kind::Transactions,
            Request::PoolInventory { .. } => Kind::PoolInventory,
            Request::Chunks { .. } => Kind::Chunks,
            Request::BlockTransactions { .. } => Kind::BlockTransactions,
            Request::Addresses => Kind::Addresses,
        }
    }

    /// What is out of bounds in the request though it decodes.
    #[must_use]
    pub fn out_of_bounds(&self) -> Option<String> {
        match self {
            Request::Headers { locator, limit, .. } => over("locator hashes", locator.len(), MAX_LOCATOR)
                .or_else(|| over("headers", *limit as usize, MAX_HEADERS)),
            Request::Blocks { hashes } => over("blocks", hashes.len(), MAX_BLOCKS),
            Request::Transactions { hashes } => over("transactions", hashes.len(), MAX_TRANSACTIONS),
            Request::TransactionsById { txids } => over("transactions", txids.len(), MAX_TRANSACTIONS),
            Request::PoolInventory { limit, .. } => over("inventory hashes", *limit as usize, MAX_INVENTORY),
            Request::Chunks { hashes, .. } => over("chunks", hashes.len(), MAX_CHUNKS),
            Request::BlockTransactions { indexes, .. } => over("indexes", indexes.len(), MAX_COMPACT_HASHES)
                .or_else(|| (!indexes.is_sorted_by(|a, b| a < b)).then(|| "indexes do not ascend".to_owned())),
            Request::Addresses => None,
        }
    }
}

fn over(what: &str, got: usize, limit: u32) -> Option<String> {
    (got > limit as usize).then(|| format!("{got} {what} asked for, the limit is {limit}"))
}

/// The kinds of answer; each has a frame limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Response::Headers`].
    Headers,
    /// [`Response::Blocks`].
    Blocks,
    /// [`Response::Transactions`].
    Transactions,
    /// [`Response::PoolInventory`].
    PoolInventory,
    /// [`Response::Chunks`].
    Chunks,
    /// [`Response::BlockTransactions`].
    BlockTransactions,
    /// [`Response::Addresses`].
    Addresses,
}

impl Kind {
    /// The protocol that carries the answer.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Kind::Headers | Kind::Blocks => Protocol::Sync,
            Kind::Transactions | Kind::PoolInventory | Kind::BlockTransactions | Kind::Addresses => Protocol::Pool,
            Kind::Chunks => Protocol::Chunk,
        }
    }
}

/// One chunk of an off-chain item with its salt.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkBody {
    /// The salted hash it was asked for by.
    pub hash: ChunkHash,
    /// The salt.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_SALT, _>")]
    pub salt: Vec<u8>,
    /// The chunk.
    #[borsh(deserialize_with = "bounded_bytes::<MAX_CHUNK, _>")]
    pub bytes: Vec<u8>,
}

/// A whole block in an answer: canonical bytes on the wire either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockBody {
    /// The block, as it is read from a peer.
    Block(Block),
    /// The bytes it is kept as: who hands them on need not know what is in them.
    Bytes(Vec<u8>),
}

impl BlockBody {
    /// The block.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not those of a block; never of one that was read from a peer.
    pub fn into_block(self) -> Result<Block, DecodeError> {
        match self {
            BlockBody::Block(block) => Ok(block),
            BlockBody::Bytes(bytes) => decode(&bytes),
        }
    }
}

impl From<Block> for BlockBody {
    fn from(block: Block) -> BlockBody {
        BlockBody::Block(block)
    }
}

impl BorshSerialize for BlockBody {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<(), Error> {
        match self {
            BlockBody::Block(block) => block.serialize(writer),
            BlockBody::Bytes(bytes) => writer.write_all(bytes),
        }
    }
}

impl BorshDeserialize for BlockBody {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<BlockBody, Error> {
        Block::deserialize_reader(reader).map(BlockBody::Block)
    }
}

/// What a peer answers. Lists hold what the peer has, in the order asked, cut at the frame limit.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Response {
    /// Headers with their signatures, oldest first.
    Headers(#[borsh(deserialize_with = "bounded_list::<MAX_HEADERS, _, _>")] Vec<SignedHeader>),
    /// Whole blocks.
    Blocks(#[borsh(deserialize_with = "bounded_list::<MAX_BLOCKS, _, _>")] Vec<BlockBody>),
    /// Transactions of the pool.
    Transactions(#[borsh(deserialize_with = "bounded_list::<MAX_TRANSACTIONS, _, _>")] Vec<Transaction>),
    /// A page of the pool.
    PoolInventory {
        /// Full hashes, ascending.
        #[borsh(deserialize_with = "bounded_list::<MAX_INVENTORY, _, _>")]
        hashes: Vec<FullHash>,
        /// Whether the pool holds hashes above the last of these.
        more: bool,
    },
    /// Chunks of off-chain items.
    Chunks(#[borsh(deserialize_with = "bounded_list::<MAX_CHUNKS, _, _>")] Vec<ChunkBody>),
    /// Transactions of a block.
    BlockTransactions(#[borsh(deserialize_with = "bounded_list::<MAX_COMPACT_HASHES, _, _>")] Vec<Transaction>),
    /// Places of peers that could be dialled.
    Addresses(#[borsh(deserialize_with = "bounded_list::<MAX_ADDRESSES, _, _>")] Vec<SocketAddr>),
    /// No answer.
    Refused(Refusal),
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum Refusal {
    /// Too many requests wait for an answer.
    #[error("too many requests wait")]
    Busy,
    /// The peer does not serve the asking side: it does not know it, or the asking side may not read the stream.
    #[error("the peer does not serve this node, or not this stream")]
    NotServed,
    /// The peer lacks what was asked for, the block of a position for example.
    #[error("the peer does not have it")]
    Unknown,
}

impl Response {
    /// The kind of the answer, none for a refusal.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Response::Headers(_) => Some(Kind::Headers),
            Response::Blocks(_) => Some(Kind::Blocks),
            Response::Transactions(_) => Some(Kind::Transactions),
            Response::PoolInventory { .. } => Some(Kind::PoolInventory),
            Response::Chunks(_) => Some(Kind::Chunks),
            Response::BlockTransactions(_) => Some(Kind::BlockTransactions),
            Response::Addresses(_) => Some(Kind::Addresses),
            Response::Refused(_) => None,
        }
    }
}

/// Announcement of a block: who has its transactions needs nothing more.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CompactBlock {
    /// Header and signature.
    pub header: SignedHeader,
    /// Full hashes of all transactions in order; empty for a block with too many, to be asked for whole.
    #[borsh(deserialize_with = "bounded_list::<MAX_COMPACT_HASHES, _, _>")]
    pub hashes: Vec<FullHash>,
}

impl CompactBlock {
    /// The announcement of a block with these transactions.
    #[must_use]
    pub fn new(header: SignedHeader, hashes: Vec<FullHash>) -> CompactBlock {
        let hashes = if hashes.len() > MAX_COMPACT_HASHES as usize { Vec::new() } else { hashes };
        CompactBlock { header, hashes }
    }
}

/// Announcement of transactions: "I have these, ask me". Each node makes its own.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct TransactionNews {
    /// Random, so that the same hashes can be announced again.
    pub salt: u64,
    /// Full hashes.
    #[borsh(deserialize_with = "bounded_list::<MAX_TRANSACTIONS, _, _>")]
    pub hashes: Vec<FullHash>,
}
