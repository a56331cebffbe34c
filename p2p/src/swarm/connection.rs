//! Connections: opened, judged, closed; and the targets that are dialled.

use std::net::SocketAddr;
use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{PeerId, ping};

use super::Task;
use crate::dial::Ended;
use crate::event::Event;
use crate::gate::Admission;
use crate::hello::{RefusalCause, already_connected, cleaned, no_permission};
use crate::join::dial_reason;
use crate::limit::{JOIN_TIME, PING_FAILURES, PROBE_TIME};
use crate::peer::{Peer, PeerHandle};
use crate::transport::{multiaddr_of, place_of};

impl Task {
    pub(super) fn on_opened(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(entry) = self.table.lock().entry(connection) else {
            self.swarm.close_connection(connection);
            return;
        };
        let counters = self.traffic.of(endpoint.get_remote_address());
        let mut peer = Peer::new(entry, connection, id, counters);
        if entry.admission == Admission::Porch {
            peer.deadline = Some(peer.opened + JOIN_TIME);
        }
        self.handles.insert(entry.handle, connection);
        self.peers.insert(connection, peer);
        if !entry.inbound {
            self.send_hello(connection);
        }
    }

    pub(super) fn on_closed(&mut self, connection: ConnectionId, cause: Option<String>) {
        let reason = cause.unwrap_or_else(|| "closed by the peer".to_owned());
        self.part(connection, reason);
        let Some(peer) = self.peers.remove(&connection) else {
            return;
        };
        self.greetings.forget(connection);
        let now = Instant::now();
        if let Some(target) = self.dials.target_of(connection) {
            let used = peer.hello.is_some();
            if !used && !peer.refused {
                let reason = peer.closing.unwrap_or_default();
                self.outbox.push_back(Event::DialFailed { target: target.clone(), reason });
            }
            let how = if used { Ended::Used(peer.opened.elapsed()) } else { Ended::Refused };
            self.dials.ended(&target, how, now, rand::random());
        }
        if !self.peers.values().any(|other| other.id == peer.id) {
            self.dials.uncovered(&peer.id, now);
        }
    }

    /// Closes a connection; the node hears of it at once.
    pub(super) fn close(&mut self, connection: ConnectionId, reason: impl Into<String>) {
        self.part(connection, reason.into());
        self.swarm.close_connection(connection);
    }

    /// Ends what the node has with a peer: open requests first, then the peer itself.
    fn part(&mut self, connection: ConnectionId, reason: String) {
        let Some(peer) = self.peers.get_mut(&connection) else {
            return;
        };
        if peer.closing.is_some() {
            return;
        }
        peer.closing = Some(reason.clone());
        peer.early.clear();
        let (handle, known) = (peer.entry.handle, peer.hello.is_some());
        self.handles.remove(&handle);
        self.greetings.forget(connection);
        self.fail_requests(handle);
        if known {
            self.outbox.push_back(Event::PeerDisconnected { peer: handle, reason });
        }
    }

    /// Names a peer that broke the protocol in the log, tells the node and closes the connection.
    pub(super) fn misbehaving(&mut self, connection: ConnectionId, reason: &str) {
        let Some(peer) = self.peers.get(&connection) else {
            return;
        };
        if peer.closing.is_some() {
            return;
        }
        let (entry, known) = (peer.entry, peer.hello.is_some());
        let reason = cleaned(reason);
        let address = self.text(&entry.address);
        tracing::warn!("misbehaving peer ip={} address={address} reason={reason}", entry.remote.ip());
        self.table.lock().offenders.note(entry.remote.ip(), entry.address, Instant::now());
        self.refuse_open_blocks(entry.handle);
        self.outbox.push_back(Event::Misbehaviour {
            peer: known.then_some(entry.handle),
            remote: entry.remote,
            address: entry.address,
            reason: reason.clone(),
        });
        self.close(connection, reason);
    }

    /// Judges all connections anew; those whose admission changed are closed and come back.
    pub(super) fn judge_again(&mut self) {
        let open: Vec<ConnectionId> = self.peers.keys().copied().collect();
        for connection in open {
            if let Some(reason) = self.change_of(connection) {
                self.close(connection, reason);
            }
        }
    }

