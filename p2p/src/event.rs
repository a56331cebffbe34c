//! The door out: what the peer room tells the node.

use std::net::SocketAddr;

use rota_chain::hash::FullHash;
use rota_chain::lock::KeyHash;

use crate::codec::Malformed;
use crate::gate::Admission;
use crate::hello::{Hello, RefusalCause};
use crate::message::{CompactBlock, Refusal, Request, Response};
use crate::peer::PeerHandle;

/// Number of a peer's request that waits for the node's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Number the node gives a request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// Why a request of ours has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The peer is not connected, or not let in to this protocol.
    #[error("the peer is not connected for this")]
    NotConnected,
    /// Too many of our requests to the peer are under way.
    #[error("too many requests to the peer are under way")]
    Busy,
    /// The request exceeds a limit of the protocol.
    #[error("request out of bounds: {0}")]
    OutOfBounds(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended first.
    #[error("the connection ended before the answer")]
    Disconnected,
    /// The peer does not speak the protocol: it does not let us in.
    #[error("the peer does not let us in to this protocol")]
    Unsupported,
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Stream(String),
    /// The answer is not what the protocol says; the peer was disconnected.
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    /// The peer answered that it does not answer.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The room is closed.
    #[error("the peer room is closed")]
    Stopped,
}

/// What happens among peers.
#[derive(Debug)]
pub enum Event {
    /// A peer is connected and both sides agreed on the chain.
    PeerConnected {
        /// Number of the connection.
        peer: PeerHandle,
        /// The address the peer proved.
        address: KeyHash,
        /// Where it is.
        remote: SocketAddr,
        /// Whether it dialled us.
        inbound: bool,
        /// How far it is let in.
        admission: Admission,
        /// What it says of itself.
        hello: Hello,
        /// The target we dialled, if one.
        target: Option<String>,
    },
    /// A connected peer is gone.
    PeerDisconnected {
        /// Number of the connection.
        peer: PeerHandle,
        /// Why.
        reason: String,
    },
    /// A connection ended before the peers agreed.
    Refused {
        /// Where the other side is.
        remote: SocketAddr,
        /// The address it proved; none if the encryption did not get so far.
        address: Option<KeyHash>,
        /// The target we dialled, if one.
        target: Option<String>,
        /// Whether the other side refused us.
        by_peer: bool,
        /// The cause, for programs.
        cause: RefusalCause,
        /// The sentence, for people.
        reason: String,
    },
    /// A target could not be reached.
    DialFailed {
        /// The target.
        target: String,
        /// Why.
        reason: String,
    },
    /// A peer asks; answer with [`crate::Handle::respond`].
    Request {
        /// The peer.
        peer: PeerHandle,
        /// Number of the request.
        request_id: RequestId,
        /// The request, within its bounds.
        request: Request,
    },
    /// The answer to a request of ours.
    Response {
        /// The peer.
        peer: PeerHandle,
        /// The number we gave the request.
        query: QueryId,
        /// The answer. Lists may be shorter than asked.
        result: Result<Response, RequestError>,
    },
    /// A peer has these transactions; ask it for those wanted.
    TransactionsAnnounced {
        /// The peer.
        peer: PeerHandle,
        /// Their full hashes.
        hashes: Vec<FullHash>,
    },
    /// A peer has this block; announce it in turn once it is found good.
    BlockAnnounced {
        /// The peer.
        peer: PeerHandle,
        /// Header and full hashes.
        compact: CompactBlock,
    },
    /// A peer broke the protocol and was disconnected.
    Misbehaviour {
        /// The peer; none if it was never let in.
        peer: Option<PeerHandle>,
        /// Where it is.
        remote: SocketAddr,
        /// The address it proved.
        address: KeyHash,
        /// What it did.
        reason: String,
    },
    /// The node can be dialled here.
    Listening {
        /// Where.
        addr: SocketAddr,
    },
    /// The node cannot be dialled where it should be.
    ListenFailed {
        /// Where.
        addr: SocketAddr,
        /// Why.
        error: String,
    },
}
