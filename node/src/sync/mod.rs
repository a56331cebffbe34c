//! What is said to peers: a state machine (event and now in, actions out) over headers, blocks and transactions.
//! `task.rs` carries events between peers, ledger and machine; `serve.rs` answers peers' requests.

mod block;
mod carry;
mod compact;
mod facts;
mod fork;
mod header;
mod peer;
mod serve;
mod task;
mod transaction;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, FullHash, Txid};
use rota_chain::lock::KeyHash;
use rota_chain::transaction::Transaction;
use rota_consensus::rule::Rule;
use rota_consensus::rules::Rules;
use rota_p2p::{CompactBlock, PeerHandle, QueryId, Request, RequestError, Response};

pub use carry::{Checked, Offer, check_delivered, input_of};
pub use facts::{ChainFacts, KnownBlock, LiveFacts};
pub use serve::{answer, compact as compact_of};
pub use task::{SKEW_SECONDS, SyncParts, run};

use crate::ledger::{BlockOutcome, GovernanceFork};
use block::Progress;
use compact::Building;
use fork::Forks;
use header::HeaderTree;
use peer::{Peer, Query};
use transaction::Traffic;

/// Blocks that the ledger has, or refused, and the view may not show yet: more than a window of headers.
const SETTLED: NonZeroUsize = NonZeroUsize::new(8_192).expect("8,192 is not zero");

/// How often marks of invalid blocks are compared with the ledger's: an operator may take one back, and the tip stay.
const MARKS_AGAIN: Duration = Duration::from_secs(60);

/// Peers with which pools are compared after a reorganisation: each of them compared with others.
const RECONCILED: usize = 4;

/// The moment of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some start, never going back.
    pub steady: Duration,
    /// Unix seconds.
    pub unix: u64,
}

/// What happened.
#[derive(Debug)]
pub enum SyncInput {
    /// A peer is connected.
    Connected {
        /// Number of the connection.
        peer: PeerHandle,
        /// The address it proved.
        address: KeyHash,
        /// Whether it is let in to everything, not to headers and blocks alone.
        full: bool,
        /// The tip it told.
        tip: rota_p2p::Tip,
    },
    /// It is gone.
    Disconnected(PeerHandle),
    /// The answer to a request.
    Response {
        /// Who was asked.
        peer: PeerHandle,
        /// Number of the request.
        query: QueryId,
        /// The answer.
        result: Result<Response, RequestError>,
    },
    /// A peer has these transactions.
    TransactionsAnnounced {
        /// The peer.
        peer: PeerHandle,
        /// Their full hashes.
        hashes: Vec<FullHash>,
    },
    /// A peer has this block.
    BlockAnnounced {
        /// The peer.
        peer: PeerHandle,
        /// Header and full hashes.
        compact: CompactBlock,
    },
    /// The ledger's tip moved.
    Tip {
        /// Blocks applied, in order.
        applied: Vec<BlockHash>,
        /// Whether blocks were undone.
        undone: bool,
    },
    /// A transaction came into the pool.
    Admitted {
        /// Its full hash.
        hash: FullHash,
        /// Its id.
        txid: Txid,
        /// Whether it may change who may do what.
        grants: bool,
    },
    /// A transaction left the pool unconfirmed, or events were missed.
    Forgotten,
    /// What became of a block given to the ledger.
    Block {
        /// The block.
        hash: BlockHash,
        /// What became of it.
        outcome: BlockOutcome,
    },
    /// What became of transactions given to the ledger.
    Relayed(Vec<Relayed>),
    /// Time passed.
    Tick,
}

/// What became of a peer's transaction.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// The transaction and who delivered it.
    pub delivered: Delivered,
    /// The verdict.
    pub verdict: Verdict,
}

/// The verdict on a peer's transaction.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is in the pool.
    Taken,
    /// It, or one with other signatures, is in the pool or in a block.
    Known,
    /// Its bytes break a rule: no honest node passes it on.
    Bad(Rule),
    /// The state does not allow it.
    Refused(Rule),
    /// There is no room, or storage failed: it may be asked for again once the tip moved.
    Postponed,
}

