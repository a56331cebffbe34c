//! The node among its peers: its identity, whom it dials and lets in, and the figures callers ask for. What is said
//! to peers is decided in `sync/`; bytes and connections are the peer room's (rota-p2p).

mod book;
mod identity;
mod room;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rota_chain::lock::KeyHash;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_p2p::{Banned, Handle, JoinAnswers, PeerHandle, PeerInfo};
use rota_params::ParameterSet;
use rota_params::paths::ChainDirectory;
use rota_params::runtime::RuntimeSettings;
use rota_wallet::Wallet;
use tokio::sync::{Notify, watch};

pub use book::StoredNode;
pub use room::gate_rules;

use crate::context::unix_time;
use crate::ledger::LedgerHandle;
use crate::offchain::Offchain;
use crate::pause::Paused;
use crate::sync::PeerSync;
use crate::view::SharedView;
use book::Book;

/// Nodes that `addnode` and options may list: a line of configuration each, as many as the peer room dials.
pub const MAX_ADDED: usize = 1_024;

/// What the operator decided about peers.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Nodes to keep connected.
    pub add_nodes: Vec<String>,
    /// If not empty: the only nodes to dial.
    pub connect: Vec<String>,
    /// Connections in all.
    pub max_connections: u32,
    /// Connections that this node opens by itself; those it was told to keep count and are opened beyond it.
    pub max_out_connections: usize,
    /// File with the identity's private key, outside the wallet.
    pub p2p_key: Option<PathBuf>,
    /// The node this one joined through.
    pub seed: Option<String>,
    /// No peers at all.
    pub offline: bool,
}

/// Parts the network is made of.
pub struct NetworkParts {
    /// The chain's parameters.
    pub parameters: Arc<ParameterSet>,
    /// The rules made from them.
    pub rules: Arc<Rules>,
    /// Where files live.
    pub directory: ChainDirectory,
    /// What joiners get.
    pub join_answers: JoinAnswers,
    /// What readers see.
    pub view: Arc<SharedView>,
    /// The one writer.
    pub ledger: LedgerHandle,
    /// Keys.
    pub wallet: Arc<Wallet>,
    /// Which transactions' signatures verify.
    pub signatures: Arc<SignatureCache>,
    /// Settings.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// What is paused.
    pub paused: Arc<Paused>,
    /// Off-chain items.
    pub offchain: Arc<Offchain>,
    /// What the operator decided.
    pub options: NetworkOptions,
}

/// Why a node is not added, dialled or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is listed already.
    #[error("the node was added before")]
    Listed,
    /// It is not listed.
    #[error("the node was not added")]
    NotListed,
    /// Too many are.
    #[error("{MAX_ADDED} nodes are added already")]
    TooMany,
    /// There are no peers: the wallet is locked, or the node is offline.
    #[error("this node has no connection to peers: its wallet is locked, or it was started with -offline")]
    NoRoom,
    /// The book says otherwise.
    #[error("{0}")]
    Book(&'static str),
}

/// A node that is kept connected, as `getaddednodeinfo` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedNode {
    /// As it was added.
    pub node: String,
    /// Host and port.
    pub target: String,
    /// The connection to it, if one: true if it dialled us.
    pub inbound: Option<bool>,
}

struct Room {
    handle: Handle,
    address: KeyHash,
}

struct Inner {
    parts: NetworkParts,
    room: Mutex<Option<Room>>,
    last_address: Mutex<Option<KeyHash>>,
    closed_totals: Mutex<(u64, u64)>,
    added: Mutex<Vec<(String, String)>>,
    book: Mutex<Book>,
    listening: Mutex<Vec<SocketAddr>>,
    board: Arc<Mutex<HashMap<PeerHandle, PeerSync>>>,
    identity: Notify,
}

