//! The three set-ups of the README, created by exactly the parameters it names.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::wait::{LONG_PATIENCE, check, until_within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_permitted_miner_serves_a_network_of_others() {
    let chain = Chain::create("single").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    let txid = b.publish("s", "k", "from one who does not mine").await;
    a.wait_confirmed(&txid).await;
    b.stop().await;
    // The only miner needs nobody.
    let height = a.wait_blocks(3).await;
    let miners: BTreeSet<String> = a.miners(1, height).await.into_iter().collect();
    assert_eq!(miners, BTreeSet::from([a.address().await]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn miners_who_trust_each_other_rotate_and_any_of_them_steps_in() {
    let chain = Chain::create("trusting")
        .param("mining-diversity", "0.0")
        .param("mining-turnover", "0.0")
        .param("setup-first-blocks", "2")
        .nodes(&["a", "b", "c"])
        .start()
        .await;
    chain.grant_mine_to_all().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let height = a.wait_blocks(4).await;
    let current = a.miners(height, height).await.remove(0);
    // Whoever mines now falls away; with two of three gone or paused the last one still goes on.
    let mut left = chain.nodes();
    if current == a.address().await {
        left = &left[1..];
        a.call("pause", json!(["mining"])).await;
    } else {
        b.call("pause", json!(["mining"])).await;
        chain.node("c").call("pause", json!(["mining"])).await;
        left = &left[..1];
    }
    let mut able = BTreeSet::new();
    for node in left {
        able.insert(node.address().await);
    }
    let paused_at = a.height().await + 1;
    until_within(LONG_PATIENCE, "two blocks of a miner who stepped in", async || {
        let to = a.height().await;
        let miners = if to > paused_at { a.miners(paused_at + 1, to).await } else { Vec::new() };
        check(miners.iter().filter(|miner| able.contains(*miner)).count() >= 2, miners)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn miners_who_guard_against_abuse_all_take_part_and_none_dominates() {
    let chain = Chain::create("guarded")
        .param("mining-diversity", "0.75")
        .param("mining-turnover", "1.0")
        .param("setup-first-blocks", "2")
        .nodes(&["a", "b", "c", "d"])
        .start()
        .await;
    chain.grant_mine_to_all().await;
    let a = chain.node("a");
    let from = a.height().await + 1;
    a.wait_height(from + 11).await;
    let miners = a.miners(from, from + 11).await;
    for window in miners.windows(3) {
        let distinct: BTreeSet<&String> = window.iter().collect();
        assert_eq!(distinct.len(), 3, "three blocks running have three miners: {miners:#?}");
    }
    // One silent miner is borne: three of four satisfy the spacing of three.
    chain.node("d").kill().await;
    a.wait_blocks(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_of_mine_that_may_stall_the_chain_is_done_and_warned_of() {
    let chain =
        Chain::create("stall").param("mining-diversity", "1").param("setup-first-blocks", "2").node("a").start().await;
    let a = chain.node("a");
    a.wait_height(3).await;

    let pairs = a.call("createkeypairs", json!([])).await;
    let stranger = pairs[0]["address"].as_str().unwrap().to_owned();
    let txid = a.call("grant", json!([stranger, "mine"])).await;
    a.wait_confirmed(txid.as_str().unwrap()).await;
    a.wait_logged(&["warn", "mine"]).await;
    let miners = a.call("listminers", json!([true])).await;
    let shown = miners.as_array().unwrap().iter().any(|entry| entry["address"] == stranger.as_str());
    assert!(shown, "listminers shows the absent miner: {miners:#}");
}
