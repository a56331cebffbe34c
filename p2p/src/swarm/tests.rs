//! Nodes over real loopback sockets. This file: nodes and raw peers; the scenarios are in the files beside.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may stop")]

mod connect;
mod exchange;
mod gossip;
mod join;
mod offence;
mod raw;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rota_chain::address::AddressScheme;
use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::{Block, BlockHeader, SignedHeader};
use rota_chain::hash::{BlockHash, MerkleRoot, ParamsHash, StateHash};
use rota_chain::key::PrivateKey;
use rota_chain::transaction::Transaction;

use super::*;
use crate::gate::{GateRules, Permitted};
use crate::hello::RefusalCause;

/// Longest wait for something that must happen.
const DEADLINE: Duration = Duration::from_secs(30);
const CHAIN: &str = "chain1";

fn key(secret: u8) -> PeerKey {
    PeerKey::from_secret([secret; 32]).unwrap()
}

fn scheme() -> AddressScheme {
    AddressScheme {
        pubkeyhash_version: vec![0],
        scripthash_version: vec![5],
        private_key_version: vec![128],
        checksum: [0; 4],
    }
}

fn text(secret: u8) -> String {
    scheme().encode_key_hash(&key(secret).address())
}

fn gate(permitted: &[u8]) -> GateRules {
    let addresses: HashSet<KeyHash> = permitted.iter().map(|secret| key(*secret).address()).collect();
    GateRules { permitted: Permitted::Listed(Arc::new(addresses)), behind: false }
}

fn behind(permitted: &[u8]) -> GateRules {
    GateRules { behind: true, ..gate(permitted) }
}

fn tip(height: u32) -> Tip {
    Tip { height: Height(height), hash: BlockHash([1; 32]) }
}

fn config(permitted: &[u8]) -> Config {
    let mut config = Config::new(CHAIN, ParamsHash([3; 32]), scheme(), tip(0));
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.gate = gate(permitted);
    config
}

/// A signed header that differs for each `time`.
fn header(time: u32) -> SignedHeader {
    let signer = PrivateKey::from_bytes([9; 32]).unwrap();
    let header = BlockHeader {
        version: 1,
        previous: BlockHash([2; 32]),
        merkle_root: MerkleRoot([3; 32]),
        state_hash: StateHash([4; 32]),
        time: Timestamp(time),
        bits: 0,
        nonce: 0,
        miner: signer.public_key().key_hash(),
    };
    header.sign(&BlockHash::ZERO, &signer)
}

fn transaction(height: u32) -> Transaction {
    Transaction::coinbase(Height(height), Vec::new())
}

fn block(height: u32) -> Block {
    Block { signed: header(height), transactions: vec![transaction(height)] }
}

/// A running node.
struct Node {
    handle: Handle,
    events: mpsc::Receiver<Event>,
    place: SocketAddr,
}

impl Node {
    /// A node with this identity that lets these connect.
    async fn start(secret: u8, permitted: &[u8]) -> Node {
        Node::with(secret, config(permitted)).await
    }

    async fn with(secret: u8, config: Config) -> Node {
        let (handle, events) = spawn(config, key(secret)).unwrap();
        let mut node = Node { handle, events, place: "127.0.0.1:0".parse().unwrap() };
        node.place = node
            .wait(|event| match event {
                Event::Listening { addr } => Some(addr),
                Event::ListenFailed { error, .. } => panic!("{error}"),
                _ => None,
            })
            .await;
        node
    }

    /// Waits for an event that `pick` takes; others are dropped.
    async fn wait<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the room is open");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("the event comes in time")
    }

    async fn connected(&mut self) -> PeerHandle {
        self.wait(|event| match event {
            Event::PeerConnected { peer, .. } => Some(peer),
            Event::Refused { reason, .. } => panic!("refused: {reason}"),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self) -> (PeerHandle, String) {
        self.wait(|event| match event {
            Event::PeerDisconnected { peer, reason } => Some((peer, reason)),
            _ => None,
        })
        .await
    }

    async fn refused(&mut self) -> (RefusalCause, String, bool) {
        self.wait(|event| match event {
            Event::Refused { cause, reason, by_peer, .. } => Some((cause, reason, by_peer)),
            _ => None,
        })
        .await
    }

    async fn misbehaviour(&mut self) -> String {
        self.wait(|event| match event {
            Event::Misbehaviour { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    async fn keep(&self, other: &Node) {
        self.handle.add_node(other.place.to_string()).await.unwrap();
    }

    async fn peer_count(&self) -> usize {
        self.handle.peers().await.unwrap().len()
    }
}

/// Two nodes that let each other connect, the first of which dialled; and how each names the other.
async fn pair() -> (Node, Node, PeerHandle, PeerHandle) {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[1, 2]).await);
    a.keep(&b).await;
    let (of_b, of_a) = (a.connected().await, b.connected().await);
    (a, b, of_b, of_a)
}
