//! What changes when a permission is given or taken: who is connected, who may write.

use serde_json::json;

use crate::harness::chain::Chain;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_loses_connect_is_disconnected_and_returns_when_it_is_granted_again() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let address = b.address().await;
    a.wait_peers(&[&address]).await;

    chain.revoke("b", "connect").await;
    a.wait_peers(&[]).await;
    let left_behind = b.height().await;
    let grown = a.wait_blocks(3).await;
    let still = b.height().await;
    assert!(still < grown, "the dropped node went from {left_behind} to {still}, the chain to {grown}");
    assert!(!a.has_permission(&address, "connect").await);

    let txid = a.call("grant", json!([address, "connect"])).await;
    a.wait_confirmed(txid.as_str().unwrap()).await;
    a.wait_peers(&[&address]).await;
    chain.wait_agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_to_a_closed_stream_needs_the_streams_permission() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", false).await;
    chain.wait_agreed().await;
    let refusal = b.refusal("publish", json!(["s", "k", {"text": "no"}])).await;
    assert_eq!(refusal.code, -704, "{refusal:?}");

    chain.grant("b", "s.write").await;
    chain.wait_agreed().await;
    let txid = b.publish("s", "k", "yes").await;
    a.wait_item("s", &txid).await;

    chain.revoke("b", "s.write").await;
    chain.wait_agreed().await;
    assert_eq!(b.refusal("publish", json!(["s", "k", {"text": "no more"}])).await.code, -704);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_may_be_used_before_it_is_mined() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let address = b.address().await;
    a.call("pause", json!(["mining"])).await;
    a.call("create", json!(["stream", "fresh", false])).await;
    let grant = a.call("grant", json!([address, "fresh.write"])).await;
    crate::harness::wait::until("the grant to reach the other node", async || {
        let known = b.call("getrawmempool", json!([])).await;
        let there = known.as_array().unwrap().contains(&grant);
        crate::harness::wait::check(there, known)
    })
    .await;
    let txid = b.publish("fresh", "k", "early").await;
    a.call("resume", json!(["mining"])).await;
    a.wait_confirmed(&txid).await;
}
