//! Which branch the ledger follows, and the operator's ways to decide it: lockblock, setlastblock, invalidateblock.

use rota_chain::amount::{Height, Timestamp};
use rota_chain::hash::BlockHash;
use rota_chain::lock::KeyHash;
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_consensus::choice::fork::{Branch, prefer};
use rota_consensus::mining;
use rota_consensus::rule::Rule;
use rota_storage::StorageError;

use super::governance::is_protected;
use super::switch::{SwitchError, unreadable};
use super::tree::is_usable;
use super::{Ledger, LedgerError};

/// A branch refused because it would undo a change of who may administer or mine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernanceFork {
    /// Last block of the refused branch.
    pub tip: BlockHash,
    /// Its height.
    pub height: Height,
    /// Last block in common.
    pub fork_height: Height,
}

impl Ledger {
    /// Follows the preferred branch. Returns blocks found invalid on the way.
    pub(super) fn activate(&mut self) -> Result<Vec<(BlockHash, Rule)>, StorageError> {
        let mut invalid = Vec::new();
        loop {
            let tip = self.view.tip().hash;
            let best = self.best_leaf()?;
            if best == tip {
                return Ok(invalid);
            }
            if let Some((hash, txid)) = self.banned_before(best)? {
                tracing::warn!(block = %hash, %txid, "a branch is avoided for a banned transaction (bantx)");
                self.avoided.push((hash, txid));
                self.tree.add_parent_leaf(&hash)?;
                continue;
            }
            let is_even = self.weight_of(&best)? == self.weight_of(&tip)?;
            match self.switch_to(best) {
                Ok(switched) => {
                    // Who could mine is judged by the state at the tip, so each of two branches may prefer the other.
                    if is_even {
                        self.left.push(tip)
                    } else {
                        self.left.clear()
                    }
                    self.publish_tip(switched)?;
                }
                Err(SwitchError::Invalid(hash, rule)) => {
                    tracing::warn!(block = %hash, code = rule.code(), %rule, "an invalid block");
                    self.refused.put(hash, rule.clone());
                    self.tree.condemn(&hash)?;
                    invalid.push((hash, rule));
                }
                Err(SwitchError::Storage(error)) => return Err(error),
            }
        }
    }

    fn weight_of(&self, hash: &BlockHash) -> Result<u128, StorageError> {
        Ok(self.tree.get(hash)?.map_or(0, |entry| entry.chainwork))
    }

    /// Own addresses that may mine now.
    fn own_miners(&self) -> Vec<KeyHash> {
        let (snapshot, next) = {
            let view = self.view.read();
            (view.snapshot.clone(), view.tip.height.next())
        };
        let may_mine = |hash: &KeyHash| {
            self.rules.anyone.mine
                || authority::holds(&snapshot, None, Permission::Mine, &(*hash).into(), next).unwrap_or(false)
        };
        self.wallet.key_hashes().into_iter().filter(may_mine).collect()
    }

    /// Permitted miners of the next block, and the blocks between two of one miner.
    fn rotation(&self) -> Result<(u32, u32), StorageError> {
        let tip = self.view.tip();
        let next = tip.height.next();
        let miners = mining::permitted_miners(&self.view.snapshot(), next).map_err(unreadable)?;
        Ok((miners, mining::spacing_at(miners, &self.rules, next)))
    }

    /// The last block of the branch to follow: the heaviest candidate, of several the preferred one.
    fn best_leaf(&mut self) -> Result<BlockHash, StorageError> {
        let tip = self.view.tip().hash;
        let mut candidates = self.candidates(tip)?;
        let heaviest = candidates.iter().map(|(_, weight)| *weight).max().unwrap_or_default();
        candidates.retain(|(_, weight)| *weight == heaviest);
        if let [(only, _)] = candidates.as_slice() {
            return Ok(*only);
        }
        let own = self.own_miners();
        let (_, spacing) = self.rotation()?;
        let mut best: Option<Branch> = None;
        for (leaf, _) in candidates {
            let Some(branch) = self.tree.branch(&leaf, &own, spacing)? else { continue };
            if best.as_ref().is_none_or(|best| prefer(&branch, best).is_gt()) {
                best = Some(branch);
            }
        }
        Ok(best.map_or(tip, |branch| branch.tip))
    }

