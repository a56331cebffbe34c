//! A peer that speaks single protocols without the room's manners.

use futures::StreamExt;
use libp2p::request_response::{self, Message, OutboundFailure, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{PeerId, StreamProtocol, Swarm};

use super::*;
use crate::behaviour::{GossipBehaviour, HelloBehaviour, JoinBehaviour, Topics, gossip, hello};
use crate::codec::PairCodec;
use crate::hello::{Greeting, GreetingAnswer};
use crate::join::{JOIN_PROTOCOL, JoinAnswer, JoinRequest, join_codec};

/// Bytes in a frame, with a limit so wide that anything can be sent.
pub(super) type Blob = Vec<u8>;
type BlobBehaviour = request_response::Behaviour<PairCodec<Blob, Blob>>;

#[derive(NetworkBehaviour)]
pub(super) struct RawBehaviour {
    join: JoinBehaviour,
    hello: HelloBehaviour,
    blob: BlobBehaviour,
    gossip: GossipBehaviour,
}

pub(super) struct Raw {
    pub swarm: Swarm<RawBehaviour>,
    pub topics: Topics,
    pub node: PeerId,
}

#[derive(Debug)]
pub(super) enum Seen {
    Closed,
    Join(JoinAnswer),
    Welcome,
    Unsupported,
    Subscribed,
}

impl Raw {
    /// Connects to a node, able to send anything on the protocol of this word.
    pub async fn connect(secret: u8, node: &Node, word: &str) -> Raw {
        let (key, config) = (key(secret), config(&[]));
        let topics = Topics::new(&config.params_hash);
        let name = format!("/rota/{}/{word}/1", config.params_hash);
        let name = StreamProtocol::try_from_owned(name).unwrap();
        let behaviour = RawBehaviour {
            join: JoinBehaviour::with_codec(
                join_codec(),
                [(JOIN_PROTOCOL, ProtocolSupport::Full)],
                request_response::Config::default(),
            ),
            hello: hello(),
            blob: BlobBehaviour::with_codec(
                PairCodec::new(u32::MAX, u32::MAX),
                [(name, ProtocolSupport::Full)],
                request_response::Config::default(),
            ),
            gossip: gossip(&config, &topics).unwrap(),
        };
        let transport = transport(&key, &Traffic::default()).unwrap();
        let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(NEVER);
        let mut swarm = Swarm::new(transport, behaviour, key.peer_id(), settings);
        swarm.dial(DialOpts::unknown_peer_id().address(multiaddr_of(node.place)).build()).unwrap();
        let node = loop {
            if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
                break peer_id;
            }
        };
        Raw { swarm, topics, node }
    }

    pub fn send_join(&mut self, chain: &str) {
        let request = JoinRequest { chain_name: chain.to_owned() };
        self.swarm.behaviour_mut().join.send_request(&self.node, Ok(request));
    }

    pub fn send_hello(&mut self, hello: Hello) {
        self.swarm.behaviour_mut().hello.send_request(&self.node, Ok(Greeting::Hello(hello)));
    }

    pub fn send_blob(&mut self, blob: Blob) {
        self.swarm.behaviour_mut().blob.send_request(&self.node, Ok(blob));
    }

    pub fn publish(&mut self, bytes: Vec<u8>) {
        let topic = self.topics.blocks.clone();
        self.swarm.behaviour_mut().gossip.publish(topic, bytes).unwrap();
    }

    /// The next thing of interest.
    pub async fn next(&mut self) -> Seen {
        let next = async {
            loop {
                if let Some(seen) = interest(self.swarm.select_next_some().await) {
                    return seen;
                }
            }
        };
        tokio::time::timeout(DEADLINE, next).await.expect("something happens in time")
    }

    /// Keeps this side going while something else is awaited.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::pin!(other);
        loop {
            tokio::select! {
                done = &mut other => return done,
                _ = self.swarm.select_next_some() => {}
            }
        }
    }

    /// Goes on until the node closes the connection.
    pub async fn closed(&mut self) {
        while !matches!(self.next().await, Seen::Closed) {}
    }
}

fn interest(event: SwarmEvent<RawBehaviourEvent>) -> Option<Seen> {
    use request_response::Event as Exchanged;
    match event {
        SwarmEvent::ConnectionClosed { .. } => Some(Seen::Closed),
        SwarmEvent::Behaviour(RawBehaviourEvent::Join(Exchanged::Message {
            message: Message::Response { response, .. },
            ..
        })) => Some(Seen::Join(response.unwrap())),
        SwarmEvent::Behaviour(RawBehaviourEvent::Hello(Exchanged::Message {
            message: Message::Response { response, .. },
            ..
        })) => matches!(response, Ok(GreetingAnswer::Welcome(_))).then_some(Seen::Welcome),
        SwarmEvent::Behaviour(RawBehaviourEvent::Blob(Exchanged::OutboundFailure {
            error: OutboundFailure::UnsupportedProtocols,
            ..
        })) => Some(Seen::Unsupported),
        SwarmEvent::Behaviour(RawBehaviourEvent::Gossip(libp2p::gossipsub::Event::Subscribed { topic, .. }))
            if topic.as_str().ends_with("/block") =>
        {
            Some(Seen::Subscribed)
        }
        _ => None,
    }
}

