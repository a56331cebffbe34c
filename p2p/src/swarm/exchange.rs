//! Requests and answers in both directions, counted for each peer.

use std::collections::HashMap;

use libp2p::request_response::{
    Event as Exchanged, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::ConnectionId;
use rota_chain::codec::encoded_length;

use super::Task;
use super::greeting::Early;
use crate::codec::Malformed;
use crate::event::{Event, RequestError, RequestId};
use crate::gate::Admission;
use crate::handle::ReplyTo;
use crate::identity::alias;
use crate::limit::{EARLY_REQUESTS, INBOUND_REQUESTS, OUTBOUND_REQUESTS, UNSENT, UNSENT_A_PEER};
use crate::message::{Protocol, Refusal, Request, Response};
use crate::peer::PeerHandle;

type Answer = ResponseChannel<Result<Response, Malformed>>;

struct Query {
    peer: PeerHandle,
    reply: ReplyTo,
    /// Bytes that the answer may have.
    frame: u32,
}

struct Waiting {
    peer: PeerHandle,
    protocol: Protocol,
    id: InboundRequestId,
    channel: Answer,
}

/// Requests under way.
#[derive(Default)]
pub(super) struct Exchange {
    queries: HashMap<(Protocol, OutboundRequestId), Query>,
    waiting: HashMap<RequestId, Waiting>,
    numbers: HashMap<(Protocol, InboundRequestId), RequestId>,
    /// Answers that were given to the network and not taken yet: whose, and how many bytes.
    unsent: HashMap<(Protocol, InboundRequestId), (PeerHandle, usize)>,
    unsent_bytes: usize,
    last: u64,
}

impl Exchange {
    fn take_waiting(&mut self, request_id: RequestId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&request_id)?;
        self.numbers.remove(&(waiting.protocol, waiting.id));
        Some(waiting)
    }
}

impl Task {
    /// Asks a peer for the node.
    pub(super) fn ask(&mut self, handle: PeerHandle, request: Request, reply: ReplyTo) {
        if let Err(error) = self.try_ask(handle, request, reply) {
            let (reply, error) = *error;
            self.reply(handle, reply, Err(error));
        }
    }

    fn try_ask(
        &mut self,
        handle: PeerHandle,
        request: Request,
        reply: ReplyTo,
    ) -> Result<(), Box<(ReplyTo, RequestError)>> {
        let refused = |reply, error| Err(Box::new((reply, error)));
        if let Some(reason) = request.out_of_bounds() {
            return refused(reply, RequestError::OutOfBounds(reason));
        }
        let connection = self.connection_of(handle);
        let peer = connection.and_then(|connection| self.peers.get_mut(&connection));
        let Some(peer) = peer.filter(|peer| peer.settled().is_some()) else {
            return refused(reply, RequestError::NotConnected);
        };
        if peer.outbound_requests >= OUTBOUND_REQUESTS {
            return refused(reply, RequestError::Busy);
        }
        let (protocol, alias) = (request.protocol(), alias(handle));
        let frame = self.config.frames().of(request.kind());
        let behaviour = self.swarm.behaviour_mut().exchange(protocol);
        if !behaviour.has(&alias) {
            return refused(reply, RequestError::NotConnected);
        }
        peer.outbound_requests += 1;
        peer.expect(frame);
        let id = behaviour.inner().send_request(&alias, Ok(request));
        self.exchange.queries.insert((protocol, id), Query { peer: handle, reply, frame });
        Ok(())
    }

    /// Answers a peer for the node.
    pub(super) fn respond(&mut self, request_id: RequestId, response: Response) {
        let Some(waiting) = self.exchange.take_waiting(request_id) else {
            return;
        };
        self.answered(waiting.peer);
        let size = encoded_length(&response);
        let response = if self.hold(&waiting, size) { response } else { Response::Refused(Refusal::Busy) };
        self.send_response(waiting.protocol, waiting.channel, response);
    }

    /// Notes an answer's bytes until it is taken. False if answers of that peer, or of all, wait for too many already:
    /// who asks and does not read must not fill this node's memory. One answer there may always be.
    fn hold(&mut self, waiting: &Waiting, size: usize) -> bool {
        let total = self.exchange.unsent_bytes.saturating_add(size);
        let connection = self.connection_of(waiting.peer);
        let Some(peer) = connection.and_then(|connection| self.peers.get_mut(&connection)) else {
            return false;
        };
        let unsent = peer.unsent.saturating_add(size);
        if peer.unsent > 0 && (unsent > UNSENT_A_PEER || total > UNSENT) {
            return false;
        }
        peer.unsent = unsent;
        self.exchange.unsent_bytes = total;
        self.exchange.unsent.insert((waiting.protocol, waiting.id), (waiting.peer, size));
        true
    }

    /// An answer was taken, or never will be.
    fn release(&mut self, id: (Protocol, InboundRequestId)) {
        let Some((handle, size)) = self.exchange.unsent.remove(&id) else {
            return;
        };
        self.exchange.unsent_bytes = self.exchange.unsent_bytes.saturating_sub(size);
        let connection = self.connection_of(handle);
        if let Some(peer) = connection.and_then(|connection| self.peers.get_mut(&connection)) {
            peer.unsent = peer.unsent.saturating_sub(size);
        }
    }

    fn send_response(&mut self, protocol: Protocol, channel: Answer, response: Response) {
        // The stream may have timed out: then nobody waits for the answer.
        let _ = self.swarm.behaviour_mut().exchange(protocol).inner().send_response(channel, Ok(response));
    }

