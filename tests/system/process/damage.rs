//! Damaged files and refusals late in a start: what rota-torture found, each as a scenario of its own.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// A node with an item that waits, stopped.
async fn stopped_with_waiting(chain: &Chain) -> (String, PathBuf) {
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.call("pause", json!(["mining"])).await;
    a.publish("s", "k", "first").await;
    let txid = a.publish("s", "k", "second").await;
    a.stop().await;
    (txid, a.folder().join("journal"))
}

async fn refused(node: &Node, parts: &[&str]) {
    node.run_to_end("c", &[]).await.failed_saying(parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_cut_is_refused_until_it_is_restored() {
    let chain = Chain::create("c").node("a").start().await;
    let (txid, journal) = stopped_with_waiting(&chain).await;
    let a = chain.node("a");
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &whole[..whole.len() - 20]).unwrap();
    for _ in 0..2 {
        refused(a, &["storage-damaged-journal", "backup", "-reindex"]).await;
    }
    std::fs::write(&journal, &whole).unwrap();
    a.restart().await;
    a.wait_item("s", &txid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_that_lost_a_key_is_refused_until_it_is_restored() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let address = text(&a.call("getnewaddress", json!([])).await);
    a.stop().await;
    let keys = a.folder().join("wallet").join("keys.dat");
    let whole = std::fs::read(&keys).unwrap();
    std::fs::write(&keys, &whole[..whole.len() - 20]).unwrap();
    refused(a, &["wallet-key-lost", &address, "backup"]).await;
    std::fs::write(&keys, &whole).unwrap();
    a.restart().await;
    assert!(a.call("getaddresses", json!([])).await.as_array().expect("a list").contains(&json!(address)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_after_the_database_was_opened_ends_without_a_signal() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    for _ in 0..10 {
        a.run_to_end("c", &["-pid=/nonexistent/noded.pid"]).await.failed_saying(&["-pid"]);
    }
    a.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_at_one_tip_stays_valid_at_a_lower_one() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.call("pause", json!(["mining"])).await;
    let txid = a.publish("s", "k", "at the higher tip").await;
    let tip = a.tip().await;
    a.call("invalidateblock", json!([tip])).await;
    assert!(a.call("getrawmempool", json!([])).await.as_array().expect("a list").contains(&json!(txid)));
    a.kill().await;
    a.restart().await;
    a.wait_confirmed(&txid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_node_has_no_crash_points() {
    let program = std::fs::read(crate::harness::binary::path("noded")).unwrap();
    let words = b"ROTA_CRASH_AT";
    assert!(!program.windows(words.len()).any(|bytes| bytes == words), "noded was built with crash points");
}
