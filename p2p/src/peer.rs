//! Peers as the node sees them: a number for each connection, and what is known about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use rota_chain::lock::KeyHash;

use crate::gate::{Admission, Entry};
use crate::hello::{Hello, Tip};
use crate::limit::{
    GOSSIP_BURST, GOSSIP_RATE, HELLO_TIME, PARTING_TIME, SMALL_BURST, SMALL_RATE, UNASKED_BURST, UNASKED_RATE,
};
use crate::pace::Pace;
use crate::swarm::greeting::Early;
use crate::traffic::{Counters, unix_time};

/// Number of a connection, never used twice while the room is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerHandle(pub u64);

impl std::fmt::Display for PeerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A connected peer in figures, as `getpeerinfo` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Number of the connection.
    pub peer: PeerHandle,
    /// The address the peer proved.
    pub address: KeyHash,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Our end of the connection, if known.
    pub local: Option<SocketAddr>,
    /// Whether the peer dialled us.
    pub inbound: bool,
    /// How far the peer is let in.
    pub admission: Admission,
    /// What the peer said of itself.
    pub hello: Hello,
    /// Unix time of the connection.
    pub connected_at: u64,
    /// Unix time of the last byte sent.
    pub last_send: u64,
    /// Unix time of the last byte received.
    pub last_receive: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Duration of the last ping.
    pub ping: Option<Duration>,
    /// How long a ping has been waiting for its answer.
    pub ping_wait: Option<Duration>,
    /// Seconds the peer's clock was ahead of ours at the hello.
    pub time_offset: i64,
}

/// One live connection.
pub(crate) struct Peer {
    /// As the gate let it in.
    pub entry: Entry,
    /// libp2p's name of the connection.
    pub connection: ConnectionId,
    /// libp2p's name of the identity.
    pub id: PeerId,
    /// When it was opened.
    pub opened: Instant,
    /// Unix time of that.
    pub opened_at: u64,
    /// The peer's hello, once both sides agreed: from then on the node knows the peer.
    pub hello: Option<Hello>,
    /// The peer's clock less ours.
    pub time_offset: i64,
    /// When the connection ends unless something happens.
    pub deadline: Option<Instant>,
    /// Why we close it.
    pub closing: Option<String>,
    /// Whether the node was told that the connection is refused.
    pub refused: bool,
    /// Bytes.
    pub counters: Arc<Counters>,
    /// Last ping.
    pub ping: Option<Duration>,
    /// When a ping that waits was sent.
    pub pinged: Option<Instant>,
    /// Pings in a row that failed.
    pub ping_failures: u32,
    /// Requests that came before the hello was answered.
    pub early: Vec<Early>,
    /// Our requests under way.
    pub outbound_requests: usize,
    /// The peer's requests that wait for an answer.
    pub inbound_requests: usize,
    /// Bytes of answers that the peer has not taken yet.
    pub unsent: usize,
    /// Bytes that the answers to our requests under way may have.
    expecting: u64,
    /// Those of them that did not come yet.
    expected: u64,
    /// Bytes received up to now that were looked at.
    bytes_heard: u64,
    /// Those of them, since the last look at its pace, that nobody asked for.
    unasked: u64,
    /// Gossip messages that were new.
    pub gossip_messages: u64,
    /// Gossip messages heard up to the last look.
    pub gossip_heard: u64,
    /// Small pieces sent up to the last look.
    pub small_sent: u64,
    /// How fast it makes us send small pieces.
    pub small_pace: Pace,
    /// How fast gossip messages come.
    pub gossip_pace: Pace,
    /// How fast bytes come that nobody asked for.
    pub unasked_pace: Pace,
}

impl Peer {
    pub fn new(entry: Entry, connection: ConnectionId, id: PeerId, counters: Arc<Counters>) -> Peer {
        let opened = Instant::now();
        Peer {
            entry,
            connection,
            id,
            opened,
            opened_at: unix_time(),
            hello: None,
            time_offset: 0,
            deadline: Some(opened + HELLO_TIME),
            closing: None,
            refused: false,
            counters,
            ping: None,
            pinged: None,
            ping_failures: 0,
            early: Vec::new(),
            outbound_requests: 0,
            inbound_requests: 0,
            unsent: 0,
            expecting: 0,
            expected: 0,
            bytes_heard: 0,
            unasked: 0,
            gossip_messages: 0,
            gossip_heard: 0,
            small_sent: 0,
            small_pace: Pace::new(SMALL_RATE, SMALL_BURST, opened),
            gossip_pace: Pace::new(GOSSIP_RATE, GOSSIP_BURST, opened),
            unasked_pace: Pace::new(UNASKED_RATE, UNASKED_BURST, opened),
        }
    }

    /// The connection was answered for the last time: it ends when that can be read, and not later than it would have.
    pub fn part_soon(&mut self) {
        let soon = Instant::now() + PARTING_TIME;
        self.deadline = Some(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
    }

    /// Notes that so many bytes may come as the answer to a request.
    pub fn expect(&mut self, bytes: u32) {
        self.expecting = self.expecting.saturating_add(bytes.into());
        self.expected = self.expected.saturating_add(bytes.into());
    }

    /// A request ended: what its answer did not bring is expected no more.
    pub fn expect_no_more(&mut self, bytes: u32) {
        self.count_unasked();
        self.expecting = self.expecting.saturating_sub(bytes.into());
        self.expected = self.expected.min(self.expecting);
    }

    /// Bytes since the last look that nobody asked for.
    pub fn take_unasked(&mut self) -> u64 {
        self.count_unasked();
        std::mem::take(&mut self.unasked)
    }

    fn count_unasked(&mut self) {
        let (_, received) = self.counters.bytes();
        let new = received.saturating_sub(self.bytes_heard);
        self.bytes_heard = received;
        let asked = new.min(self.expected);
        self.expected -= asked;
        self.unasked = self.unasked.saturating_add(new - asked);
    }

    /// The agreed hello, while the connection is not being closed.
    pub fn settled(&self) -> Option<&Hello> {
        self.hello.as_ref().filter(|_| self.closing.is_none())
    }

    /// Whether the peer, unknown to us, says that it is ahead of `tip`.
    pub fn claims_more_than(&self, tip: &Tip) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.tip.height > tip.height)
    }

    /// The peer in figures, once its hello is agreed.
    pub fn info(&self) -> Option<PeerInfo> {
        let hello = self.hello.clone()?;
        let (bytes_sent, bytes_received) = self.counters.bytes();
        let (last_send, last_receive) = self.counters.times();
        Some(PeerInfo {
            peer: self.entry.handle,
            address: self.entry.address,
            remote: self.entry.remote,
            local: self.counters.local(),
            inbound: self.entry.inbound,
            admission: self.entry.admission,
            hello,
            connected_at: self.opened_at,
            last_send,
            last_receive,
            bytes_sent,
            bytes_received,
            ping: self.ping,
            ping_wait: self.pinged.map(|sent| sent.elapsed()),
            time_offset: self.time_offset,
        })
    }
}
