//! The join protocol: how a node gets a chain's parameters from one that has them. See docs/protocol/peer.md.

use std::net::SocketAddr;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use futures::StreamExt;
use libp2p::request_response::{self, OutboundFailure, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{PeerId, StreamProtocol, Swarm};
use rota_chain::lock::KeyHash;

use crate::behaviour::JoinBehaviour;
use crate::codec::{Malformed, PairCodec};
use crate::hello::cleaned;
use crate::identity::{PeerKey, address_of};
use crate::limit::{JOIN_ANSWER_FRAME, JOIN_REQUEST_FRAME, MAX_NAME, RESOLVE_TIME};
use crate::traffic::Traffic;
use crate::transport::{multiaddr_of, transport};

/// Name of the join protocol: without the chain's parameters, which the joiner does not know.
pub(crate) const JOIN_PROTOCOL: StreamProtocol = StreamProtocol::new("/rota/join/1");

/// What a joiner asks.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct JoinRequest {
    /// The chain it wants to join.
    pub chain_name: String,
}

/// What a joiner is told.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum JoinAnswer {
    /// The joiner's address may not connect: enough to show it, and the sentence that says what to ask for.
    Minimal {
        /// The minimal parameter set, as the params crate writes it.
        parameters: Vec<u8>,
        /// "ADDRESS has no connect permission on CHAIN: ask for grant ADDRESS connect".
        reason: String,
    },
    /// The joiner may connect.
    Full {
        /// The whole parameter set.
        parameters: Vec<u8>,
    },
    /// No parameters.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What this node tells joiners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswers {
    /// Bytes of the minimal parameter set.
    pub minimal: Vec<u8>,
    /// Bytes of the whole parameter set.
    pub full: Vec<u8>,
}

/// Why a join failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The seed's name does not resolve.
    #[error("{seed} does not resolve: {reason}")]
    Resolve {
        /// The seed.
        seed: String,
        /// Why.
        reason: String,
    },
    /// No connection.
    #[error("cannot connect to {seed}: {reason}")]
    Connect {
        /// The seed.
        seed: String,
        /// Why.
        reason: String,
    },
    /// The seed has the joiner's own key.
    #[error("{seed} uses this node's own address: give this node its own (handshakelocal)")]
    OwnIdentity {
        /// The seed.
        seed: String,
    },
    /// What answered is no node of this kind.
    #[error("{seed} is no Rota node, or does not answer joiners: {reason}")]
    NoAnswer {
        /// The seed.
        seed: String,
        /// What happened.
        reason: String,
    },
    /// The answer is malformed.
    #[error("{seed} answered with a malformed frame: {reason}")]
    Malformed {
        /// The seed.
        seed: String,
        /// How.
        reason: Malformed,
    },
    /// No answer in time.
    #[error("{seed} did not answer within {} s", .time.as_secs())]
    TimedOut {
        /// The seed.
        seed: String,
        /// The time allowed.
        time: Duration,
    },
    /// The chain's name is longer than a request may carry.
    #[error("the chain name has {0} bytes, the limit is {MAX_NAME}")]
    Name(usize),
}

/// An answer and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// What the seed said.
    pub answer: JoinAnswer,
    /// The address the seed proved.
    pub seed_address: Option<KeyHash>,
    /// Where it is.
    pub seed: SocketAddr,
}

pub(crate) fn join_codec() -> PairCodec<JoinRequest, JoinAnswer> {
    PairCodec::new(JOIN_REQUEST_FRAME, JOIN_ANSWER_FRAME)
}

/// Resolves a host and port; IPv4 is preferred.
pub(crate) async fn resolve(target: &str) -> Result<SocketAddr, String> {
    let found = tokio::time::timeout(RESOLVE_TIME, tokio::net::lookup_host(target));
    let places: Vec<SocketAddr> = match found.await {
        Ok(Ok(places)) => places.collect(),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no answer in time".to_owned()),
    };
    let place = places.iter().find(|place| place.is_ipv4()).or_else(|| places.first());
    place.copied().ok_or_else(|| "no address".to_owned())
}

