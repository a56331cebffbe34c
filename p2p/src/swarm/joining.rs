//! Answers to joiners.

use libp2p::request_response::{Event as Exchanged, Message};
use libp2p::swarm::ConnectionId;

use super::Task;
use crate::codec::Malformed;
use crate::event::Event;
use crate::gate::Admission;
use crate::hello::{RefusalCause, cleaned, no_permission};
use crate::join::{JoinAnswer, JoinRequest};

impl Task {
    pub(super) fn on_join_event(
        &mut self,
        event: Exchanged<Result<JoinRequest, Malformed>, Result<JoinAnswer, Malformed>>,
    ) {
        let Exchanged::Message { connection_id, message: Message::Request { request, channel, .. }, .. } = event else {
            return;
        };
        let request = match request {
            Ok(request) => request,
            Err(malformed) => {
                self.misbehaving(connection_id, &format!("join: {malformed}"));
                return;
            }
        };
        if self.peers.get(&connection_id).is_some_and(|peer| peer.refused) {
            self.misbehaving(connection_id, "it asks again after it was answered");
            return;
        }
        let Some(answer) = self.join_answer(connection_id, &request) else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&connection_id).filter(|peer| peer.hello.is_none()) {
            peer.part_soon();
        }
        // The joiner may be gone.
        let _ = self.swarm.behaviour_mut().join.send_response(channel, Ok(answer));
    }

    fn join_answer(&mut self, connection: ConnectionId, request: &JoinRequest) -> Option<JoinAnswer> {
        let peer = self.peers.get(&connection).filter(|peer| peer.closing.is_none())?;
        let (entry, chain) = (peer.entry, &self.config.chain_name);
        if request.chain_name != *chain {
            let asked = cleaned(&request.chain_name);
            return Some(JoinAnswer::Refused { reason: format!("this node serves chain {chain}, not {asked}") });
        }
        let Some(answers) = &self.join_answers else {
            return Some(JoinAnswer::Refused { reason: format!("{chain} is starting here: try again") });
        };
        if entry.admission == Admission::Full {
            return Some(JoinAnswer::Full { parameters: answers.full.clone() });
        }
        let reason = no_permission(&self.text(&entry.address), chain);
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.refused = true;
        }
        self.outbox.push_back(Event::Refused {
            remote: entry.remote,
            address: Some(entry.address),
            target: None,
            by_peer: false,
            cause: RefusalCause::NoPermission,
            reason: reason.clone(),
        });
        Some(JoinAnswer::Minimal { parameters: answers.minimal.clone(), reason })
    }
}
