//! What is remembered of each connected peer: what it told, what it was asked, and when to ask again.

use std::collections::VecDeque;
use std::time::Duration;

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, FullHash, Txid};
use rota_chain::lock::KeyHash;
use rota_p2p::limit::MAX_INVENTORY;
use rota_p2p::{PeerHandle, Request};

use super::{ChainFacts, Sync};

/// How often a peer is asked for headers though it announced nothing: a lost announcement costs no more than this.
const HEADERS_AGAIN: Duration = Duration::from_secs(30);
/// When a new peer is asked a second time: announcements need a moment to be carried.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// Pause after an answer to headers failed.
const HEADERS_PAUSE: Duration = Duration::from_secs(5);

/// Transactions a peer may give at once that come to nothing: an answer's worth, as when a parent comes late.
const IN_VAIN_AT_MOST: u32 = 1_000;
/// One of them is forgiven in this time: each costs as much as one that is taken, so that a tenth of a core is left to them.
const FORGIVEN: Duration = Duration::from_millis(5);

/// A request of ours.
#[derive(Debug)]
pub(super) enum Query {
    Headers,
    Blocks { hashes: Vec<BlockHash> },
    BlockTransactions { block: BlockHash },
    Transactions { hashes: Vec<FullHash> },
    Parents { txids: Vec<Txid> },
    Inventory { after: FullHash },
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// The address it proved.
    pub address: KeyHash,
    /// Whether it is let in to everything.
    pub full: bool,
    /// Height of the best block it told of.
    pub best: Option<Height>,
    /// The last header it gave.
    pub last_header: Option<BlockHash>,
    /// Whether it has headers beyond the window.
    pub more_headers: bool,
    /// When to ask for headers next.
    pub headers_at: Duration,
    /// When to compare pools, if that is due.
    pub reconcile_at: Option<Duration>,
    /// Whether pools are to be compared a second time.
    pub second_look: bool,
    /// Requests for headers under way.
    pub headers_asked: usize,
    /// Requests for blocks under way.
    pub blocks_asked: usize,
    /// Requests for transactions under way.
    pub transactions_asked: usize,
    /// Pages of its pool under way.
    pub inventory_asked: usize,
    /// Transactions to ask it for.
    pub queue: VecDeque<FullHash>,
    /// Parents to ask it for.
    pub parents: VecDeque<Txid>,
    /// Transactions it gave that the state refused, or that were known with other signatures, less those forgiven since.
    pub in_vain: u32,
    /// Up to when some were forgiven.
    pub forgiven: Duration,
}

impl Peer {
    /// Whether it gave so many transactions of late that came to nothing that it is asked for no more now.
    pub fn tries_patience(&mut self, now: Duration) -> bool {
        let passed = u32::try_from(now.saturating_sub(self.forgiven).as_millis() / FORGIVEN.as_millis());
        let forgiven = passed.unwrap_or(u32::MAX);
        if self.in_vain <= forgiven {
            (self.in_vain, self.forgiven) = (0, now);
        } else {
            self.in_vain -= forgiven;
            self.forgiven += FORGIVEN.saturating_mul(forgiven);
        }
        self.in_vain > IN_VAIN_AT_MOST
    }

    pub fn asked(&mut self, query: &Query) {
        *self.count(query) += 1;
    }

    pub fn answered(&mut self, query: &Query) {
        let count = self.count(query);
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, query: &Query) -> &mut usize {
        match query {
            Query::Headers => &mut self.headers_asked,
            Query::Blocks { .. } => &mut self.blocks_asked,
            Query::Inventory { .. } => &mut self.inventory_asked,
            Query::BlockTransactions { .. } | Query::Transactions { .. } | Query::Parents { .. } => {
                &mut self.transactions_asked
            }
        }
    }
}

