//! Who may mine: permission, spacing over many blocks, the setup phase, and when grants take hold.

use std::collections::BTreeSet;

use rota_chain::permission::Permission;
use rota_consensus::mining::{check_miner, earliest, permitted_miners, spacing_at};
use rota_consensus::rule::BlockRule;

use crate::chain_builder::{Chain, rule};
use crate::transaction_builder::{Party, broken, party};

fn crew(count: u32) -> Vec<Party> {
    let others = (1..count).map(|index| party(&format!("miner {index}")));
    std::iter::once(party("alice")).chain(others).collect()
}

/// A chain with `count` permitted miners after one block.
fn with_crew(count: u32, diversity: u32) -> (Chain, Vec<Party>) {
    let mut chain = Chain::with(|rules| {
        rules.mining_diversity = diversity;
        rules.consensus_mine = 0;
    });
    let crew = crew(count);
    let grants = crew[1..].iter().fold(chain.write().author(&party("alice")), |w, miner| w.grant(miner, "mine"));
    if count > 1 {
        chain.confirm(grants);
    } else {
        chain.mine(Vec::new());
    }
    (chain, crew)
}

#[test]
fn an_address_without_mine_makes_no_blocks() {
    let mut chain = Chain::new();
    let bob = party("bob");
    let refusal = chain.mine_by(&bob, Vec::new()).unwrap_err();
    assert_eq!(refusal, BlockRule::Miner { miner: bob.hash() }.into());
    broken(refusal, "block-miner");
}

#[test]
fn administrators_without_mine_make_no_blocks() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "admin"));
    broken(chain.mine_by(&bob, Vec::new()).unwrap_err(), "block-miner");
}

/// For every block of 200, who is barred is computed here from the produced blocks alone.
#[test]
fn spacing_holds_over_two_hundred_blocks_at_every_diversity() {
    let mut draw = 1u64;
    for miners in [1u32, 2, 4, 5, 10] {
        for diversity in [0u32, 300_000, 500_000, 750_000, 1_000_000] {
            let (mut chain, crew) = with_crew(miners, diversity);
            let exact = f64::from(miners) * f64::from(diversity) / 1e6;
            let spacing = (exact.ceil() as usize).max(1);
            let mut produced = vec![0usize, 0];
            for height in 2..=200usize {
                let recent = &produced[height.saturating_sub(spacing - 1).min(height)..];
                let allowed: Vec<usize> = (0..crew.len())
                    .filter(|index| {
                        let miner = crew[*index].hash();
                        let free = !recent.contains(index);
                        let verdict = check_miner(&chain.state, &chain.rules, miner, chain.tip().next());
                        assert_eq!(verdict.is_ok(), free, "{miners} at {diversity}, {height}");
                        if let Err(error) = verdict {
                            broken(rule(error), "block-spacing");
                        }
                        free
                    })
                    .collect();
                let barred: BTreeSet<&usize> = recent.iter().collect();
                assert_eq!(allowed.len(), miners as usize - barred.len());
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let chosen = allowed[(draw >> 33) as usize % allowed.len()];
                chain.mine_by(&crew[chosen], Vec::new()).unwrap();
                produced.push(chosen);
            }
            for (start, window) in produced[2..].windows(spacing).enumerate() {
                let distinct: BTreeSet<&usize> = window.iter().collect();
                assert_eq!(distinct.len(), spacing, "blocks from {}", start + 2);
            }
        }
    }
}

#[test]
fn a_block_by_a_barred_miner_is_refused_and_names_the_wait() {
    let (mut chain, crew) = with_crew(4, 750_000);
    let refusal = chain.mine_by(&crew[0], Vec::new()).unwrap_err();
    assert_eq!(refusal, BlockRule::Spacing { miner: crew[0].hash(), last: chain.tip(), spacing: 3 }.into());
    broken(refusal, "block-spacing");
    let next = chain.tip().next();
    let wait = earliest(&chain.state, &chain.rules, crew[0].hash(), next).unwrap();
    assert_eq!(wait.0, chain.tip().0 + 3);
    for miner in &crew[1..3] {
        chain.mine_by(miner, Vec::new()).unwrap();
    }
    assert_eq!(chain.tip().next(), wait);
    chain.mine_by(&crew[0], Vec::new()).unwrap();
}

