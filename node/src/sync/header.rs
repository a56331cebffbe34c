//! Headers ahead of the ledger: the tree of those whose bodies the ledger does not have, within a window past the tip
//! and a cap for each peer, since they cost nothing to make.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rota_chain::amount::Height;
use rota_chain::block::{Block, SignedHeader};
use rota_chain::hash::BlockHash;
use rota_consensus::block::check_header;
use rota_consensus::rule::BlockRule;
use rota_consensus::rules::Rules;
use rota_consensus::work;
use rota_p2p::PeerHandle;
use rota_p2p::limit::{MAX_HEADERS, MAX_LOCATOR};

use super::{ChainFacts, KnownBlock, Sync};

/// Headers past the applied tip that are held: one answer's worth (docs/protocol/peer.md).
pub(super) const WINDOW: u32 = MAX_HEADERS;
/// Headers held that one peer gave first: a window and as much again for branches.
pub(super) const HELD_A_PEER: usize = 2 * WINDOW as usize;
/// Headers held in all, at about 300 bytes each: 10 MB.
const HELD: usize = 32_768;
/// Peers remembered as having a block: enough to ask elsewhere.
const SOURCES: usize = 16;
/// Blocks of the locator without gaps.
const LOCATOR_DENSE: u32 = 10;
/// Branches whose bodies are fetched besides the best of each peer: the best of all and its nearest rivals.
const BRANCHES: usize = 4;

/// Blocks of one miner on one parent that are remembered. Headers of more are taken all the same: which came first
/// differs from node to node, and one that others follow must never be refused.
const RIVALS: usize = 64;
/// Of those, how many are announced further, and fetched before others build on them: two prove what the miner did.
pub(super) const FIRST_RIVALS: usize = 2;

/// Where a header's body is.
#[derive(Debug)]
pub(super) enum Body {
    /// To be asked for.
    Wanted,
    /// Asked of a peer; from `until` on another is asked.
    Asked { peer: PeerHandle, until: Duration },
    /// Being put together from a compact announcement.
    Building,
    /// Here, waiting for its parent.
    Here { block: Arc<Block>, peer: PeerHandle },
    /// Given to the ledger; kept until its verdict.
    Given { block: Arc<Block>, peer: PeerHandle },
    /// Here, to be given again at a time on the steady clock, or in unix seconds.
    Held { block: Arc<Block>, peer: PeerHandle, until: HeldUntil },
}

/// When a held block is given again.
#[derive(Clone, Copy, Debug)]
pub(super) enum HeldUntil {
    Unix(u64),
    Steady(Duration),
}

/// A header ahead of the ledger.
#[derive(Debug)]
pub(super) struct Node {
    pub header: SignedHeader,
    pub height: Height,
    pub work: u128,
    /// Order of arrival: of equal branches the first seen is fetched first.
    pub order: u64,
    /// Peers that have it.
    pub sources: Vec<PeerHandle>,
    /// Who gave it first.
    pub first: PeerHandle,
    pub body: Body,
    /// Who was asked last and did not deliver.
    pub tried: Option<PeerHandle>,
}

/// The tree.
#[derive(Debug, Default)]
pub(super) struct HeaderTree {
    nodes: HashMap<BlockHash, Node>,
    parents: HashMap<BlockHash, usize>,
    order: u64,
    path: VecDeque<BlockHash>,
    stale: bool,
    best: Option<BlockHash>,
    /// Headers by who gave them first, in order of arrival.
    held_by: HashMap<PeerHandle, BTreeMap<u64, BlockHash>>,
    /// Bodies that are here and not given to the ledger.
    pub here: BTreeSet<(Height, BlockHash)>,
    /// Bytes of those.
    pub here_bytes: usize,
    /// Bodies given to the ledger without verdict yet.
    pub given: usize,
}

impl HeaderTree {
    pub fn get(&self, hash: &BlockHash) -> Option<&Node> {
        self.nodes.get(hash)
    }

