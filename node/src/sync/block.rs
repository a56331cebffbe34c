//! Bodies: asked of several peers at once, given to the ledger parents first; how far behind this node is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rota_chain::amount::Height;
use rota_chain::block::{Block, SignedHeader};
use rota_chain::hash::BlockHash;
use rota_chain::lock::KeyHash;
use rota_consensus::rule::{BlockRule, Rule};
use rota_p2p::limit::MAX_BLOCKS;
use rota_p2p::{PeerHandle, Request};

use super::header::{Body, FIRST_RIVALS, HeldUntil, Node};
use super::peer::Query;
use super::{ChainFacts, KnownBlock, Now, Sync, SyncAction};
use crate::ledger::BlockOutcome;

/// Requests for bodies under way with one peer: one travels while the next is prepared.
const QUERIES_A_PEER: usize = 2;
/// Blocks past the tip whose bodies are fetched: 16 answers.
const AHEAD: u32 = 256;
/// Bytes of bodies held for the ledger; beyond them only the next block of each branch is asked for.
const HERE_BYTES: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// Bytes one answer should carry: half of an answer's least frame, so that it seldom comes back cut.
const ANSWER_BYTES: usize = 2 << 20;
/// After this long another peer is asked; the answer of the first is still taken.
const STALLED: Duration = Duration::from_secs(10);
/// Blocks given to the ledger without verdict yet: keeps it busy.
const GIVEN: usize = 8;
/// Blocks held for a time ahead: of an honest chain there is none, or a few at a wrong clock.
const HELD_AHEAD: usize = 16;
/// Bytes of those, unless a single one has more: a miner that makes many for tomorrow does not fill the memory.
const HELD_AHEAD_BYTES: usize = 16 << 20;
/// Pause before one of the blocks that are not worth their room is fetched all the same.
pub(super) const SURPLUS_PAUSE: Duration = Duration::from_secs(600);
/// Pause before a block is given again after storage failed.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);
/// Pause before a block is given again while incoming blocks are paused.
const PAUSED_PAUSE: Duration = Duration::from_secs(1);
/// Depth below the tip at which branches without bodies are dropped.
const DROP_DEPTH: u32 = 2_000;
/// Blocks ahead from which on disk syncs are shared and progress is logged.
const CATCHING_UP: u32 = 16;
/// A single block ahead makes the node behind only after this long: usually it is about to be applied.
const ONE_BLOCK_TIME: Duration = Duration::from_secs(2);
/// Without progress for this long the node no longer counts as behind.
const NO_PROGRESS: Duration = Duration::from_secs(60);
/// How often progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How the node catches up.
#[derive(Debug)]
pub(super) struct Progress {
    /// Told to the gate last.
    behind: bool,
    /// Told to the ledger last.
    pub catching_up: bool,
    /// When the tip moved last, or headers ahead of it appeared first.
    moved: Duration,
    /// Since when headers ahead of the tip are known.
    ahead_since: Option<Duration>,
    /// Whether blocks and transactions of peers were paused at the last tick.
    pub was_paused: bool,
    logged: Duration,
    logged_height: Height,
    block_bytes: usize,
    /// The tip and the weight of its branch.
    tip_work: (BlockHash, u128),
}

impl Progress {
    pub fn new(now: Now) -> Progress {
        Progress {
            behind: false,
            catching_up: false,
            moved: now.steady,
            ahead_since: None,
            was_paused: false,
            logged: now.steady,
            logged_height: Height(0),
            block_bytes: ANSWER_BYTES / MAX_BLOCKS as usize,
            tip_work: (BlockHash::ZERO, 0),
        }
    }
}

impl<V: ChainFacts> Sync<V> {
    pub(super) fn tip_work(&mut self) -> u128 {
        let tip = self.facts.tip().hash;
        if self.progress.tip_work.0 != tip {
            self.progress.tip_work = (tip, self.known(&tip).map_or(0, |tip| tip.work));
        }
        self.progress.tip_work.1
    }

