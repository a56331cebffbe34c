//! Moving the tip: undoing blocks to the fork and applying a branch, all of it on an overlay; only if every block
//! passes does the tip move, in one batch.

use std::collections::HashSet;
use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::multiset::Multiset;
use rota_consensus::block::{BlockPlace, CheckedBlock, apply_block};
use rota_consensus::rule::{ApplyError, Rule};
use rota_consensus::state::{Overlay, StateError};
use rota_storage::kv::Durability;
use rota_storage::{AppliedBlock, BlockEntry, BlockStatus, Snapshot, StorageError, Tip, TipCommit, UndoBlock};

use super::{Ledger, check_block};
use crate::view::NextTip;

/// A switch that went through.
#[derive(Debug)]
pub struct Switched {
    /// Blocks of the losing branch, tip first.
    pub undone: Vec<Arc<Block>>,
    /// Blocks applied, in order.
    pub applied: Vec<(BlockHash, Height)>,
    /// Transactions now confirmed.
    pub confirmed: Arc<HashSet<Txid>>,
}

/// Why a switch did not go through.
#[derive(Debug)]
pub enum SwitchError {
    /// A block of the branch breaks a rule.
    Invalid(BlockHash, Rule),
    /// Storage failed.
    Storage(StorageError),
}

impl From<StorageError> for SwitchError {
    fn from(error: StorageError) -> SwitchError {
        SwitchError::Storage(error)
    }
}

struct Plan {
    undone: Vec<BlockHash>,
    undone_blocks: Vec<Arc<Block>>,
    applied: Vec<AppliedBlock>,
    multiset: Multiset,
}

impl Ledger {
    /// Makes `target` the tip.
    pub(super) fn switch_to(&mut self, target: BlockHash) -> Result<Switched, SwitchError> {
        // What came in keeps the place in local order that it has by arrival, and not the block's.
        self.admission.settle();
        let snapshot = self.view.snapshot();
        let (fork, branch) = self.path_from_active(&snapshot, target)?;
        let plan = self.plan(&snapshot, fork, branch)?;
        self.commit(plan, target)
    }

    /// The active block a branch leaves from, and the branch's blocks, lowest first.
    fn path_from_active(
        &self,
        snapshot: &Snapshot,
        target: BlockHash,
    ) -> Result<(Height, Vec<(BlockHash, BlockEntry)>), StorageError> {
        let mut branch = Vec::new();
        let mut next = target;
        loop {
            let entry = self.tree.get(&next)?.ok_or_else(|| missing_entry(&next))?;
            if snapshot.block_hash(entry.height)? == Some(next) {
                branch.reverse();
                return Ok((entry.height, branch));
            }
            let previous = entry.header.header.previous;
            branch.push((next, entry));
            next = previous;
        }
    }

    /// The first transaction of `bantx` on the way to `target`, and its block.
    pub(super) fn banned_before(&self, target: BlockHash) -> Result<Option<(BlockHash, Txid)>, StorageError> {
        let banned = self.settings().bantx.clone();
        if banned.is_empty() {
            return Ok(None);
        }
        let (_, branch) = self.path_from_active(&self.view.snapshot(), target)?;
        for (hash, entry) in branch {
            let Some(body) = entry.body else { continue };
            let block = self.store.read_block(body)?;
            if let Some(txid) = block.transactions.iter().map(|tx| tx.txid()).find(|txid| banned.contains(txid)) {
                return Ok(Some((hash, txid)));
            }
        }
        Ok(None)
    }

    fn plan(
        &mut self,
        snapshot: &Snapshot,
        fork: Height,
        branch: Vec<(BlockHash, BlockEntry)>,
    ) -> Result<Plan, SwitchError> {
        let mut overlay = Overlay::new(snapshot.clone());
        let mut plan =
            Plan { undone: Vec::new(), undone_blocks: Vec::new(), applied: Vec::new(), multiset: snapshot.multiset()? };
        let mut height = self.view.tip().height;
        while height > fork {
            let hash = snapshot
                .block_hash(height)?
                .ok_or_else(|| StorageError::Missing(format!("block at height {height}")))?;
            self.undo_on(&mut overlay, &mut plan, hash)?;
            height = Height(height.0 - 1);
        }
        for (hash, entry) in branch {
            self.apply_on(&mut overlay, &mut plan, hash, entry)?;
        }
        Ok(plan)
    }