#[test]
fn a_grant_of_mine_holds_from_the_next_block() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let grant = chain.sign(chain.write().author(&alice).grant(&bob, "mine"));
    let own = chain.block_by(&bob, vec![grant.clone()]);
    broken(chain.offer(own).unwrap_err(), "block-miner");
    chain.mine(vec![grant]);
    assert!(chain.mine_by(&bob, Vec::new()).is_ok());
}

#[test]
fn a_revoke_of_mine_holds_from_the_next_block() {
    let mut chain = Chain::with(|rules| rules.mining_diversity = 0);
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "mine"));
    let revoke = chain.sign(chain.write().author(&alice).revoke(&bob, "mine"));
    chain.mine_by(&bob, vec![revoke]).unwrap();
    broken(chain.mine_by(&bob, Vec::new()).unwrap_err(), "block-miner");
}

#[test]
fn more_miners_mean_more_spacing_from_the_next_block() {
    let mut chain = Chain::with(|rules| {
        rules.mining_diversity = 1_000_000;
        rules.consensus_mine = 0;
    });
    let alice = party("alice");
    let grants = crew(3)[1..].iter().fold(chain.write().author(&alice), |w, miner| w.grant(miner, "mine"));
    chain.mine(Vec::new());
    chain.confirm(grants);
    // Alice alone could mine every block; now two absent miners stall her.
    let refusal = chain.mine_by(&alice, Vec::new()).unwrap_err();
    broken(refusal, "block-spacing");
    assert_eq!(permitted_miners(&chain.state, chain.tip().next()).unwrap(), 3);
}

#[test]
fn a_range_of_mine_is_tested_against_the_height_of_the_block() {
    let mut chain = Chain::with(|rules| rules.mining_diversity = 0);
    let (alice, bob) = (party("alice"), party("bob"));
    let range = rota_chain::permission::BlockRange { start: 3, end: 4 };
    chain.confirm(chain.write().author(&alice).grant_range(&bob, "mine", range));
    broken(chain.mine_by(&bob, Vec::new()).unwrap_err(), "block-miner");
    chain.mine(Vec::new());
    assert_eq!(permitted_miners(&chain.state, chain.tip().next()).unwrap(), 2);
    chain.mine_by(&bob, Vec::new()).unwrap();
    broken(chain.mine_by(&bob, Vec::new()).unwrap_err(), "block-miner");
    assert_eq!(permitted_miners(&chain.state, chain.tip().next()).unwrap(), 1);
}

#[test]
fn during_setup_permission_is_needed_and_spacing_is_not() {
    let mut chain = Chain::with(|rules| {
        rules.setup_first_blocks = 5;
        rules.mining_diversity = 1_000_000;
    });
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "mine"));
    broken(chain.mine_by(&party("carol"), Vec::new()).unwrap_err(), "block-miner");
    assert_eq!(spacing_at(2, &chain.rules, chain.tip().next()), 1);
    chain.mine_to(4);
    let mut open = chain.rules.clone();
    open.anyone.mine = true;
    assert_eq!(spacing_at(2, &open, chain.tip().next()), 1, "where anyone may mine nobody waits");
    assert_eq!(spacing_at(2, &chain.rules, chain.tip().next()), 2);
    broken(chain.mine_by(&alice, Vec::new()).unwrap_err(), "block-spacing");
    chain.mine_by(&bob, Vec::new()).unwrap();
}

#[test]
fn an_undone_block_bars_its_miner_no_longer() {
    let (mut chain, crew) = with_crew(2, 1_000_000);
    chain.mine_by(&crew[1], Vec::new()).unwrap();
    assert!(chain.mine_by(&crew[1], Vec::new()).is_err());
    chain.undo();
    assert!(chain.mine_by(&crew[0], Vec::new()).is_err());
    chain.mine_by(&crew[1], Vec::new()).unwrap();
    assert!(chain.may(&crew[1], Permission::Mine));
}
