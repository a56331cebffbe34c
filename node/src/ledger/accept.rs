//! Taking blocks in: what a block must pass before it is stored, and rebuilding the database from the block files.

use std::sync::Arc;

use rota_chain::block::Block;
use rota_chain::hash::BlockHash;
use rota_consensus::block::CheckedBlock;
use rota_consensus::rule::{BlockRule, Rule};
use rota_storage::{BlockEntry, BlockStatus, Location, StorageError};

use super::switch::unreadable;
use super::{BlockOutcome, Ledger, check_block};
use crate::pause::Task;

/// Seconds a block may lie ahead at least; see docs/protocol/block.md.
const LEAST_AHEAD: u64 = 120;
/// Blocks between two lines about a rebuild in the log.
const REINDEX_REPORT: u64 = 1_000;

impl Ledger {
    /// Applies again what the block files hold, after the database was emptied, or the rest of it, after that was
    /// broken off.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn reindex(&mut self) -> Result<(), StorageError> {
        let store = Arc::clone(&self.store);
        self.catching_up = true;
        let mut count = 0u64;
        store.for_each_stored_block(|location, block| {
            count += 1;
            if count.is_multiple_of(REINDEX_REPORT) {
                tracing::info!(blocks = count, height = self.view.tip().height.0, "rebuilding the database");
            }
            self.try_accept(Arc::new(block), Some(location), true, None).map(drop)
        })?;
        self.set_catching_up(false);
        store.finish_rebuild()?;
        tracing::info!(blocks = count, height = self.view.tip().height.0, "the database was rebuilt");
        Ok(())
    }

    /// Takes in what the block files hold beyond the database: the damaged end of its log may have been dropped, or the
    /// process have ended between the two.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) fn take_in_lost_blocks(&mut self) -> Result<(), StorageError> {
        let store = Arc::clone(&self.store);
        let before = self.view.tip();
        store.for_each_block_after_tip(|location, block| {
            self.try_accept(Arc::new(block), Some(location), true, None).map(drop)
        })?;
        let after = self.view.tip();
        if after.hash != before.hash {
            tracing::warn!(
                from = before.height.0,
                to = after.height.0,
                "the block files hold blocks that the database did not: they were applied; if it had lost them, subscriptions \
                 made meanwhile are lost too"
            );
        }
        Ok(())
    }

    /// Takes a block in: checks it, stores it, and moves the tip if its branch is preferred.
    pub fn accept_block(&mut self, block: Arc<Block>, own: bool) -> BlockOutcome {
        outcome(self.try_accept(block, None, own, None))
    }

    /// Takes a peer's block in, of which it is known already what comes of [`check_block`].
    pub(super) fn accept_checked(&mut self, block: Arc<Block>, checked: Result<CheckedBlock, Rule>) -> BlockOutcome {
        outcome(self.try_accept(block, None, false, Some(checked)))
    }

    fn try_accept(
        &mut self,
        block: Arc<Block>,
        stored: Option<Location>,
        own: bool,
        checked: Option<Result<CheckedBlock, Rule>>,
    ) -> Result<BlockOutcome, StorageError> {
        if !own && self.paused.is_paused(Task::Incoming) {
            return Ok(BlockOutcome::Paused);
        }
        let hash = block.hash();
        if self.tree.get(&hash)?.is_some_and(|entry| entry.status != BlockStatus::Header) {
            let refused = self.refused.get(&hash).cloned();
            return Ok(refused.map_or(BlockOutcome::Known, BlockOutcome::Invalid));
        }
        let header = *block.header();
        let parent = self.tree.get(&header.previous)?.filter(|parent| parent.status != BlockStatus::Header);
        let Some(parent) = parent else { return Ok(BlockOutcome::Orphan) };
        let on_marked = matches!(parent.status, BlockStatus::Invalid | BlockStatus::InvalidAncestor);
        // What a peer gives on it was on its way before the mark was known, and takes no room on disk.
        if on_marked && !own && stored.is_none() {
            return Ok(BlockOutcome::OnMarked);
        }
        let target = self.rules.at(&self.view.snapshot()).map_err(unreadable)?.target_block_time;
        let ahead = u64::from(target).saturating_mul(10).max(LEAST_AHEAD);
        let until = u64::from(header.time.0).saturating_sub(ahead);
        if until > self.clock.unix() {
            return Ok(BlockOutcome::Future { until });
        }
        let check = || check_block(Arc::clone(&block), &self.rules, &self.signatures);
        let checked = checked.unwrap_or_else(check);
        let rule = match &checked {
            Err(Rule::Block(rule @ (BlockRule::Signature | BlockRule::MerkleRoot))) => {
                return Ok(BlockOutcome::Message(rule.clone()));
            }
            // Judged before the signature: anybody can make such headers, so they are not remembered.
            Err(rule @ Rule::Block(BlockRule::Version { .. })) => return Ok(BlockOutcome::Invalid(rule.clone())),
            Err(rule) => Some(rule.clone()),
            Ok(_) => None,
        };
        if !on_marked && let Some(rule) = self.check_turn(header.miner, header.previous, parent.height.next())? {
            return Ok(BlockOutcome::Invalid(rule));
        }
        if let Some(rule) = rule {
            self.store_entry(&block, &parent, BlockStatus::Invalid, None)?;
            self.tree.add_leaf(hash)?;
            self.refused.put(hash, rule.clone());
            return Ok(BlockOutcome::Invalid(rule));
        }
        let status = if on_marked { BlockStatus::InvalidAncestor } else { BlockStatus::Body };
        let body = match stored {
            Some(location) => location,
            None => {
                self.store.check_room()?;
                self.store.append_block(&block)?
            }
        };
        self.store_entry(&block, &parent, status, Some(body))?;
        if let Ok(checked) = checked {
            self.checked.put(checked);
        }
        if on_marked {
            self.tree.grow_marked(hash, &header.previous)?;
        } else {
            self.tree.grow(hash, &header.previous)?;
        }
        self.settle(hash)
    }

    /// Follows the preferred branch after a block was stored, and says what became of the block.
    fn settle(&mut self, hash: BlockHash) -> Result<BlockOutcome, StorageError> {
        let invalid = self.activate()?;
        let Some(entry) = self.tree.get(&hash)? else { return Ok(BlockOutcome::Stored) };
        if let Some((_, rule)) = invalid.into_iter().next()
            && matches!(entry.status, BlockStatus::Invalid | BlockStatus::InvalidAncestor)
        {
            return Ok(BlockOutcome::Invalid(rule));
        }
        let active = self.view.snapshot().block_hash(entry.height)? == Some(hash);
        Ok(if active { BlockOutcome::Applied } else { BlockOutcome::Stored })
    }

    fn store_entry(
        &mut self,
        block: &Block,
        parent: &BlockEntry,
        status: BlockStatus,
        body: Option<Location>,
    ) -> Result<(), StorageError> {
        let hash = block.hash();
        let entry = BlockEntry {
            header: block.signed,
            height: parent.height.next(),
            chainwork: parent.chainwork.saturating_add(self.tree.weight(block.header())),
            size: u32::try_from(block.size()).unwrap_or(u32::MAX),
            transactions: u32::try_from(block.transactions.len()).unwrap_or(u32::MAX),
            body,
            undo: None,
            status,
            sequence: self.tree.take_sequence(),
            received: self.clock.unix(),
            governance: body.is_some() && self.may_change_miners(block)?,
        };
        self.tree.put(hash, entry)
    }
}

fn outcome(taken: Result<BlockOutcome, StorageError>) -> BlockOutcome {
    taken.unwrap_or_else(|error| {
        tracing::error!(code = error.code(), %error, "a block could not be stored");
        BlockOutcome::Storage(error.to_string())
    })
}
