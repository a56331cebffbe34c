//! Which branches `lock-admin-mine-rounds` refuses: those that would undo a change of who may administer or mine. See
//! docs/protocol/fork.md.

use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_consensus::choice::fork::governance_floor;
use rota_consensus::mining;
use rota_consensus::rules::Rules;
use rota_storage::{Snapshot, StorageError};

use super::switch::unreadable;

/// The changes of governance found on the active chain so far: a block is looked at once, however often peers tell of
/// branches that left the chain long ago.
#[derive(Debug, Default)]
pub struct GovernanceSeen {
    /// The highest block looked at, which tells whether the chain is still the same.
    highest: Option<(u32, BlockHash)>,
    /// The lowest height looked at.
    lowest: u32,
    /// The last height between them at which a change was completed.
    last: Option<u32>,
}

impl GovernanceSeen {
    /// Whether a change was completed in one of the active blocks from `fork` to `floor`.
    fn any(&mut self, snapshot: &Snapshot, fork: u32, floor: u32) -> Result<bool, StorageError> {
        let grown = match self.highest {
            Some((highest, hash)) if highest <= floor && snapshot.block_hash(Height(highest))? == Some(hash) => {
                Some(highest)
            }
            _ => None,
        };
        match grown {
            Some(highest) => {
                for height in highest.saturating_add(1)..=floor {
                    if is_governance(snapshot, height)? {
                        self.last = Some(height);
                    }
                }
            }
            None => (self.lowest, self.last) = (floor.saturating_add(1), None),
        }
        self.highest = snapshot.block_hash(Height(floor))?.map(|hash| (floor, hash));
        while self.last.is_none() && self.lowest > fork {
            self.lowest = self.lowest.saturating_sub(1);
            if is_governance(snapshot, self.lowest)? {
                self.last = Some(self.lowest);
            }
        }
        Ok(self.last.is_some_and(|last| last >= fork))
    }
}

fn is_governance(snapshot: &Snapshot, height: u32) -> Result<bool, StorageError> {
    let Some(hash) = snapshot.block_hash(Height(height))? else { return Ok(false) };
    Ok(snapshot.block_entry(&hash)?.is_some_and(|entry| entry.governance))
}

/// Whether a branch that leaves the active one after `fork` would undo a change of governance that `rounds` rounds of
/// mining protect, by the state at `tip`.
///
/// # Errors
/// [`StorageError`].
pub fn is_protected(
    snapshot: &Snapshot,
    rules: &Rules,
    rounds: u32,
    (tip, fork): (Height, Height),
    seen: &mut GovernanceSeen,
) -> Result<bool, StorageError> {
    if fork >= tip || rules.anyone.mine || rules.anyone.admin {
        return Ok(false);
    }
    let miners = mining::permitted_miners(snapshot, tip.next()).map_err(unreadable)?;
    match governance_floor(tip.0, rounds, miners, mining::spacing_at(miners, rules, tip.next())) {
        Some(floor) if (1..=floor).contains(&fork.0) => seen.any(snapshot, fork.0, floor),
        _ => Ok(false),
    }
}
