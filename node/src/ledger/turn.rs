//! Whose turn it is after a block of whatever branch, asked before the next one takes room on disk. See
//! docs/protocol/fork.md.

use std::collections::HashSet;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::BlockHash;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_consensus::mining;
use rota_consensus::rule::{ApplyError, BlockRule, Rule};
use rota_consensus::state::{Overlay, PermissionKey, StateKey, StateValue, StateView as _};
use rota_storage::{Snapshot, StorageError};

use super::Ledger;
use super::switch::unreadable;

/// Blocks off the active chain up to which a branch is searched: the window of headers held ahead. Nobody gets beyond
/// it without as many that passed.
const BRANCH_SEARCH: usize = 2_000;

/// The way of a branch from its last block down to the active chain.
struct Way {
    fork: (BlockHash, Height),
    /// The miner's last block on the branch.
    last: Option<Height>,
    /// Blocks that may change rights to mine, the last first.
    changing: Vec<BlockHash>,
}

/// The rights to mine on a branch, kept until the tip moves: those of a long branch are asked for again and again.
#[derive(Debug)]
pub(super) struct MiningRights {
    fork: BlockHash,
    changing: Vec<BlockHash>,
    at_fork: Overlay<Snapshot>,
    grants: Grants,
}

/// What the blocks of a branch may have changed of the rights to mine. Only what a block says is looked at and who signed
/// it, so this may be more than what holds when the branch is applied, and never less.
#[derive(Debug, Default)]
struct Grants {
    admins: HashSet<Lock>,
    miners: HashSet<Lock>,
    /// Those whose right may have ended.
    ended: HashSet<Lock>,
}

impl Grants {
    /// Adds those of a block, of which others were administrators before. Whether there are any.
    fn add(
        &mut self,
        block: &Block,
        was_admin: impl Fn(&Lock) -> Result<bool, StorageError>,
    ) -> Result<bool, StorageError> {
        let mut any = false;
        for transaction in &block.transactions {
            let outputs = transaction.body.outputs.iter();
            let grants = outputs.flat_map(|output| output.operations.iter().map(move |operation| (output, operation)));
            let grants: Vec<_> = grants
                .filter_map(|(output, operation)| match operation {
                    Operation::Grant(grant) if grant.entity.is_none() => Some((output.recipient?, grant)),
                    _ => None,
                })
                .filter(|(_, grant)| {
                    [Permission::Mine, Permission::Admin].iter().any(|one| grant.permissions.contains(*one))
                })
                .collect();
            if grants.is_empty() {
                continue;
            }
            let mut by_admin = false;
            for lock in transaction.witnesses.iter().filter_map(|witness| witness.lock()) {
                by_admin |= self.admins.contains(&lock) || was_admin(&lock)?;
            }
            if !by_admin {
                continue;
            }
            any = true;
            for (recipient, grant) in grants {
                if grant.permissions.contains(Permission::Admin) {
                    self.admins.insert(recipient);
                }
                if grant.permissions.contains(Permission::Mine) {
                    if grant.range != BlockRange::NEVER {
                        self.miners.insert(recipient);
                    }
                    if grant.range != BlockRange::ALWAYS {
                        self.ended.insert(recipient);
                    }
                }
            }
        }
        Ok(any)
    }
}

impl Ledger {
    /// Why `miner` may not make the block at `height`, after `parent`: it has no right to mine there, or not yet again.
    /// None beyond [`BRANCH_SEARCH`] blocks from the active chain.
    pub(super) fn check_turn(
        &mut self,
        miner: KeyHash,
        parent: BlockHash,
        height: Height,
    ) -> Result<Option<Rule>, StorageError> {
        if self.rules.anyone.mine {
            return Ok(None);
        }
        let snapshot = self.view.snapshot();
        let Some(way) = self.way(&snapshot, miner, parent)? else { return Ok(None) };
        let rights = self.mining_rights(&snapshot, &way)?;
        let judged = self.judge_turn(&snapshot, &rights, &way, (miner, height));
        self.rights = Some(rights);
        judged
    }

    fn judge_turn(
        &self,
        snapshot: &Snapshot,
        rights: &MiningRights,
        way: &Way,
        (miner, height): (KeyHash, Height),
    ) -> Result<Option<Rule>, StorageError> {
        let last = match way.last {
            Some(last) => Some(last),
            None => self.last_turn(snapshot, &rights.at_fork, miner, (way.fork.1, height))?,
        };
        let mut view = Overlay::new(&rights.at_fork);
        let last_mined = last.map(StateValue::LastMined);
        view.put(StateKey::LastMined(miner), last_mined).map_err(unreadable)?;
        let rule = match mining::check_miner(&view, &self.rules, miner, height) {
            Ok(()) => return Ok(None),
            Err(ApplyError::Rule(rule)) => rule,
            Err(ApplyError::State(error)) => return Err(unreadable(error)),
        };
        // Rights that the branch itself may have given or ended can make it right. The miner's own was not, if it may mine.
        let (grants, own) = (&rights.grants, Lock::Key(miner));
        if matches!(rule, Rule::Block(BlockRule::Miner { .. })) && !grants.miners.contains(&own) {
            return Ok(Some(rule));
        }
        let holders = rights.at_fork.holders(None, Permission::Mine).map_err(unreadable)?;
        let left = holders
            .iter()
            .filter(|(lock, record)| record.range.contains(height) && (*lock == own || !grants.ended.contains(lock)));
        let miners = u32::try_from(left.count()).unwrap_or(u32::MAX);
        let spacing = mining::spacing_at(miners, &self.rules, height);
        let early = last.filter(|last| height < mining::next_turn(Some(*last), spacing));
        Ok(early.map(|last| BlockRule::Spacing { miner, last, spacing }.into()))
    }

