//! What the node asks of the room.

use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;

use super::Task;
use crate::ban::Banned;
use crate::event::Event;
use crate::handle::Command;
use crate::limit::MAX_TARGETS;
use crate::peer::{Peer, PeerHandle, PeerInfo};

impl Task {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial(target) => self.add_target(target, false),
            Command::AddNode(target) => self.add_target(target, true),
            Command::RemoveNode(target) => self.dials.remove(&target),
            Command::Disconnect { peer, reason } => self.with(peer, |task, connection| task.close(connection, reason)),
            Command::Misbehaving { peer, reason } => {
                self.with(peer, |task, connection| task.misbehaving(connection, &reason));
            }
            Command::Ban { who, time } => self.ban(who, time),
            Command::Unban(who) => self.unban(&who),
            Command::SetGate(rules) => {
                self.table.lock().rules = rules;
                self.judge_again();
            }
            Command::SetJoinAnswers(answers) => self.join_answers = Some(answers),
            Command::SetTip(tip) => self.tip = tip,
            Command::Request { peer, request, reply } => self.ask(peer, request, reply),
            Command::Respond { request_id, response } => self.respond(request_id, response),
            Command::AnnounceTransactions(hashes) => self.announce_transactions(&hashes),
            Command::AnnounceBlock(compact) => self.announce_block(&compact),
            Command::Ping => self.send_pings(),
            // Whoever asked for figures may have stopped waiting.
            Command::Peers(sender) => drop(sender.send(self.infos())),
            Command::AddedNodes(sender) => drop(sender.send(self.dials.added())),
            // Ends the loop before it comes here.
            Command::Shutdown(_) => {}
        }
    }

    fn with(&mut self, peer: PeerHandle, act: impl FnOnce(&mut Task, ConnectionId)) {
        if let Some(connection) = self.connection_of(peer) {
            act(self, connection);
        }
    }

    fn add_target(&mut self, target: String, persistent: bool) {
        if !self.dials.add(&target, persistent, Instant::now()) {
            let reason = format!("{MAX_TARGETS} hosts are dialled already");
            self.outbox.push_back(Event::DialFailed { target, reason });
        }
    }

    fn ban(&mut self, who: Banned, time: Duration) {
        let now = Instant::now();
        let end = now.checked_add(time).unwrap_or(now + Duration::from_secs(u64::from(u32::MAX)));
        self.table.lock().bans.add(who, end);
        let hit = |peer: &&Peer| match who {
            Banned::Host(ip) => peer.entry.remote.ip() == ip,
            Banned::Address(address) => peer.entry.address == address,
        };
        let hit: Vec<ConnectionId> = self.peers.values().filter(hit).map(|peer| peer.connection).collect();
        for connection in hit {
            self.close(connection, "banned");
        }
    }

    fn unban(&mut self, who: &Banned) {
        let mut table = self.table.lock();
        table.bans.remove(who);
        match who {
            Banned::Host(ip) => table.offenders.forgive_host(ip),
            Banned::Address(address) => table.offenders.forgive(address),
        }
    }

    fn infos(&self) -> Vec<PeerInfo> {
        let known = self.peers.values().filter(|peer| peer.settled().is_some());
        let mut infos: Vec<PeerInfo> = known.filter_map(Peer::info).collect();
        infos.sort_by_key(|info| info.peer);
        infos
    }
}