impl<V: ChainFacts> Sync<V> {
    pub(super) fn on_connected(&mut self, peer: PeerHandle, address: KeyHash, full: bool, tip: rota_p2p::Tip) {
        let soon = self.now.steady + SECOND_LOOK;
        let state = Peer {
            address,
            full,
            best: Some(tip.height),
            last_header: None,
            more_headers: false,
            headers_at: soon,
            reconcile_at: full.then_some(self.now.steady),
            second_look: full,
            headers_asked: 0,
            blocks_asked: 0,
            transactions_asked: 0,
            inventory_asked: 0,
            queue: VecDeque::new(),
            parents: VecDeque::new(),
            in_vain: 0,
            forgiven: self.now.steady,
        };
        self.peers.insert(peer, state);
        if self.known(&tip.hash).is_none() {
            self.ask_headers(peer);
        }
        self.reconcile_when_due();
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerHandle) {
        self.peers.remove(&peer);
        self.queries.retain(|_, (asked, _)| *asked != peer);
        let built: Vec<BlockHash> =
            self.building.iter().filter(|(_, building)| building.peer == peer).map(|(hash, _)| *hash).collect();
        for hash in built {
            self.give_up_building(&hash);
        }
        self.tree.forget_peer(peer);
        self.forget_asked(peer);
    }

    /// Asks a peer for headers after what is known of it; at once if none is asked for already.
    pub(super) fn ask_headers(&mut self, peer: PeerHandle) {
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.headers_asked == 0) else { return };
        state.headers_at = self.now.steady + HEADERS_AGAIN;
        state.more_headers = false;
        let last = state.last_header;
        let least = self.tip_work();
        // Whether a peer is still on a branch that weighs no more than ours, its last block tells once more.
        let from = last.and_then(|last| self.tree.get(&last)).map(|node| match node.work > least {
            true => node.header.hash(),
            false => node.header.header.previous,
        });
        let locator = self.locator(from);
        let request = Request::Headers { locator, stop: BlockHash::ZERO, limit: rota_p2p::limit::MAX_HEADERS };
        self.ask(peer, Query::Headers, request);
    }

    /// A peer did not deliver what it told of: it is asked again a little later, from the active chain on.
    pub(super) fn headers_failed(&mut self, peer: PeerHandle) {
        let at = self.now.steady + HEADERS_PAUSE;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.headers_at = at;
            state.last_header = None;
        }
    }

    /// A peer has no headers that we lack: if it told of a branch that weighs no more than ours, it left that.
    pub(super) fn headers_ended(&mut self, peer: PeerHandle) {
        let least = self.tip_work();
        let Some(last) = self.peers.get(&peer).and_then(|state| state.last_header) else { return };
        if self.tree.get(&last).is_none_or(|node| node.work <= least)
            && let Some(state) = self.peers.get_mut(&peer)
        {
            state.last_header = None;
        }
    }

    pub(super) fn tick_peers(&mut self) {
        if self.facts.incoming_paused() {
            self.progress.was_paused = true;
            return;
        }
        let now = self.now.steady;
        if std::mem::take(&mut self.progress.was_paused) {
            for peer in self.peers.values_mut() {
                peer.headers_at = now;
                peer.reconcile_at = peer.full.then_some(now);
            }
        }
        let due: Vec<PeerHandle> =
            self.peers.iter().filter(|(_, peer)| peer.headers_at <= now).map(|(peer, _)| *peer).collect();
        for peer in due {
            self.ask_headers(peer);
        }
        self.reconcile_when_due();
    }

    /// Compares pools with peers where that is due, once this node is not behind.
    pub(super) fn reconcile_when_due(&mut self) {
        if self.is_busy() || self.facts.incoming_paused() {
            return;
        }
        let now = self.now.steady;
        let due = |peer: &Peer| peer.inventory_asked == 0 && peer.reconcile_at.is_some_and(|at| at <= now);
        let due: Vec<PeerHandle> = self.peers.iter().filter(|(_, peer)| due(peer)).map(|(peer, _)| *peer).collect();
        for peer in due {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.reconcile_at = state.second_look.then_some(now + SECOND_LOOK);
                state.second_look = false;
            }
            self.ask_inventory(peer, FullHash::ZERO);
        }
    }

    pub(super) fn ask_inventory(&mut self, peer: PeerHandle, after: FullHash) {
        self.ask(peer, Query::Inventory { after }, Request::PoolInventory { after, limit: MAX_INVENTORY });
    }
}
