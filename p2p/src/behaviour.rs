//! The composed behaviour of a node's swarm: limits first, then the gate, then what may be said.

use std::collections::HashSet;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{self, IdentTopic, WhitelistSubscriptionFilter};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, memory_connection_limits, ping};
use rota_chain::hash::{ParamsHash, sha256};

use crate::codec::{ExchangeCodec, PairCodec};
use crate::config::Config;
use crate::gate::{Admission, Gate, SharedTable};
use crate::gated::Gated;
use crate::hello::{Greeting, GreetingAnswer};
use crate::join::{JOIN_PROTOCOL, JoinAnswer, JoinRequest, join_codec};
use crate::limit::{
    CONNECTIONS_PER_PEER, GOSSIP_MESSAGE, GOSSIP_QUEUE, HELLO_FRAME, HELLO_TIME, MEMORY_SHARE, MESSAGE_TIME,
    PENDING_INBOUND, PENDING_OUTBOUND, PING_INTERVAL, PING_TIME, REQUEST_TIME, STREAMS_PER_PROTOCOL, UNPERMITTED_TOTAL,
};
use crate::message::Protocol;

/// Name of the hello protocol: without the chain, so that a mismatch can be explained.
const HELLO_PROTOCOL: StreamProtocol = StreamProtocol::new("/rota/hello/1");
/// How often gossip keeps house: what it remembers is counted in these.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Streams of hello and join on one connection: a hello and some pings.
const SMALL_STREAMS: usize = 4;

pub(crate) type JoinBehaviour = request_response::Behaviour<PairCodec<JoinRequest, JoinAnswer>>;
pub(crate) type HelloBehaviour = request_response::Behaviour<PairCodec<Greeting, GreetingAnswer>>;
pub(crate) type ExchangeBehaviour = request_response::Behaviour<ExchangeCodec>;
pub(crate) type GossipBehaviour = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// Everything a node's swarm does. The fields are asked in order: who is refused by the first is unknown to the rest.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    gate: Gate,
    pub join: JoinBehaviour,
    pub ping: ping::Behaviour,
    pub hello: Gated<HelloBehaviour>,
    pub sync: Gated<ExchangeBehaviour>,
    pub pool: Gated<ExchangeBehaviour>,
    pub chunk: Gated<ExchangeBehaviour>,
    pub gossip: Gated<GossipBehaviour>,
}

impl Behaviour {
    /// The behaviour of a node, and the topics it hears.
    pub fn new(config: &Config, table: &SharedTable) -> Result<(Behaviour, Topics), String> {
        let topics = Topics::new(&config.params_hash);
        let gated = |protocol| {
            let door = if protocol == Protocol::Sync { Admission::Sync } else { Admission::Full };
            Gated::new(exchange(config, protocol), door, table.clone())
        };
        let behaviour = Behaviour {
            limits: connection_limits::Behaviour::new(connection_limits(config.max_connections)),
            memory: memory_connection_limits::Behaviour::with_max_percentage(MEMORY_SHARE),
            gate: Gate::new(table.clone()),
            join: join(),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIME)),
            hello: Gated::new(hello(), Admission::Porch, table.clone()),
            sync: gated(Protocol::Sync),
            pool: gated(Protocol::Pool),
            chunk: gated(Protocol::Chunk),
            gossip: Gated::new(gossip(config, &topics)?, Admission::Full, table.clone()),
        };
        Ok((behaviour, topics))
    }

    /// The behaviour that carries a request protocol.
    pub fn exchange(&mut self, protocol: Protocol) -> &mut Gated<ExchangeBehaviour> {
        match protocol {
            Protocol::Sync => &mut self.sync,
            Protocol::Pool => &mut self.pool,
            Protocol::Chunk => &mut self.chunk,
        }
    }
}

/// The topics of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// Full hashes of transactions.
    pub transactions: IdentTopic,
    /// Compact blocks.
    pub blocks: IdentTopic,
}

impl Topics {
    pub fn new(params_hash: &ParamsHash) -> Topics {
        Topics {
            transactions: IdentTopic::new(format!("/rota/{params_hash}/tx")),
            blocks: IdentTopic::new(format!("/rota/{params_hash}/block")),
        }
    }
}

