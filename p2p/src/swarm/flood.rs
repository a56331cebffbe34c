//! Peers that send more than any honest node does: too many gossip messages, too many pings and empty requests, too many
//! bytes nobody asked for.

use std::time::Instant;

use libp2p::swarm::ConnectionId;

use super::Task;
use crate::limit::{GOSSIP_RATE, SMALL_RATE, UNASKED_RATE};

impl Task {
    /// Names and disconnects peers that went too fast since the last look.
    pub(super) fn end_floods(&mut self, now: Instant) {
        let heard = &self.swarm.behaviour().gossip;
        let mut floods: Vec<(ConnectionId, String)> = Vec::new();
        for peer in self.peers.values_mut().filter(|peer| peer.closing.is_none()) {
            // One event of the protocol may carry many messages, and one message that is not new is none of these.
            let messages = heard.events_of(peer.connection).max(peer.gossip_messages);
            let new = messages.saturating_sub(peer.gossip_heard);
            peer.gossip_heard = messages;
            if peer.gossip_pace.exceeded_by(new, now) {
                floods.push((peer.connection, format!("gossip flood: more than {GOSSIP_RATE} messages a second")));
                continue;
            }
            let small = peer.counters.small_writes();
            let new = small.saturating_sub(peer.small_sent);
            peer.small_sent = small;
            if peer.small_pace.exceeded_by(new, now) {
                let reason = format!("flood: it makes this node send more than {SMALL_RATE} small pieces a second");
                floods.push((peer.connection, reason));
                continue;
            }
            let unasked = peer.take_unasked();
            if peer.unasked_pace.exceeded_by(unasked, now) {
                let rate = UNASKED_RATE / f64::from(1 << 20);
                floods.push((peer.connection, format!("flood: more than {rate} MiB a second that nobody asked for")));
            }
        }
        for (connection, reason) in floods {
            self.misbehaving(connection, &reason);
        }
    }
}