    /// Asks peers for bodies on the best branches.
    pub(super) fn ask_bodies(&mut self) {
        if self.tree.len() == 0 || self.facts.incoming_paused() {
            return;
        }
        let mut room: BTreeMap<PeerHandle, usize> = BTreeMap::new();
        for (peer, state) in &self.peers {
            room.insert(*peer, QUERIES_A_PEER.saturating_sub(state.blocks_asked));
        }
        if room.values().all(|room| *room == 0) {
            return;
        }
        let full = self.tree.here_bytes >= HERE_BYTES;
        let highest = Height(self.facts.tip().height.0.saturating_add(AHEAD));
        let batch = (ANSWER_BYTES / self.progress.block_bytes.max(1)).clamp(1, MAX_BLOCKS as usize);
        let least = self.tip_work();
        let path: Vec<BlockHash> = self.tree.path(least).iter().copied().collect();
        let surplus = self.surplus(&path, highest);
        let mut open: BTreeMap<PeerHandle, Vec<BlockHash>> = BTreeMap::new();
        for hash in path {
            let Some(node) = self.tree.get(&hash) else { continue };
            // By height and not by number: branches whose bodies nobody gives take no room.
            if node.height > highest {
                break;
            }
            if !matches!(node.body, Body::Wanted) || (full && !self.is_next(node)) || surplus.contains(&hash) {
                continue;
            }
            let free = |peer: &PeerHandle| open.contains_key(peer) || room.get(peer).is_some_and(|room| *room > 0);
            let candidates: Vec<PeerHandle> = node.sources.iter().copied().filter(free).collect();
            let others = candidates.iter().copied().filter(|peer| Some(*peer) != node.tried);
            let best = |peer: &PeerHandle| {
                (!open.contains_key(peer), std::cmp::Reverse(room.get(peer).copied().unwrap_or(0)), *peer)
            };
            let Some(peer) = others.min_by_key(best).or_else(|| candidates.first().copied()) else { continue };
            let asked = open.entry(peer).or_default();
            asked.push(hash);
            if asked.len() >= batch
                && let Some(hashes) = open.remove(&peer)
            {
                room.entry(peer).and_modify(|room| *room = room.saturating_sub(1));
                self.ask_blocks(peer, hashes);
            }
        }
        for (peer, hashes) in open {
            self.ask_blocks(peer, hashes);
        }
    }

    /// Blocks on a path, lowest first, that are not worth their room on disk yet: the ledger has others of the same miner
    /// on the same parent, and nobody else who may have had the right to mine has built on them. Now and then one is
    /// fetched all the same: those who built on it may have their rights by that branch alone.
    fn surplus(&mut self, path: &[BlockHash], highest: Height) -> HashSet<BlockHash> {
        let mut surplus: HashSet<BlockHash> = HashSet::new();
        for hash in path {
            let Some(node) = self.tree.get(hash) else { continue };
            if node.height > highest {
                break;
            }
            // Where others of the miner are stored the parent is too.
            if self.tree.get(&node.header.header.previous).is_none() && self.is_surplus(&node.header) {
                surplus.insert(*hash);
            }
        }
        if surplus.is_empty() || !self.facts.takes_turns() {
            return HashSet::new();
        }
        // Headers on a surplus block, with its miner and itself.
        let mut on: HashMap<BlockHash, (KeyHash, BlockHash)> = HashMap::new();
        let mut held: HashMap<KeyHash, bool> = HashMap::new();
        for hash in path {
            let Some(header) = self.tree.get(hash).map(|node| node.header.header) else { continue };
            let miner = header.miner;
            if surplus.contains(hash) {
                on.insert(*hash, (miner, *hash));
            } else if let Some(below) = on.get(&header.previous).copied() {
                let (maker, block) = below;
                if maker != miner && *held.entry(miner).or_insert_with(|| self.facts.held_mine(&miner)) {
                    surplus.remove(&block);
                } else {
                    on.insert(*hash, below);
                }
            }
        }
        if self.now.steady >= self.surplus_due {
            let wanted = |node: &&Node| matches!(node.body, Body::Wanted) && !node.sources.is_empty();
            let ready = |hash: &BlockHash| self.tree.get(hash).filter(wanted).map(|node| (node.tried.is_some(), *hash));
            let next =
                path.iter().filter(|hash| surplus.contains(*hash)).filter_map(ready).min_by_key(|(tried, _)| *tried);
            if let Some((_, next)) = next {
                surplus.remove(&next);
                self.surplus_due = self.now.steady + SURPLUS_PAUSE;
            }
        }
        surplus
    }

    /// Whether the ledger has enough blocks of a header's miner on its parent: one alone can make as many as it likes.
    fn is_surplus(&self, header: &SignedHeader) -> bool {
        let (miner, parent) = (header.header.miner, header.header.previous);
        self.kept.peek(&(miner, parent)).is_some_and(|kept| *kept >= FIRST_RIVALS) && self.facts.tip().hash != parent
    }

    /// Whether a block that is announced is one of those, where miners take turns.
    pub(super) fn is_surplus_news(&self, header: &SignedHeader) -> bool {
        self.is_surplus(header) && self.facts.takes_turns()
    }

