//! Two connections of one identity: a double dial keeps one; another node with the same key is told so.

use std::time::Instant;

use libp2p::swarm::ConnectionId;

use super::Task;
use super::greeting::{Answer, Challenger, Said};
use crate::hello::{Greeting, Hello, RefusalCause, already_connected};
use crate::limit::{DUPLICATE_PING_TIME, HELLO_TIME};

impl Task {
    /// Another connection of the same identity that is not being closed; one with a hello first.
    pub(super) fn rival_of(&self, connection: ConnectionId) -> Option<ConnectionId> {
        let peer = self.peers.get(&connection)?;
        let rivals = self
            .peers
            .values()
            .filter(|other| other.id == peer.id && other.connection != connection && other.closing.is_none());
        rivals.max_by_key(|other| other.hello.is_some()).map(|other| other.connection)
    }

    /// Closes a connection we dialled because another to the same peer serves its target.
    pub(super) fn cover(&mut self, connection: ConnectionId, reason: &str) {
        let target = self.dials.target_of(connection);
        if let (Some(target), Some(peer)) = (target, self.peers.get(&connection)) {
            self.dials.covered(&target, peer.id);
        }
        self.close(connection, reason);
    }

    /// Pings the first connection of an identity to decide about a second one, of another running node.
    pub(super) fn check(&mut self, first: ConnectionId, second: ConnectionId, hello: Hello, answer: Option<Answer>) {
        let deadline = Instant::now() + DUPLICATE_PING_TIME;
        if let Some(peer) = self.peers.get_mut(&second) {
            peer.deadline = Some(deadline + HELLO_TIME);
        }
        self.greetings.challengers.insert(second, Challenger { first, hello, answer, deadline });
        self.say(first, Greeting::Ping, Said::Check(second));
    }

    /// Checks whose ping was not answered in time.
    pub(super) fn end_checks(&mut self, now: Instant) {
        let late = self.greetings.challengers.iter().filter(|(_, challenger)| challenger.deadline <= now);
        let late: Vec<ConnectionId> = late.map(|(second, _)| *second).collect();
        for second in late {
            self.replace_first(second);
        }
    }

    /// The first connection is alive: the second is another node with the same key.
    pub(super) fn refuse_second(&mut self, second: ConnectionId) {
        let Some(challenger) = self.greetings.challengers.remove(&second) else {
            return;
        };
        let Some(first) = self.peers.get(&challenger.first) else {
            self.welcome(second, challenger.hello, challenger.answer);
            return;
        };
        let reason = already_connected(&self.text(&first.entry.address), &first.entry.remote.to_string());
        self.refuse(second, challenger.answer, RefusalCause::DuplicateIdentity, reason);
    }

    /// The first connection is dead: the second takes its place.
    pub(super) fn replace_first(&mut self, second: ConnectionId) {
        let Some(challenger) = self.greetings.challengers.remove(&second) else {
            return;
        };
        self.close(challenger.first, "it did not answer when the same address connected again");
        self.welcome(second, challenger.hello, challenger.answer);
    }
}