    fn undo_on(
        &mut self,
        overlay: &mut Overlay<Snapshot>,
        plan: &mut Plan,
        hash: BlockHash,
    ) -> Result<(), SwitchError> {
        let entry = self.tree.get(&hash)?.ok_or_else(|| missing_entry(&hash))?;
        let body = entry.body.ok_or_else(|| StorageError::Missing(format!("the body of block {hash}")))?;
        let block = Arc::new(self.store.read_block(body)?);
        let undo = entry.undo.ok_or_else(|| StorageError::Missing(format!("undo data of block {hash}")))?;
        let undo = self.store.read_undo(undo)?;
        let mut step = Overlay::new(&*overlay);
        for (key, before) in undo.elements {
            step.put(key, before).map_err(unreadable)?;
        }
        for txid in undo.transactions {
            step.put_transaction(txid, None);
        }
        let changes = step.into_changes();
        changes.apply_to(&mut plan.multiset);
        overlay.absorb(changes);
        plan.undone.push(hash);
        plan.undone_blocks.push(block);
        Ok(())
    }

    fn apply_on(
        &mut self,
        overlay: &mut Overlay<Snapshot>,
        plan: &mut Plan,
        hash: BlockHash,
        mut entry: BlockEntry,
    ) -> Result<(), SwitchError> {
        let checked = self.checked(&hash, &entry)?;
        let header = *checked.block().header();
        let parent = self.tree.get(&header.previous)?.ok_or_else(|| missing_entry(&header.previous))?;
        let place = BlockPlace {
            height: entry.height,
            median_time: self.tree.median_time(&header.previous)?,
            bits: self.tree.next_bits(&parent, header.time)?,
            state_hash: plan.multiset.hash(),
        };
        let changes = match apply_block(&*overlay, &checked, &self.rules, place) {
            Ok(changes) => changes,
            Err(ApplyError::Rule(rule)) => return Err(SwitchError::Invalid(hash, rule)),
            Err(ApplyError::State(error)) => return Err(unreadable(error).into()),
        };
        changes.apply_to(&mut plan.multiset);
        entry.status = BlockStatus::Applied;
        entry.governance = changes.changes_governance();
        plan.applied.push(AppliedBlock::new(Arc::clone(checked.block()), entry, changes.clone()));
        overlay.absorb(changes);
        Ok(())
    }

    /// The block of an entry, checked: from memory, or read and checked anew.
    fn checked(&mut self, hash: &BlockHash, entry: &BlockEntry) -> Result<CheckedBlock, SwitchError> {
        if let Some(checked) = self.checked.pop(hash) {
            return Ok(checked);
        }
        let body = entry.body.ok_or_else(|| StorageError::Missing(format!("the body of block {hash}")))?;
        let block = Arc::new(self.store.read_block(body)?);
        check_block(block, &self.rules, &self.signatures).map_err(|rule| SwitchError::Invalid(*hash, rule))
    }

    fn commit(&mut self, plan: Plan, target: BlockHash) -> Result<Switched, SwitchError> {
        let Plan { undone, undone_blocks, mut applied, multiset } = plan;
        for block in &mut applied {
            block.entry.undo = Some(self.store.append_undo(&UndoBlock::of(&block.changes))?);
        }
        let synced = !self.catching_up;
        if synced {
            self.store.sync_files()?;
        }
        let switched = Switched {
            undone: undone_blocks,
            applied: applied.iter().map(|block| (block.hash, block.entry.height)).collect(),
            confirmed: Arc::new(applied.iter().flat_map(|block| &block.txids).copied().collect()),
        };
        let entries: Vec<(BlockHash, BlockEntry)> =
            applied.iter().map(|block| (block.hash, block.entry.clone())).collect();
        let height = match applied.last() {
            Some(block) => block.entry.height,
            None => self.tree.get(&target)?.map_or(Height(0), |entry| entry.height),
        };
        let durability = if synced { Durability::Synced } else { Durability::Written };
        let tip = Tip { hash: target, height };
        // Who reads the indexes before the pool is made anew needs no look at each of what waits.
        self.view.write().next = Some(NextTip { hash: target, confirmed: Arc::clone(&switched.confirmed) });
        self.store.commit(&TipCommit { undone, applied, multiset, tip, durability })?;
        self.rights = None;
        for (hash, entry) in entries {
            self.tree.remember(hash, entry);
        }
        Ok(switched)
    }
}

fn missing_entry(hash: &BlockHash) -> StorageError {
    StorageError::Missing(format!("the entry of block {hash}"))
}

pub(super) fn unreadable(error: StateError) -> StorageError {
    StorageError::Corrupt(error.to_string())
}