/// What to do.
#[derive(Debug)]
pub enum SyncAction {
    /// Ask a peer.
    Request {
        /// Whom.
        peer: PeerHandle,
        /// Number of the request.
        query: QueryId,
        /// What.
        request: Request,
    },
    /// Give the ledger a block, in the order of these actions.
    Block(Arc<Block>),
    /// Check transactions and give them to the ledger.
    Transactions(Vec<Delivered>),
    /// Tell peers of transactions.
    AnnounceTransactions(Vec<FullHash>),
    /// Tell peers of a block of the active chain.
    AnnounceBlock(BlockHash),
    /// Name and disconnect a peer that broke a rule.
    Misbehaving {
        /// The peer.
        peer: PeerHandle,
        /// What it did.
        reason: String,
    },
    /// Tell the gate whether headers are known that extend the tip.
    Behind(bool),
    /// Tell the ledger whether many blocks are expected.
    CatchingUp(bool),
    /// Tell the ledger of branches of peers that would undo protected changes of governance.
    GovernanceForks(Vec<GovernanceFork>),
}

/// A transaction a peer delivered.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Who.
    pub peer: PeerHandle,
    /// The address it proved.
    pub address: KeyHash,
    /// Its full hash.
    pub hash: FullHash,
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// When it came, on the steady clock.
    pub since: Duration,
}

/// How far a peer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerSync {
    /// Height of the best block it told of, none if it told of none.
    pub synced_headers: Option<Height>,
    /// Height of the best block we have in common, as far as known.
    pub synced_blocks: Option<Height>,
    /// Heights of blocks asked of it.
    pub inflight: Vec<Height>,
}

/// The machine over the facts `V` of the ledger.
pub struct Sync<V> {
    facts: V,
    rules: Arc<Rules>,
    peers: BTreeMap<PeerHandle, Peer>,
    queries: HashMap<QueryId, (PeerHandle, Query)>,
    next_query: u64,
    tree: HeaderTree,
    building: HashMap<BlockHash, Building>,
    settled: LruCache<BlockHash, KnownBlock>,
    made: LruCache<(KeyHash, BlockHash), Vec<BlockHash>>,
    /// Blocks that came from peers and are stored, by miner and parent: of more parents than lie in reach of a branch.
    kept: LruCache<(KeyHash, BlockHash), usize>,
    /// When marks were compared with the ledger's last, besides when the tip moved.
    marks_looked: Duration,
    /// When one block more than those is fetched next.
    surplus_due: Duration,
    progress: Progress,
    traffic: Traffic,
    forks: Forks,
    now: Now,
    out: Vec<SyncAction>,
}

impl<V: ChainFacts> Sync<V> {
    /// The address that a connected peer proved.
    pub fn address(&self, peer: PeerHandle) -> Option<KeyHash> {
        self.peers.get(&peer).map(|peer| peer.address)
    }

    /// A machine without peers.
    pub fn new(facts: V, rules: Arc<Rules>, now: Now) -> Sync<V> {
        Sync {
            facts,
            rules,
            peers: BTreeMap::new(),
            queries: HashMap::new(),
            next_query: 0,
            tree: HeaderTree::default(),
            building: HashMap::new(),
            settled: LruCache::new(SETTLED),
            made: LruCache::new(SETTLED),
            kept: LruCache::new(SETTLED),
            marks_looked: now.steady,
            surplus_due: now.steady + block::SURPLUS_PAUSE,
            progress: Progress::new(now),
            traffic: Traffic::default(),
            forks: Forks::default(),
            now,
            out: Vec::new(),
        }
    }

    /// Takes what happened and says what to do.
    pub fn handle(&mut self, now: Now, input: SyncInput) -> Vec<SyncAction> {
        self.now = now;
        match input {
            SyncInput::Connected { peer, address, full, tip } => self.on_connected(peer, address, full, tip),
            SyncInput::Disconnected(peer) => self.on_disconnected(peer),
            SyncInput::Response { peer, query, result } => self.on_response(peer, query, result),
            SyncInput::TransactionsAnnounced { peer, hashes } => self.on_transactions_announced(peer, &hashes),
            SyncInput::BlockAnnounced { peer, compact } => self.on_block_announced(peer, compact),
            SyncInput::Tip { applied, undone } => self.on_tip(&applied, undone),
            SyncInput::Admitted { hash, txid, grants } => self.on_admitted(hash, txid, grants),
            SyncInput::Forgotten => self.traffic.forget(),
            SyncInput::Block { hash, outcome } => self.on_block_outcome(hash, outcome),
            SyncInput::Relayed(results) => self.on_relayed(results),
            SyncInput::Tick => self.on_tick(),
        }
        self.move_on();
        std::mem::take(&mut self.out)
    }

