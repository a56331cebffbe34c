//! Off-chain items: the chain carries hashes, peers deliver the bodies.

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// A body of several chunks (the chain's chunk size is set to 4 KiB below) that is not its own repetition.
fn body(seed: u32) -> String {
    let mut value = seed;
    let bytes: Vec<u8> = (0..20_000)
        .map(|_| {
            value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value.to_be_bytes()[0]
        })
        .collect();
    hex::encode(bytes)
}

async fn publish_offchain(node: &Node, content: &str) -> String {
    text(&node.call("publish", json!(["s", "k", content, "offchain"])).await)
}

/// Waits until the item is delivered, and gives its body.
async fn delivered(node: &Node, txid: &str) -> String {
    until(&format!("the body of {txid} on {}", node.name), async || {
        let item = node.call("getstreamitem", json!(["s", txid])).await;
        check(item["available"] == true, item)
    })
    .await;
    let item = node.call("getstreamitem", json!(["s", txid])).await;
    assert_eq!(item["offchain"], true);
    let vout = item["data"]["vout"].as_u64().expect("a large body is shown by reference");
    text(&node.call("gettxoutdata", json!([txid, vout])).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offchain_item_reaches_a_subscribed_peer_whole() {
    let chain = Chain::create("c").param("maximum-chunk-size", "4096").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s"])).await;

    let content = body(1);
    let txid = publish_offchain(a, &content).await;
    b.wait_item("s", &txid).await;
    assert_eq!(delivered(b, &txid).await, content);
    assert_eq!(delivered(a, &txid).await, content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_subscriber_fetches_old_bodies_and_waits_for_an_absent_publisher() {
    let chain = Chain::create("c").param("maximum-chunk-size", "4096").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    let content = body(2);
    let txid = publish_offchain(b, &content).await;
    a.wait_item("s", &txid).await;
    assert_eq!(delivered(a, &txid).await, content);

    let later = chain.outsider("c");
    chain.admit(&later, &b.invitation()).await;
    b.stop().await;
    later.call("subscribe", json!(["s"])).await;
    let item = later.wait_item("s", &txid).await;
    assert_eq!(item["available"], false, "there is nobody to have it from: {item}");
    b.restart().await;
    assert_eq!(delivered(&later, &txid).await, content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_itself_holds_hashes_and_not_the_body() {
    let chain = Chain::create("c").param("maximum-chunk-size", "4096").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let content = body(3);
    let txid = publish_offchain(a, &content).await;
    a.wait_confirmed(&txid).await;
    let raw = text(&a.call("getrawtransaction", json!([txid])).await);
    assert!(raw.len() < content.len() / 4, "the transaction has {} digits", raw.len());
    assert!(!raw.contains(&content[..64]));
}
