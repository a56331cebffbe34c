//! Announcements over gossip. Transactions: each node tells what it has itself. Blocks: relayed once found good.

use std::collections::HashMap;
use std::time::Instant;

use borsh::BorshDeserialize;
use libp2p::PeerId;
use libp2p::gossipsub::{Event as Gossip, IdentTopic, Message, MessageAcceptance, MessageId, PublishError};
use libp2p::swarm::ConnectionId;
use rota_chain::codec::{decode, encode};
use rota_chain::hash::{FullHash, sha256};

use super::Task;
use crate::event::Event;
use crate::identity::{alias, handle_of};
use crate::limit::{MAX_TRANSACTIONS, OPEN_BLOCKS_PER_PEER, VERDICT_TIME};
use crate::message::{CompactBlock, TransactionNews};
use crate::peer::PeerHandle;

/// A block that came by gossip and was not judged yet.
struct Open {
    source: PeerId,
    since: Instant,
}

/// Blocks whose verdict is open.
#[derive(Default)]
pub(super) struct Relay {
    open: HashMap<MessageId, Open>,
}

impl Task {
    pub(super) fn on_gossip_event(&mut self, event: Gossip) {
        let Gossip::Message { propagation_source: source, message_id, message } = event else {
            return;
        };
        let handle = handle_of(&source);
        let connection = handle.and_then(|handle| self.connection_of(handle));
        let known = connection.and_then(|connection| self.peers.get(&connection)?.settled().map(|_| connection));
        let (Some(handle), Some(connection)) = (handle, known) else {
            self.verdict(&message_id, &source, MessageAcceptance::Ignore);
            return;
        };
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.gossip_messages += 1;
        }
        if message.topic == self.topics.transactions.hash() {
            self.on_transactions(handle, connection, &message_id, &source, &message);
        } else if message.topic == self.topics.blocks.hash() {
            self.on_block(handle, connection, message_id, source, &message);
        }
    }

    fn on_transactions(
        &mut self,
        peer: PeerHandle,
        connection: ConnectionId,
        id: &MessageId,
        source: &PeerId,
        message: &Message,
    ) {
        let Some(news) = self.decoded::<TransactionNews>(connection, id, source, message) else {
            return;
        };
        // Never passed on: a node that has taken the transactions announces them itself.
        self.verdict(id, source, MessageAcceptance::Ignore);
        if !news.hashes.is_empty() {
            self.outbox.push_back(Event::TransactionsAnnounced { peer, hashes: news.hashes });
        }
    }

    fn on_block(
        &mut self,
        peer: PeerHandle,
        connection: ConnectionId,
        id: MessageId,
        source: PeerId,
        message: &Message,
    ) {
        let Some(compact) = self.decoded::<CompactBlock>(connection, &id, &source, message) else {
            return;
        };
        if self.relay.open.values().filter(|open| open.source == source).count() < OPEN_BLOCKS_PER_PEER {
            self.relay.open.insert(id, Open { source, since: Instant::now() });
        } else {
            self.verdict(&id, &source, MessageAcceptance::Ignore);
        }
        self.outbox.push_back(Event::BlockAnnounced { peer, compact });
    }

    fn decoded<T: BorshDeserialize>(
        &mut self,
        connection: ConnectionId,
        id: &MessageId,
        source: &PeerId,
        message: &Message,
    ) -> Option<T> {
        match decode(&message.data) {
            Ok(content) => Some(content),
            Err(error) => {
                self.verdict(id, source, MessageAcceptance::Reject);
                self.misbehaving(connection, &format!("announcement: {error}"));
                None
            }
        }
    }

    fn verdict(&mut self, id: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        let gossip = self.swarm.behaviour_mut().gossip.inner();
        // False if the message is no longer held: then there is nothing to pass on.
        let _ = gossip.report_message_validation_result(id, source, acceptance);
    }

    pub(super) fn announce_transactions(&mut self, hashes: &[FullHash]) {
        let topic = self.topics.transactions.clone();
        for part in hashes.chunks(MAX_TRANSACTIONS as usize) {
            let news = TransactionNews { salt: rand::random(), hashes: part.to_vec() };
            self.publish(&topic, encode(&news));
        }
    }

    pub(super) fn announce_block(&mut self, compact: &CompactBlock) {
        let bytes = encode(compact);
        let id = MessageId::new(&sha256(&bytes));
        match self.relay.open.remove(&id) {
            Some(open) => self.verdict(&id, &open.source, MessageAcceptance::Accept),
            None => {
                let topic = self.topics.blocks.clone();
                self.publish(&topic, bytes);
            }
        }
    }

    fn publish(&mut self, topic: &IdentTopic, bytes: Vec<u8>) {
        match self.swarm.behaviour_mut().gossip.inner().publish(topic.clone(), bytes) {
            Ok(_) | Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            Err(error) => tracing::debug!(%topic, "announcement not sent: {error}"),
        }
    }

    /// Blocks nobody judged in time are not passed on.
    pub(super) fn end_verdicts(&mut self, now: Instant) {
        let late = |open: &Open| now.saturating_duration_since(open.since) >= VERDICT_TIME;
        self.drop_open(late, &MessageAcceptance::Ignore);
    }

    /// Blocks of a peer that misbehaved are not passed on.
    pub(super) fn refuse_open_blocks(&mut self, handle: PeerHandle) {
        let source = alias(handle);
        self.drop_open(|open| open.source == source, &MessageAcceptance::Reject);
    }

    fn drop_open(&mut self, which: impl Fn(&Open) -> bool, acceptance: &MessageAcceptance) {
        let dropped = self.relay.open.iter().filter(|(_, open)| which(open));
        let dropped: Vec<(MessageId, PeerId)> = dropped.map(|(id, open)| (id.clone(), open.source)).collect();
        for (id, source) in dropped {
            self.relay.open.remove(&id);
            self.verdict(&id, &source, clone(acceptance));
        }
    }
}

fn clone(acceptance: &MessageAcceptance) -> MessageAcceptance {
    match acceptance {
        MessageAcceptance::Accept => MessageAcceptance::Accept,
        MessageAcceptance::Reject => MessageAcceptance::Reject,
        MessageAcceptance::Ignore => MessageAcceptance::Ignore,
    }
}
