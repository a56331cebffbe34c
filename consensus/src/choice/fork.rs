//! Which of several valid branches a node follows. See docs/protocol/fork.md.

use std::cmp::Ordering;

use rota_chain::hash::BlockHash;

use crate::mining;

/// What the choice sees of a branch's tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its last block.
    pub tip: BlockHash,
    /// Weight of all its blocks.
    pub weight: u128,
    /// Whether this node could make its next block.
    pub can_mine: bool,
    /// Height of this node's own last block on it, none if there is none.
    pub own_last: Option<u32>,
    /// Order in which its last block was fully received here; smaller is earlier.
    pub sequence: u64,
}

/// Orders two branches: `Greater` if `a` is preferred. More weight; then one on which this node may mine next; then
/// the one where its last block lies lower (it may mine there sooner); then the one received first.
#[must_use]
pub fn prefer(a: &Branch, b: &Branch) -> Ordering {
    let lower = |branch: &Branch| branch.own_last.unwrap_or(0);
    a.weight
        .cmp(&b.weight)
        .then(a.can_mine.cmp(&b.can_mine))
        .then_with(|| if a.can_mine { Ordering::Equal } else { lower(b).cmp(&lower(a)) })
        .then(b.sequence.cmp(&a.sequence))
        .then(b.tip.cmp(&a.tip))
}

/// Lowest height a reorganisation may fork at without undoing governance changes that are older than `rounds`
/// mining rounds; none if there is no such limit.
#[must_use]
pub fn governance_floor(tip: u32, rounds: u32, miners: u32, spacing: u32) -> Option<u32> {
    let per_round = miners.saturating_sub(mining::active_miners(miners, spacing)).saturating_add(1);
    tip.checked_sub(rounds.checked_mul(per_round)?).filter(|floor| *floor > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(weight: u128, can_mine: bool, own_last: Option<u32>, sequence: u64) -> Branch {
        Branch { tip: BlockHash([u8::try_from(sequence).unwrap_or(0); 32]), weight, can_mine, own_last, sequence }
    }

    #[test]
    fn weight_comes_first_then_the_own_turn_then_the_lower_own_block_then_arrival() {
        assert_eq!(prefer(&branch(5, false, None, 9), &branch(4, true, None, 1)), Ordering::Greater);
        assert_eq!(prefer(&branch(5, true, None, 9), &branch(5, false, None, 1)), Ordering::Greater);
        assert_eq!(prefer(&branch(5, false, Some(3), 9), &branch(5, false, Some(4), 1)), Ordering::Greater);
        assert_eq!(prefer(&branch(5, true, Some(9), 1), &branch(5, true, Some(2), 2)), Ordering::Greater);
    }

    #[test]
    fn only_old_governance_is_protected() {
        // 4 miners, spacing 2: two active rounds of 2 blocks each; 10 rounds protect what is 20 blocks deep.
        let floor = governance_floor(100, 10, 4, 2);
        assert_eq!(floor, Some(80));
        assert_eq!(governance_floor(10, 10, 4, 2), None);
    }
}
