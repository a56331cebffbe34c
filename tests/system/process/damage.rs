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

/// What params.dat was before the genesis block was made.
fn unsealed(sealed: &str) -> &str {
    &sealed[..sealed.find("# Filled by the first noded").expect("the calculated parameters come last")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_from_before_the_genesis_block_never_cost_the_chain() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.wait_height(3).await;
    let third = a.hash_at(3).await;
    a.stop().await;
    let (params, backup) = (a.folder().join("params.dat"), a.folder().join("params.dat.bak"));
    let sealed = std::fs::read_to_string(&params).unwrap();
    let blocks = || std::fs::read(a.folder().join("blocks").join("000000.dat")).unwrap();
    let before = blocks();

    std::fs::write(&params, unsealed(&sealed)).unwrap();
    for options in [&[][..], &["-reindex"][..]] {
        a.run_to_end("c", options).await.failed_saying(&["genesis-exists", "params.dat.bak", "noded c@"]);
    }
    assert!(blocks() == before && std::fs::read_to_string(&params).unwrap() == unsealed(&sealed));
    std::fs::copy(&backup, &params).unwrap();
    a.restart().await;
    assert_eq!(a.hash_at(3).await, third);

    a.stop().await;
    std::fs::write(&params, sealed.replace("anyone-can-connect = false", "anyone-can-connect = true")).unwrap();
    refused(a, &["edited after the genesis block"]).await;
    std::fs::copy(&backup, &params).unwrap();
    // As chains have it that were begun by a version that kept the former file.
    std::fs::write(&backup, unsealed(&sealed)).unwrap();
    a.restart().await;
    assert_eq!(a.hash_at(3).await, third);
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), sealed);

    a.stop().await;
    std::fs::remove_file(&params).unwrap();
    a.start_with(&b.invitation(), &[]).await;
    assert_eq!(a.hash_at(3).await, third);
    a.wait_blocks(1).await;
    chain.wait_agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_ended_before_the_parameters_were_sealed_is_done_again() {
    let chain = Chain::create("c").option("-gen=0").node("a").start().await;
    let a = chain.node("a");
    let (address, height) = (a.address().await, a.height().await);
    assert_eq!(height, 0, "nothing is mined");
    a.stop().await;
    let params = a.folder().join("params.dat");
    let sealed = std::fs::read_to_string(&params).unwrap();
    std::fs::write(&params, unsealed(&sealed)).unwrap();
    a.restart().await;
    assert_eq!((a.address().await, a.height().await), (address, 0));
    assert_ne!(std::fs::read_to_string(&params).unwrap(), unsealed(&sealed), "sealed again");
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