    /// Whether announcements wait for the next tick.
    pub fn has_news(&self) -> bool {
        self.traffic.has_news()
    }

    /// How far each peer is.
    pub fn figures(&self) -> HashMap<PeerHandle, PeerSync> {
        let tip = self.facts.tip().height;
        let figure = |(peer, state): (&PeerHandle, &Peer)| {
            let inflight = self.tree.asked_of(*peer);
            let synced_blocks = state.best.map(|best| best.min(tip));
            (*peer, PeerSync { synced_headers: state.best, synced_blocks, inflight })
        };
        self.peers.iter().map(figure).collect()
    }

    fn on_response(&mut self, peer: PeerHandle, query: QueryId, result: Result<Response, RequestError>) {
        let Some((_, asked)) = self.queries.remove(&query) else { return };
        if let Some(state) = self.peers.get_mut(&peer) {
            state.answered(&asked);
        }
        match (asked, result) {
            (Query::Headers, Ok(Response::Headers(headers))) => self.on_headers(peer, headers),
            (Query::Headers, _) => self.headers_failed(peer),
            (Query::Blocks { hashes }, Ok(Response::Blocks(bodies))) => {
                let blocks = bodies.into_iter().map_while(|body| body.into_block().ok());
                self.on_blocks(peer, &hashes, blocks.collect());
            }
            (Query::Blocks { hashes }, _) => self.on_blocks(peer, &hashes, Vec::new()),
            (Query::BlockTransactions { block }, Ok(Response::BlockTransactions(found))) => {
                self.on_block_transactions(peer, block, found);
            }
            (Query::BlockTransactions { block }, _) => self.give_up_building(&block),
            (Query::Transactions { hashes }, Ok(Response::Transactions(found))) => {
                self.on_transactions(peer, &hashes, found);
            }
            (Query::Transactions { hashes }, _) => self.on_transactions(peer, &hashes, Vec::new()),
            (Query::Parents { txids }, Ok(Response::Transactions(found))) => self.on_parents(peer, &txids, found),
            (Query::Parents { txids }, _) => self.on_parents(peer, &txids, Vec::new()),
            (Query::Inventory { after }, Ok(Response::PoolInventory { hashes, more })) => {
                self.on_inventory(peer, after, &hashes, more);
            }
            (Query::Inventory { .. }, _) => {}
        }
    }

    fn on_tip(&mut self, applied: &[BlockHash], undone: bool) {
        self.tip_moved(applied);
        self.retry_waiting();
        if undone {
            self.tree.mark_stale();
            self.traffic.forget();
            let soon = self.now.steady;
            for peer in self.peers.values_mut().filter(|peer| peer.full).take(RECONCILED) {
                peer.reconcile_at = Some(soon);
            }
        }
    }

    fn on_tick(&mut self) {
        self.end_late_bodies();
        self.end_late_building();
        if self.now.steady.saturating_sub(self.marks_looked) >= MARKS_AGAIN {
            self.marks_looked = self.now.steady;
            self.forget_refused_marks();
        }
        self.judge_forks();
        self.tick_transactions();
        self.tick_peers();
    }

    /// What may follow from any input: bodies to the ledger and from peers, the gate, the log.
    fn move_on(&mut self) {
        self.deliver();
        self.ask_bodies();
        self.judge_progress();
    }

    fn ask(&mut self, peer: PeerHandle, asked: Query, request: Request) {
        self.next_query += 1;
        let query = QueryId(self.next_query);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.asked(&asked);
            self.queries.insert(query, (peer, asked));
            self.out.push(SyncAction::Request { peer, query, request });
        }
    }

    /// Names a peer that broke a rule; from now on it counts as gone.
    fn misbehaving(&mut self, peer: PeerHandle, reason: impl Into<String>) {
        if self.peers.contains_key(&peer) {
            self.out.push(SyncAction::Misbehaving { peer, reason: reason.into() });
            self.on_disconnected(peer);
        }
    }

    /// A block the ledger has or refused.
    fn known(&self, hash: &BlockHash) -> Option<KnownBlock> {
        self.settled.peek(hash).copied().or_else(|| self.facts.block(hash))
    }
}

#[cfg(test)]
mod tests;
