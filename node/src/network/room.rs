//! The network's life: a peer room for each identity, whom to dial, what the book learns from events.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_consensus::rules::Rules;
use rota_p2p::{
    Config, Event, GateRules, Handle, PeerHandle, PeerKey, Permitted, RefusalCause, Request, Response, Tip,
};
use tokio::sync::{mpsc, watch};

use super::book::{PEERS, SEED};
use super::identity::{self, Identity};
use super::{Network, NetworkParts, Room, lock, place_of};
use crate::context::unix_time;
use crate::ledger::LedgerEvent;
use crate::sync::{self, SyncParts};
use crate::view::SharedView;

/// How often a locked wallet or a changed right is looked at.
const IDENTITY_LOOK: Duration = Duration::from_secs(1);
/// How often the book is looked at for nodes to dial.
const DIAL_LOOK: Duration = Duration::from_secs(10);
/// Places a peer's answer may bring into the book at once.
const PLACES_HEARD: usize = 64;
/// Places told to a peer that asks: fewer than its answer may hold.
const PLACES_TOLD: usize = 128;
/// Events for the book that may wait.
const BOOK_EVENTS: usize = 256;
/// Longest a closing room is waited for.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// Why a room was closed.
enum Closed {
    Stopping,
    IdentityChanged,
    LimitsChanged,
    Ended,
}

/// Opens rooms until the node stops.
pub(super) async fn run(network: Network, mut stopping: watch::Receiver<bool>) {
    let mut waiting_told = false;
    while !*stopping.borrow() && !network.0.parts.options.offline {
        match identity::choose(&network.0.parts) {
            Identity::Key(key, address) => {
                waiting_told = false;
                match PeerKey::from_private_key(&key) {
                    Ok(key) => match live(&network, key, address, &mut stopping).await {
                        Closed::Stopping => break,
                        Closed::IdentityChanged => tracing::info!("peers are dialled again with another identity"),
                        Closed::LimitsChanged => {
                            tracing::info!("an upgrade changed what peers may send: they are dialled again");
                        }
                        Closed::Ended => tracing::error!("the peer room ended: it is opened again"),
                    },
                    Err(error) => tracing::error!(%error, "the identity cannot be used"),
                }
            }
            Identity::Locked if !waiting_told => {
                waiting_told = true;
                tracing::warn!("the wallet is locked: peers wait for walletpassphrase (or give this node -p2pkey)");
            }
            Identity::Absent(reason) if !waiting_told => {
                waiting_told = true;
                tracing::error!("no connection to peers: {reason}");
            }
            Identity::Locked | Identity::Absent(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(IDENTITY_LOOK) => {}
            _ = stopping.wait_for(|stop| *stop) => break,
        }
    }
    lock(&network.0.book).save();
}

/// One room, from opening to closing.
async fn live(network: &Network, key: PeerKey, address: KeyHash, stopping: &mut watch::Receiver<bool>) -> Closed {
    let parts = &network.0.parts;
    let Some(config) = config(parts) else {
        tracing::error!("the chain has no chain-params-hash yet: no peers");
        return Closed::Ended;
    };
    let (handle, events) = match rota_p2p::spawn(config, key) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%error, "the peer room cannot be opened");
            return Closed::Ended;
        }
    };
    let text = parts.parameters.address_scheme().encode_key_hash(&address);
    tracing::info!(address = %text, "identity towards peers");
    let rights = identity::valuable_rights(parts, &address);
    if !rights.is_empty() {
        tracing::warn!(address = %text, "the identity towards peers also holds {}: an address of its own for it \
            (handshakelocal) lets the wallet stay locked", rights.join(", "));
    }
    *lock(&network.0.last_address) = Some(address);
    *lock(&network.0.room) = Some(Room { handle: handle.clone(), address });
    // A room that ends meanwhile is noticed below.
    let _ = handle.set_join_answers(parts.join_answers.clone()).await;
    dial_first(network, &handle).await;
    let (notes, noted) = mpsc::channel(BOOK_EVENTS);
    let book = network.clone();
    let sync_parts = sync_parts(network, handle.clone(), notes);
    let closed = tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => Closed::Stopping,
        () = sync::run(sync_parts, events) => Closed::Ended,
        () = keep_book(&book, &handle, noted) => Closed::Ended,
        () = identity_lost(network, address) => Closed::IdentityChanged,
        () = limits_changed(parts) => Closed::LimitsChanged,
    };
    *lock(&network.0.room) = None;
    if tokio::time::timeout(CLOSING_TIME, handle.shutdown()).await.is_err() {
        tracing::warn!("the peer room did not close in time");
    }
    let (sent, received) = handle.totals();
    let mut totals = lock(&network.0.closed_totals);
    *totals = (totals.0.saturating_add(sent), totals.1.saturating_add(received));
    lock(&network.0.listening).clear();
    lock(&network.0.board).clear();
    closed
}

