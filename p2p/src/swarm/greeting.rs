//! Hellos and pings: what is said before a peer is let in, and who is told to stay out.

use std::collections::HashMap;
use std::time::Instant;

use libp2p::request_response::{Event as Exchanged, InboundRequestId, Message, OutboundRequestId, ResponseChannel};
use libp2p::swarm::ConnectionId;

use super::Task;
use crate::codec::Malformed;
use crate::event::Event;
use crate::gate::Admission;
use crate::hello::{Greeting, GreetingAnswer, Hello, RefusalCause, cleaned, mismatch, no_permission};
use crate::identity::alias;
use crate::message::{Protocol, Request, Response};
use crate::traffic::unix_time;

pub(super) type Answer = ResponseChannel<Result<GreetingAnswer, Malformed>>;

/// A request that came before the hello was answered.
pub(crate) struct Early {
    /// The protocol it came by.
    pub protocol: Protocol,
    /// libp2p's number of it.
    pub id: InboundRequestId,
    /// The request.
    pub request: Request,
    /// Where the answer goes.
    pub channel: ResponseChannel<Result<Response, Malformed>>,
}

/// What we said and wait to be answered.
pub(super) enum Said {
    Hello,
    Ping(Instant),
    /// A ping that decides about another connection of the same identity.
    Check(ConnectionId),
}

/// A second connection of an identity, of another running node, while the first is pinged.
pub(super) struct Challenger {
    pub first: ConnectionId,
    pub hello: Hello,
    pub answer: Option<Answer>,
    pub deadline: Instant,
}

/// Greetings under way.
#[derive(Default)]
pub(crate) struct Greetings {
    said: HashMap<OutboundRequestId, (ConnectionId, Said)>,
    pub(super) challengers: HashMap<ConnectionId, Challenger>,
}

impl Greetings {
    pub fn forget(&mut self, connection: ConnectionId) {
        self.challengers.remove(&connection);
    }
}

impl Task {
    pub(super) fn send_hello(&mut self, connection: ConnectionId) {
        let hello = self.own_hello();
        self.say(connection, Greeting::Hello(hello), Said::Hello);
    }

