//! The network between nodes, in place of the peer room: connections as its gate admits them, and messages that are
//! late, lost, doubled or cut.

use std::collections::BTreeMap;

use rota_chain::hash::{BlockHash, FullHash};
use rota_node::network::gate_rules;
use rota_node::sync::{SyncInput, answer, compact_of};
use rota_p2p::{Admission, CompactBlock, PeerHandle, QueryId, Refusal, Request, RequestError, Response, Tip};

use crate::world::{Due, SECOND, World};

/// How long a request waits for its answer.
const REQUEST: u64 = 30 * SECOND;
/// How long the peer room passes a block on but once.
const TOLD: u64 = 120 * SECOND;
/// How long a dialled peer that is not permitted stays while this node is not behind.
const UNPERMITTED: u64 = 60 * SECOND;

/// A connection between two nodes.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The node that dialled and the other.
    pub ends: (usize, usize),
    /// How far each lets the other in.
    pub admission: (Admission, Admission),
    /// When it was opened.
    pub since: u64,
}

impl Connection {
    /// The node at the other end.
    #[must_use]
    pub const fn other(&self, node: usize) -> usize {
        if self.ends.0 == node { self.ends.1 } else { self.ends.0 }
    }

    /// How far a node lets the other in.
    #[must_use]
    pub const fn admission_at(&self, node: usize) -> Admission {
        if self.ends.0 == node { self.admission.0 } else { self.admission.1 }
    }

    /// Whether both let each other in to everything.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.admission == (Admission::Full, Admission::Full)
    }
}

/// What travels on a connection.
#[derive(Clone, Debug)]
pub enum Message {
    /// Transactions that the sender has.
    Transactions(Vec<FullHash>),
    /// A block that the sender has.
    Block(CompactBlock),
    /// A request.
    Ask(QueryId, Request),
    /// Its answer.
    Answer(QueryId, Result<Response, RequestError>),
}

impl World {
    /// A node dials another: the connection comes up if both let each other in.
    ///
    /// # Errors
    /// As [`World::feed`].
    pub fn dial(&mut self, from: usize, to: usize) -> anyhow::Result<()> {
        let up = self.nodes.get(from).is_some_and(|node| node.running.is_some())
            && self.nodes.get(to).is_some_and(|node| node.running.is_some());
        let connected = self.connections.values().any(|connection| connection.ends == (from, to));
        if !up || connected {
            // Whoever starts dials again.
            return Ok(());
        }
        if self.islands.get(from) != self.islands.get(to) {
            self.after(SECOND, Due::Dial { from, to });
            return Ok(());
        }
        let admission = (self.admits(from, to, false, None), self.admits(to, from, true, None));
        if admission.0 == Admission::Porch || admission.1 == Admission::Porch {
            let pause = self.travel.between(2 * SECOND, 5 * SECOND);
            self.after(pause, Due::Dial { from, to });
            return Ok(());
        }
        self.last_connection += 1;
        let handle = PeerHandle(self.last_connection);
        self.connections.insert(handle, Connection { ends: (from, to), admission, since: self.now });
        for (node, other, admission) in [(from, to, admission.0), (to, from, admission.1)] {
            let address = self.chain.address(other);
            let Some((height, hash)) = self.nodes.get(other).and_then(crate::node::Node::tip) else { continue };
            if let Some(running) = self.running_mut(node) {
                running.peers.insert(handle, other);
            }
            self.note(node, b"connect", || format!("connected to node {other}, admission {admission:?}"));
            let tip = Tip { height: rota_chain::amount::Height(height), hash };
            let full = admission == Admission::Full;
            self.feed(node, SyncInput::Connected { peer: handle, address, full, tip })?;
        }
        Ok(())
    }

    /// How far a node lets an address in now.
    fn admits(&self, node: usize, other: usize, inbound: bool, besides: Option<PeerHandle>) -> Admission {
        let Some(running) = self.running(node) else { return Admission::Porch };
        let rules = gate_rules(&running.view, &self.chain.rules, running.behind);
        let unknown = self.connections.iter().filter(|(handle, connection)| {
            connection.ends.1 == node && connection.admission.1 == Admission::Sync && Some(**handle) != besides
        });
        rules.admission(&self.chain.address(other), inbound, unknown.count())
    }

