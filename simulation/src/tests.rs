//! Tests of the simulation: that a seed says all, and that what is broken on purpose is noticed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use crate::plan::{Kind, Plan, Sabotage};
use crate::run::{Outcome, Reading, run};
use crate::turnover;

/// A folder of a test's own.
fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rota-simulation-test-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a plan with all parallel work in this thread.
fn alone(test: &str, plan: Plan) -> Outcome {
    let folder = folder(test);
    let outcome = std::thread::spawn({
        let folder = folder.clone();
        move || {
            let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
            run(plan, &folder, Reading::default()).unwrap()
        }
    });
    let outcome = outcome.join().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    outcome
}

/// The properties that fail in the first seeds of a kind, with something broken.
fn noticed(test: &str, sabotage: Sabotage, shape: impl Fn(&mut Plan)) -> Vec<&'static str> {
    let mut noticed = Vec::new();
    for seed in 0..12 {
        let mut plan = Plan::of(seed);
        (plan.kind, plan.byzantine, plan.nodes, plan.miners, plan.on_disk) = (Kind::Mixed, false, 5, 5, false);
        plan.sabotage = Some(sabotage);
        shape(&mut plan);
        noticed.extend(alone(test, plan).failure.map(|failure| failure.property));
    }
    noticed
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_gives_others() {
    let hash = |seed| alone(&format!("same-{seed}"), Plan::of(seed)).hash;
    for seed in [3, 7, 11] {
        assert_eq!(hash(seed), hash(seed));
    }
    assert_ne!(hash(3), hash(4));
}

#[test]
fn chance_that_is_not_of_the_seed_gives_other_events() {
    let plan = Plan { sabotage: Some(Sabotage::OtherChance), ..Plan::of(3) };
    assert_ne!(alone("chance-1", plan.clone()).hash, alone("chance-2", plan).hash);
}

#[test]
fn a_database_on_disk_and_one_in_memory_give_the_same_events() {
    for seed in [2, 8] {
        let mut plan = Plan::of(seed);
        (plan.kind, plan.faults.crashes) = (Kind::Mixed, 0);
        let in_memory = alone(&format!("memory-{seed}"), plan.clone());
        plan.on_disk = true;
        assert_eq!(alone(&format!("disk-{seed}"), plan).hash, in_memory.hash);
    }
}

#[test]
fn the_simulation_notices_a_node_that_lets_miners_mine_out_of_turn() {
    let noticed = noticed("spacing", Sabotage::NoSpacing, |plan| plan.diversity = 750_000);
    assert!(noticed.contains(&"spacing, permission and time hold on every accepted chain"), "{noticed:?}");
}

#[test]
fn the_simulation_notices_a_chain_without_spacing() {
    let noticed = noticed("nowhere", Sabotage::NoSpacingAnywhere, |plan| plan.diversity = 750_000);
    assert!(noticed.contains(&"spacing, permission and time hold on every accepted chain"), "{noticed:?}");
}

#[test]
fn the_simulation_notices_a_node_that_counts_votes_otherwise() {
    let noticed = noticed("votes", Sabotage::OtherVotes, |plan| {
        (plan.admins, plan.admin_consensus, plan.faults.grants, plan.setup) = (3, 0, 6, 1);
    });
    assert!(!noticed.is_empty(), "nobody noticed");
}

#[test]
fn the_simulation_notices_a_node_that_forgets_what_it_acknowledged() {
    let noticed = noticed("journal", Sabotage::NoJournal, |plan| {
        (plan.faults.crashes, plan.transactions, plan.faults.partitions) = (6, 4, 3);
    });
    assert!(noticed.contains(&"an acknowledged transaction is confirmed or ends visibly"), "{noticed:?}");
}

#[test]
fn the_simulation_notices_a_network_that_does_not_heal() {
    let noticed = noticed("network", Sabotage::NoNetwork, |_| {});
    assert!(noticed.contains(&"all honest nodes reach one tip within three block times"), "{noticed:?}");
}

#[test]
fn the_simulation_notices_a_chain_that_stalls() {
    let noticed = noticed("mining", Sabotage::NoMining, |_| {});
    assert!(noticed.contains(&"a chain that should not stall does not"), "{noticed:?}");
}

#[test]
fn the_simulation_notices_a_governance_fork_that_is_not_reported() {
    let mut noticed = Vec::new();
    for seed in (0..400).filter(|seed| Plan::of(*seed).kind == Kind::Governance).take(8) {
        let plan = Plan { sabotage: Some(Sabotage::NoReport), ..Plan::of(seed) };
        noticed.extend(alone("report", plan).failure.map(|failure| failure.property));
    }
    assert!(noticed.contains(&"all nodes report a governance fork with both tips"), "{noticed:?}");
}

#[test]
fn at_turnover_0_a_fixed_group_rotates_and_at_1_all_take_part_evenly() {
    let measure = |turnover| {
        let folder = folder(&format!("turnover-{turnover}"));
        let shares = turnover::measure(turnover, 1_000, &folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        shares
    };
    let (none, full) = (measure(0), measure(1_000_000));
    for (turnover, shares) in [(0, &none), (1_000_000, &full)] {
        let (text, holds) = turnover::judge(turnover, shares);
        assert!(holds, "{text}");
    }
    assert!(!turnover::judge(1_000_000, &none).1, "the shares of a fixed group are not even");
    assert!(!turnover::judge(0, &full).1, "even shares are not those of a fixed group");
}
