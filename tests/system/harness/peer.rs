//! A peer made by hand: it connects under a node's own address, while that node is down, and asks what it likes.

use std::time::Duration;

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, ChunkHash, Txid};
use rota_p2p::{
    Config, Event, GateRules, Handle, PeerHandle, PeerKey, Permitted, Request, RequestError, Response, Tip,
};
use rota_params::file;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::node::Node;
use super::view::text;

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// A peer that is connected to a node.
pub struct HandMade {
    handle: Handle,
    node: PeerHandle,
    _events: mpsc::Receiver<Event>,
}

impl HandMade {
    /// Stops the node `mask` and connects to `target` with its identity.
    pub async fn connect(mask: &Node, target: &Node) -> HandMade {
        let address = mask.address().await;
        let secret = text(&mask.call("dumpprivkey", json!([address])).await);
        let tip = Tip {
            height: Height(u32::try_from(target.height().await).expect("a low height")),
            hash: target.tip().await.parse::<BlockHash>().expect("a block hash"),
        };
        let (set, _) = file::load(&mask.folder().join("params.dat"), &mask.chain).expect("a parameter file");
        let key = set.address_scheme().decode_private_key(&secret).expect("a private key");
        mask.stop().await;
        let hash = set.chain_params_hash().expect("a chain that was begun");
        let mut config = Config::new(&mask.chain, hash, set.address_scheme(), tip);
        config.gate = GateRules { permitted: Permitted::Everyone, behind: false };
        let key = PeerKey::from_private_key(&key).expect("a key of a peer");
        let (handle, mut events) = rota_p2p::spawn(config, key).expect("a peer room");
        handle.add_node(format!("127.0.0.1:{}", target.port)).await.expect("an open room");
        let connected = async {
            loop {
                match events.recv().await.expect("an open room") {
                    Event::PeerConnected { peer, .. } => return peer,
                    other => drop(other),
                }
            }
        };
        let node = tokio::time::timeout(PATIENCE, connected).await.expect("a connection in time");
        HandMade { handle, node, _events: events }
    }

    /// Asks for chunks of a stream.
    pub async fn ask(&self, stream: &str, hashes: &[ChunkHash]) -> Result<Response, RequestError> {
        let stream: Txid = stream.parse().expect("a txid");
        self.handle.ask(self.node, Request::Chunks { stream, hashes: hashes.to_vec() }).await
    }
}

/// Hashes of the chunks of a transaction's off-chain items, as a node shows them.
pub async fn chunk_hashes(node: &Node, txid: &str) -> Vec<ChunkHash> {
    let shown = node.call("getrawtransaction", json!([txid, 1])).await;
    let mut hashes = Vec::new();
    collect(&shown, &mut hashes);
    assert!(!hashes.is_empty(), "{txid} has no chunks: {shown}");
    hashes
}

fn collect(value: &Value, hashes: &mut Vec<ChunkHash>) {
    match value {
        Value::Object(map) => {
            if let Some(chunks) = map.get("chunks").and_then(Value::as_array) {
                hashes.extend(chunks.iter().map(|chunk| text(&chunk["hash"]).parse::<ChunkHash>().expect("a hash")));
            }
            map.values().for_each(|value| collect(value, hashes));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, hashes)),
        _ => {}
    }
}
