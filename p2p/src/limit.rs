//! The limits of everything a peer can send or hold open, each with where its value comes from.

use std::time::Duration;

/// Headers in one answer: a window of headers held past the applied tip (docs/protocol/peer.md).
pub const MAX_HEADERS: u32 = 2_000;
/// Hashes in a locator: one a halving of the distance, 32 halvings reach any height, and ten near the tip.
pub const MAX_LOCATOR: u32 = 64;
/// Blocks asked for at once: with several peers asked in parallel, more would only lengthen a retry.
pub const MAX_BLOCKS: u32 = 16;
/// Transactions asked for or announced at once: 32 KB of hashes, a second of a busy chain.
pub const MAX_TRANSACTIONS: u32 = 1_000;
/// Hashes in one page of a pool's inventory: 320 KB.
pub const MAX_INVENTORY: u32 = 10_000;
/// Chunks asked for at once; the answer is bounded in bytes besides.
pub const MAX_CHUNKS: u32 = 64;
/// Peers' places in one answer: more than the connections a node holds.
pub const MAX_ADDRESSES: u32 = 256;
/// Full hashes in a compact block: 2 MB; a block with more is announced by its header alone.
pub const MAX_COMPACT_HASHES: u32 = 65_536;

/// Bytes of a salt beside an off-chain chunk: a hash's width is the most that adds entropy.
pub const MAX_SALT: u32 = 32;
/// Bytes of a chunk on the wire: the largest value the parameter maximum-chunk-size takes is 64 MB.
pub const MAX_CHUNK: u32 = 64 << 20;

/// Frame of a request: the largest is 65,536 indexes of four bytes, or 1,000 hashes; half as much again.
pub const REQUEST_FRAME: u32 = 384 << 10;
/// Frame of an answer with headers: 2,000 of at most 512 bytes.
pub const HEADERS_FRAME: u32 = 1 << 20;
/// Frame of an answer with inventory: 10,000 hashes of 32 bytes and a count, rounded up.
pub const INVENTORY_FRAME: u32 = 384 << 10;
/// Frame of an answer with places: 256 of at most 32 bytes.
pub const ADDRESSES_FRAME: u32 = 8 << 10;
/// Least frame of an answer with blocks, transactions or chunks, so that small ones travel together.
pub const BODIES_FRAME: u32 = 4 << 20;
/// Added to the largest block or chunk for what stands around it in the frame.
pub const FRAME_SLACK: u32 = 4 << 10;
/// Frame of a hello, either way: names and versions of at most 256 bytes, a sentence of at most 1,024.
pub const HELLO_FRAME: u32 = 4 << 10;
/// Text of a name or version in a hello.
pub const MAX_NAME: usize = 256;
/// Text of a reason a peer gives.
pub const MAX_REASON: usize = 1_024;
/// Frame of a join request: a chain's name.
pub const JOIN_REQUEST_FRAME: u32 = 1 << 10;
/// Frame of a join answer: a parameter set, which is bounded by 64 KiB, and a sentence.
pub const JOIN_ANSWER_FRAME: u32 = 80 << 10;
/// A gossip message: a compact block with the most hashes, a header and a count.
pub const GOSSIP_MESSAGE: usize = MAX_COMPACT_HASHES as usize * 32 + 4_096;
/// Gossip messages waiting for a slow peer: announcements of transactions, 32 KB each, make 8 MB.
pub const GOSSIP_QUEUE: usize = 256;
/// Memory taken on a length alone, before the bytes arrive.
pub const CAUTIOUS_CAPACITY: usize = 64 << 10;

/// Whole time of one request, from sending to the last byte of the answer.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Transport, encryption and multiplexing of a new connection must be agreed within this time.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A connection on which no hello succeeded ends after this time.
pub const HELLO_TIME: Duration = Duration::from_secs(10);
/// A connection of a peer without the right to connect ends after this time.
pub const JOIN_TIME: Duration = Duration::from_secs(5);
/// After an answer that refuses, the asking side has this long to read it and close.
pub const PARTING_TIME: Duration = Duration::from_secs(1);
/// An earlier connection of an identity that comes a second time must answer a ping within this time.
pub const DUPLICATE_PING_TIME: Duration = Duration::from_secs(5);
/// A peer we dialled and do not know may prove within this time that we are behind.
pub const PROBE_TIME: Duration = Duration::from_secs(60);
/// Names of dialled hosts must resolve within this time.
pub const RESOLVE_TIME: Duration = Duration::from_secs(10);
/// Interval of pings on an open connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A ping must be answered within this time.
pub const PING_TIME: Duration = Duration::from_secs(20);
/// Pings in a row that may fail before the connection counts as dead.
pub const PING_FAILURES: u32 = 2;
/// How often deadlines are looked at: well below the shortest of them.
pub const TICK: Duration = Duration::from_millis(100);

/// Requests we have under way with one peer; more are answered as busy at once.
pub const OUTBOUND_REQUESTS: usize = 32;
/// Requests of one peer that wait for our answer; more are refused as busy.
pub const INBOUND_REQUESTS: usize = 32;
/// Requests of a peer that arrive before its hello was read: both sides may write at once.
pub const EARLY_REQUESTS: usize = 8;
/// Streams of one request protocol on one connection: our requests and the peer's.
pub const STREAMS_PER_PROTOCOL: usize = OUTBOUND_REQUESTS + INBOUND_REQUESTS;
/// Streams of one connection: five request protocols' worth and those of gossip and ping.
pub const STREAMS_PER_CONNECTION: usize = 256;
/// Inbound streams of one connection that still negotiate their protocol.
pub const NEGOTIATING_STREAMS: usize = 64;

/// Connections in all unless configured: enough for every peer of a large permissioned chain.
pub const MAX_CONNECTIONS: u32 = 125;
/// Connections to one identity: one, and a second while it is told that it is one too many.
pub const CONNECTIONS_PER_PEER: u32 = 2;
/// Inbound connections in all that have not agreed on encryption yet.
pub const PENDING_INBOUND: u32 = 64;
/// Outbound connections in all that have not agreed on encryption yet.
pub const PENDING_OUTBOUND: u32 = 64;
/// Inbound connections of one host that have not agreed on encryption yet.
pub const PENDING_PER_HOST: usize = 16;
/// Connections of one host whose identity may not connect.
pub const UNPERMITTED_PER_HOST: usize = 8;
/// Connections in all whose identity may not connect.
pub const UNPERMITTED_TOTAL: usize = 32;
/// Inbound peers of unknown identity from which a node that is behind takes headers and blocks.
pub const UNKNOWN_INBOUND: usize = 4;
/// Share of the machine's memory above which no new connection is taken.
pub const MEMORY_SHARE: f64 = 0.85;
/// Bans held: the oldest to end is dropped for a new one.
pub const MAX_BANS: usize = 4_096;
/// Hosts a node dials or keeps dialled; a line of configuration each.
pub const MAX_TARGETS: usize = 1_024;

/// Compact blocks of one peer whose verdict is open; further ones are not relayed.
pub const OPEN_BLOCKS_PER_PEER: usize = 8;
/// How long the verdict on a relayed block may take.
pub const VERDICT_TIME: Duration = Duration::from_secs(30);
/// How long a relayed message is kept for its verdict: the verdict's time, and a third of it for a busy task.
pub const MESSAGE_TIME: Duration = Duration::from_secs(40);

/// Commands waiting for the task.
pub const COMMAND_QUEUE: usize = 256;
/// Events waiting for the node.
pub const EVENT_QUEUE: usize = 1_024;
/// Events held while the queue is full, before the network is no longer read.
pub const OUTBOX: usize = 64;