/// A hello as a node of the tests' chain sends it.
pub(super) fn good_hello(nonce: u64) -> Hello {
    Hello {
        chain_name: CHAIN.to_owned(),
        params_hash: ParamsHash([3; 32]),
        version: 1,
        software: "/Raw/".to_owned(),
        tip: tip(0),
        time: unix_time(),
        port: 0,
        nonce,
    }
}

#[tokio::test]
async fn an_unpermitted_peer_can_open_neither_requests_nor_gossip() {
    let node = Node::start(1, &[1]).await;
    for word in ["sync", "pool", "chunk"] {
        let mut raw = Raw::connect(2, &node, word).await;
        raw.send_blob(vec![0; 10]);
        let seen = raw.next().await;
        assert!(matches!(seen, Seen::Unsupported), "{word}: {seen:?}");
    }
}

#[tokio::test]
async fn a_permitted_peer_is_heard_in_gossip() {
    let node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    assert!(matches!(raw.next().await, Seen::Subscribed));
}

#[tokio::test]
async fn an_unpermitted_peer_that_only_listens_is_cut() {
    let node = Node::start(1, &[1]).await;
    Raw::connect(2, &node, "sync").await.closed().await;
}

#[tokio::test]
async fn a_joiner_that_stays_is_cut_after_its_answer() {
    let node = Node::start(1, &[1]).await;
    let answers = crate::join::JoinAnswers { minimal: b"few".to_vec(), full: b"all".to_vec() };
    node.handle.set_join_answers(answers).await.unwrap();
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_join(CHAIN);
    let seen = raw.next().await;
    assert!(matches!(&seen, Seen::Join(JoinAnswer::Minimal { parameters, .. }) if parameters == b"few"), "{seen:?}");
    raw.closed().await;
}

#[tokio::test]
async fn a_joiner_that_asks_again_is_named_and_cut() {
    let mut node = Node::start(1, &[1]).await;
    let answers = crate::join::JoinAnswers { minimal: b"few".to_vec(), full: b"all".to_vec() };
    node.handle.set_join_answers(answers).await.unwrap();
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_join(CHAIN);
    assert!(matches!(raw.next().await, Seen::Join(JoinAnswer::Minimal { .. })));
    raw.send_join(CHAIN);
    let (reason, ()) = tokio::join!(node.misbehaviour(), raw.closed());
    assert_eq!(reason, "it asks again after it was answered");
}

#[tokio::test]
async fn a_second_hello_after_a_refusal_is_out_of_turn() {
    let mut node = Node::start(1, &[1]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_hello(good_hello(7));
    assert_eq!(raw.during(node.refused()).await.0, RefusalCause::NoPermission);
    raw.send_hello(good_hello(7));
    assert_eq!(raw.during(node.misbehaviour()).await, "a hello out of turn");
}

#[tokio::test]
async fn an_oversized_request_is_named_and_ends_the_connection() {
    let mut node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_hello(good_hello(7));
    raw.during(node.connected()).await;
    raw.send_blob(vec![0; crate::limit::REQUEST_FRAME as usize + 1]);
    let (reason, ()) = tokio::join!(node.misbehaviour(), raw.closed());
    assert!(reason.contains("the limit is"), "{reason}");
    assert_eq!(node.peer_count().await, 0);
}

#[tokio::test]
async fn a_request_that_does_not_decode_is_named_and_ends_the_connection() {
    let mut node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "pool").await;
    raw.send_blob(vec![255; 40]);
    let (reason, ()) = tokio::join!(node.misbehaviour(), raw.closed());
    assert!(reason.starts_with("request: "), "{reason}");
}

#[tokio::test]
async fn a_second_hello_is_out_of_turn() {
    let mut node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_hello(good_hello(7));
    raw.during(node.connected()).await;
    raw.send_hello(good_hello(7));
    assert_eq!(raw.during(node.misbehaviour()).await, "a hello out of turn");
}

#[tokio::test]
async fn an_announcement_that_does_not_decode_is_named_and_ends_the_connection() {
    let mut node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_hello(good_hello(7));
    while !matches!(raw.next().await, Seen::Subscribed) {}
    raw.during(node.connected()).await;
    raw.publish(vec![1, 2, 3]);
    let (reason, ()) = tokio::join!(node.misbehaviour(), raw.closed());
    assert!(reason.starts_with("announcement: "), "{reason}");
}

#[tokio::test]
async fn a_hello_with_an_endless_name_is_named() {
    let mut node = Node::start(1, &[1, 2]).await;
    let mut raw = Raw::connect(2, &node, "sync").await;
    raw.send_hello(Hello { software: "x".repeat(300), ..good_hello(7) });
    let (reason, ()) = tokio::join!(node.misbehaviour(), raw.closed());
    assert!(reason.contains("software"), "{reason}");
}