    /// The tip and the leaves that may take its place, with their weights.
    fn candidates(&mut self, tip: BlockHash) -> Result<Vec<(BlockHash, u128)>, StorageError> {
        let lock = self.settings().lockblock;
        let lock = match lock {
            Some(hash) if self.tree.get(&hash)?.as_ref().is_some_and(is_usable) => Some(hash),
            _ => None,
        };
        let tip_allowed = match &lock {
            Some(lock) => self.tree.is_ancestor(lock, &tip)? || self.tree.is_ancestor(&tip, lock)?,
            None => true,
        };
        let weight = self.weight_of(&tip)?;
        let mut candidates = Vec::new();
        if tip_allowed {
            candidates.push((tip, weight));
        }
        let banned = self.settings().bantx.clone();
        self.avoided.retain(|(_, txid)| banned.contains(txid));
        let reported = std::mem::take(&mut self.governance_forks);
        let heavy = self.tree.leaves().filter(|(_, leaf)| !tip_allowed || leaf.weight >= weight);
        let leaves: Vec<BlockHash> = heavy.map(|(hash, _)| *hash).filter(|hash| *hash != tip).collect();
        for leaf in leaves {
            if tip_allowed && self.left.contains(&leaf) {
                continue;
            }
            let Some(entry) = self.tree.get(&leaf)? else { continue };
            if !is_usable(&entry) || self.is_avoided(&leaf)? {
                continue;
            }
            let refused = match &lock {
                Some(lock) => !self.tree.is_ancestor(lock, &leaf)?,
                None => self.is_locked_out(&leaf, entry.height, &reported)?,
            };
            if !refused {
                candidates.push((leaf, entry.chainwork));
            }
        }
        Ok(candidates)
    }