    pub(super) fn ask_blocks(&mut self, peer: PeerHandle, hashes: Vec<BlockHash>) {
        let until = self.now.steady + STALLED;
        for hash in &hashes {
            self.tree.set_body(hash, Body::Asked { peer, until });
        }
        self.ask(peer, Query::Blocks { hashes: hashes.clone() }, Request::Blocks { hashes });
    }

    /// Bodies a peer answered with; those it left out are asked of others, or of it again if it gave some.
    pub(super) fn on_blocks(&mut self, peer: PeerHandle, asked: &[BlockHash], blocks: Vec<Block>) {
        let gave = !blocks.is_empty();
        for block in blocks {
            let hash = block.hash();
            if !asked.contains(&hash) {
                self.misbehaving(peer, "it answered with a block that was not asked for");
                break;
            }
            self.take_body(hash, Arc::new(block), peer);
        }
        for hash in asked {
            let Some(node) = self.tree.get_mut(hash) else { continue };
            if matches!(node.body, Body::Asked { peer: of, .. } if of == peer) {
                if !gave {
                    // It told of the block and has no answer: others are asked, and it again after its next headers.
                    node.sources.retain(|source| *source != peer);
                }
                self.tree.set_body(hash, Body::Wanted);
            }
        }
        if !gave {
            self.headers_failed(peer);
        }
    }

    /// A body is here, from an answer or put together.
    pub(super) fn take_body(&mut self, hash: BlockHash, block: Arc<Block>, peer: PeerHandle) {
        let Some(node) = self.tree.get(&hash) else { return };
        if !matches!(node.body, Body::Wanted | Body::Asked { .. } | Body::Building) {
            return;
        }
        // A moving average over about eight blocks.
        self.progress.block_bytes = (self.progress.block_bytes * 7 + block.size()) / 8;
        self.tree.set_body(&hash, Body::Here { block, peer });
    }

    /// Gives the ledger bodies whose parents it has, lowest first.
    pub(super) fn deliver(&mut self) {
        if self.tree.here.is_empty() {
            return;
        }
        for (_, hash) in self.tree.here.clone() {
            if self.tree.given >= GIVEN {
                return;
            }
            let Some(node) = self.tree.get(&hash) else { continue };
            let Body::Here { block, peer } = &node.body else { continue };
            let (block, peer) = (Arc::clone(block), *peer);
            if self.is_next(node) {
                self.tree.set_body(&hash, Body::Given { block: Arc::clone(&block), peer });
                self.out.push(SyncAction::Block(block));
            }
        }
    }

    /// Whether the ledger has the block below a header, or is given it.
    fn is_next(&self, node: &Node) -> bool {
        let parent = node.header.header.previous;
        match self.tree.get(&parent) {
            Some(parent) => matches!(parent.body, Body::Given { .. }),
            None => self.known(&parent).is_some(),
        }
    }

    pub(super) fn on_block_outcome(&mut self, hash: BlockHash, outcome: BlockOutcome) {
        let Some(node) = self.tree.get(&hash) else { return };
        let Body::Given { block, peer } = &node.body else { return };
        let (block, peer) = (Arc::clone(block), *peer);
        let known = KnownBlock { height: node.height, work: node.work, invalid: false };
        match outcome {
            BlockOutcome::Applied | BlockOutcome::Stored | BlockOutcome::Known => {
                // What stands on another branch alone is not confirmed: it is still to be fetched and mined.
                if self.facts.active(known.height) == Some(hash) {
                    self.traffic.confirmed(&block);
                }
                let header = block.header();
                if !matches!(outcome, BlockOutcome::Known) {
                    let kept = self.kept.get_or_insert_mut((header.miner, header.previous), || 0);
                    *kept += 1;
                }
                self.settled.put(hash, known);
                self.tree.remove(&hash);
            }
            BlockOutcome::Orphan => self.orphan(hash, block, peer),
            BlockOutcome::OnMarked => self.on_marked(&hash, block.header().previous),
            BlockOutcome::Future { until } => self.hold(hash, block, peer, until),
            BlockOutcome::Message(rule) => self.bad_message(hash, peer, &rule),
            BlockOutcome::Invalid(rule) => self.invalid(hash, peer, &rule),
            BlockOutcome::Paused => {
                let until = HeldUntil::Steady(self.now.steady + PAUSED_PAUSE);
                self.tree.set_body(&hash, Body::Held { block, peer, until });
            }
            BlockOutcome::Storage(error) => {
                tracing::error!(%hash, %error, "a block could not be stored: it is given to the ledger again");
                let until = HeldUntil::Steady(self.now.steady + STORAGE_PAUSE);
                self.tree.set_body(&hash, Body::Held { block, peer, until });
            }
        }
    }

