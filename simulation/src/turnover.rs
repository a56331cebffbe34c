//! Who makes the blocks: at turnover 0 a fixed group rotates, at 1 all permitted miners take part evenly.
#![allow(clippy::print_stdout, reason = "this is a program for a person")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rota_chain::hash::BlockHash;

use crate::plan::{Kind, NetworkFaults, NodeFaults, Plan};
use crate::world::{SECOND, World};

/// Miners of the measured chains.
const MINERS: usize = 8;
/// Diversity of the measured chains, in millionths: two of eight miners are barred.
const DIVERSITY: u32 = 300_000;
/// Microseconds between two ticks where nothing goes wrong: nobody has to be asked again.
const TICK: u64 = 5 * SECOND;
/// Blocks after which a chain has forgotten how it began.
const WARM: u32 = 50;
/// Chi-square above which 7 degrees of freedom are no chance, once in a thousand.
const CHI_SQUARE: f64 = 24.32;

/// What was counted.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Blocks of each miner, by number of its node.
    pub blocks: BTreeMap<usize, u64>,
    /// Spacing of the chain.
    pub spacing: u32,
}

impl Shares {
    /// Chi-square against even shares.
    #[must_use]
    pub fn chi_square(&self) -> f64 {
        let total: u64 = self.blocks.values().sum();
        let expected = total as f64 / MINERS as f64;
        (0..MINERS)
            .map(|miner| {
                let seen = self.blocks.get(&miner).copied().unwrap_or(0) as f64;
                (seen - expected).powi(2) / expected
            })
            .sum()
    }
}

/// Makes a chain of `blocks` blocks without faults and counts its miners.
///
/// # Errors
/// If the chain does not grow.
pub fn measure(turnover: u32, blocks: u32, folder: &Path) -> anyhow::Result<Shares> {
    let plan = Plan {
        seed: u64::from(turnover) + 1,
        kind: Kind::Mixed,
        nodes: MINERS,
        miners: MINERS,
        admins: 1,
        target: 15,
        diversity: DIVERSITY,
        turnover,
        setup: 1,
        admin_consensus: 0,
        lock_rounds: 10,
        empty_rounds: -1_000_000,
        requires_peers: false,
        anyone_can_connect: true,
        chaos: 0,
        network: NetworkFaults::default(),
        faults: NodeFaults::default(),
        transactions: 0,
        byzantine: false,
        on_disk: false,
        sabotage: None,
    };
    let folder = folder.join("turnover");
    std::fs::create_dir_all(&folder)?;
    let mut world = World::new(plan, folder.clone())?;
    world.tick = TICK;
    world.begin()?;
    let target = blocks + WARM;
    let grown = world.run(world.block_time() * u64::from(target) * 3, |world| world.height() >= target)?;
    anyhow::ensure!(grown, "the chain stays at {}: {:?}", world.height(), world.checks.failure);
    let (_, tip) = world.nodes.first().and_then(crate::node::Node::tip).context("the first node runs")?;
    let spacing = world.checks.rotation(&tip).map_or(1, |rotation| rotation.spacing);
    let mut shares = Shares { blocks: BTreeMap::new(), spacing };
    let mut next: BlockHash = tip;
    while let Some(seen) = world.checks.seen(&next).filter(|seen| seen.height > WARM) {
        let miner = (0..MINERS).find(|node| world.chain.address(*node) == seen.miner).context("a known miner")?;
        *shares.blocks.entry(miner).or_default() += 1;
        next = seen.previous;
    }
    drop(world);
    std::fs::remove_dir_all(&folder)?;
    Ok(shares)
}

/// Whether the miners of a chain are as docs/protocol/mining.md says of its turnover: what was seen, and the verdict.
#[must_use]
pub fn judge(turnover: u32, shares: &Shares) -> (String, bool) {
    let total: u64 = shares.blocks.values().sum();
    if turnover == 0 {
        let mut counts: Vec<u64> = shares.blocks.values().copied().collect();
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        let group: u64 = counts.iter().take(shares.spacing as usize).sum();
        let text = format!("turnover 0: {group} of {total} blocks by {} miners, {counts:?}", shares.spacing);
        // Others step in when one of the group is late: that is rare.
        return (text, group * 100 >= total * 98);
    }
    let chi = shares.chi_square();
    let text = format!("turnover 1: chi-square {chi:.2} over {total} blocks, limit {CHI_SQUARE}: {:?}", shares.blocks);
    (text, chi <= CHI_SQUARE)
}

/// Measures and judges both ends of turnover.
///
/// # Errors
/// As [`measure`].
pub fn report(blocks: u32, folder: &Path) -> anyhow::Result<ExitCode> {
    let mut good = true;
    for turnover in [0, 1_000_000] {
        let shares = measure(turnover, blocks, folder)?;
        let (text, holds) = judge(turnover, &shares);
        println!("{text}: {}", if holds { "as documented" } else { "FAILED" });
        good &= holds;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