    /// Judges all connections of a node again, after its tip moved or it fell or caught up.
    pub fn judge_connections(&mut self, node: usize) {
        if self.plan.anyone_can_connect {
            return;
        }
        let of_node =
            |(_, connection): &(&PeerHandle, &Connection)| [connection.ends.0, connection.ends.1].contains(&node);
        let all: Vec<(PeerHandle, Connection)> =
            self.connections.iter().filter(of_node).map(|(handle, connection)| (*handle, *connection)).collect();
        for (handle, connection) in all {
            let inbound = connection.ends.1 == node;
            let now = self.admits(node, connection.other(node), inbound, Some(handle));
            if now != connection.admission_at(node) {
                self.after(1_000, Due::Close { connection: handle });
            }
        }
    }

    /// Ends connections to peers that stay unpermitted though this node is not behind.
    pub fn end_long_looks(&mut self, node: usize) {
        if self.plan.anyone_can_connect || self.running(node).is_none_or(|running| running.behind) {
            return;
        }
        let now = self.now;
        let long = |(_, connection): &(&PeerHandle, &Connection)| {
            let mine = [connection.ends.0, connection.ends.1].contains(&node);
            mine && connection.admission_at(node) == Admission::Sync && now - connection.since > UNPERMITTED
        };
        let ended: Vec<PeerHandle> = self.connections.iter().filter(long).map(|(handle, _)| *handle).collect();
        for connection in ended {
            self.after(1_000, Due::Close { connection });
        }
    }

    /// Ends a connection: both sides notice, and the one that dialled dials again.
    ///
    /// # Errors
    /// As [`World::feed`].
    pub fn close(&mut self, handle: PeerHandle) -> anyhow::Result<()> {
        let Some(connection) = self.connections.remove(&handle) else { return Ok(()) };
        for node in [connection.ends.0, connection.ends.1] {
            let had = self.running_mut(node).is_some_and(|running| running.peers.remove(&handle).is_some());
            if had {
                self.note(node, b"close", || format!("lost node {}", connection.other(node)));
                self.feed(node, SyncInput::Disconnected(handle))?;
            }
        }
        let (from, to) = connection.ends;
        let pause = self.travel.between(100_000, SECOND);
        self.after(pause, Due::Dial { from, to });
        Ok(())
    }

    /// Sends a message, unless it is lost on the way. True if it will arrive.
    pub fn send(&mut self, connection: PeerHandle, to: usize, message: Message) -> bool {
        let from = self.connections.get(&connection).map_or(to, |connection| connection.other(to));
        let parted = self.islands.get(from) != self.islands.get(to);
        if parted || self.travel.chance(self.network.drop) {
            self.checks.counts.dropped += 1;
            return false;
        }
        let announcement = matches!(message, Message::Transactions(_) | Message::Block(_));
        let delay = self.delay();
        if announcement && self.travel.chance(self.network.duplicate) {
            let again = self.delay() + self.delay();
            self.after(again, Due::Arrive { connection, to, message: Box::new(message.clone()) });
        }
        self.after(delay, Due::Arrive { connection, to, message: Box::new(message) });
        true
    }

    fn delay(&mut self) -> u64 {
        let usual = self.travel.between(500, self.network.delay.max(1_000));
        if self.travel.chance(self.network.slow) { usual * self.travel.between(2, 10) } else { usual }
    }

    /// A node asks a peer.
    pub fn ask(&mut self, node: usize, peer: PeerHandle, query: QueryId, request: Request) {
        let Some(connection) = self.connections.get(&peer).copied() else {
            let result = Err(RequestError::NotConnected);
            self.after(
                1_000,
                Due::Arrive { connection: peer, to: node, message: Box::new(Message::Answer(query, result)) },
            );
            return;
        };
        if !self.send(peer, connection.other(node), Message::Ask(query, request)) {
            let result = Err(RequestError::TimedOut);
            self.after(
                REQUEST,
                Due::Arrive { connection: peer, to: node, message: Box::new(Message::Answer(query, result)) },
            );
        }
    }

    /// A message arrives.
    ///
    /// # Errors
    /// As [`World::feed`].
    pub fn arrive(&mut self, handle: PeerHandle, to: usize, message: Message) -> anyhow::Result<()> {
        // An answer that was given up is told whatever became of the connection.
        let known = self.running(to).is_some_and(|running| running.peers.contains_key(&handle));
        let Some(connection) = self.connections.get(&handle).copied().filter(|_| known) else { return Ok(()) };
        match message {
            Message::Transactions(hashes) => {
                self.note(to, b"news", || {
                    format!("hears of {} transactions from {}", hashes.len(), connection.other(to))
                });
                self.feed(to, SyncInput::TransactionsAnnounced { peer: handle, hashes })
            }
            Message::Block(compact) => {
                let hash = compact.header.hash();
                if !self.hear(to, hash) {
                    return Ok(());
                }
                self.note(to, &hash.0, || format!("hears of block {hash} from node {}", connection.other(to)));
                self.feed(to, SyncInput::BlockAnnounced { peer: handle, compact })
            }
            Message::Ask(query, request) => {
                self.reply(handle, connection, to, query, request);
                Ok(())
            }
            Message::Answer(query, result) => {
                self.note(to, &query.0.to_le_bytes(), || {
                    let text: String = format!("{result:?}").chars().take(60).collect();
                    format!("answer {} of node {}: {text}", query.0, connection.other(to))
                });
                self.feed(to, SyncInput::Response { peer: handle, query, result })
            }
        }
    }