fn config(parts: &NetworkParts) -> Option<Config> {
    let hash = parts.parameters.chain_params_hash()?;
    let tip = parts.view.tip();
    let tip = Tip { height: tip.height, hash: tip.hash };
    let mut config = Config::new(parts.directory.name(), hash, parts.parameters.address_scheme(), tip);
    config.listen = parts.options.listen.clone();
    config.gate = gate_rules(&parts.view, &parts.rules, false);
    (config.max_block_bytes, config.max_chunk_bytes) = limits(parts);
    config.max_connections = parts.options.max_connections;
    Some(config)
}

/// Bytes of a block and of a chunk at most, as upgrades have left them.
fn limits(parts: &NetworkParts) -> (u32, u32) {
    let snapshot = parts.view.snapshot();
    let rules = parts.rules.at(&snapshot);
    let rules = rules.as_deref().unwrap_or(&parts.rules);
    (rules.maximum_block_size, rules.maximum_chunk_size)
}

/// Returns when an upgrade has changed how much a peer may send at once.
async fn limits_changed(parts: &NetworkParts) {
    let mut events = parts.ledger.subscribe_events();
    let before = limits(parts);
    loop {
        match events.recv().await {
            Ok(LedgerEvent::Tip { .. }) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                if limits(parts) != before {
                    return;
                }
            }
            Ok(_) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Who may connect at the tip, as one look at the state: the judge never waits for the writer.
#[must_use]
pub fn gate_rules(view: &Arc<SharedView>, rules: &Arc<Rules>, behind: bool) -> GateRules {
    let everybody = rules.at(&view.snapshot()).is_ok_and(|rules| rules.anyone.connect);
    if everybody {
        return GateRules { permitted: Permitted::Everyone, behind };
    }
    let (view, rules) = (Arc::clone(view), Arc::clone(rules));
    // By the tip; a grant that waits for its block lets its holder in already, so that joining need not wait for it.
    let judge = move |address: &KeyHash| {
        let view = view.read();
        let (lock, height) = (Lock::Key(*address), view.tip.height.next());
        let by_tip = authority::may(&view.snapshot, &rules, Permission::Connect, &lock, height);
        let may = by_tip
            .and_then(|may| Ok(may || authority::may(view.pool.state(), &rules, Permission::Connect, &lock, height)?));
        may.unwrap_or_else(|error| {
            tracing::error!(%error, "rights to connect cannot be read");
            false
        })
    };
    GateRules { permitted: Permitted::Judged(Arc::new(judge)), behind }
}

fn sync_parts(network: &Network, handle: Handle, notes: mpsc::Sender<Event>) -> SyncParts {
    let parts = &network.0.parts;
    let (for_gate, for_places) = (network.clone(), network.clone());
    SyncParts {
        handle,
        view: Arc::clone(&parts.view),
        ledger: parts.ledger.clone(),
        rules: Arc::clone(&parts.rules),
        signatures: Arc::clone(&parts.signatures),
        paused: Arc::clone(&parts.paused),
        settings: Arc::clone(&parts.settings),
        offchain: Arc::clone(&parts.offchain),
        scheme: parts.parameters.address_scheme(),
        board: Arc::clone(&network.0.board),
        gate: Box::new(move |behind| gate_rules(&for_gate.0.parts.view, &for_gate.0.parts.rules, behind)),
        places: Arc::new(move || lock(&for_places.0.book).places(PLACES_TOLD)),
        notes,
    }
}

async fn dial_first(network: &Network, handle: &Handle) {
    let options = &network.0.parts.options;
    let port = network.0.parts.parameters.default_network_port();
    if !options.connect.is_empty() {
        for node in &options.connect {
            let _ = handle.add_node(super::with_port(node, port)).await;
        }
        return;
    }
    let added: Vec<String> = lock(&network.0.added).iter().map(|(_, target)| target.clone()).collect();
    for target in added {
        let _ = handle.add_node(target).await;
    }
    if let Some(seed) = &options.seed {
        let target = super::with_port(seed, port);
        if let Ok(place) = target.parse::<SocketAddr>() {
            let mut book = lock(&network.0.book);
            book.heard(place, SEED);
            book.save();
        }
        let _ = handle.add_node(target).await;
    }
}

/// Returns when another address should be proved: this one lost its right to connect and another has it, or the
/// operator chose one.
async fn identity_lost(network: &Network, address: KeyHash) {
    let parts = &network.0.parts;
    let mut events = parts.ledger.subscribe_events();
    loop {
        let asked = tokio::select! {
            () = network.0.identity.notified() => true,
            event = events.recv() => match event {
                Ok(LedgerEvent::Tip { .. }) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => false,
                Ok(_) => continue,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
            },
        };
        if parts.options.p2p_key.is_some() || (!asked && identity::may_connect(parts, &address)) {
            continue;
        }
        if identity::wanted(parts).is_some_and(|wanted| wanted != address) {
            return;
        }
    }
}

/// Keeps the book by what happens among peers, and dials from it.
async fn keep_book(network: &Network, handle: &Handle, mut notes: mpsc::Receiver<Event>) {
    let mut look = tokio::time::interval(DIAL_LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            note = notes.recv() => match note {
                Some(event) => on_event(network, handle, event),
                None => return,
            },
            _ = look.tick() => {
                dial_from_book(network, handle).await;
                lock(&network.0.book).save();
            }
        }
    }
}

fn on_event(network: &Network, handle: &Handle, event: Event) {
    let now = unix_time();
    match event {
        Event::PeerConnected { peer, address, remote, inbound, hello, .. } => {
            let place = if inbound { SocketAddr::new(remote.ip(), hello.port) } else { remote };
            if place.port() != 0 {
                lock(&network.0.book).met(place, address, inbound, now);
            }
            tokio::spawn(ask_places(network.clone(), handle.clone(), peer));
        }
        Event::Refused { target, cause, reason, by_peer, remote, .. } => {
            let target = target.unwrap_or_default();
            let mut book = lock(&network.0.book);
            match cause {
                RefusalCause::AlreadyConnected => {}
                RefusalCause::DuplicateIdentity if own_place(network, &target) => book.forget(&target),
                RefusalCause::NoPermission => book.refused(&target, now),
                _ => book.failed(&target, now),
            }
            let who = if by_peer { "a peer refused this node" } else { "a connection was refused" };
            tracing::info!(%remote, "{who}: {reason}");
        }
        Event::DialFailed { target, reason } => {
            lock(&network.0.book).failed(&target, now);
            tracing::debug!(%target, "cannot be dialled: {reason}");
        }
        Event::Listening { addr } => {
            tracing::info!(%addr, "listening for peers");
            lock(&network.0.listening).push(addr);
        }
        Event::ListenFailed { addr, error } => tracing::error!(%addr, "cannot listen for peers: {error}"),
        _ => {}
    }
}

fn own_place(network: &Network, target: &str) -> bool {
    let Ok(place) = target.parse::<SocketAddr>() else { return false };
    lock(&network.0.listening).iter().any(|listening| listening.port() == place.port())
}

async fn ask_places(network: Network, handle: Handle, peer: PeerHandle) {
    let Ok(Response::Addresses(places)) = handle.ask(peer, Request::Addresses).await else { return };
    let own = network.listening();
    let mut book = lock(&network.0.book);
    for place in places.into_iter().take(PLACES_HEARD) {
        let usable = place.port() != 0 && !place.ip().is_unspecified() && !place.ip().is_multicast();
        if usable && !own.contains(&place) {
            book.heard(place, PEERS);
        }
    }
}

/// Dials known nodes while few connections are open.
async fn dial_from_book(network: &Network, handle: &Handle) {
    if !network.0.parts.options.connect.is_empty() {
        return;
    }
    let Ok(peers) = handle.peers().await else { return };
    let outbound = peers.iter().filter(|peer| !peer.inbound).count();
    let connected: HashSet<String> = peers.iter().filter_map(place_of).map(|place| place.to_string()).collect();
    let kept: HashSet<String> =
        handle.added_nodes().await.unwrap_or_default().into_iter().map(|node| node.target).collect();
    let own: HashSet<String> = network.listening().iter().map(ToString::to_string).collect();
    let due = lock(&network.0.book).due(unix_time());
    let due =
        due.into_iter().filter(|target| !connected.contains(target) && !kept.contains(target) && !own.contains(target));
    for target in due.take(network.0.parts.options.max_out_connections.saturating_sub(outbound)) {
        let _ = handle.dial(target).await;
    }
}