    fn change_of(&self, connection: ConnectionId) -> Option<String> {
        let peer = self.peers.get(&connection).filter(|peer| peer.closing.is_none())?;
        let entry = peer.entry;
        let table = self.table.lock();
        let now = table.judge(&entry.address, entry.inbound, table.unknown_inbound(Some(connection)));
        let behind = table.rules.behind;
        drop(table);
        let address = self.text(&entry.address);
        if now > entry.admission {
            return Some(format!("the rights of {address} have changed"));
        }
        let stays = now == entry.admission && (now != Admission::Sync || entry.inbound || self.may_stay(peer, behind));
        (!stays).then(|| no_permission(&address, &self.config.chain_name))
    }

    /// Whether a peer that we dialled and do not know may go on showing headers.
    pub(super) fn may_stay(&self, peer: &Peer, behind: bool) -> bool {
        behind || peer.hello.is_none() || (peer.claims_more_than(&self.tip) && peer.opened.elapsed() < PROBE_TIME)
    }

    /// Closes connections whose time is over.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        let behind = self.table.lock().rules.behind;
        let over = |peer: &&Peer| peer.deadline.is_some_and(|deadline| deadline <= now);
        let probed = |peer: &&Peer| {
            let unknown = peer.entry.admission == Admission::Sync && !peer.entry.inbound;
            unknown && !self.may_stay(peer, behind)
        };
        let mut ending = Vec::new();
        for peer in self.peers.values().filter(|peer| peer.closing.is_none()) {
            if over(&peer) {
                ending.push((peer.connection, "no hello in time".to_owned()));
            } else if probed(&peer) {
                let reason = no_permission(&self.text(&peer.entry.address), &self.config.chain_name);
                ending.push((peer.connection, reason));
            }
        }
        for (connection, reason) in ending {
            self.close(connection, reason);
        }
    }

    pub(super) fn on_ping_event(&mut self, event: &ping::Event) {
        let Some(peer) = self.peers.get_mut(&event.connection) else {
            return;
        };
        match &event.result {
            Ok(time) => {
                peer.ping = Some(*time);
                peer.ping_failures = 0;
            }
            Err(ping::Failure::Unsupported) => {}
            Err(_) => peer.ping_failures += 1,
        }
        if peer.ping_failures >= PING_FAILURES {
            self.close(event.connection, "no answer to pings");
        }
    }

    pub(super) fn on_resolved(&mut self, target: &str, place: Result<SocketAddr, String>) {
        let failed = match place {
            Ok(place) if self.listening.contains(&place) => Some("that is this node itself".to_owned()),
            Ok(place) => {
                let dial = DialOpts::unknown_peer_id().address(multiaddr_of(place)).allocate_new_port().build();
                if !self.dials.dialling(target, dial.connection_id()) {
                    return;
                }
                self.swarm.dial(dial).err().map(|error| dial_reason(&error))
            }
            Err(reason) => Some(reason),
        };
        if let Some(reason) = failed {
            self.dial_failed(target, reason);
        }
    }

    pub(super) fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        let Some(target) = self.dials.target_of(connection) else {
            return;
        };
        let DialError::LocalPeerId { address } = error else {
            self.dial_failed(&target, dial_reason(error));
            return;
        };
        let Some(remote) = place_of(address) else {
            return;
        };
        self.outbox.push_back(Event::Refused {
            remote,
            address: Some(self.own_address),
            target: Some(target.clone()),
            by_peer: false,
            cause: RefusalCause::DuplicateIdentity,
            reason: already_connected(&self.text(&self.own_address), &remote.to_string()),
        });
        self.dials.ended(&target, Ended::Failed, Instant::now(), rand::random());
    }

    fn dial_failed(&mut self, target: &str, reason: String) {
        self.outbox.push_back(Event::DialFailed { target: target.to_owned(), reason });
        self.dials.ended(target, Ended::Failed, Instant::now(), rand::random());
    }

    /// The live connection of a peer the node knows.
    pub(super) fn connection_of(&self, handle: PeerHandle) -> Option<ConnectionId> {
        self.handles.get(&handle).copied()
    }
}