    pub(super) fn send_pings(&mut self) {
        let known: Vec<ConnectionId> =
            self.peers.values().filter(|peer| peer.settled().is_some()).map(|peer| peer.connection).collect();
        for connection in known {
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.pinged = Some(Instant::now());
            }
            self.say(connection, Greeting::Ping, Said::Ping(Instant::now()));
        }
    }

    pub(super) fn say(&mut self, connection: ConnectionId, greeting: Greeting, said: Said) {
        let Some(peer) = self.peers.get(&connection) else {
            return;
        };
        let alias = alias(peer.entry.handle);
        let hello = &mut self.swarm.behaviour_mut().hello;
        if hello.has(&alias) {
            let id = hello.inner().send_request(&alias, Ok(greeting));
            self.greetings.said.insert(id, (connection, said));
        }
    }

    pub(super) fn on_hello_event(
        &mut self,
        event: Exchanged<Result<Greeting, Malformed>, Result<GreetingAnswer, Malformed>>,
    ) {
        match event {
            Exchanged::Message { connection_id, message: Message::Request { request, channel, .. }, .. } => {
                match request {
                    Ok(Greeting::Hello(hello)) => self.on_hello(connection_id, hello, channel),
                    Ok(Greeting::Ping) => self.answer(channel, GreetingAnswer::Pong),
                    Err(malformed) => self.misbehaving(connection_id, &format!("hello: {malformed}")),
                }
            }
            Exchanged::Message { message: Message::Response { request_id, response }, .. } => {
                if let Some((connection, said)) = self.greetings.said.remove(&request_id) {
                    match response {
                        Ok(answer) => self.on_answer(connection, &said, answer),
                        Err(malformed) => self.misbehaving(connection, &format!("hello: {malformed}")),
                    }
                }
            }
            Exchanged::OutboundFailure { request_id, error, .. } => match self.greetings.said.remove(&request_id) {
                Some((connection, Said::Hello)) => self.close(connection, format!("hello failed: {error}")),
                Some((connection, Said::Ping(_))) => {
                    if let Some(peer) = self.peers.get_mut(&connection) {
                        peer.pinged = None;
                    }
                }
                Some((_, Said::Check(second))) => self.replace_first(second),
                None => {}
            },
            Exchanged::InboundFailure { .. } | Exchanged::ResponseSent { .. } => {}
        }
    }

    fn on_answer(&mut self, connection: ConnectionId, said: &Said, answer: GreetingAnswer) {
        match (said, answer) {
            (Said::Hello, GreetingAnswer::Welcome(hello)) => self.on_welcome(connection, hello),
            (Said::Hello, GreetingAnswer::Refused { cause, reason }) => self.on_refused(connection, cause, &reason),
            (Said::Ping(sent), GreetingAnswer::Pong) => {
                if let Some(peer) = self.peers.get_mut(&connection) {
                    peer.ping = Some(sent.elapsed());
                    peer.pinged = None;
                }
            }
            (Said::Check(second), GreetingAnswer::Pong) => self.refuse_second(*second),
            _ => self.misbehaving(connection, "an answer that does not fit the greeting"),
        }
    }

    /// The other side dialled and introduces itself.
    fn on_hello(&mut self, connection: ConnectionId, theirs: Hello, answer: Answer) {
        let Some(peer) = self.peers.get(&connection).filter(|peer| peer.closing.is_none()) else {
            return;
        };
        let (entry, id) = (peer.entry, peer.id);
        if !entry.inbound
            || peer.hello.is_some()
            || peer.refused
            || self.greetings.challengers.contains_key(&connection)
        {
            self.misbehaving(connection, "a hello out of turn");
            return;
        }
        if let Some(reason) = theirs.out_of_bounds() {
            self.misbehaving(connection, &reason);
            return;
        }
        if let Some((cause, reason)) = mismatch(&self.own_hello(), &theirs) {
            self.refuse(connection, Some(answer), cause, reason);
            return;
        }
        if entry.admission == Admission::Porch {
            let reason = no_permission(&self.text(&entry.address), &self.config.chain_name);
            self.refuse(connection, Some(answer), RefusalCause::NoPermission, reason);
            return;
        }
        let Some(rival) = self.rival_of(connection) else {
            self.welcome(connection, theirs, Some(answer));
            return;
        };
        match self.peers.get(&rival).map(|peer| (peer.hello.as_ref().map(|hello| hello.nonce), peer.entry.inbound)) {
            Some((Some(nonce), _)) if nonce != theirs.nonce => self.check(rival, connection, theirs, Some(answer)),
            // Both dialled at once: the dial of the lower identity stays.
            Some((None, inbound)) if inbound || id < self.own_id => self.welcome(connection, theirs, Some(answer)),
            _ => {
                let reason = "the two nodes are connected already".to_owned();
                self.refuse(connection, Some(answer), RefusalCause::AlreadyConnected, reason);
            }
        }
    }

    /// The side we dialled takes us.
    fn on_welcome(&mut self, connection: ConnectionId, theirs: Hello) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.closing.is_none()) else {
            return;
        };
        let (entry, id) = (peer.entry, peer.id);
        if let Some(reason) = theirs.out_of_bounds() {
            self.misbehaving(connection, &reason);
            return;
        }
        if let Some((cause, reason)) = mismatch(&self.own_hello(), &theirs) {
            self.refuse(connection, None, cause, reason);
            return;
        }
        let behind = self.table.lock().rules.behind;
        if entry.admission == Admission::Sync && !behind && theirs.tip.height <= self.tip.height {
            let reason = no_permission(&self.text(&entry.address), &self.config.chain_name);
            self.refuse(connection, None, RefusalCause::NoPermission, reason);
            return;
        }
        let rival = self.rival_of(connection).and_then(|rival| self.peers.get(&rival));
        let rival = rival.and_then(|peer| Some((peer.connection, peer.entry.inbound, peer.hello.as_ref()?.nonce)));
        match rival {
            None => self.settle(connection, theirs),
            Some((first, _, nonce)) if nonce != theirs.nonce => self.check(first, connection, theirs, None),
            Some((first, true, _)) if self.own_id < id => {
                self.close(first, "both nodes dialled: the other connection stays");
                self.settle(connection, theirs);
            }
            Some(_) => self.cover(connection, "the two nodes are connected already"),
        }
    }

    /// The side we dialled does not take us.
    fn on_refused(&mut self, connection: ConnectionId, cause: RefusalCause, reason: &str) {
        let reason = cleaned(reason);
        if cause == RefusalCause::AlreadyConnected && self.rival_of(connection).is_some() {
            self.cover(connection, &reason);
            return;
        }
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.closing.is_none()) else {
            return;
        };
        let entry = peer.entry;
        peer.refused = true;
        self.outbox.push_back(Event::Refused {
            remote: entry.remote,
            address: Some(entry.address),
            target: self.dials.target_of(connection),
            by_peer: true,
            cause,
            reason: reason.clone(),
        });
        self.close(connection, reason);
    }

    /// Tells the other side that it is not taken (if it asks), and the node; the connection ends soon.
    pub(super) fn refuse(
        &mut self,
        connection: ConnectionId,
        answer: Option<Answer>,
        cause: RefusalCause,
        reason: String,
    ) {
        let Some(peer) = self.peers.get_mut(&connection) else {
            return;
        };
        let entry = peer.entry;
        peer.part_soon();
        peer.refused = true;
        if cause != RefusalCause::AlreadyConnected {
            self.outbox.push_back(Event::Refused {
                remote: entry.remote,
                address: Some(entry.address),
                target: self.dials.target_of(connection),
                by_peer: false,
                cause,
                reason: reason.clone(),
            });
        }
        match answer {
            Some(answer) => self.answer(answer, GreetingAnswer::Refused { cause, reason }),
            None => self.close(connection, reason),
        }
    }

    pub(super) fn welcome(&mut self, connection: ConnectionId, theirs: Hello, answer: Option<Answer>) {
        if let Some(answer) = answer {
            let hello = self.own_hello();
            self.answer(answer, GreetingAnswer::Welcome(hello));
        }
        self.settle(connection, theirs);
    }

    /// Both sides agree: the node hears of the peer, then of what it asked already.
    fn settle(&mut self, connection: ConnectionId, hello: Hello) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.closing.is_none()) else {
            return;
        };
        let target = self.dials.target_of(connection);
        self.dials.used(connection);
        peer.deadline = None;
        let (theirs, ours) = (i64::try_from(hello.time), i64::try_from(unix_time()));
        peer.time_offset = theirs.unwrap_or(i64::MAX).saturating_sub(ours.unwrap_or(0));
        peer.hello = Some(hello.clone());
        let (entry, early) = (peer.entry, std::mem::take(&mut peer.early));
        if entry.admission == Admission::Full {
            self.table.lock().known_hosts.add(entry.remote.ip(), Instant::now());
        }
        self.outbox.push_back(Event::PeerConnected {
            peer: entry.handle,
            address: entry.address,
            remote: entry.remote,
            inbound: entry.inbound,
            admission: entry.admission,
            hello,
            target,
        });
        for early in early {
            self.on_request(connection, early);
        }
    }

    fn answer(&mut self, channel: Answer, answer: GreetingAnswer) {
        // The other side may have closed the stream: then nobody waits for the answer.
        let _ = self.swarm.behaviour_mut().hello.inner().send_response(channel, Ok(answer));
    }
}
