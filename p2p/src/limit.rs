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
/// After an answer that refuses, the asking side has this long to read it and close: a round trip across the world twice,
/// and with a tick well below a second.
pub const PARTING_TIME: Duration = Duration::from_millis(600);
/// An earlier connection of an identity that comes a second time must answer a ping within this time.
pub const DUPLICATE_PING_TIME: Duration = Duration::from_secs(5);
/// A connection that is closed sends what is still to be sent within this time, or not at all.
pub const CLOSING_TIME: Duration = Duration::from_secs(2);
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
/// Inbound connections in all that have not agreed on encryption yet: those of 16 hosts that say nothing, so that a few
/// such hosts keep nobody out.
pub const PENDING_INBOUND: u32 = 256;
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
/// Events waiting for the node: the largest that nobody asked for, compact blocks of 2 MB, make 256 MB.
pub const EVENT_QUEUE: usize = 128;
/// Events held while the queue is full, before the network is no longer read.
pub const OUTBOX: usize = 64;

/// How long an address stays out after its first offence: longer than an honest node that erred takes to be mended is
/// no use, and each further offence doubles it.
pub const SHUT_OUT: Duration = Duration::from_secs(10);
/// How long it stays out at most: an hour, after which an operator who mended a node need not wait for ours.
pub const LONGEST_SHUT_OUT: Duration = Duration::from_secs(3_600);
/// An address that kept to the rules for a day begins anew.
pub const OFFENCES_FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);
/// How long a host from which misbehaviour came is let in only now and then.
pub const HOST_CAUTION: Duration = Duration::from_secs(600);
/// Time for each of its connections: a second, so that its handshakes cost a thousandth of a core.
pub const HOST_PAUSE: Duration = Duration::from_secs(1);
/// Connections it may open at once: those of several honest nodes behind one address that reconnect.
pub const HOST_BURST: u32 = 8;
/// Offenders remembered, addresses and hosts each: 80 bytes each.
pub const MAX_OFFENDERS: usize = 4_096;

/// Gossip messages a second that a peer may send for long: a node announces at most 50 times a second, and its
/// housekeeping adds a few.
pub const GOSSIP_RATE: f64 = 100.0;
/// Gossip messages that a peer may send at once: those of ten seconds in which a busy node heard nothing.
pub const GOSSIP_BURST: f64 = 1_000.0;
/// Bytes a second that a peer may send for long while it is asked for nothing: fifty announcements of 1,000
/// transactions, and half as much again.
pub const UNASKED_RATE: f64 = 2.5 * 1_048_576.0;
/// Bytes that a peer may send at once while it is asked for nothing: all its requests, and some blocks' announcements.
pub const UNASKED_BURST: f64 = 24.0 * 1_048_576.0;

/// Bytes of a piece that is sent on a socket below which it counts as small: a pong or a refusal, encrypted, is below.
pub const SMALL_WRITE: usize = 256;
/// Small pieces a second that a peer may make this node send for long: 32 requests under way over a line of 20 ms.
pub const SMALL_RATE: f64 = 1_600.0;
/// Small pieces that it may make this node send at once: those of five seconds.
pub const SMALL_BURST: f64 = 8_000.0;

/// Bytes of answers that wait to be taken by one peer, besides the one that is being written: what a fast line holds.
pub const UNSENT_A_PEER: usize = 16 << 20;
/// Bytes of answers that wait to be taken by all peers.
pub const UNSENT: usize = 256 << 20;

/// Connections a second that are taken from hosts that never had a welcome member: a handshake costs milliseconds, so that
/// strangers cost at most a twentieth of a core, with what they then say a tenth.
pub const ARRIVAL_RATE: f64 = 16.0;
/// Such connections at once: those of a large chain's nodes that come back after this one was down; others try again.
pub const ARRIVAL_BURST: f64 = 64.0;
/// Hosts of members that are remembered, 40 bytes each.
pub const MAX_KNOWN_HOSTS: usize = 4_096;