    pub fn get_mut(&mut self, hash: &BlockHash) -> Option<&mut Node> {
        self.nodes.get_mut(hash)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    fn insert(&mut self, hash: BlockHash, header: SignedHeader, height: Height, work: u128, peer: PeerHandle) {
        self.order += 1;
        let node = Node {
            header,
            height,
            work,
            order: self.order,
            sources: vec![peer],
            first: peer,
            body: Body::Wanted,
            tried: None,
        };
        if self.best().is_none_or(|(_, best)| work > best.work) {
            self.best = Some(hash);
        }
        self.nodes.insert(hash, node);
        self.held_by.entry(peer).or_default().insert(self.order, hash);
        *self.parents.entry(header.header.previous).or_default() += 1;
        self.stale = true;
    }

    /// Takes a header out.
    pub fn remove(&mut self, hash: &BlockHash) -> Option<Node> {
        let node = self.nodes.remove(hash)?;
        self.left(hash, node.height, &node.body);
        if let Some(held) = self.held_by.get_mut(&node.first) {
            held.remove(&node.order);
            if held.is_empty() {
                self.held_by.remove(&node.first);
            }
        }
        let parent = node.header.header.previous;
        if let Some(children) = self.parents.get_mut(&parent) {
            *children -= 1;
            if *children == 0 {
                self.parents.remove(&parent);
            }
        }
        if self.best == Some(*hash) {
            let heaviest = self.nodes.iter().max_by_key(|(_, node)| (node.work, std::cmp::Reverse(node.order)));
            self.best = heaviest.map(|(hash, _)| *hash);
        }
        Some(node)
    }

    /// Takes a header and all that stand on it out; gives their ids.
    pub fn remove_branch(&mut self, hash: &BlockHash) -> Vec<BlockHash> {
        self.remove_branches(vec![*hash])
    }

    /// Takes headers and all that stand on them out; gives their ids.
    fn remove_branches(&mut self, mut gone: Vec<BlockHash>) -> Vec<BlockHash> {
        let mut by_height: Vec<(Height, BlockHash)> =
            self.nodes.iter().map(|(hash, node)| (node.height, *hash)).collect();
        by_height.sort_unstable();
        let mut members: HashSet<BlockHash> = gone.iter().copied().collect();
        for (_, candidate) in by_height {
            let on_it = self.nodes.get(&candidate).is_some_and(|node| members.contains(&node.header.header.previous));
            if on_it && members.insert(candidate) {
                gone.push(candidate);
            }
        }
        for hash in &gone {
            self.remove(hash);
        }
        self.stale = true;
        gone
    }

    /// Changes where a body is.
    pub fn set_body(&mut self, hash: &BlockHash, body: Body) {
        let Some(node) = self.nodes.get_mut(hash) else { return };
        let height = node.height;
        let before = std::mem::replace(&mut node.body, Body::Wanted);
        self.left(hash, height, &before);
        match &body {
            Body::Here { block, .. } => {
                self.here.insert((height, *hash));
                self.here_bytes = self.here_bytes.saturating_add(block.size());
            }
            Body::Given { .. } => self.given += 1,
            Body::Wanted | Body::Asked { .. } | Body::Building | Body::Held { .. } => {}
        }
        if let Some(node) = self.nodes.get_mut(hash) {
            node.body = body;
        }
    }

    fn left(&mut self, hash: &BlockHash, height: Height, body: &Body) {
        match body {
            Body::Here { block, .. } => {
                self.here.remove(&(height, *hash));
                self.here_bytes = self.here_bytes.saturating_sub(block.size());
            }
            Body::Given { .. } => self.given = self.given.saturating_sub(1),
            Body::Wanted | Body::Asked { .. } | Body::Building | Body::Held { .. } => {}
        }
    }

    /// Headers held that a peer gave first.
    pub fn held_by(&self, peer: PeerHandle) -> usize {
        self.held_by.get(&peer).map_or(0, BTreeMap::len)
    }

    /// Drops the newest header, with nothing on it and no body on its way, of the peer that gave most, if that is more
    /// than `peer` gave; gives who it was.
    pub fn drop_one_for(&mut self, peer: PeerHandle) -> Option<PeerHandle> {
        let given = self.held_by(peer);
        let (most, held) = self.held_by.iter().max_by_key(|(peer, held)| (held.len(), **peer))?;
        if held.len() <= given + 1 {
            return None;
        }
        let wanted = |hash: &BlockHash| self.nodes.get(hash).is_some_and(|node| matches!(node.body, Body::Wanted));
        let dropped = *held.values().rev().find(|hash| !self.parents.contains_key(*hash) && wanted(hash))?;
        let most = *most;
        self.remove(&dropped);
        self.stale = true;
        Some(most)
    }

    /// Notes that a peer has a block and those before it.
    pub fn add_source(&mut self, hash: &BlockHash, peer: PeerHandle) {
        let mut next = *hash;
        while let Some(node) = self.nodes.get_mut(&next) {
            if node.sources.contains(&peer) {
                return;
            }
            if node.sources.len() >= SOURCES {
                node.sources.remove(0);
            }
            node.sources.push(peer);
            next = node.header.header.previous;
        }
    }

    /// Forgets a peer that is gone: headers nobody else has go with it.
    pub fn forget_peer(&mut self, peer: PeerHandle) {
        let mut gone = Vec::new();
        for (hash, node) in &mut self.nodes {
            node.sources.retain(|source| *source != peer);
            if matches!(node.body, Body::Asked { peer: asked, .. } if asked == peer) {
                node.body = Body::Wanted;
            }
            if node.sources.is_empty() && matches!(node.body, Body::Wanted | Body::Building) {
                gone.push(*hash);
            }
        }
        self.remove_branches(gone);
    }

    /// Heights of blocks asked of a peer.
    pub fn asked_of(&self, peer: PeerHandle) -> Vec<Height> {
        let asked =
            self.nodes.values().filter(|node| matches!(node.body, Body::Asked { peer: asked, .. } if asked == peer));
        let mut heights: Vec<Height> = asked.map(|node| node.height).collect();
        heights.sort_unstable();
        heights
    }

    /// The heaviest header; of equal ones the first seen.
    pub fn best(&self) -> Option<(&BlockHash, &Node)> {
        self.nodes.get_key_value(&self.best?)
    }

    /// Headers of the best branches, and of the best that each peer has, from the ledger on, lowest first; of branches
    /// lighter than `least` none.
    pub fn path(&mut self, least: u128) -> &VecDeque<BlockHash> {
        if self.stale {
            self.stale = false;
            self.path = self.new_path(least);
        }
        while self.path.front().is_some_and(|first| !self.nodes.contains_key(first)) {
            self.path.pop_front();
        }
        &self.path
    }

    /// The first header on the path that stands directly on a block of this height.
    pub fn first_on(&mut self, parent: &BlockHash, height: Height, least: u128) -> Option<&Node> {
        self.path(least);
        let nodes = self.path.iter().filter_map(|hash| self.nodes.get(hash));
        nodes.take_while(|node| node.height <= height.next()).find(|node| node.header.header.previous == *parent)
    }

    /// What is fetched is chosen anew.
    pub fn mark_stale(&mut self) {
        self.stale = true;
    }

    fn new_path(&self, least: u128) -> VecDeque<BlockHash> {
        let leaf = |(hash, node): &(&BlockHash, &Node)| node.work >= least && !self.parents.contains_key(*hash);
        let mut leaves: Vec<(&BlockHash, &Node)> = self.nodes.iter().filter(leaf).collect();
        leaves.sort_by_key(|(_, node)| (std::cmp::Reverse(node.work), node.order));
        let mut path: BTreeSet<(Height, u64, BlockHash)> = BTreeSet::new();
        // Who tells of heavy branches and keeps their bodies must not keep those of others away.
        let mut served: HashSet<PeerHandle> = HashSet::new();
        for (rank, (hash, leaf)) in leaves.into_iter().enumerate() {
            let news = leaf.sources.iter().filter(|source| served.insert(**source)).count();
            if rank >= BRANCHES && news == 0 {
                continue;
            }
            let mut next = *hash;
            while let Some(node) = self.nodes.get(&next) {
                if !path.insert((node.height, node.order, next)) {
                    break;
                }
                next = node.header.header.previous;
            }
        }
        path.into_iter().map(|(_, _, hash)| hash).collect()
    }

    /// Drops what lies far below the tip.
    pub fn prune(&mut self, below: Height) {
        let old: Vec<BlockHash> =
            self.nodes.iter().filter(|(_, node)| node.height < below).map(|(hash, _)| *hash).collect();
        for hash in old {
            self.remove(&hash);
        }
    }

    /// Headers directly on one of `parents`.
    pub fn children(&self, parents: &[BlockHash]) -> Vec<BlockHash> {
        if parents.iter().all(|parent| !self.parents.contains_key(parent)) {
            return Vec::new();
        }
        let on_one = self.nodes.iter().filter(|(_, node)| parents.contains(&node.header.header.previous));
        let mut children: Vec<BlockHash> = on_one.map(|(hash, _)| *hash).collect();
        children.sort_unstable();
        children
    }

    /// Bodies in a state, lowest first.
    pub fn bodies(&self, which: impl Fn(&Body) -> bool) -> Vec<BlockHash> {
        let chosen = self.nodes.iter().filter(|(_, node)| which(&node.body));
        let mut chosen: Vec<(Height, u64, BlockHash)> =
            chosen.map(|(hash, node)| (node.height, node.order, *hash)).collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|(_, _, hash)| hash).collect()
    }