    /// Whether a block after `parent` may change who has the right to mine; of one that is applied its state tells.
    pub(super) fn may_change_miners(&mut self, block: &Block) -> Result<bool, StorageError> {
        let grants = |operation: &Operation| matches!(operation, Operation::Grant(grant) if grant.entity.is_none());
        if !block
            .transactions
            .iter()
            .any(|transaction| transaction.operations().any(|(_, operation)| grants(operation)))
        {
            return Ok(false);
        }
        let snapshot = self.view.snapshot();
        let header = block.header();
        let Some(way) = self.way(&snapshot, header.miner, header.previous)? else { return Ok(true) };
        let mut rights = self.mining_rights(&snapshot, &way)?;
        let may_change = rights.grants.add(block, |lock| self.was_admin(&snapshot, lock))?;
        if may_change {
            rights.changing.insert(0, block.hash());
        }
        self.rights = Some(rights);
        Ok(may_change)
    }

    fn way(&self, snapshot: &Snapshot, miner: KeyHash, parent: BlockHash) -> Result<Option<Way>, StorageError> {
        let (mut next, mut last, mut changing) = (parent, None, Vec::new());
        for _ in 0..=BRANCH_SEARCH {
            let Some(entry) = self.tree.get(&next)? else { return Ok(None) };
            if snapshot.block_hash(entry.height)? == Some(next) {
                return Ok(Some(Way { fork: (next, entry.height), last, changing }));
            }
            if entry.governance {
                changing.push(next);
            }
            let header = entry.header.header;
            last = last.or((header.miner == miner).then_some(entry.height));
            next = header.previous;
        }
        Ok(None)
    }

    /// The rights to mine on a branch: those at the fork, and what its blocks may have changed of them.
    fn mining_rights(&mut self, snapshot: &Snapshot, way: &Way) -> Result<MiningRights, StorageError> {
        let (fork, height) = way.fork;
        if let Some(mut rights) = self.rights.take().filter(|rights| rights.fork == fork)
            && let Some(new) = way.changing.strip_suffix(rights.changing.as_slice())
        {
            self.add_grants(snapshot, new, &mut rights.grants)?;
            rights.changing.clone_from(&way.changing);
            return Ok(rights);
        }
        let mut at_fork = Overlay::new(snapshot.clone());
        for height in (height.0.saturating_add(1)..=self.view.tip().height.0).rev() {
            let Some(hash) = snapshot.block_hash(Height(height))? else { continue };
            let Some(undo) = snapshot.block_entry(&hash)?.filter(|entry| entry.governance).and_then(|entry| entry.undo)
            else {
                continue;
            };
            for (key, before) in self.store.read_undo(undo)?.elements {
                if is_right_to_mine(&key) {
                    at_fork.put(key, before).map_err(unreadable)?;
                }
            }
        }
        let mut grants = Grants::default();
        self.add_grants(snapshot, &way.changing, &mut grants)?;
        Ok(MiningRights { fork, changing: way.changing.clone(), at_fork, grants })
    }

    /// Adds what blocks grant, the last first.
    fn add_grants(&self, snapshot: &Snapshot, blocks: &[BlockHash], grants: &mut Grants) -> Result<(), StorageError> {
        for hash in blocks.iter().rev() {
            let Some(body) = self.tree.get(hash)?.and_then(|entry| entry.body) else { continue };
            grants.add(&self.store.read_block(body)?, |lock| self.was_admin(snapshot, lock))?;
        }
        Ok(())
    }

    /// Whether a lock had the right to administer some time, by the active chain: the record of a right stays when it ends.
    fn was_admin(&self, snapshot: &Snapshot, lock: &Lock) -> Result<bool, StorageError> {
        let key = PermissionKey { entity: None, permission: Permission::Admin, address: *lock };
        Ok(self.rules.anyone.admin || snapshot.permission(key).map_err(unreadable)?.is_some())
    }

    /// The last block of a miner up to `fork` on the active chain, if it is near enough to bar the miner from the block
    /// at `height`.
    fn last_turn(
        &self,
        snapshot: &Snapshot,
        rights: &Overlay<Snapshot>,
        miner: KeyHash,
        (fork, height): (Height, Height),
    ) -> Result<Option<Height>, StorageError> {
        let last = snapshot.last_mined(miner).map_err(unreadable)?;
        if last.is_none_or(|last| last <= fork) {
            return Ok(last);
        }
        let miners = mining::permitted_miners(rights, height).map_err(unreadable)?;
        let spacing = mining::spacing_at(miners, &self.rules, height);
        for near in (height.0.saturating_sub(spacing)..=fork.0).rev().map(Height) {
            let Some(hash) = snapshot.block_hash(near)? else { continue };
            if self.tree.get(&hash)?.is_some_and(|entry| entry.header.header.miner == miner) {
                return Ok(Some(near));
            }
        }
        Ok(None)
    }
}

fn is_right_to_mine(key: &StateKey) -> bool {
    matches!(key, StateKey::Permission(PermissionKey { entity: None, permission: Permission::Mine, .. }))
}
