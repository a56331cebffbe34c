//! Stopping and starting again: by RPC, by signal, with everything still there.

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::wait::{PATIENCE, check, until};

/// What must be the same before and after a restart.
async fn facts(node: &Node, txid: &str) -> serde_json::Value {
    json!({
        "addresses": node.call("getaddresses", json!([])).await,
        "params": node.call("getblockchainparams", json!([])).await,
        "permissions": node.call("listpermissions", json!([])).await,
        "streams": node.call("liststreams", json!(["s"])).await[0]["createtxid"],
        "data": node.call("getstreamitem", json!(["s", txid])).await["data"],
        "genesis": node.hash_at(0).await,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_everything_is_there_and_the_chain_goes_on() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let confirmed = a.publish("s", "k", "confirmed").await;
    a.wait_confirmed(&confirmed).await;
    let before = facts(a, &confirmed).await;
    a.call("pause", json!(["mining"])).await;
    let waiting = a.publish("s", "k", "not yet confirmed").await;
    let height = a.height().await;
    a.stop().await;
    a.restart().await;
    assert!(a.height().await >= height);
    assert_eq!(facts(a, &confirmed).await, before);
    assert_eq!(a.wait_item("s", &waiting).await["data"]["text"], "not yet confirmed");
    a.wait_confirmed(&waiting).await;
    a.wait_blocks(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_termination_signal_ends_the_node_cleanly() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    let txid = a.publish("s", "k", "kept").await;
    a.wait_confirmed(&txid).await;
    a.terminate().await;
    b.terminate().await;
    a.restart().await;
    b.restart().await;
    chain.wait_agreed().await;
    assert_eq!(a.wait_item("s", &txid).await["data"]["text"], "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_nodes_find_each_other_without_being_told() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.stop().await;
    b.stop().await;
    b.restart().await;
    a.restart().await;
    a.wait_peers(&[&b.address().await]).await;
    b.wait_peers(&[&a.address().await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_background_lets_go_of_whoever_reads_its_output() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c"]).await.succeeded();
    let mut command = console::command("noded", &[]);
    command.args(node.words("c")).arg("-daemon");
    // As a script or a remote shell does: both streams are read to their end.
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the end of both streams").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("Node ready."), "{text}");
    node.call("stop", json!([])).await;
    until("the node to be gone", async || {
        let answer = node.try_call("getinfo", json!([])).await;
        check(answer.is_err(), answer)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_blocks_takes_them_again_from_a_peer() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s"])).await;
    let published = b.publish("s", "k", "of b").await;
    a.wait_item("s", &published).await;
    chain.wait_agreed().await;
    b.stop().await;
    for lost in ["state", "blocks", "chunks", "journal"] {
        let path = b.folder().join(lost);
        match path.is_dir() {
            true => std::fs::remove_dir_all(&path).unwrap(),
            false => std::fs::remove_file(&path).unwrap(),
        }
    }
    for options in [&[][..], &["-reindex"][..]] {
        b.run_to_end("c", options).await.failed_saying(&["neither database nor blocks", "noded c@"]);
    }
    // Another chain of the same name is not taken for it.
    let other = Chain::create("c").param("anyone-can-connect", "true").node("a").start().await;
    b.run_to_end(&other.node("a").invitation(), &[]).await.failed_saying(&["another chain"]);
    b.start_with(&a.invitation(), &[]).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s"])).await;
    b.wait_item("s", &published).await;
    until("both nodes to have one state", async || {
        let (left, right) = (a.call("getstatehash", json!([])).await, b.call("getstatehash", json!([])).await);
        check(left == right, (left, right))
    })
    .await;
    // Everything but the wallet may be gone.
    let addresses = b.call("getaddresses", json!([])).await;
    b.stop().await;
    for entry in std::fs::read_dir(b.folder()).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("wallet" | "node.conf") => {}
            _ if path.is_dir() => std::fs::remove_dir_all(&path).unwrap(),
            _ => std::fs::remove_file(&path).unwrap(),
        }
    }
    b.start_with(&a.invitation(), &[]).await;
    chain.wait_agreed().await;
    assert_eq!(b.call("getaddresses", json!([])).await, addresses);
    let later = b.publish("s", "k", "again").await;
    a.wait_item("s", &later).await;
}