    /// Blocks that wait for the clock to reach them.
    pub fn held_ahead(&self) -> Vec<&Block> {
        let held = self.nodes.values().filter_map(|node| match &node.body {
            Body::Held { block, until: HeldUntil::Unix(_), .. } => Some(block.as_ref()),
            _ => None,
        });
        held.collect()
    }
}

/// What became of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is new.
    New,
    /// It was known.
    Known,
    /// No room: beyond the window, or too many of this peer.
    NoRoom,
    /// Its parent is not known.
    Orphan,
    /// It, or a block it stands on, was found invalid.
    Invalid,
    /// It breaks a rule by itself.
    Bad(BlockRule),
}

impl<V: ChainFacts> Sync<V> {
    /// Blocks this node has, newest first, with growing gaps; `last` is a header of the peer that is asked.
    pub(super) fn locator(&self, last: Option<BlockHash>) -> Vec<BlockHash> {
        let mut locator: Vec<BlockHash> = last.filter(|last| self.tree.get(last).is_some()).into_iter().collect();
        let (mut height, mut step) = (self.facts.tip().height.0, 1u32);
        while locator.len() + 1 < MAX_LOCATOR as usize {
            locator.extend(self.facts.active(Height(height)));
            if height == 0 {
                break;
            }
            if locator.len() as u32 >= LOCATOR_DENSE {
                step = step.saturating_mul(2);
            }
            height = height.saturating_sub(step);
        }
        locator
    }

