//! Mining turnover: when a permitted miner starts its next block. See docs/protocol/mining.md.
//! Times are seconds as floating point: this is a preference, nodes need not agree on it.

/// Blocks whose arrival times are averaged.
const AVERAGED_BLOCKS: usize = 12;
/// Seconds a block takes to make and spread at least.
const LEAST_CREATION: f64 = 2.0;
/// Smallest and largest size of the pool of recent miners at full turnover.
const POOL_RANGE: (f64, f64) = (4.0, 16.0);

/// What the choice of a start time depends on.
#[derive(Clone, Debug)]
pub struct TurnoverFacts<'a, M> {
    /// Now.
    pub now: f64,
    /// Target block time.
    pub target: f64,
    /// Turnover, 0 to 1.
    pub turnover: f64,
    /// Mean time a block takes to make, as measured here; 0 if unknown.
    pub creation: f64,
    /// Arrival times of the latest blocks, newest first, at most twelve are read.
    pub arrivals: &'a [f64],
    /// Miners of the latest blocks, newest first, as far back as [`search_depth`] says.
    pub recent_miners: &'a [M],
    /// Miners that may make the next block. Before all have made one they are more than the active ones.
    pub eligible: u32,
    /// Whether diversity bars nobody of several miners: without turnover all of them then take turns, since the one
    /// who mined last would go on alone otherwise.
    pub rotates: bool,
    /// Own address that would mine, if it may mine the next block.
    pub own: M,
}

/// The estimate of miners outside the pool that a node keeps from block to block; none after a newcomer or at start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate(pub Option<f64>);

/// When to start, and whether as a member of the pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Seconds, on the clock of [`TurnoverFacts::now`].
    pub at: f64,
    /// False: an emergency backup.
    pub in_pool: bool,
    /// The estimate to keep for the next block.
    pub estimate: Estimate,
}

fn inner_turnover(turnover: f64) -> f64 {
    (turnover - 1e-6).clamp(0.0, 1.0)
}

fn creation_time(creation: f64) -> f64 {
    creation.max(LEAST_CREATION)
}

/// Wanted size of the pool of recent miners.
#[must_use]
pub fn pool_size(target: f64, creation: f64, turnover: f64) -> usize {
    let most = (0.25 * target / creation_time(creation)).floor().clamp(POOL_RANGE.0, POOL_RANGE.1);
    let size = (inner_turnover(turnover) * most).floor() + 1.0;
    (1..=17).rev().find(|candidate| f64::from(*candidate) <= size).map_or(1, |size| usize::try_from(size).unwrap_or(1))
}

/// How many of the latest blocks are searched for miners of the pool.
#[must_use]
pub fn search_depth(pool: usize, miners: u32, active: u32) -> usize {
    let barred = usize::try_from(miners.saturating_sub(active)).unwrap_or(usize::MAX);
    pool.saturating_mul(5).saturating_add(barred)
}

/// Whether the newest block's miner is new among the recent ones (newest first, as far back as [`search_depth`]
/// says): every node then starts its [`Estimate`] afresh.
#[must_use]
pub fn newcomer<M: PartialEq>(recent_miners: &[M]) -> bool {
    recent_miners.split_first().is_some_and(|(newest, others)| !others.contains(newest))
}

/// Chooses the start time. `may_mine` tells whether a miner may make the next block; `random` gives numbers evenly
/// spread over 0 to 1.
pub fn choose_start<M: Copy + PartialEq>(
    facts: &TurnoverFacts<'_, M>,
    estimate: Estimate,
    may_mine: impl Fn(&M) -> bool,
    mut random: impl FnMut() -> f64,
) -> Start {
    let creation = creation_time(facts.creation);
    let shift = creation - LEAST_CREATION;
    let turnover = inner_turnover(facts.turnover);
    let (base, last_expected) = expected_times(facts, shift);
    let recent = recent_of(facts, may_mine);
    let rotation = facts.rotates && turnover <= 0.0;
    let pool = pool_of(facts, &recent, rotation);
    let mut members = size(pool.len());
    let mut in_pool = pool.contains(&facts.own);
    let mut next = Estimate(None);
    if !in_pool {
        let outside = f64::from(facts.eligible) - members;
        let fresh = if turnover > 0.0 { outside / turnover } else { f64::INFINITY };
        let candidates = estimate.0.unwrap_or(fresh).max(1.0);
        let new_in_rotation = rotation && !recent.contains(&facts.own);
        let chance = match pool.is_empty() || new_in_rotation {
            true => 1.0 / (f64::from(facts.eligible) - size(recent.len())).max(1.0),
            false => turnover / candidates,
        };
        if chance > random() {
            in_pool = true;
            members += 1.0;
        }
        next = Estimate(Some((candidates * (1.0 - turnover)).max(1.0)));
    }
    let spread = facts.target;
    let lead = spread - spread / (members + 1.0);
    if in_pool {
        let at = base + random() * spread - spread / (members + 1.0) - shift;
        return Start { at, in_pool, estimate: next };
    }
    let mut at = last_expected + spread / 2.0 + lead + creation + random() * creation;
    let mut rivals = f64::from(facts.eligible);
    while rivals > 0.5 && random() > 1.0 / rivals {
        at += creation;
        rivals /= 2.0;
    }
    Start { at, in_pool, estimate: next }
}

/// The different recent miners that may make the next block, newest first.
fn recent_of<M: Copy + PartialEq>(facts: &TurnoverFacts<'_, M>, may_mine: impl Fn(&M) -> bool) -> Vec<M> {
    let mut seen: Vec<M> = Vec::new();
    for miner in facts.recent_miners.iter().filter(|miner| may_mine(miner)) {
        if !seen.contains(miner) {
            seen.push(*miner);
        }
    }
    seen
}

