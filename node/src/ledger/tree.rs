//! The tree of blocks: every branch whose bodies are here, its leaves, and the facts that headers give along it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::BlockHeader;
use rota_chain::hash::BlockHash;
use rota_chain::lock::KeyHash;
use rota_consensus::choice::fork::Branch;
use rota_consensus::mining::next_turn;
use rota_consensus::rules::Rules;
use rota_consensus::work;
use rota_storage::{BlockEntry, BlockStatus, StorageError, Store};

/// Blocks whose times make the median.
const MEDIAN_BLOCKS: usize = 11;
/// Entries kept in memory besides the database: enough for the walks of a few competing branches.
const RECENT_ENTRIES: usize = 4_096;
/// How far back an own block is searched on a branch: beyond it the miner's turn has come again anyway.
const OWN_SEARCH: u32 = 1_024;

/// A leaf of the tree, as `getchaintips` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTip {
    /// Height of its last block.
    pub height: Height,
    /// Its last block.
    pub hash: BlockHash,
    /// Blocks since it left the active chain.
    pub branch_length: u32,
    /// `active`, `valid-fork`, `headers-only` or `invalid`.
    pub status: &'static str,
}

/// The tree of blocks.
#[derive(Debug)]
pub struct Tree {
    store: Arc<Store>,
    rules: Arc<Rules>,
    recent: HashMap<BlockHash, BlockEntry>,
    /// In order of id, so that what is found on the way does not depend on chance.
    leaves: BTreeMap<BlockHash, Leaf>,
    next_sequence: u64,
}

/// The last block of a branch: what tells whether the branch matters. Of old branches there are many.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// Its height.
    pub height: Height,
    /// Weight of the branch up to it.
    pub weight: u128,
}

impl From<&BlockEntry> for Leaf {
    fn from(entry: &BlockEntry) -> Leaf {
        Leaf { height: entry.height, weight: entry.chainwork }
    }
}

impl Tree {
    /// A tree without leaves, to look entries up.
    pub fn without_leaves(store: Arc<Store>, rules: Arc<Rules>) -> Tree {
        Tree { store, rules, recent: HashMap::new(), leaves: BTreeMap::new(), next_sequence: 0 }
    }

