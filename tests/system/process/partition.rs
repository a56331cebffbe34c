//! Networks that fall apart and come together again; the links between the nodes are cut by the test.

use crate::harness::chain::Chain;
use crate::harness::wait::{LONG_PATIENCE, check, until_within};

/// Four miners past setup who mine alone too, joined by links that can be cut.
async fn four_linked_miners(diversity: &str) -> Chain {
    let chain = Chain::create("split")
        .param("setup-first-blocks", "2")
        .param("mining-diversity", diversity)
        .param("mining-requires-peers", "false")
        .nodes(&["a", "b", "c", "d"])
        .linked()
        .start()
        .await;
    chain.grant_mine_to_all().await;
    chain
}

/// Fails when a node sees peers beyond its island: then the links do not carry all traffic.
async fn wait_islands(chain: &Chain, islands: &[&[&str]]) {
    for island in islands {
        for name in *island {
            let mut others = Vec::new();
            for other in island.iter().filter(|other| *other != name) {
                others.push(chain.node(other).address().await);
            }
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            chain.node(name).wait_peers(&others).await;
        }
    }
}

/// Waits until every node's active chain holds this block at this height.
async fn wait_adopted(chain: &Chain, height: u64, hash: &str) {
    for node in chain.nodes() {
        until_within(LONG_PATIENCE, &format!("block {height} of the winning branch on {}", node.name), async || {
            if node.height().await < height {
                return Err("too short".to_owned());
            }
            let there = node.hash_at(height).await;
            check(there == hash, there)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_high_diversity_the_smaller_island_freezes_and_the_larger_ones_branch_wins() {
    let chain = four_linked_miners("0.75").await;
    chain.node("a").wait_blocks(4).await;
    let islands: [&[&str]; 2] = [&["a", "b", "c"], &["d"]];
    chain.links.split(&islands);
    wait_islands(&chain, &islands).await;

    let (a, d) = (chain.node("a"), chain.node("d"));
    let at_cut = d.height().await;
    // Three of four miners satisfy a spacing of three; one alone may add at most the one block it was due.
    let grown = a.wait_blocks(9).await;
    let frozen = d.height().await;
    assert!(frozen <= at_cut + 1, "the smaller island went from {at_cut} to {frozen}");
    let winner = a.hash_at(grown).await;

    chain.links.heal_all();
    wait_adopted(&chain, grown, &winner).await;
    chain.wait_agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_low_diversity_both_islands_advance_and_the_longer_branch_wins_with_all_items() {
    let chain = four_linked_miners("0.3").await;
    chain.node("a").open_stream("s", true).await;
    chain.wait_agreed().await;
    let islands: [&[&str]; 2] = [&["a", "b"], &["c", "d"]];
    chain.links.split(&islands);
    wait_islands(&chain, &islands).await;

    let (a, c) = (chain.node("a"), chain.node("c"));
    let lost = c.publish("s", "from", "the losing side").await;
    let (a_start, c_start) = (a.height().await, c.height().await);
    let shorter = c.wait_blocks(3).await;
    assert!(shorter >= c_start + 3);
    c.wait_confirmed(&lost).await;
    for name in ["c", "d"] {
        chain.node(name).call("pause", serde_json::json!(["mining"])).await;
    }
    let behind = c.height().await;
    let longer = behind.max(a_start) + 4;
    a.wait_height(longer).await;
    let winner = a.hash_at(longer).await;
    assert_ne!(c.hash_at(behind).await, a.hash_at(behind).await, "the islands were one network all the time");

    chain.links.heal_all();
    wait_adopted(&chain, longer, &winner).await;
    a.wait_confirmed(&lost).await;
    assert_eq!(a.wait_item("s", &lost).await["data"]["text"], "the losing side");
    for name in ["c", "d"] {
        chain.node(name).call("resume", serde_json::json!(["mining"])).await;
    }
    chain.wait_agreed().await;
}
