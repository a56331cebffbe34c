//! A peer made by hand: it connects under an address that may connect, asks what it likes and gives what it was told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::transaction::Transaction;
use rota_p2p::{
    CompactBlock, Config, Event, GateRules, Handle, PeerHandle, PeerKey, Permitted, Refusal, Request, RequestError,
    Response, Stopped, Tip,
};
use rota_params::{ParameterSet, file};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::node::Node;
use super::view::text;

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests for what was offered that may wait.
const WAITING: usize = 64;

/// What a peer made by hand gives when it is asked.
#[derive(Default)]
struct Goods {
    transactions: HashMap<FullHash, Transaction>,
    blocks: HashMap<BlockHash, Block>,
}

/// A peer that is connected to a node.
pub struct HandMade {
    handle: Handle,
    node: PeerHandle,
    goods: Arc<Mutex<Goods>>,
    asked: tokio::sync::Mutex<mpsc::Receiver<Instant>>,
    connected: watch::Receiver<bool>,
}

impl HandMade {
    /// Stops the node `mask` and connects to `target` with its identity.
    pub async fn connect(mask: &Node, target: &Node) -> HandMade {
        let address = mask.address().await;
        let secret = text(&mask.call("dumpprivkey", json!([address])).await);
        let (set, _) = file::load(&mask.folder().join("params.dat"), &mask.chain).expect("a parameter file");
        let key = set.address_scheme().decode_private_key(&secret).expect("a private key");
        mask.stop().await;
        HandMade::enter(&key, &set, target).await
    }

    /// Connects to `target` with any identity that may connect.
    pub async fn enter(key: &PrivateKey, set: &ParameterSet, target: &Node) -> HandMade {
        let tip = Tip {
            height: Height(u32::try_from(target.height().await).expect("a low height")),
            hash: target.tip().await.parse::<BlockHash>().expect("a block hash"),
        };
        let hash = set.chain_params_hash().expect("a chain that was begun");
        let mut config = Config::new(&target.chain, hash, set.address_scheme(), tip);
        config.gate = GateRules { permitted: Permitted::Everyone, behind: false };
        let key = PeerKey::from_private_key(key).expect("a key of a peer");
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
        let goods = Arc::<Mutex<Goods>>::default();
        let (told, asked) = mpsc::channel(WAITING);
        let (parted, connected) = watch::channel(true);
        tokio::spawn(give(handle.clone(), events, Arc::clone(&goods), told, parted));
        HandMade { handle, node, goods, asked: asked.into(), connected }
    }

    /// Announces transactions again and again until the node asks for them, and gives them. When it asked, none if it
    /// did not within `time`.
    pub async fn offer(&self, transactions: Vec<Transaction>, time: Duration) -> Option<Instant> {
        let hashes: Vec<FullHash> = transactions.iter().map(Transaction::full_hash).collect();
        let offered = hashes.iter().copied().zip(transactions);
        self.goods.lock().expect("nobody panicked").transactions.extend(offered);
        // Announcements made before the node has agreed on topics are lost.
        self.until_asked(time, || self.handle.announce_transactions(hashes.clone())).await
    }

    /// The same with a block, announced by its header and hashes.
    pub async fn offer_block(&self, block: Block, time: Duration) -> Option<Instant> {
        let compact = CompactBlock::new(block.signed, block.full_hashes());
        self.goods.lock().expect("nobody panicked").blocks.insert(block.hash(), block);
        self.until_asked(time, || self.handle.announce_block(compact.clone())).await
    }

    async fn until_asked<F>(&self, time: Duration, announce: impl Fn() -> F) -> Option<Instant>
    where
        F: Future<Output = Result<(), Stopped>>,
    {
        let mut asked = self.asked.lock().await;
        while asked.try_recv().is_ok() {}
        let announcing = async {
            loop {
                announce().await.expect("an open room");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            moment = tokio::time::timeout(time, asked.recv()) => moment.ok().flatten(),
            () = announcing => None,
        }
    }

    /// Whether the connection is open.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Whether the connection ends within `time`. It is not opened again.
    pub async fn parted(&self, time: Duration) -> bool {
        let mut connected = self.connected.clone();
        let parted = tokio::time::timeout(time, connected.wait_for(|connected| !connected)).await.is_ok();
        if parted {
            self.handle.shutdown().await;
        }
        parted
    }

    /// Asks for chunks of a stream.
    pub async fn ask(&self, stream: &str, hashes: &[ChunkHash]) -> Result<Response, RequestError> {
        let stream: Txid = stream.parse().expect("a txid");
        self.handle.ask(self.node, Request::Chunks { stream, hashes: hashes.to_vec() }).await
    }
}

/// Answers a node's requests with what was put down, until the room closes.
async fn give(
    handle: Handle,
    mut events: mpsc::Receiver<Event>,
    goods: Arc<Mutex<Goods>>,
    told: mpsc::Sender<Instant>,
    parted: watch::Sender<bool>,
) {
    while let Some(event) = events.recv().await {
        match event {
            Event::PeerDisconnected { .. } => drop(parted.send(false)),
            Event::Request { request_id, request, .. } => {
                let response = goods.lock().expect("nobody panicked").answer(request);
                if matches!(response, Response::Refused(_) | Response::Headers(_)) {
                    let _ = handle.respond(request_id, response).await;
                } else if handle.respond(request_id, response).await.is_ok() {
                    // Nobody may be waiting to hear of it.
                    let _ = told.try_send(Instant::now());
                }
            }
            other => drop(other),
        }
    }
}

impl Goods {
    fn answer(&self, request: Request) -> Response {
        let unknown = Response::Refused(Refusal::Unknown);
        match request {
            Request::Transactions { hashes } => {
                let found: Vec<_> = hashes.iter().filter_map(|hash| self.transactions.get(hash).cloned()).collect();
                if found.is_empty() { unknown } else { Response::Transactions(found) }
            }
            Request::Blocks { hashes } => {
                let found = hashes.iter().filter_map(|hash| self.blocks.get(hash).cloned());
                let found: Vec<_> = found.map(Into::into).collect();
                if found.is_empty() { unknown } else { Response::Blocks(found) }
            }
            Request::BlockTransactions { block, indexes } => self.blocks.get(&block).map_or(unknown, |block| {
                let found = indexes.iter().filter_map(|index| block.transactions.get(*index as usize).cloned());
                Response::BlockTransactions(found.collect())
            }),
            Request::Headers { .. } => Response::Headers(self.blocks.values().map(|block| block.signed).collect()),
            Request::TransactionsById { .. }
            | Request::PoolInventory { .. }
            | Request::Chunks { .. }
            | Request::Addresses => unknown,
        }
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
