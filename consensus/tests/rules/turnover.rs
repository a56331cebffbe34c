//! Mining turnover at work: several miners in virtual time, each with its own entropy, none with a network.

use rota_consensus::choice::turnover::{Estimate, TurnoverFacts, choose_start, newcomer, pool_size, search_depth};
use rota_consensus::mining::spacing;

/// Seconds between blocks, as parameters say.
const TARGET: f64 = 15.0;
/// Seconds a block takes to reach the others.
const LATENCY: f64 = 0.2;

/// Numbers evenly spread over 0 to 1, from a seed.
struct Entropy(u64);

impl Entropy {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Miners who take turns.
struct Crew {
    turnover: f64,
    rotates: bool,
    spacing: usize,
    alive: Vec<bool>,
    estimates: Vec<Estimate>,
    entropy: Vec<Entropy>,
    /// Miner and arrival of every block.
    blocks: Vec<(usize, f64)>,
    /// Blocks beside which another was made by who had not heard of them.
    contested: usize,
}

impl Crew {
    fn new(miners: u32, diversity: u32, turnover: f64) -> Crew {
        let count = miners as usize;
        Crew {
            turnover,
            rotates: false,
            spacing: spacing(miners, diversity) as usize,
            alive: vec![true; count],
            estimates: vec![Estimate::default(); count],
            entropy: (0..count).map(|index| Entropy(1 + index as u64)).collect(),
            blocks: vec![(0, 0.0)],
            contested: 0,
        }
    }

    fn may_mine(&self, miner: usize) -> bool {
        let from = (self.blocks.len() + 1).saturating_sub(self.spacing);
        self.blocks[from.min(self.blocks.len())..].iter().all(|(other, _)| *other != miner)
    }

    /// Every miner who may mine chooses a start; the earliest makes the next block. Tells whether he was in the pool.
    fn next_block(&mut self) -> bool {
        let miners = u32::try_from(self.alive.len()).unwrap();
        let active = miners + 1 - u32::try_from(self.spacing).unwrap();
        let eligible = (0..self.alive.len()).filter(|miner| self.may_mine(*miner)).count();
        let depth = search_depth(pool_size(TARGET, 0.0, self.turnover), miners, active);
        let newest_first = || self.blocks.iter().rev();
        let recent: Vec<usize> = newest_first().take(depth).map(|(miner, _)| *miner).collect();
        let arrivals: Vec<f64> = newest_first().take(12).map(|(_, time)| *time).collect();
        let now = arrivals[0];
        let mut starts: Vec<(usize, f64, bool)> = Vec::new();
        for miner in 0..self.alive.len() {
            if !self.alive[miner] || !self.may_mine(miner) {
                continue;
            }
            if newcomer(&recent) {
                self.estimates[miner] = Estimate::default();
            }
            let facts = TurnoverFacts {
                now,
                target: TARGET,
                turnover: self.turnover,
                creation: 0.0,
                arrivals: &arrivals,
                recent_miners: &recent,
                eligible: u32::try_from(eligible).unwrap(),
                rotates: self.rotates,
                own: miner,
            };
            let mut entropy = Entropy(self.entropy[miner].0);
            let start = choose_start(&facts, self.estimates[miner], |other| self.may_mine(*other), || entropy.next());
            self.entropy[miner] = entropy;
            self.estimates[miner] = start.estimate;
            starts.push((miner, start.at.max(now), start.in_pool));
        }
        let first = starts.iter().min_by(|one, other| one.1.total_cmp(&other.1));
        let (miner, at, in_pool) = *first.expect("somebody may mine");
        let beside = starts.iter().any(|(other, start, _)| *other != miner && *start < at + LATENCY);
        self.contested += usize::from(beside);
        self.blocks.push((miner, at + LATENCY));
        in_pool
    }

    fn run(&mut self, blocks: usize) {
        for _ in 0..blocks {
            self.next_block();
        }
    }

    /// Blocks of each miner among the last `count`.
    fn shares(&self, count: usize) -> Vec<usize> {
        let mut shares = vec![0; self.alive.len()];
        for (miner, _) in self.blocks.iter().rev().take(count) {
            shares[*miner] += 1;
        }
        shares
    }