    /// Whether a branch holds a block with a banned transaction.
    fn is_avoided(&self, leaf: &BlockHash) -> Result<bool, StorageError> {
        for (block, _) in &self.avoided {
            if self.tree.is_ancestor(block, leaf)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a branch that this node could follow is as high as the tip: one block more settles which is followed.
    pub fn has_rival(&self) -> bool {
        let tip = self.view.tip();
        let refused = |leaf: &BlockHash| self.governance_forks.iter().any(|fork| fork.tip == *leaf);
        let usable = |leaf: &BlockHash| self.tree.get(leaf).ok().flatten().is_some_and(|entry| is_usable(&entry));
        let mut high = self.tree.leaves().filter(|(_, leaf)| leaf.height >= tip.height).map(|(hash, _)| hash);
        high.any(|leaf| *leaf != tip.hash && !refused(leaf) && usable(leaf))
    }

    /// Whether following `leaf` would undo a protected change of governance; then the fork is noted and reported.
    fn is_locked_out(
        &mut self,
        leaf: &BlockHash,
        height: Height,
        reported: &[GovernanceFork],
    ) -> Result<bool, StorageError> {
        let tip = self.view.tip();
        let snapshot = self.view.snapshot();
        let mut next = *leaf;
        let fork = loop {
            let Some(entry) = self.tree.get(&next)? else { return Ok(true) };
            if snapshot.block_hash(entry.height)? == Some(next) {
                break entry.height;
            }
            next = entry.header.header.previous;
        };
        let rounds = self.settings().lockadminminerounds;
        let protected = is_protected(&snapshot, &self.rules, rounds, (tip.height, fork), &mut self.governance_seen)?;
        if protected {
            let found = GovernanceFork { tip: *leaf, height, fork_height: fork };
            if !reported.contains(&found) {
                tracing::warn!(
                    active_tip = %tip.hash, active_height = tip.height.0, other_tip = %leaf, other_height = height.0,
                    fork_height = fork.0,
                    "governance fork: the other branch would undo a change of who may administer or mine; \
                     to follow it set lockblock to its tip or use setlastblock"
                );
            }
            self.governance_forks.push(found);
        }
        Ok(protected)
    }

    /// Branches refused because they would undo protected changes of governance: those that could be followed
    /// otherwise, and lighter ones of peers, known by their headers.
    pub fn governance_forks(&self) -> Vec<GovernanceFork> {
        let mut forks = self.governance_forks.clone();
        let lighter = self.told_forks.iter().filter(|told| forks.iter().all(|fork| fork.tip != told.tip));
        let lighter: Vec<GovernanceFork> = lighter.cloned().collect();
        forks.extend(lighter);
        forks
    }

    /// Takes note of the governance forks among peers' branches that are lighter than the tip's.
    pub fn note_governance_forks(&mut self, forks: Vec<GovernanceFork>) {
        let tip = self.view.tip();
        for fork in forks.iter().filter(|fork| self.told_forks.iter().all(|told| told.fork_height != fork.fork_height))
        {
            tracing::warn!(
                active_tip = %tip.hash, active_height = tip.height.0, other_tip = %fork.tip,
                other_height = fork.height.0, fork_height = fork.fork_height.0,
                "governance fork: peers follow another branch, which would undo a change of who may administer or mine"
            );
        }
        self.told_forks = forks;
    }

    /// Looks at the branches again, after a setting changed.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub fn reconsider_branches(&mut self) -> Result<(), LedgerError> {
        self.left.clear();
        self.activate()?;
        Ok(())
    }

    /// Makes a known block the tip, whatever its weight.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_last_block(&mut self, hash: BlockHash) -> Result<(), LedgerError> {
        let entry = self.tree.get(&hash)?.ok_or(LedgerError::UnknownBlock(hash))?;
        if entry.body.is_none() {
            return Err(LedgerError::UnknownBlock(hash));
        }
        if self.view.tip().hash == hash {
            return Ok(());
        }
        self.force(hash)
    }

    /// The target that a block after the tip must state, made at `time`.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub fn next_bits(&self, time: Timestamp) -> Result<u32, LedgerError> {
        let tip = self.view.tip().hash;
        let entry = self.tree.get(&tip)?.ok_or(LedgerError::UnknownBlock(tip))?;
        Ok(self.tree.next_bits(&entry, time)?)
    }

    fn force(&mut self, hash: BlockHash) -> Result<(), LedgerError> {
        self.left.clear();
        match self.switch_to(hash) {
            Ok(switched) => Ok(self.publish_tip(switched)?),
            Err(SwitchError::Invalid(bad, rule)) => {
                self.tree.condemn(&bad)?;
                Err(LedgerError::Invalid(bad, rule))
            }
            Err(SwitchError::Storage(error)) => Err(error.into()),
        }
    }

    /// Marks a block and its descendants as invalid and follows the best branch without it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn invalidate(&mut self, hash: BlockHash) -> Result<(), LedgerError> {
        let entry = self.tree.get(&hash)?.ok_or(LedgerError::UnknownBlock(hash))?;
        let parent = entry.header.header.previous;
        if entry.height.0 == 0 {
            return Err(LedgerError::UnknownBlock(hash));
        }
        let active = self.view.snapshot().block_hash(entry.height)? == Some(hash);
        self.tree.condemn(&hash)?;
        if active {
            self.force(parent)?;
        }
        self.activate()?;
        Ok(())
    }

    /// Takes back the mark of [`Ledger::invalidate`].
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn reconsider(&mut self, hash: BlockHash) -> Result<(), LedgerError> {
        self.tree.get(&hash)?.ok_or(LedgerError::UnknownBlock(hash))?;
        self.tree.absolve(&hash)?;
        self.left.clear();
        self.activate()?;
        Ok(())
    }
}
