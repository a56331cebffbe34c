//! Mining diversity over four real miners: the rule's spacing is checked block by block against the chain.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::harness::chain::Chain;

/// Blocks looked at once all four may mine: six rounds.
const BLOCKS: u64 = 24;

/// The spacing the rule demands of `miners` at a diversity in millionths: its ceiling share, at least 1.
fn spacing(miners: u64, diversity_millionths: u64) -> u64 {
    let share = miners * diversity_millionths;
    let spacing = if share > 0 { (share - 1) / 1_000_000 + 1 } else { 1 };
    spacing.clamp(1, miners)
}

#[test]
fn the_expected_spacings_are_those_of_the_rule() {
    let of_four = [0, 300_000, 750_000, 1_000_000].map(|diversity| spacing(4, diversity));
    assert_eq!(of_four, [1, 2, 3, 4]);
    assert_eq!((spacing(10, 300_000), spacing(10, 750_000), spacing(1, 1_000_000)), (3, 8, 1));
}

/// Runs four miners and checks that no miner comes back before `spacing` blocks have passed.
async fn four_miners_keep_distance(diversity: &str, spacing: u64) {
    let chain = Chain::create("turns")
        .param("setup-first-blocks", "2")
        .param("mining-diversity", diversity)
        .param("mining-turnover", "1")
        .nodes(&["a", "b", "c", "d"])
        .start()
        .await;
    chain.grant_mine_to_all().await;
    let node = chain.node("a");
    let from = node.height().await + 1;
    let to = from + BLOCKS - 1;
    chain.wait_height(to).await;

    let miners = node.miners(1, to).await;
    let mut last = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (height, miner) in (1..).zip(&miners) {
        if height >= from {
            seen.insert(miner.clone());
            if let Some(before) = last.get(miner) {
                let distance = height - before;
                assert!(
                    distance >= spacing,
                    "at diversity {diversity}, {miner} mined {before} and {height}; spacing is {spacing}: {miners:#?}"
                );
            }
        }
        last.insert(miner.clone(), height);
    }
    // Fewer than `spacing` miners could not have gone on; with chance alone, two of four for 24 blocks cannot be.
    let least = usize::try_from(spacing.max(3)).expect("a small number");
    assert!(seen.len() >= least, "only {seen:?} mined at diversity {diversity}");

    for node in chain.nodes() {
        let entries = node.call("listminers", json!([])).await;
        let mut waits: Vec<u64> =
            entries.as_array().unwrap().iter().map(|entry| entry["diversitywaitblocks"].as_u64().unwrap()).collect();
        waits.sort_unstable();
        let mut expected = vec![0; usize::try_from(4 - (spacing - 1)).unwrap()];
        expected.extend(1..spacing);
        assert_eq!(waits, expected, "listminers of {} at diversity {diversity}: {entries:#}", node.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_diversity_0_any_of_four_miners_may_take_every_block() {
    four_miners_keep_distance("0", spacing(4, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_diversity_0_3_no_miner_of_four_takes_two_blocks_running() {
    four_miners_keep_distance("0.3", spacing(4, 300_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_diversity_0_75_two_others_mine_between_a_miners_blocks() {
    four_miners_keep_distance("0.75", spacing(4, 750_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_diversity_1_four_miners_go_round_in_strict_order() {
    four_miners_keep_distance("1", spacing(4, 1_000_000)).await;
}