    fn answered(&mut self, handle: PeerHandle) {
        let connection = self.connection_of(handle);
        if let Some(peer) = connection.and_then(|connection| self.peers.get_mut(&connection)) {
            peer.inbound_requests = peer.inbound_requests.saturating_sub(1);
        }
    }

    pub(super) fn on_exchange_event(
        &mut self,
        protocol: Protocol,
        event: Exchanged<Result<Request, Malformed>, Result<Response, Malformed>>,
    ) {
        match event {
            Exchanged::Message {
                connection_id, message: Message::Request { request_id, request, channel }, ..
            } => match request {
                Ok(request) => {
                    self.on_request(connection_id, Early { protocol, id: request_id, request, channel });
                }
                Err(malformed) => self.misbehaving(connection_id, &format!("request: {malformed}")),
            },
            Exchanged::Message { connection_id, message: Message::Response { request_id, response }, .. } => {
                let result = match response {
                    Ok(Response::Refused(refusal)) => Err(RequestError::Refused(refusal)),
                    Ok(response) => Ok(response),
                    Err(malformed) => Err(RequestError::Malformed(malformed)),
                };
                let malformed = match &result {
                    Err(RequestError::Malformed(malformed)) => Some(format!("answer: {malformed}")),
                    _ => None,
                };
                self.on_result((protocol, request_id), result);
                if let Some(reason) = malformed {
                    self.misbehaving(connection_id, &reason);
                }
            }
            Exchanged::OutboundFailure { request_id, error, .. } => {
                self.on_result((protocol, request_id), Err(failure(error)));
            }
            Exchanged::InboundFailure { request_id, .. } => {
                self.release((protocol, request_id));
                if let Some(request_id) = self.exchange.numbers.get(&(protocol, request_id)).copied()
                    && let Some(waiting) = self.exchange.take_waiting(request_id)
                {
                    self.answered(waiting.peer);
                }
            }
            Exchanged::ResponseSent { request_id, .. } => self.release((protocol, request_id)),
        }
    }

    /// A peer asks. What comes before its hello is answered waits for that.
    pub(super) fn on_request(&mut self, connection: ConnectionId, early: Early) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.closing.is_none()) else {
            return;
        };
        let refusal = if peer.entry.admission != Admission::Full {
            Some(Refusal::NotServed)
        } else if peer.hello.is_none() && peer.early.len() < EARLY_REQUESTS {
            peer.early.push(early);
            return;
        } else if peer.hello.is_none() || peer.inbound_requests >= INBOUND_REQUESTS {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.send_response(early.protocol, early.channel, Response::Refused(refusal));
            return;
        }
        peer.inbound_requests += 1;
        let handle = peer.entry.handle;
        self.exchange.last += 1;
        let request_id = RequestId(self.exchange.last);
        let Early { protocol, id, request, channel } = early;
        self.exchange.numbers.insert((protocol, id), request_id);
        self.exchange.waiting.insert(request_id, Waiting { peer: handle, protocol, id, channel });
        self.outbox.push_back(Event::Request { peer: handle, request_id, request });
    }

    fn on_result(&mut self, id: (Protocol, OutboundRequestId), result: Result<Response, RequestError>) {
        let Some(query) = self.exchange.queries.remove(&id) else {
            return;
        };
        let connection = self.connection_of(query.peer);
        if let Some(peer) = connection.and_then(|connection| self.peers.get_mut(&connection)) {
            peer.outbound_requests = peer.outbound_requests.saturating_sub(1);
            peer.expect_no_more(query.frame);
        }
        self.reply(query.peer, query.reply, result);
    }

    fn reply(&mut self, peer: PeerHandle, reply: ReplyTo, result: Result<Response, RequestError>) {
        match reply {
            ReplyTo::Event(query) => self.outbox.push_back(Event::Response { peer, query, result }),
            // Whoever asked may have stopped waiting.
            ReplyTo::Waiting(sender) => drop(sender.send(result)),
        }
    }

    /// A peer is gone: its open requests are forgotten, ours to it have failed.
    pub(super) fn fail_requests(&mut self, handle: PeerHandle) {
        let ours: Vec<_> =
            self.exchange.queries.iter().filter(|(_, query)| query.peer == handle).map(|(id, _)| *id).collect();
        for id in ours {
            if let Some(query) = self.exchange.queries.remove(&id) {
                self.reply(handle, query.reply, Err(RequestError::Disconnected));
            }
        }
        let theirs: Vec<_> =
            self.exchange.waiting.iter().filter(|(_, waiting)| waiting.peer == handle).map(|(id, _)| *id).collect();
        for id in theirs {
            self.exchange.take_waiting(id);
        }
        let unsent: Vec<_> =
            self.exchange.unsent.iter().filter(|(_, (peer, _))| *peer == handle).map(|(id, _)| *id).collect();
        for id in unsent {
            self.release(id);
        }
    }
}

fn failure(error: OutboundFailure) -> RequestError {
    match error {
        OutboundFailure::DialFailure => RequestError::NotConnected,
        OutboundFailure::Timeout => RequestError::TimedOut,
        OutboundFailure::ConnectionClosed => RequestError::Disconnected,
        OutboundFailure::UnsupportedProtocols => RequestError::Unsupported,
        OutboundFailure::Io(error) => RequestError::Stream(error.to_string()),
    }
}