    /// Takes a header a peer gave; `checked` is the verdict on its bytes, if it was looked at already.
    pub(super) fn take_header(
        &mut self,
        peer: PeerHandle,
        header: &SignedHeader,
        hash: BlockHash,
        checked: Option<Result<(), BlockRule>>,
    ) -> Taken {
        if self.tree.get(&hash).is_some() {
            self.tree.add_source(&hash, peer);
            return Taken::Known;
        }
        if let Some(known) = self.known(&hash) {
            return if known.invalid { Taken::Invalid } else { Taken::Known };
        }
        let Some((parent, in_tree)) = self.parent_of(header) else { return Taken::Orphan };
        if parent.invalid {
            return Taken::Invalid;
        }
        let height = parent.height.next();
        let beyond = height.0 > self.facts.tip().height.0.saturating_add(WINDOW);
        if beyond || self.tree.held_by(peer) >= HELD_A_PEER {
            return Taken::NoRoom;
        }
        if !in_tree && let Some(rule) = self.unmade(header) {
            return Taken::Bad(rule);
        }
        if let Err(rule) = checked.unwrap_or_else(|| check_header(header, &self.rules)) {
            return Taken::Bad(rule);
        }
        if self.tree.len() >= HELD && !self.make_room(peer) {
            return Taken::NoRoom;
        }
        self.note_made(header, hash);
        let work = parent.work.saturating_add(weight(&self.rules, header));
        self.tree.insert(hash, *header, height, work, peer);
        if in_tree {
            self.tree.add_source(&header.header.previous, peer);
        }
        Taken::New
    }