    /// The parent did not become known: it is fetched again, or the branch is.
    fn orphan(&mut self, hash: BlockHash, block: Arc<Block>, peer: PeerHandle) {
        let parent = block.header().previous;
        if self.tree.get(&parent).is_some() {
            let body = if self.peers.contains_key(&peer) { Body::Here { block, peer } } else { Body::Wanted };
            self.tree.set_body(&hash, body);
            return;
        }
        let sources = self.tree.get(&hash).map(|node| node.sources.clone()).unwrap_or_default();
        self.tree.remove_branch(&hash);
        for source in sources {
            self.headers_failed(source);
        }
    }

    /// The ledger marked the parent after it was taken: what stands on it is not fetched again before the mark is gone. Of
    /// the parent alone the ledger can tell when that is.
    fn on_marked(&mut self, hash: &BlockHash, parent: BlockHash) {
        for gone in self.tree.remove_branch(hash) {
            self.building.remove(&gone);
        }
        if let Some(known) = self.known(&parent) {
            self.settled.put(parent, KnownBlock { invalid: true, ..known });
        }
    }

    fn hold(&mut self, hash: BlockHash, block: Arc<Block>, peer: PeerHandle, until: u64) {
        tracing::warn!(%hash, time = block.header().time.0, now = self.now.unix, "a block lies ahead of this node's clock");
        let held = self.tree.held_ahead();
        let bytes = held.iter().map(|held| held.size()).sum::<usize>().saturating_add(block.size());
        if held.len() >= HELD_AHEAD || (!held.is_empty() && bytes > HELD_AHEAD_BYTES) {
            self.tree.remove_branch(&hash);
        } else {
            self.tree.set_body(&hash, Body::Held { block, peer, until: HeldUntil::Unix(until) });
        }
    }

    /// The bytes were bad, the id may be good: another peer is asked.
    fn bad_message(&mut self, hash: BlockHash, peer: PeerHandle, rule: &BlockRule) {
        if let Some(node) = self.tree.get_mut(&hash) {
            node.sources.retain(|source| *source != peer);
        }
        self.tree.set_body(&hash, Body::Wanted);
        for other in self.tree.bodies(|body| matches!(body, Body::Here { peer: of, .. } if *of == peer)) {
            self.tree.set_body(&other, Body::Wanted);
        }
        self.misbehaving(peer, format!("it delivered block {hash} with bytes that are not its: {rule}"));
        if self.tree.get(&hash).is_some_and(|node| node.sources.is_empty()) {
            self.tree.remove_branch(&hash);
        }
    }

    fn invalid(&mut self, hash: BlockHash, peer: PeerHandle, rule: &Rule) {
        for gone in self.tree.remove_branch(&hash) {
            self.building.remove(&gone);
            let known = KnownBlock { height: Height(0), work: 0, invalid: true };
            self.settled.put(gone, known);
        }
        self.misbehaving(peer, format!("it delivered block {hash}, which is invalid: {rule}"));
    }

    /// The tip moved: the window with it. The new tip is announced unless nobody is there or more blocks are about to
    /// follow.
    pub(super) fn tip_moved(&mut self, applied: &[BlockHash]) {
        self.progress.moved = self.now.steady;
        let tip = self.facts.tip();
        self.forget_refused_marks();
        self.judge_children(applied);
        self.tree.prune(Height(tip.height.0.saturating_sub(DROP_DEPTH)));
        let more: Vec<PeerHandle> =
            self.peers.iter().filter(|(_, peer)| peer.more_headers).map(|(peer, _)| *peer).collect();
        let best = self.tree.best().map_or(tip.height, |(_, node)| node.height);
        if best.0 <= tip.height.0.saturating_add(super::header::WINDOW / 2) {
            for peer in more {
                self.ask_headers(peer);
            }
        }
        if let Some(last) = applied.last()
            && !self.is_busy()
            && !self.peers.is_empty()
            && self.may_announce(last)
        {
            self.out.push(SyncAction::AnnounceBlock(*last));
        }
    }

    /// Blocks once refused may be looked at again by the operator's will: the ledger knows better than the memory.
    pub(super) fn forget_refused_marks(&mut self) {
        let refused: Vec<BlockHash> =
            self.settled.iter().filter(|(_, known)| known.invalid).map(|(hash, _)| *hash).collect();
        for hash in refused {
            if self.facts.block(&hash).is_some() {
                self.settled.pop(&hash);
            }
        }
    }