/// Those expected to make the next block: the most recent ones, or in a rotation the one whose last block is the oldest.
fn pool_of<'r, M>(facts: &TurnoverFacts<'_, M>, recent: &'r [M], rotation: bool) -> &'r [M] {
    if rotation {
        return recent.get(recent.len().saturating_sub(1)..).unwrap_or_default();
    }
    let wanted = pool_size(facts.target, facts.creation, facts.turnover);
    recent.get(..wanted).unwrap_or(recent)
}

fn size(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Base of the start time, and when the next block is expected after the last alone.
fn expected_times<M>(facts: &TurnoverFacts<'_, M>, shift: f64) -> (f64, f64) {
    let target = facts.target;
    let late = facts.now + target;
    let arrivals = facts.arrivals.get(..AVERAGED_BLOCKS).unwrap_or(facts.arrivals);
    // A clock that was set back has blocks arrive in the future: they arrived by now.
    let arrivals: Vec<f64> = arrivals.iter().map(|at| at.min(facts.now)).collect();
    let (Some(newest), Some(oldest)) = (arrivals.first(), arrivals.last()) else {
        return (late, late);
    };
    if facts.now - newest > target / 2.0 {
        return (late, late);
    }
    let last_expected = newest + target;
    let count = size(arrivals.len());
    if (last_expected - oldest) / count < target / 2.0 {
        return (late, last_expected);
    }
    if arrivals.len() < AVERAGED_BLOCKS {
        return (last_expected, last_expected);
    }
    let mean = arrivals.iter().sum::<f64>() / count;
    let past_expected = mean + (count + 1.0) / 2.0 * target;
    let bounds = (last_expected - target / 2.0 - shift, last_expected + target / 2.0);
    (past_expected.clamp(bounds.0, bounds.1), last_expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(arrivals: &'a [f64], recent: &'a [u8], turnover: f64, own: u8) -> TurnoverFacts<'a, u8> {
        TurnoverFacts {
            now: 1000.0,
            target: 15.0,
            turnover,
            creation: 0.0,
            arrivals,
            recent_miners: recent,
            eligible: 10,
            rotates: false,
            own,
        }
    }

    #[test]
    fn the_default_pool_has_the_documented_size() {
        assert_eq!(pool_size(15.0, 2.0, 0.5), 2);
        assert_eq!(pool_size(15.0, 2.0, 0.0), 1);
        assert_eq!(pool_size(15.0, 2.0, 1.0), 4);
        assert_eq!(pool_size(600.0, 2.0, 1.0), 16);
    }

    #[test]
    fn without_turnover_only_the_last_eligible_miner_is_in_the_pool() {
        let arrivals = [999.0];
        let member = choose_start(&facts(&arrivals, &[1, 2], 0.0, 1), Estimate::default(), |_| true, || 0.5);
        assert!(member.in_pool);
        assert!((member.at - (999.0 + 15.0 + 7.5 - 7.5)).abs() < 1e-9);
        let other = choose_start(&facts(&arrivals, &[1, 2], 0.0, 2), Estimate::default(), |_| true, || 0.5);
        assert!(!other.in_pool && other.at > member.at);
        let first_barred = choose_start(&facts(&arrivals, &[1, 2], 0.0, 2), Estimate::default(), |m| *m != 1, || 0.5);
        assert!(first_barred.in_pool);
    }

    #[test]
    fn in_a_rotation_the_miner_whose_block_is_oldest_is_due_and_of_newcomers_one_on_average() {
        let due = |recent: &[u8], own, draw| {
            let facts = TurnoverFacts { rotates: true, ..facts(&[999.0], recent, 0.0, own) };
            choose_start(&facts, Estimate::default(), |_| true, || draw).in_pool
        };
        let recent = [3, 2, 1, 4, 3, 2, 1, 4];
        for draw in [0.01, 0.5] {
            assert!(due(&recent, 4, draw));
            assert!(!due(&recent, 1, draw) && !due(&recent, 2, draw) && !due(&recent, 3, draw));
        }
        // Ten may, four were seen: each of the other six with a chance of a sixth.
        assert!(due(&recent, 9, 0.16) && !due(&recent, 9, 0.17));
    }

    #[test]
    fn where_nobody_recent_may_mine_one_of_all_joins_on_average() {
        for turnover in [0.0, 0.5, 1.0] {
            let facts = facts(&[999.0], &[1, 2], turnover, 7);
            let joins = |draw| choose_start(&facts, Estimate::default(), |miner| *miner > 2, || draw).in_pool;
            assert!(joins(0.09) && !joins(0.11), "{turnover}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_a_miner() {
        let arrivals = [1_600.0, 1_585.0, 990.0];
        for own in [1, 2] {
            let start = choose_start(&facts(&arrivals, &[1, 2, 1], 0.5, own), Estimate::default(), |_| true, || 0.9);
            assert!(start.at < 1_000.0 + 5.0 * 15.0, "{start:?}");
        }
    }

    #[test]
    fn with_full_turnover_everyone_draws() {
        let arrivals = [999.0];
        let start = choose_start(&facts(&arrivals, &[1, 2], 1.0, 7), Estimate(Some(1.0)), |_| true, || 0.1);
        assert!(start.in_pool);
    }

    #[test]
    fn a_miner_that_comes_late_waits_a_whole_block_time() {
        let start = choose_start(&facts(&[900.0], &[1], 0.0, 1), Estimate::default(), |_| true, || 0.5);
        assert!((start.at - 1015.0).abs() < 1e-9);
    }
}