fn connection_limits(most: u32) -> ConnectionLimits {
    let porch = u32::try_from(UNPERMITTED_TOTAL).unwrap_or(u32::MAX);
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INBOUND))
        .with_max_pending_outgoing(Some(PENDING_OUTBOUND))
        // A fifth is kept for connections we choose ourselves.
        .with_max_established_incoming(Some((most - most / 5).saturating_add(porch)))
        .with_max_established_outgoing(Some(most))
        .with_max_established(Some(most.saturating_add(porch)))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER))
}

fn join() -> JoinBehaviour {
    let config =
        request_response::Config::default().with_request_timeout(HELLO_TIME).with_max_concurrent_streams(SMALL_STREAMS);
    JoinBehaviour::with_codec(join_codec(), [(JOIN_PROTOCOL, ProtocolSupport::Inbound)], config)
}

pub(crate) fn hello() -> HelloBehaviour {
    let config =
        request_response::Config::default().with_request_timeout(HELLO_TIME).with_max_concurrent_streams(SMALL_STREAMS);
    let codec = PairCodec::new(HELLO_FRAME, HELLO_FRAME);
    HelloBehaviour::with_codec(codec, [(HELLO_PROTOCOL, ProtocolSupport::Full)], config)
}

fn exchange(config: &Config, protocol: Protocol) -> ExchangeBehaviour {
    let name = format!("/rota/{}/{}/1", config.params_hash, protocol.word());
    let name = StreamProtocol::try_from_owned(name).expect("the name begins with a slash");
    let timing = request_response::Config::default()
        .with_request_timeout(REQUEST_TIME)
        .with_max_concurrent_streams(STREAMS_PER_PROTOCOL);
    let codec = ExchangeCodec::new(protocol, config.frames());
    ExchangeBehaviour::with_codec(codec, [(name, ProtocolSupport::Full)], timing)
}

pub(crate) fn gossip(config: &Config, topics: &Topics) -> Result<GossipBehaviour, String> {
    let settings = gossip_settings(config).map_err(|error| error.to_string())?;
    let allowed = HashSet::from([topics.transactions.hash(), topics.blocks.hash()]);
    let mut gossip = GossipBehaviour::new_with_subscription_filter(
        gossipsub::MessageAuthenticity::Anonymous,
        settings,
        WhitelistSubscriptionFilter(allowed),
    )?;
    for topic in [&topics.transactions, &topics.blocks] {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

fn gossip_settings(config: &Config) -> Result<gossipsub::Config, gossipsub::ConfigBuilderError> {
    // A message outlives its verdict: gossipsub complains in the log of each verdict on one it dropped.
    let heartbeats = usize::try_from(MESSAGE_TIME.as_secs() / HEARTBEAT.as_secs()).unwrap_or(usize::MAX);
    gossipsub::ConfigBuilder::default()
        .protocol_id(format!("/rota/{}/gossip/1", config.params_hash), gossipsub::Version::V1_1)
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| gossipsub::MessageId::new(&sha256(&message.data)))
        .max_transmit_size(GOSSIP_MESSAGE)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .heartbeat_interval(HEARTBEAT)
        .history_length(heartbeats)
        .duplicate_cache_time(MESSAGE_TIME)
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]
    use rota_chain::address::AddressScheme;
    use rota_chain::amount::Height;
    use rota_chain::hash::BlockHash;

    use super::*;
    use crate::hello::Tip;
    use crate::limit::{TICK, VERDICT_TIME};

    #[test]
    fn a_message_is_kept_until_its_verdict_was_given() {
        let scheme = AddressScheme {
            pubkeyhash_version: vec![0],
            scripthash_version: vec![5],
            private_key_version: vec![128],
            checksum: [0; 4],
        };
        let tip = Tip { height: Height(0), hash: BlockHash::ZERO };
        let settings = gossip_settings(&Config::new("c", ParamsHash([1; 32]), scheme, tip)).unwrap();
        let kept = settings.heartbeat_interval() * u32::try_from(settings.history_length()).unwrap();
        // The first heartbeat may follow the message at once, and the verdict is looked at once a tick.
        assert!(kept >= VERDICT_TIME + settings.heartbeat_interval() + TICK * 2, "kept for {kept:?}");
        assert!(settings.duplicate_cache_time() >= VERDICT_TIME);
    }
}
