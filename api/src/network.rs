//! Peers: methods and answers.

use crate::method::{BOOL, Method, STR, optional, required};
use serde::Serialize;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getnetworkinfo", "Describes this node's place in the peer network."),
    Method::new("addnode", "Adds a peer to keep connected to, removes one, or tries one once.")
        .takes(&[required("node", STR), required("command", STR)])
        .example(&["192.168.0.7:2917", "add"]),
    Method::new("storenode", "Puts a peer into the address book, or marks it as one to leave alone.")
        .takes(&[required("node", STR), optional("command", STR, "tryconnect")])
        .example(&["192.168.0.7:2917", "tryconnect"]),
    Method::new("liststorednodes", "Lists the address book.").takes(&[optional("include-old-ignores", BOOL, "false")]),
    Method::new("getaddednodeinfo", "Shows the peers that were added by hand.")
        .takes(&[required("dns", BOOL), optional("node", STR, "")])
        .example(&["true"]),
    Method::new("getconnectioncount", "Counts connected peers."),
    Method::new("getnettotals", "Counts bytes received and sent."),
    Method::new("getpeerinfo", "Describes each connected peer."),
    Method::new("ping", "Asks every peer for a sign of life; the answer shows in getpeerinfo."),
    Method::new("getchunkqueueinfo", "Shows how much off-chain data this node is waiting for."),
    Method::new("getchunkqueuetotals", "Counts requests for off-chain data since the node started."),
];

/// What `getnetworkinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NetworkInfo {
    /// Version as one number.
    pub version: i64,
    /// Name and version told to peers.
    pub subversion: String,
    /// Version of the peer protocol.
    pub protocolversion: i64,
    /// Services offered, sixteen hexadecimal digits.
    pub localservices: String,
    /// Seconds between this clock and that of the peers.
    pub timeoffset: i64,
    /// Connected peers.
    pub connections: i64,
    /// What kinds of network can be reached.
    pub networks: Vec<NetworkReach>,
    /// Least fee for a thousand bytes.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub relayfee: f64,
    /// Addresses this node can be reached at.
    pub localaddresses: Vec<LocalAddress>,
}

/// One kind of network in `getnetworkinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NetworkReach {
    /// `ipv4`, `ipv6` or `onion`.
    pub name: String,
    /// Whether it is excluded by a setting.
    pub limited: bool,
    /// Whether it can be reached.
    pub reachable: bool,
    /// Proxy in use, empty if none.
    pub proxy: String,
}

/// One own address in `getnetworkinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LocalAddress {
    /// Host.
    pub address: String,
    /// Port for peers.
    pub port: i64,
    /// How sure the node is.
    pub score: i64,
}

/// One peer in `getpeerinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PeerInfo {
    /// Number of the connection.
    pub id: i64,
    /// Remote `host:port`.
    pub addr: String,
    /// Our side of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addrlocal: Option<String>,
    /// Services offered, sixteen hexadecimal digits.
    pub services: String,
    /// When something was last sent, Unix time.
    pub lastsend: i64,
    /// When something was last received, Unix time.
    pub lastrecv: i64,
    /// Bytes sent.
    pub bytessent: i64,
    /// Bytes received.
    pub bytesrecv: i64,
    /// When the connection was made, Unix time.
    pub conntime: i64,
    /// Seconds the last ping took.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub pingtime: f64,
    /// Seconds an open ping has taken so far.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::number::serialize_some_real")]
    pub pingwait: Option<f64>,
    /// Version of the peer protocol.
    pub version: i64,
    /// Name and version the peer told.
    pub subver: String,
    /// The address this node proved, null where anyone may connect.
    pub handshakelocal: Option<String>,
    /// The address the peer proved, null where anyone may connect.
    pub handshake: Option<String>,
    /// Whether the peer called us.
    pub inbound: bool,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The peer's height when it connected.
    pub startingheight: i64,
    /// Misbehaviour counted so far.
    pub banscore: i64,
    /// Last header in common, -1 if unknown.
    pub synced_headers: i64,
    /// Last block in common, -1 if unknown.
    pub synced_blocks: i64,
    /// Heights asked from the peer and not yet received.
    pub inflight: Vec<i64>,
    /// Whether the peer is never banned.
    pub whitelisted: bool,
}

/// One entry of the address book in `liststorednodes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StoredNode {
    /// `host:port`.
    pub addr: String,
    /// Addresses proved there, newest first.
    pub handshakes: Vec<StoredHandshake>,
    /// When a dial last failed, Unix time.
    pub lastfailure: Option<i64>,
    /// Failures in a row.
    pub failcount: i64,
    /// `stored`, `seed` or `peers`.
    pub source: String,
    /// `inbound`, `outbound`, `ignored` or `tryconnect`.
    pub status: String,
}

/// One proved address in `liststorednodes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StoredHandshake {
    /// The address.
    pub address: String,
    /// When it was last proved, Unix time.
    pub lastsuccess: i64,
}

/// One entry of `getaddednodeinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AddedNode {
    /// `host:port` as it was added.
    pub addednode: String,
    /// Whether a connection stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// The connections behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<AddedNodeAddress>>,
}

/// One connection of an added peer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AddedNodeAddress {
    /// `host:port`.
    pub address: String,
    /// `inbound`, `outbound` or `false`.
    pub connected: String,
}

/// What `getnettotals` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NetTotals {
    /// Bytes received.
    pub totalbytesrecv: i64,
    /// Bytes sent.
    pub totalbytessent: i64,
    /// The clock, milliseconds of Unix time.
    pub timemillis: i64,
}

/// What `getchunkqueueinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChunkQueue {
    /// Numbers of pieces.
    pub chunks: ChunkQueueCount,
    /// Their bytes.
    pub bytes: ChunkQueueCount,
}

/// One line of `getchunkqueueinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChunkQueueCount {
    /// Waiting to be asked for.
    pub waiting: i64,
    /// Being looked for.
    pub querying: i64,
    /// Being received.
    pub retrieving: i64,
}

/// What `getchunkqueuetotals` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChunkTotals {
    /// Numbers of pieces.
    pub chunks: ChunkTotalCount,
    /// Their bytes.
    pub bytes: ChunkTotalCount,
}

/// One line of `getchunkqueuetotals`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChunkTotalCount {
    /// Looked for.
    pub queries: i64,
    /// Found with some peer.
    pub responded: i64,
    /// Not found.
    pub unresponded: i64,
    /// Asked for.
    pub requests: i64,
    /// Received.
    pub delivered: i64,
    /// Not received in time.
    pub undelivered: i64,
    /// Received and wrong.
    pub baddelivered: i64,
}