/// Asks the node at `seed` (host and port) for the parameters of `chain_name`, proving `key`'s address.
///
/// # Errors
/// [`JoinError`], each with a sentence that names the seed.
pub async fn join(seed: &str, key: PeerKey, chain_name: &str, timeout: Duration) -> Result<Joined, JoinError> {
    if chain_name.len() > MAX_NAME {
        return Err(JoinError::Name(chain_name.len()));
    }
    let asking = async {
        let place = resolve(seed).await.map_err(|reason| JoinError::Resolve { seed: seed.to_owned(), reason })?;
        let (answer, id) = ask(seed, place, &key, chain_name).await?;
        Ok(Joined { answer: checked(answer), seed_address: address_of(&id), seed: place })
    };
    let timed_out = |_| JoinError::TimedOut { seed: seed.to_owned(), time: timeout };
    tokio::time::timeout(timeout, asking).await.map_err(timed_out)?
}

fn checked(answer: JoinAnswer) -> JoinAnswer {
    match answer {
        JoinAnswer::Minimal { parameters, reason } => JoinAnswer::Minimal { parameters, reason: cleaned(&reason) },
        JoinAnswer::Refused { reason } => JoinAnswer::Refused { reason: cleaned(&reason) },
        full @ JoinAnswer::Full { .. } => full,
    }
}

async fn ask(
    seed: &str,
    place: SocketAddr,
    key: &PeerKey,
    chain_name: &str,
) -> Result<(JoinAnswer, PeerId), JoinError> {
    let failed = |reason: String| JoinError::Connect { seed: seed.to_owned(), reason };
    let transport = transport(key, &Traffic::default()).map_err(|error| failed(error.to_string()))?;
    let protocols = [(JOIN_PROTOCOL, ProtocolSupport::Outbound)];
    let behaviour = JoinBehaviour::with_codec(join_codec(), protocols, request_response::Config::default());
    let config = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(RESOLVE_TIME);
    let mut swarm = Swarm::new(transport, behaviour, key.peer_id(), config);
    let dial = DialOpts::unknown_peer_id().address(multiaddr_of(place)).allocate_new_port().build();
    swarm.dial(dial).map_err(|error| failed(error.to_string()))?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                let request = JoinRequest { chain_name: chain_name.to_owned() };
                swarm.behaviour_mut().send_request(&peer_id, Ok(request));
            }
            other => {
                if let Some(done) = outcome(seed, other) {
                    return done;
                }
            }
        }
    }
}

type JoinEvent = <JoinBehaviour as NetworkBehaviour>::ToSwarm;

/// What an event of the joiner's swarm decides, if anything.
fn outcome(seed: &str, event: SwarmEvent<JoinEvent>) -> Option<Result<(JoinAnswer, PeerId), JoinError>> {
    let seed = seed.to_owned();
    match event {
        SwarmEvent::OutgoingConnectionError { error: DialError::LocalPeerId { .. }, .. } => {
            Some(Err(JoinError::OwnIdentity { seed }))
        }
        SwarmEvent::OutgoingConnectionError { error, .. } => {
            Some(Err(JoinError::Connect { seed, reason: dial_reason(&error) }))
        }
        SwarmEvent::ConnectionClosed { .. } => {
            Some(Err(JoinError::NoAnswer { seed, reason: "it closed the connection".to_owned() }))
        }
        SwarmEvent::Behaviour(request_response::Event::OutboundFailure { error, .. }) => {
            let reason = match error {
                OutboundFailure::UnsupportedProtocols => "it does not speak the join protocol".to_owned(),
                other => other.to_string(),
            };
            Some(Err(JoinError::NoAnswer { seed, reason }))
        }
        SwarmEvent::Behaviour(request_response::Event::Message {
            peer,
            message: request_response::Message::Response { response, .. },
            ..
        }) => Some(match response {
            Ok(answer) => Ok((answer, peer)),
            Err(reason) => Err(JoinError::Malformed { seed, reason }),
        }),
        _ => None,
    }
}

/// A dial error in a few words: the innermost cause.
pub(crate) fn dial_reason(error: &DialError) -> String {
    let DialError::Transport(causes) = error else {
        return error.to_string();
    };
    let Some((_, cause)) = causes.first() else {
        return error.to_string();
    };
    let mut innermost: &dyn std::error::Error = cause;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