    /// Notes that a node heard of a block; false if the peer room would keep it back as a duplicate.
    fn hear(&mut self, node: usize, hash: BlockHash) -> bool {
        let now = self.now;
        let doubles = self.network.duplicate > 0 && self.travel.chance(self.network.duplicate);
        let Some(running) = self.running_mut(node) else { return false };
        forget_old(&mut running.told, now);
        let new = !running.told.contains_key(&hash);
        if new {
            running.told.insert(hash, (now, false));
        }
        new || doubles
    }

    /// Tells all peers of a block, once in a while.
    ///
    /// # Errors
    /// If storage fails.
    pub fn announce_block(&mut self, node: usize, hash: BlockHash) -> anyhow::Result<()> {
        let now = self.now;
        let Some(running) = self.running_mut(node) else { return Ok(()) };
        forget_old(&mut running.told, now);
        if running.told.get(&hash).is_some_and(|(_, passed)| *passed) {
            return Ok(());
        }
        running.told.insert(hash, (now, true));
        let Some(compact) = compact_of(&running.view.snapshot(), &hash)? else { return Ok(()) };
        self.tell(node, |_| true, &Message::Block(compact));
        Ok(())
    }

    /// Sends a message to all peers that are let in to everything and that `which` chooses.
    pub fn tell(&mut self, node: usize, mut which: impl FnMut(usize) -> bool, message: &Message) {
        let peers: Vec<(PeerHandle, usize)> = self
            .running(node)
            .map(|running| running.peers.iter().map(|(handle, other)| (*handle, *other)).collect())
            .unwrap_or_default();
        for (handle, other) in peers {
            let full = self.connections.get(&handle).is_some_and(Connection::is_full);
            if full && which(other) {
                self.send(handle, other, message.clone());
            }
        }
    }

    /// A node answers a peer.
    fn reply(&mut self, handle: PeerHandle, connection: Connection, node: usize, query: QueryId, request: Request) {
        let asker = connection.other(node);
        let Some(running) = self.running(node) else { return };
        let refused = Err(RequestError::Refused(Refusal::NotServed));
        let result = if connection.admission_at(node) != Admission::Full {
            refused
        } else if let Some(lie) = self.nodes.get(node).and_then(|node| node.byzantine.as_ref()?.answer(&request)) {
            lie
        } else {
            match answer(&running.view, &[], request, |_, _| Response::Refused(Refusal::NotServed)) {
                Response::Refused(refusal) => Err(RequestError::Refused(refusal)),
                response => Ok(response),
            }
        };
        let result = if self.travel.chance(self.network.cut) { result.map(|full| self.cut(full)) } else { result };
        if !self.send(handle, asker, Message::Answer(query, result)) {
            let result = Err(RequestError::TimedOut);
            self.after(
                REQUEST,
                Due::Arrive { connection: handle, to: asker, message: Box::new(Message::Answer(query, result)) },
            );
        }
    }

    /// An answer that did not fit whole: a prefix of it.
    fn cut(&mut self, response: Response) -> Response {
        fn prefix<T>(mut list: Vec<T>, random: &mut crate::random::Random) -> Vec<T> {
            list.truncate(random.index(list.len() + 1));
            list
        }
        match response {
            Response::Headers(headers) => Response::Headers(prefix(headers, &mut self.travel)),
            Response::Blocks(blocks) => Response::Blocks(prefix(blocks, &mut self.travel)),
            Response::Transactions(found) => Response::Transactions(prefix(found, &mut self.travel)),
            Response::BlockTransactions(found) => Response::BlockTransactions(prefix(found, &mut self.travel)),
            other => other,
        }
    }
}

fn forget_old(told: &mut BTreeMap<BlockHash, (u64, bool)>, now: u64) {
    told.retain(|_, (at, _)| now.saturating_sub(*at) < TOLD);
}