    /// Makes room for a header of `peer` where the tree is full, at the cost of the peer that gave most: many together
    /// must not keep the headers of others out.
    fn make_room(&mut self, peer: PeerHandle) -> bool {
        let Some(gave_most) = self.tree.drop_one_for(peer) else { return false };
        self.has_more_headers(gave_most);
        true
    }

    /// Notes that a peer has headers that found no room: they are asked for as the tip moves.
    pub(super) fn has_more_headers(&mut self, peer: PeerHandle) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.more_headers = true;
        }
    }

    /// The rule that a header on a block of the ledger's breaks by its miner alone: anybody can sign as somebody
    /// without rights.
    fn unmade(&self, header: &SignedHeader) -> Option<BlockRule> {
        let (miner, parent) = (header.header.miner, header.header.previous);
        (!self.facts.could_mine(&miner, &parent)).then_some(BlockRule::Miner { miner })
    }

    /// Judges the headers on blocks just applied by their miners, whose rights were not known before.
    pub(super) fn judge_children(&mut self, applied: &[BlockHash]) {
        for hash in self.tree.children(applied) {
            let Some(node) = self.tree.get(&hash).filter(|node| !matches!(node.body, Body::Given { .. })) else {
                continue;
            };
            let (sources, Some(rule)) = (node.sources.clone(), self.unmade(&node.header)) else { continue };
            for gone in self.tree.remove_branch(&hash) {
                self.building.remove(&gone);
            }
            for peer in sources {
                self.misbehaving(peer, format!("it told of block {hash}, which breaks a rule: {rule}"));
            }
        }
    }

    fn parent_of(&self, header: &SignedHeader) -> Option<(KnownBlock, bool)> {
        let previous = header.header.previous;
        if let Some(node) = self.tree.get(&previous) {
            return Some((KnownBlock { height: node.height, work: node.work, invalid: false }, true));
        }
        Some((self.known(&previous)?, false))
    }

    /// Headers a peer answered with.
    pub(super) fn on_headers(&mut self, peer: PeerHandle, headers: Vec<SignedHeader>) {
        let full_answer = headers.len() >= MAX_HEADERS as usize;
        if headers.is_empty() {
            self.headers_ended(peer);
        }
        let hashes: Vec<BlockHash> = headers.par_iter().map(SignedHeader::hash).collect();
        let linked = headers.iter().skip(1).zip(&hashes).all(|(header, before)| header.header.previous == *before);
        if !linked {
            self.misbehaving(peer, "it answered with headers that do not follow each other");
            return;
        }
        let news: Vec<bool> =
            hashes.iter().map(|hash| self.tree.get(hash).is_none() && self.known(hash).is_none()).collect();
        // A miner without rights shows before two thousand signatures are verified.
        let stands_on_ledger =
            |(header, new): &(&SignedHeader, &bool)| **new && self.tree.get(&header.header.previous).is_none();
        let first = headers.iter().zip(&news).find(stands_on_ledger).map(|(header, _)| header);
        if let Some(rule) = first.and_then(|header| self.unmade(header)) {
            self.misbehaving(peer, format!("it answered with a header that breaks a rule: {rule}"));
            return;
        }
        // Nor are signatures verified of headers that find no room.
        let mut room = HELD_A_PEER.saturating_sub(self.tree.held_by(peer));
        let news = news.into_iter().map(|new| {
            let fits = new && room > 0;
            room -= usize::from(fits);
            fits
        });
        let news: Vec<bool> = news.collect();
        let rules = Arc::clone(&self.rules);
        let check = |(header, new): (&SignedHeader, bool)| new.then(|| check_header(header, &rules));
        let checked: Vec<Option<Result<(), BlockRule>>> = headers.par_iter().zip(news).map(check).collect();
        let mut leads_on = false;
        for ((header, hash), checked) in headers.iter().zip(&hashes).zip(checked) {
            let taken = self.take_header(peer, header, *hash, checked);
            leads_on |= taken == Taken::New;
            match taken {
                Taken::New | Taken::Known => self.peer_has(peer, *hash),
                Taken::NoRoom => {
                    self.has_more_headers(peer);
                    return;
                }
                Taken::Orphan | Taken::Invalid => return,
                Taken::Bad(rule) => {
                    self.misbehaving(peer, format!("it answered with a header that breaks a rule: {rule}"));
                    return;
                }
            }
        }
        if full_answer && leads_on {
            self.ask_headers(peer);
        } else if full_answer {
            // Others gave the same.
            self.has_more_headers(peer);
        }
    }

    /// Notes the last block a peer told of.
    pub(super) fn peer_has(&mut self, peer: PeerHandle, hash: BlockHash) {
        let height =
            self.tree.get(&hash).map(|node| node.height).or_else(|| self.known(&hash).map(|known| known.height));
        if let Some(state) = self.peers.get_mut(&peer) {
            state.last_header = Some(hash);
            state.best = state.best.max(height);
        }
    }

    /// Notes who made a block on which parent, and logs a miner that made several.
    fn note_made(&mut self, header: &SignedHeader, hash: BlockHash) {
        let (miner, parent) = (header.header.miner, header.header.previous);
        let made = self.made.get_or_insert_mut((miner, parent), Vec::new);
        if made.contains(&hash) {
            return;
        }
        made.truncate(RIVALS - 1);
        made.push(hash);
        if let [first, second] = made.as_slice() {
            tracing::warn!(?miner, %parent, %first, %second, "equivocation: one miner made two blocks on one parent");
        }
    }

    /// Whether a block is announced further: not if its miner made two others on the same parent before.
    pub(super) fn may_announce(&self, hash: &BlockHash) -> bool {
        !self.made.iter().any(|(_, made)| is_late(made, hash))
    }

    /// Whether a block is fetched as soon as it is announced: as [`Sync::may_announce`], by its header.
    pub(super) fn may_fetch(&self, header: &SignedHeader, hash: &BlockHash) -> bool {
        let made = self.made.peek(&(header.header.miner, header.header.previous));
        made.is_none_or(|made| !is_late(made, hash)) && !self.is_surplus_news(header)
    }
}

/// Whether a block came after the first ones that its miner made on its parent.
fn is_late(made: &[BlockHash], hash: &BlockHash) -> bool {
    made.iter().skip(FIRST_RIVALS).any(|later| later == hash)
}

/// What a block adds to its branch.
fn weight(rules: &Rules, header: &SignedHeader) -> u128 {
    if rules.anyone.mine { work::weight(header.header.bits) } else { 1 }
}