/// Access to the network. Clones share it.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    /// A network that is not running yet; the book of known nodes is read.
    pub fn new(parts: NetworkParts) -> Network {
        let book = Book::load(parts.directory.peers());
        let port = parts.parameters.default_network_port();
        let mut added: Vec<(String, String)> = Vec::new();
        for node in parts.options.add_nodes.iter().take(MAX_ADDED) {
            if !added.iter().any(|(known, _)| known == node) {
                added.push((node.clone(), with_port(node, port)));
            }
        }
        Network(Arc::new(Inner {
            parts,
            room: Mutex::new(None),
            last_address: Mutex::new(None),
            closed_totals: Mutex::new((0, 0)),
            added: Mutex::new(added),
            book: Mutex::new(book),
            listening: Mutex::new(Vec::new()),
            board: Arc::default(),
            identity: Notify::new(),
        }))
    }

    /// The peer room, none while the node has no identity (a locked wallet) or is offline.
    pub fn handle(&self) -> Option<Handle> {
        lock(&self.0.room).as_ref().map(|room| room.handle.clone())
    }

    /// The address this node proves to peers; without a peer room the one it would prove.
    pub fn handshake(&self) -> Option<KeyHash> {
        if let Some(room) = lock(&self.0.room).as_ref() {
            return Some(room.address);
        }
        identity::wanted(&self.0.parts).or(*lock(&self.0.last_address))
    }

    /// All connected peers, in the order they connected.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        match self.handle() {
            Some(handle) => handle.peers().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Number of connected peers.
    pub async fn connection_count(&self) -> usize {
        self.peers().await.len()
    }

    /// How far a peer is, as far as it told.
    pub fn peer_sync(&self, peer: PeerHandle) -> PeerSync {
        lock(&self.0.board).get(&peer).cloned().unwrap_or_default()
    }

    /// Bytes sent to and received from peers since the start.
    pub fn totals(&self) -> (u64, u64) {
        let (sent, received) = *lock(&self.0.closed_totals);
        let (now_sent, now_received) = self.handle().map_or((0, 0), |handle| handle.totals());
        (sent.saturating_add(now_sent), received.saturating_add(now_received))
    }

    /// Where the node can be dialled.
    pub fn listening(&self) -> Vec<SocketAddr> {
        lock(&self.0.listening).clone()
    }

    /// Keeps a node connected.
    ///
    /// # Errors
    /// [`NetworkError::Listed`], [`NetworkError::TooMany`].
    pub async fn add_node(&self, node: &str) -> Result<(), NetworkError> {
        let target = with_port(node, self.0.parts.parameters.default_network_port());
        {
            let mut added = lock(&self.0.added);
            if added.iter().any(|(_, known)| *known == target) {
                return Err(NetworkError::Listed);
            }
            if added.len() >= MAX_ADDED {
                return Err(NetworkError::TooMany);
            }
            added.push((node.to_owned(), target.clone()));
        }
        if let Some(handle) = self.handle() {
            // A room that closes leaves the list to the next.
            let _ = handle.add_node(target).await;
        }
        Ok(())
    }

    /// No longer keeps a node connected. An open connection stays.
    ///
    /// # Errors
    /// [`NetworkError::NotListed`].
    pub async fn remove_node(&self, node: &str) -> Result<(), NetworkError> {
        let target = with_port(node, self.0.parts.parameters.default_network_port());
        {
            let mut added = lock(&self.0.added);
            let before = added.len();
            added.retain(|(_, known)| *known != target);
            if added.len() == before {
                return Err(NetworkError::NotListed);
            }
        }
        if let Some(handle) = self.handle() {
            let _ = handle.remove_node(target).await;
        }
        Ok(())
    }

    /// Dials a node once.
    ///
    /// # Errors
    /// [`NetworkError::NoRoom`].
    pub async fn dial(&self, node: &str) -> Result<(), NetworkError> {
        let handle = self.handle().ok_or(NetworkError::NoRoom)?;
        let target = with_port(node, self.0.parts.parameters.default_network_port());
        handle.dial(target).await.map_err(|_| NetworkError::NoRoom)
    }

    /// The nodes that are kept connected, in the order they were added.
    pub async fn added_nodes(&self) -> Vec<AddedNode> {
        let listed = lock(&self.0.added).clone();
        let peers = self.peers().await;
        let connection = |target: &str| {
            let place = target.parse::<SocketAddr>().ok()?;
            peers.iter().find(|peer| place_of(peer) == Some(place)).map(|peer| peer.inbound)
        };
        let kept = match self.handle() {
            Some(handle) => handle.added_nodes().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let node = |(node, target): (String, String)| {
            let kept = kept.iter().any(|kept| kept.target == target && kept.connected);
            let inbound = connection(&target).or(kept.then_some(false));
            AddedNode { node, target, inbound }
        };
        listed.into_iter().map(node).collect()
    }

    /// The book of known nodes by place; those ignored for long only if `with_old`.
    pub async fn stored_nodes(&self, with_old: bool) -> Vec<StoredNode> {
        let now = unix_time();
        lock(&self.0.book).nodes().into_iter().filter(|node| with_old || !node.is_old(now)).collect()
    }

    /// Stores a node to be dialled, or to be ignored.
    ///
    /// # Errors
    /// [`NetworkError::Book`].
    pub async fn store_node(&self, node: SocketAddr, ignore: bool) -> Result<(), NetworkError> {
        {
            let mut book = lock(&self.0.book);
            book.change(node, ignore, unix_time()).map_err(NetworkError::Book)?;
            book.save();
        }
        if let Some(handle) = self.handle().filter(|_| !ignore) {
            // A room that closes leaves the book to the next.
            let _ = handle.dial(node.to_string()).await;
        }
        Ok(())
    }

    /// Pings every peer now.
    pub async fn ping(&self) {
        if let Some(handle) = self.handle() {
            let _ = handle.ping().await;
        }
    }

    /// Refuses a host or address for a time and closes its connections.
    pub async fn ban(&self, who: Banned, time: Duration) {
        if let Some(handle) = self.handle() {
            let _ = handle.ban(who, time).await;
        }
    }

    /// Looks again whether the identity is the right one: after `handshakelocal` was set.
    pub async fn identity_changed(&self) {
        self.0.identity.notify_one();
    }

    /// Runs until the node stops: opens the peer room whenever there is an identity, and again when it changes.
    pub async fn run(self, stopping: watch::Receiver<bool>) {
        room::run(self, stopping).await;
    }
}

/// Where a peer can be dialled: the port it listens on, not the one it dialled from.
fn place_of(peer: &PeerInfo) -> Option<SocketAddr> {
    if !peer.inbound {
        return Some(peer.remote);
    }
    (peer.hello.port != 0).then(|| SocketAddr::new(peer.remote.ip(), peer.hello.port))
}

/// A node's host and port: the chain's port if none is given.
fn with_port(node: &str, port: u16) -> String {
    if let Ok(ip) = node.parse::<IpAddr>() {
        return SocketAddr::new(ip, port).to_string();
    }
    if node.parse::<SocketAddr>().is_ok() || node.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        return node.to_owned();
    }
    format!("{node}:{port}")
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_node_without_port_gets_the_chains() {
        assert_eq!(with_port("10.0.0.1", 7_000), "10.0.0.1:7000");
        assert_eq!(with_port("10.0.0.1:80", 7_000), "10.0.0.1:80");
        assert_eq!(with_port("::1", 7_000), "[::1]:7000");
        assert_eq!(with_port("[::1]:80", 7_000), "[::1]:80");
        assert_eq!(with_port("node.example", 7_000), "node.example:7000");
        assert_eq!(with_port("node.example:80", 7_000), "node.example:80");
    }
}