    /// Loads the leaves of a stored tree.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn load(store: Arc<Store>, rules: Arc<Rules>) -> Result<Tree, StorageError> {
        let snapshot = store.snapshot()?;
        let mut tree = Tree::without_leaves(Arc::clone(&store), rules);
        let (mut side, mut parents, mut usable_parents) = (Vec::new(), HashSet::new(), HashSet::new());
        for row in store.all_block_entries()? {
            let (hash, entry) = row?;
            tree.next_sequence = tree.next_sequence.max(entry.sequence.saturating_add(1));
            if snapshot.block_hash(entry.height)? != Some(hash) {
                side.push((hash, entry));
            }
        }
        let side = tree.forget_unwritten(side)?;
        for (_, entry) in &side {
            parents.insert(entry.header.header.previous);
            if is_usable(entry) {
                usable_parents.insert(entry.header.header.previous);
            }
        }
        // A block with none but marked blocks on it is a leaf, and so is the last of the marked ones.
        let is_leaf = |(hash, entry): &(BlockHash, BlockEntry)| {
            if is_usable(entry) { !usable_parents.contains(hash) } else { !parents.contains(hash) }
        };
        tree.leaves = side.iter().filter(|one| is_leaf(one)).map(|(hash, entry)| (*hash, entry.into())).collect();
        if let Some(tip) = snapshot.tip()
            && !usable_parents.contains(&tip.hash)
        {
            tree.add_leaf(tip.hash)?;
        }
        Ok(tree)
    }

    /// Blocks off the active chain without those whose body is not on disk, and what stands on them: power was lost
    /// after the block was noted and before it was written. They are fetched again.
    fn forget_unwritten(
        &mut self,
        mut side: Vec<(BlockHash, BlockEntry)>,
    ) -> Result<Vec<(BlockHash, BlockEntry)>, StorageError> {
        side.sort_by_key(|(_, entry)| entry.height);
        let (mut kept, mut gone) = (Vec::with_capacity(side.len()), HashSet::new());
        for (hash, mut entry) in side {
            let stored = matches!(entry.status, BlockStatus::Body | BlockStatus::Applied);
            let written = match entry.body.filter(|_| stored) {
                Some(body) => match self.store.read_block(body) {
                    Ok(block) => block.hash() == hash,
                    Err(StorageError::DamagedFile { .. }) => false,
                    Err(error) => return Err(error),
                },
                None => entry.status != BlockStatus::Header,
            };
            if written && !gone.contains(&entry.header.header.previous) {
                kept.push((hash, entry));
                continue;
            }
            gone.insert(hash);
            if entry.status != BlockStatus::Header {
                tracing::warn!(block = %hash, height = entry.height.0, "a block was not written before power was lost");
                entry.status = BlockStatus::Header;
                (entry.body, entry.undo) = (None, None);
                self.put(hash, entry)?;
            }
        }
        Ok(kept)
    }

    /// A block's entry.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn get(&self, hash: &BlockHash) -> Result<Option<BlockEntry>, StorageError> {
        match self.recent.get(hash) {
            Some(entry) => Ok(Some(entry.clone())),
            None => self.store.block_entry(hash),
        }
    }

    /// Adds or changes an entry, stored with the next batch that syncs.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put(&mut self, hash: BlockHash, entry: BlockEntry) -> Result<(), StorageError> {
        self.store.put_block_entry(&hash, &entry)?;
        self.remember(hash, entry);
        Ok(())
    }

    /// Keeps an entry in memory that was stored otherwise.
    pub fn remember(&mut self, hash: BlockHash, entry: BlockEntry) {
        if self.recent.len() >= RECENT_ENTRIES {
            self.recent.clear();
        }
        self.recent.insert(hash, entry);
    }

    /// Notes a new block as a leaf in place of its parent.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn grow(&mut self, hash: BlockHash, parent: &BlockHash) -> Result<(), StorageError> {
        self.leaves.remove(parent);
        self.add_leaf(hash)
    }

    /// Notes a new block on a marked one as a leaf.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn grow_marked(&mut self, hash: BlockHash, parent: &BlockHash) -> Result<(), StorageError> {
        if self.get(parent)?.is_none_or(|parent| !is_usable(&parent)) {
            self.leaves.remove(parent);
        }
        self.add_leaf(hash)
    }

    /// Notes a block as a leaf, whatever its parent is: one that is marked, or whose descendants are not followed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn add_leaf(&mut self, hash: BlockHash) -> Result<(), StorageError> {
        if let Some(entry) = self.get(&hash)? {
            self.leaves.insert(hash, Leaf::from(&entry));
        }
        Ok(())
    }

    /// Makes the parent of a block a leaf, since the block is not followed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn add_parent_leaf(&mut self, hash: &BlockHash) -> Result<(), StorageError> {
        match self.get(hash)? {
            Some(entry) => self.add_leaf(entry.header.header.previous),
            None => Ok(()),
        }
    }

    /// The order of the next block fully received.
    pub fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// The leaves.
    pub fn leaves(&self) -> impl Iterator<Item = (&BlockHash, &Leaf)> {
        self.leaves.iter()
    }

    /// Weight of a block.
    pub fn weight(&self, header: &BlockHeader) -> u128 {
        if self.rules.anyone.mine { work::weight(header.bits) } else { 1 }
    }

    /// Median time of the block `hash` and up to ten before it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn median_time(&self, hash: &BlockHash) -> Result<Timestamp, StorageError> {
        let mut times = Vec::with_capacity(MEDIAN_BLOCKS);
        let mut next = *hash;
        while times.len() < MEDIAN_BLOCKS {
            let Some(entry) = self.get(&next)? else { break };
            times.push(entry.header.header.time);
            next = entry.header.header.previous;
        }
        times.sort_unstable();
        Ok(times.get(times.len() / 2).copied().unwrap_or_default())
    }

    /// The target the block after `parent` must state, made at `time`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn next_bits(&self, parent: &BlockEntry, time: Timestamp) -> Result<u32, StorageError> {
        let rules = &self.rules;
        let minimum = work::minimum_bits(rules.pow_minimum_bits);
        if !rules.anyone.mine || rules.target_adjust_freq == 0 {
            return Ok(minimum);
        }
        let header = parent.header.header;
        let interval = (rules.target_adjust_freq / rules.target_block_time.max(1)).max(1);
        let next = parent.height.0 + 1;
        let slow = rules.target_block_time.saturating_mul(2);
        if !next.is_multiple_of(interval) {
            let easy = rules.allow_min_difficulty_blocks && time.0 > header.time.0.saturating_add(slow);
            return Ok(if easy { minimum } else { header.bits });
        }
        let mut first = parent.clone();
        for _ in 1..interval {
            match self.get(&first.header.header.previous)? {
                Some(entry) => first = entry,
                None => break,
            }
        }
        let actual = header.time.0.saturating_sub(first.header.header.time.0);
        Ok(work::retarget(header.bits, actual, rules.target_adjust_freq, rules.pow_minimum_bits))
    }

    /// Whether `ancestor` lies on the branch that ends with `leaf` (or is it).
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn is_ancestor(&self, ancestor: &BlockHash, leaf: &BlockHash) -> Result<bool, StorageError> {
        let Some(wanted) = self.get(ancestor)? else { return Ok(false) };
        let mut next = *leaf;
        loop {
            if next == *ancestor {
                return Ok(true);
            }
            match self.get(&next)? {
                Some(entry) if entry.height > wanted.height => next = entry.header.header.previous,
                _ => return Ok(false),
            }
        }
    }

    /// A leaf as the fork choice sees it; `own` are this node's mining addresses, `spacing` is today's.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn branch(&self, hash: &BlockHash, own: &[KeyHash], spacing: u32) -> Result<Option<Branch>, StorageError> {
        let Some(entry) = self.get(hash)? else { return Ok(None) };
        let (mut next, mut own_last) = (entry.clone(), None);
        let depth = if own.is_empty() { 0 } else { OWN_SEARCH };
        for _ in 0..depth {
            if own.contains(&next.header.header.miner) {
                own_last = Some(next.height);
                break;
            }
            match self.get(&next.header.header.previous)? {
                Some(parent) => next = parent,
                None => break,
            }
        }
        let can_mine = !own.is_empty() && next_turn(own_last, spacing) <= entry.height.next();
        let own_last = own_last.map(|last| last.0);
        Ok(Some(Branch { tip: *hash, weight: entry.chainwork, can_mine, own_last, sequence: entry.sequence }))
    }

    /// Marks a block and everything on it as invalid; its parent is a leaf again.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn condemn(&mut self, hash: &BlockHash) -> Result<(), StorageError> {
        for leaf in self.leaves_on(hash)? {
            let mut next = leaf;
            while let Some(mut entry) = self.get(&next)? {
                let at_root = next == *hash;
                entry.status = if at_root { BlockStatus::Invalid } else { BlockStatus::InvalidAncestor };
                let previous = entry.header.header.previous;
                self.put(next, entry)?;
                next = previous;
                if at_root {
                    self.add_leaf(previous)?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes the mark off a block, those before it and those on it, as far as their bodies are here.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn absolve(&mut self, hash: &BlockHash) -> Result<(), StorageError> {
        for leaf in self.leaves_on(hash)? {
            let (mut next, mut below) = (leaf, false);
            while let Some(mut entry) = self.get(&next)? {
                below |= next == *hash;
                let marked = matches!(entry.status, BlockStatus::Invalid | BlockStatus::InvalidAncestor);
                if below && !marked {
                    break;
                }
                let previous = entry.header.header.previous;
                if entry.body.is_some() {
                    entry.status = if marked { BlockStatus::Body } else { entry.status };
                    self.put(next, entry)?;
                    self.leaves.remove(&previous);
                }
                next = previous;
            }
        }
        Ok(())
    }

    /// The leaves of the branches that hold a block.
    fn leaves_on(&self, hash: &BlockHash) -> Result<Vec<BlockHash>, StorageError> {
        let mut found = Vec::new();
        let least = self.get(hash)?.map(|entry| entry.height);
        for (leaf, _) in self.leaves.iter().filter(|(_, leaf)| least.is_some_and(|least| leaf.height >= least)) {
            if self.is_ancestor(hash, leaf)? {
                found.push(*leaf);
            }
        }
        Ok(found)
    }

    /// The leaves and the active tip, highest first.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn chain_tips(&self) -> Result<Vec<ChainTip>, StorageError> {
        let snapshot = self.store.snapshot()?;
        let active = snapshot.tip();
        let mut hashes: BTreeSet<BlockHash> = self.leaves.keys().copied().collect();
        hashes.extend(active.map(|tip| tip.hash));
        let mut tips = Vec::new();
        for hash in hashes {
            let Some(entry) = self.get(&hash)? else { continue };
            let is_tip = active.is_some_and(|tip| tip.hash == hash);
            if !is_tip && snapshot.block_hash(entry.height)? == Some(hash) {
                continue;
            }
            let (mut next, mut at, mut branch_length) = (hash, entry.clone(), 0);
            while snapshot.block_hash(at.height)? != Some(next) {
                branch_length += 1;
                next = at.header.header.previous;
                match self.get(&next)? {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
            let status = match entry.status {
                _ if is_tip => "active",
                BlockStatus::Invalid | BlockStatus::InvalidAncestor => "invalid",
                BlockStatus::Header => "headers-only",
                BlockStatus::Body | BlockStatus::Applied => "valid-fork",
            };
            tips.push(ChainTip { height: entry.height, hash, branch_length, status });
        }
        tips.sort_by_key(|tip| (std::cmp::Reverse(tip.height), tip.status != "active"));
        Ok(tips)
    }
}

/// Whether a block can be on the branch that is followed: it is not marked and its body is here.
pub fn is_usable(entry: &BlockEntry) -> bool {
    entry.body.is_some() && matches!(entry.status, BlockStatus::Body | BlockStatus::Applied)
}
