//! Whose turn it is after a block of whatever branch, asked before the next one takes room on disk. See
//! docs/protocol/fork.md.

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::BlockHash;
use rota_chain::lock::KeyHash;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_consensus::mining;
use rota_consensus::rule::{ApplyError, Rule};
use rota_consensus::state::{Overlay, PermissionKey, StateKey, StateValue, StateView as _};
use rota_storage::{Snapshot, StorageError};

use super::Ledger;
use super::switch::{SwitchError, unreadable};

/// Blocks off the active chain up to which a branch is searched: the window of headers held ahead. Nobody gets beyond
/// it without as many that passed.
const BRANCH_SEARCH: usize = 2_000;

/// The rights to mine after a block, kept until the tip moves: those of a long branch are asked for again and again.
#[derive(Debug)]
pub(super) struct MiningRights {
    after: BlockHash,
    view: Overlay<Snapshot>,
}

impl Ledger {
    /// Why `miner` may not make the block at `height`, after `parent`: it has no right to mine there, or not yet again.
    /// None beyond [`BRANCH_SEARCH`]. A block on the way that is found to break a rule is marked.
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
        // Up to the last block of the branch that may change rights, or to the active chain.
        let (mut after, mut last, mut searched) = (parent, None, 0);
        let fork = loop {
            let Some(entry) = self.tree.get(&after)? else { return Ok(None) };
            if snapshot.block_hash(entry.height)? == Some(after) {
                break Some(entry.height);
            }
            if entry.governance {
                break None;
            }
            if searched == BRANCH_SEARCH {
                return Ok(None);
            }
            searched += 1;
            let header = entry.header.header;
            last = last.or((header.miner == miner).then_some(entry.height));
            after = header.previous;
        };
        let rights = match self.mining_rights(&snapshot, after, fork) {
            Ok(Some(rights)) => rights,
            Ok(None) => return Ok(None),
            Err(SwitchError::Invalid(bad, rule)) => {
                self.condemn(bad, &rule)?;
                return Ok(Some(rule));
            }
            Err(SwitchError::Storage(error)) => return Err(error),
        };
        let mut view = Overlay::new(&rights.view);
        if last.is_none()
            && let Some(fork) = fork
        {
            last = self.last_turn(&snapshot, &rights.view, miner, (fork, height))?;
        }
        if last.is_some() || fork.is_some() {
            view.put(StateKey::LastMined(miner), last.map(StateValue::LastMined)).map_err(unreadable)?;
        }
        let judged = mining::check_miner(&view, &self.rules, miner, height);
        self.rights = Some(rights);
        match judged {
            Ok(()) => Ok(None),
            Err(ApplyError::Rule(rule)) => Ok(Some(rule)),
            Err(ApplyError::State(error)) => Err(unreadable(error)),
        }
    }

    /// The rights after a block of the active chain at `fork`, or, if that is none, of another branch; none if that is
    /// longer than what is searched.
    fn mining_rights(
        &mut self,
        snapshot: &Snapshot,
        after: BlockHash,
        fork: Option<Height>,
    ) -> Result<Option<MiningRights>, SwitchError> {
        if let Some(rights) = self.rights.take().filter(|rights| rights.after == after) {
            return Ok(Some(rights));
        }
        let mut view = Overlay::new(snapshot.clone());
        let Some(fork) = fork else {
            let (fork, branch) = self.path_from_active(snapshot, after)?;
            if branch.len() > BRANCH_SEARCH {
                return Ok(None);
            }
            for (key, change) in self.state_after(snapshot, fork, branch)?.into_changes().elements {
                if is_right_to_mine(&key) || matches!(key, StateKey::LastMined(_)) {
                    view.put(key, change.after).map_err(unreadable)?;
                }
            }
            return Ok(Some(MiningRights { after, view }));
        };
        for height in (fork.0.saturating_add(1)..=self.view.tip().height.0).rev() {
            let Some(hash) = snapshot.block_hash(Height(height))? else { continue };
            let Some(undo) = snapshot.block_entry(&hash)?.filter(|entry| entry.governance).and_then(|entry| entry.undo)
            else {
                continue;
            };
            for (key, before) in self.store.read_undo(undo)?.elements {
                if is_right_to_mine(&key) {
                    view.put(key, before).map_err(unreadable)?;
                }
            }
        }
        Ok(Some(MiningRights { after, view }))
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

/// Whether a block that is not applied may change who has the right to mine.
pub(super) fn may_change_miners(block: &Block) -> bool {
    let mut operations = block.transactions.iter().flat_map(|transaction| transaction.operations());
    operations.any(|(_, operation)| match operation {
        Operation::Grant(grant) => grant.entity.is_none() && grant.permissions.contains(Permission::Mine),
        _ => false,
    })
}
