//! A node that dies at any moment: what it acknowledged is there afterwards, once.

use std::collections::BTreeMap;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};
use serde_json::json;

/// Publishes until the node stops answering; gives the acknowledged ids.
async fn publish_until_death(node: &Node, round: usize, kill_after: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if number == kill_after {
            // The kill falls among the calls of the other publisher, at no particular point of the node's work.
            node.kill().await;
        }
        let content = json!({"text": format!("{round}-{number}")});
        match node.try_call("publish", json!(["s", "k", content])).await {
            Ok(txid) => acknowledged.push(text(&txid)),
            Err(_) => break,
        }
    }
    acknowledged
}

async fn publish_alongside(node: &Node) -> Vec<String> {
    let mut acknowledged = Vec::new();
    while let Ok(txid) = node.try_call("publish", json!(["s", "other", {"text": "alongside"}])).await {
        acknowledged.push(text(&txid));
    }
    acknowledged
}

/// Fails unless every id is listed exactly once.
async fn wait_each_once(node: &Node, acknowledged: &[String]) {
    until("every acknowledged item to be listed once", async || {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in node.items("s").await {
            *counts.entry(text(&item["txid"])).or_default() += 1;
        }
        let wrong: Vec<_> = acknowledged.iter().filter(|txid| counts.get(*txid) != Some(&1)).take(3).collect();
        check(wrong.is_empty(), format!("{} items; not once: {wrong:?}", counts.len()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_acknowledged_before_a_kill_are_there_after_the_restart() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let mut acknowledged = Vec::new();
    for (round, kill_after) in [40, 90, 7].into_iter().enumerate() {
        let (one, other) = tokio::join!(publish_until_death(a, round, kill_after), publish_alongside(a));
        assert!(one.len() >= kill_after, "publishing ended before the kill");
        acknowledged.extend(one);
        acknowledged.extend(other);
        a.restart().await;
        wait_each_once(a, &acknowledged).await;
    }
    for txid in &acknowledged {
        a.wait_confirmed(txid).await;
    }
    wait_each_once(a, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_catches_up_with_the_network_and_mines_again() {
    let chain = Chain::create("c").param("mining-diversity", "0").nodes(&["a", "b"]).start().await;
    chain.grant_mine_to_all().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    let before = b.publish("s", "k", "acknowledged, never mined by me").await;
    b.kill().await;
    let meanwhile = a.publish("s", "k", "while it was dead").await;
    // mining-requires-peers keeps the survivor idle; what it had is not lost by that.
    b.restart().await;
    chain.wait_agreed().await;
    for txid in [&before, &meanwhile] {
        a.wait_confirmed(txid).await;
        b.wait_confirmed(txid).await;
    }
    let address = b.address().await;
    let from = a.height().await;
    until("a block of the node that was killed", async || {
        let to = a.height().await;
        let miners = a.miners(from, to).await;
        check(miners.contains(&address), miners)
    })
    .await;
}