    /// Bodies that did not come are asked of others; held ones are given again when their time has come.
    pub(super) fn end_late_bodies(&mut self) {
        let now = self.now;
        let late = self.tree.bodies(|body| matches!(body, Body::Asked { until, .. } if *until <= now.steady));
        for hash in late {
            if let Some(node) = self.tree.get_mut(&hash) {
                node.tried = match node.body {
                    Body::Asked { peer, .. } => Some(peer),
                    _ => None,
                };
            }
            self.tree.set_body(&hash, Body::Wanted);
        }
        let due = |until: &HeldUntil| match until {
            HeldUntil::Unix(at) => *at <= now.unix,
            HeldUntil::Steady(at) => *at <= now.steady,
        };
        for hash in self.tree.bodies(|body| matches!(body, Body::Held { until, .. } if due(until))) {
            if let Some(Body::Held { block, peer, .. }) = self.tree.get(&hash).map(|node| &node.body) {
                let (block, peer) = (Arc::clone(block), *peer);
                self.tree.set_body(&hash, Body::Here { block, peer });
            }
        }
    }

    /// Tells gate, ledger and log how far behind this node is.
    pub(super) fn judge_progress(&mut self) {
        let tip = self.facts.tip();
        let now = self.now.steady;
        let work = self.tip_work();
        let best = self.tree.best().map(|(_, node)| (node.height, node.work)).filter(|(_, best)| *best > work);
        let ahead = best.map_or(0, |(height, _)| height.0.saturating_sub(tip.height.0).max(1));
        if ahead == 0 {
            self.progress.ahead_since = None;
        } else if self.progress.ahead_since.is_none() {
            self.progress.ahead_since = Some(now);
            self.progress.moved = now;
        }
        let waited = self.progress.ahead_since.is_some_and(|since| now.saturating_sub(since) >= ONE_BLOCK_TIME);
        let alive = now.saturating_sub(self.progress.moved) < NO_PROGRESS;
        // Headers alone cost their maker nothing: those that do not lead on from here keep this node from no work.
        let leads_on = alive && ahead > 0 && self.extends_tip();
        let behind = leads_on && (ahead > 1 || waited);
        if behind != self.progress.behind {
            self.progress.behind = behind;
            self.out.push(SyncAction::Behind(behind));
        }
        let catching_up = leads_on && ahead >= if self.progress.catching_up { 2 } else { CATCHING_UP };
        if catching_up != self.progress.catching_up {
            self.progress.catching_up = catching_up;
            self.progress.logged = now;
            self.progress.logged_height = tip.height;
            self.out.push(SyncAction::CatchingUp(catching_up));
            if catching_up {
                let best = tip.height.0.saturating_add(ahead);
                tracing::info!("Syncing: height {} of {best}, from {} peers", tip.height.0, self.peers.len());
            } else {
                tracing::info!(height = tip.height.0, "Synced: height {}", tip.height.0);
                self.reconcile_when_due();
            }
        }
        if let Some((height, _)) = best.filter(|_| catching_up) {
            self.log_progress(tip.height, height);
        }
    }

    /// Whether blocks come first: what is new is neither taken nor announced meanwhile. Not with a tip that is younger than
    /// the blocks that a node which catches up lacks, whatever headers say: a miner that signs some ahead of every tip and
    /// gives no bodies must not keep nodes from their work.
    pub(super) fn is_busy(&self) -> bool {
        let age = self.now.unix.saturating_sub(u64::from(self.facts.tip().time.0));
        let lacking = u64::from(self.rules.target_block_time).saturating_mul(u64::from(CATCHING_UP));
        self.progress.catching_up && age >= lacking
    }

    fn log_progress(&mut self, tip: Height, best: Height) {
        let past = self.now.steady.saturating_sub(self.progress.logged);
        if past < LOG_EVERY {
            return;
        }
        let blocks = f64::from(tip.0.saturating_sub(self.progress.logged_height.0));
        let rate = blocks / past.as_secs_f64();
        tracing::info!("Syncing: height {} of {}, {rate:.0} blocks/s", tip.0, best.0);
        self.progress.logged = self.now.steady;
        self.progress.logged_height = tip;
    }

    /// Whether a header that extends the applied tip was made by a miner permitted there.
    fn extends_tip(&mut self) -> bool {
        let tip = self.facts.tip();
        let least = self.tip_work();
        let mut miner = self.tree.first_on(&tip.hash, tip.height, least).map(|node| node.header.header.miner);
        if miner.is_none() && self.tree.given > 0 {
            // Blocks being applied right now leave the tree after the tip moved: then the parent is just above the tip.
            let first = self.tree.path(least).front().copied();
            miner = first.and_then(|first| self.tree.get(&first)).map(|node| node.header.header.miner);
        }
        miner.is_some_and(|miner| self.facts.may_mine(&miner))
    }
}
