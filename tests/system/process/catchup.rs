//! A node that comes late: it takes a long chain from several peers at once and says how far it is.

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::wait::{check, until};

/// Length of the chain: more than one answer, one window of bodies and one page of anything holds.
const LENGTH: u64 = 600;

async fn received_from(node: &Node) -> Vec<u64> {
    let peers = node.call("getpeerinfo", json!([])).await;
    let peers = peers.as_array().expect("a list of peers");
    peers.iter().map(|peer| peer["bytesrecv"].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_node_takes_a_long_chain_from_two_peers_and_logs_how_far_it_is() {
    // With an easy proof of work that retargets, blocks come as fast as they are made.
    let chain = Chain::create("c")
        .param("anyone-can-connect", "true")
        .param("anyone-can-mine", "true")
        .param("pow-minimum-bits", "4")
        .param("target-adjust-freq", "86400")
        .param("mining-requires-peers", "false")
        .node("a")
        .start()
        .await;
    let a = chain.node("a");
    a.wait_height(LENGTH).await;
    a.call("pause", json!(["mining"])).await;
    let height = a.height().await;
    let b = chain.outsider("b");
    b.start_with(&a.invitation(), &["-gen=0"]).await;
    b.wait_height(height).await;

    let c = chain.outsider("c");
    let other = format!("-addnode=127.0.0.1:{}", b.port);
    c.start_with(&a.invitation(), &["-gen=0", &other]).await;
    c.wait_height(height).await;
    assert_eq!(c.hash_at(height).await, a.hash_at(height).await);
    c.wait_logged(&["syncing: height 0 of "]).await;
    c.wait_logged(&["synced: height"]).await;
    // A block has some 400 bytes: each peer gave a good part of them.
    until("both peers to have given blocks", async || {
        let received = received_from(&c).await;
        check(received.len() == 2 && received.iter().all(|bytes| *bytes > LENGTH * 50), received)
    })
    .await;
}
