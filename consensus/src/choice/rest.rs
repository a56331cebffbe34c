//! When a miner rests: paused, without peers, or after rounds of empty blocks. See docs/protocol/mining.md.

/// Blocks without transactions after which a miner rests, given the rounds (millionths, negative for never) and
/// the spacing; none if it never rests.
#[must_use]
pub fn empty_limit(rounds: i32, spacing: u32) -> Option<u32> {
    let rounds = u64::try_from(rounds).ok()?;
    let blocks = rounds.saturating_mul(u64::from(spacing.max(1))).div_ceil(1_000_000);
    Some(u32::try_from(blocks).unwrap_or(u32::MAX))
}

/// Facts that decide whether a miner rests.
#[derive(Clone, Copy, Debug)]
pub struct RestFacts {
    /// Most blocks without transactions in a row; none for no limit.
    pub empty_limit: Option<u32>,
    /// How many of the last blocks are without transactions.
    pub empty_blocks: u32,
    /// Height of the next block.
    pub next_height: u32,
    /// Blocks of the setup phase.
    pub setup_first_blocks: u32,
    /// Whether transactions wait.
    pub transactions_wait: bool,
    /// Whether a branch of the tip's height or more was seen: one block more settles it.
    pub fork_seen: bool,
}

/// Whether a miner waits for a transaction before it makes another block.
#[must_use]
pub const fn waits_for_transaction(facts: RestFacts) -> bool {
    let Some(limit) = facts.empty_limit else {
        return false;
    };
    facts.next_height >= facts.setup_first_blocks
        && facts.next_height > limit
        && facts.empty_blocks >= limit
        && !facts.transactions_wait
        && !facts.fork_seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_rounds_times_spacing_rounded_up() {
        assert_eq!(empty_limit(10_000_000, 1), Some(10));
        assert_eq!(empty_limit(10_000_000, 2), Some(20));
        assert_eq!(empty_limit(500_000, 3), Some(2));
        assert_eq!(empty_limit(0, 3), Some(0));
        assert_eq!(empty_limit(-1_000_000, 3), None);
    }

    #[test]
    fn a_miner_rests_only_when_nothing_waits_and_setup_is_over() {
        let facts = RestFacts {
            empty_limit: Some(10),
            empty_blocks: 10,
            next_height: 100,
            setup_first_blocks: 60,
            transactions_wait: false,
            fork_seen: false,
        };
        assert!(waits_for_transaction(facts));
        assert!(!waits_for_transaction(RestFacts { empty_blocks: 9, ..facts }));
        assert!(!waits_for_transaction(RestFacts { next_height: 59, ..facts }));
        assert!(!waits_for_transaction(RestFacts { transactions_wait: true, ..facts }));
        assert!(!waits_for_transaction(RestFacts { fork_seen: true, ..facts }));
        assert!(!waits_for_transaction(RestFacts { empty_limit: None, ..facts }));
    }
}