    fn mean_gap(&self, count: usize) -> f64 {
        let last = self.blocks.len() - 1;
        (self.blocks[last].1 - self.blocks[last - count].1) / count as f64
    }
}

/// Who made at least one of the blocks.
fn makers(shares: &[usize]) -> Vec<usize> {
    (0..shares.len()).filter(|miner| shares[*miner] > 0).collect()
}

#[test]
fn without_turnover_a_fixed_group_as_large_as_diversity_demands_rotates() {
    for (miners, diversity, group) in [(10, 0, 1), (10, 300_000, 3), (10, 750_000, 8), (4, 750_000, 3)] {
        let mut crew = Crew::new(miners, diversity, 0.0);
        crew.run(200);
        let first = makers(&crew.shares(100));
        crew.run(1_000);
        let shares = crew.shares(1_000);
        assert_eq!(makers(&shares).len(), group, "{miners} at {diversity}: {shares:?}");
        assert_eq!(makers(&shares), first, "the group stays");
        let even = 1_000 / group;
        assert!(makers(&shares).iter().all(|miner| shares[*miner].abs_diff(even) <= 1), "each in turn: {shares:?}");
    }
}

#[test]
fn others_step_in_when_one_of_the_group_fails_and_the_chain_goes_on() {
    let mut crew = Crew::new(10, 300_000, 0.0);
    crew.run(200);
    let group = makers(&crew.shares(100));
    let failed = group[0];
    crew.alive[failed] = false;
    crew.run(100);
    let shares = crew.shares(60);
    assert_eq!(shares[failed], 0);
    assert_eq!(makers(&shares).len(), 3, "one came in his place: {shares:?}");
    let longest = crew.blocks.windows(2).map(|pair| pair[1].1 - pair[0].1).fold(0.0, f64::max);
    assert!(longest < 4.0 * TARGET, "nobody waited {longest} s");
    crew.alive[failed] = true;
    crew.run(100);
    assert_eq!(crew.shares(50)[failed], 0, "who comes back is a backup");
}

#[test]
fn with_full_turnover_everyone_takes_part_evenly() {
    for (miners, diversity) in [(5, 0), (10, 300_000), (10, 750_000)] {
        let mut crew = Crew::new(miners, diversity, 1.0);
        crew.run(100);
        let blocks = 6_000;
        crew.run(blocks);
        // Neighbouring blocks depend on each other; every 40th block hardly does.
        let mut counts = vec![0u32; miners as usize];
        let sample: Vec<usize> = crew.blocks.iter().rev().take(blocks).step_by(40).map(|b| b.0).collect();
        for miner in &sample {
            counts[*miner] += 1;
        }
        let expected = sample.len() as f64 / f64::from(miners);
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // The 99.9% quantile at miners - 1 degrees of freedom.
        let quantile = if miners == 5 { 18.47 } else { 27.88 };
        assert!(chi_square < quantile, "{miners} at {diversity}: {chi_square}, {counts:?}");
        let shares = crew.shares(blocks);
        let even = blocks / miners as usize;
        assert!(shares.iter().all(|share| (even / 2..even * 2).contains(share)), "{shares:?}");
    }
}

#[test]
fn without_turnover_and_with_it_blocks_come_near_the_target() {
    for turnover in [0.0, 0.5, 1.0] {
        for (miners, diversity) in [(1, 300_000), (4, 300_000), (10, 750_000)] {
            let mut crew = Crew::new(miners, diversity, turnover);
            crew.run(600);
            let gap = crew.mean_gap(500);
            assert!((gap - TARGET).abs() < 0.15 * TARGET, "{miners} at {diversity}, turnover {turnover}: {gap} s");
        }
    }
}

#[test]
fn miners_who_have_made_no_block_yet_do_not_all_start_at_once() {
    for (diversity, turnover, rotates) in
        [(0, 0.0, true), (1_000_000, 0.0, false), (1_000_000, 0.5, false), (750_000, 1.0, false)]
    {
        let mut crew = Crew { rotates, ..Crew::new(80, diversity, turnover) };
        crew.run(crew.spacing.max(70) - 2);
        let blocks = crew.blocks.len();
        assert!(crew.contested * 8 < blocks, "{diversity}, {turnover}: {} of {blocks} contested", crew.contested);
        let gap = crew.mean_gap(blocks - 1);
        assert!(gap < 1.5 * TARGET, "{diversity}, {turnover}: {gap} s");
    }
}

#[test]
fn the_default_lets_newcomers_in_now_and_then() {
    let mut crew = Crew::new(10, 300_000, 0.5);
    crew.run(3_000);
    let shares = crew.shares(2_000);
    assert_eq!(makers(&shares).len(), 10, "{shares:?}");
    let changes =
        crew.blocks.windows(13).filter(|window| window[..12].iter().all(|block| block.0 != window[12].0)).count();
    assert!((30..1_500).contains(&changes), "{changes} newcomers");
}

#[test]
fn a_newcomer_is_who_made_the_newest_block_and_none_of_the_other_recent_ones() {
    assert!(newcomer(&[3, 1, 2, 1]));
    assert!(!newcomer(&[3, 1, 2, 3]));
    assert!(newcomer(&[3]));
    assert!(!newcomer::<u8>(&[]));
}

#[test]
fn who_is_not_in_the_pool_joins_with_turnover_over_the_estimate() {
    let start = |estimate: Option<f64>, draw: f64| {
        let facts = TurnoverFacts {
            now: 1_000.0,
            target: TARGET,
            turnover: 0.5,
            creation: 0.0,
            arrivals: &[999.0],
            recent_miners: &[1, 2],
            eligible: 6,
            rotates: false,
            own: 7,
        };
        choose_start(&facts, Estimate(estimate), |_| true, || draw)
    };
    for (estimate, chance) in [(Some(1.0), 0.5), (Some(2.0), 0.25), (Some(0.1), 0.5)] {
        assert!(start(estimate, chance - 0.01).in_pool, "{estimate:?}");
        assert!(!start(estimate, chance + 0.01).in_pool, "{estimate:?}");
    }
    // At first: four outside the pool of two, over 0.5, give 8; and half of it remains for the next block.
    assert!(start(None, 0.06).in_pool && !start(None, 0.07).in_pool);
    let Estimate(next) = start(None, 0.07).estimate;
    assert!((next.unwrap() - 4.0).abs() < 0.001);
    let Estimate(least) = start(Some(1.5), 0.9).estimate;
    assert_eq!(least, Some(1.0), "never below 1");
}
