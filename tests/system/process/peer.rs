//! Whom a node connects to and for how long: ranges of connect, options, nodes added by hand, the book of known nodes.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Where nobody listens: told to connect there alone, a node dials nobody else.
const NOWHERE: &str = "-connect=127.0.0.1:1";

fn place(node: &Node) -> String {
    format!("127.0.0.1:{}", node.port)
}

/// Has the first node give an address connect for a range of heights, and waits for the block.
async fn grant_connect(a: &Node, address: &str, from: u64, to: u64) {
    let txid = a.call("grant", json!([address, "connect", 0, from, to])).await;
    a.wait_confirmed(&text(&txid)).await;
}

/// A node that joined through `a` and was started again without being told of any peer.
async fn joined(chain: &Chain, name: &str, options: &[&str]) -> Node {
    let node = chain.outsider(name);
    chain.admit(&node, &chain.node("a").invitation()).await;
    node.stop().await;
    node.start_with(&chain.name, options).await;
    node
}

async fn wait_added(node: &Node, other: &Node, connected: Value) {
    until(&format!("{} to be shown as {connected}", other.name), async || {
        let shown = node.call("getaddednodeinfo", json!([true, place(other)])).await;
        check(shown[0]["addresses"][0]["connected"] == connected, shown)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_dropped_at_the_height_its_range_ends_and_let_in_at_the_height_it_begins() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let address = b.address().await;
    let end = a.height().await + 8;
    grant_connect(a, &address, 0, end).await;
    a.wait_peers(&[&address]).await;
    a.wait_peers(&[]).await;
    let dropped = a.height().await;
    assert!(dropped + 1 >= end, "dropped at {dropped}, the range ends at {end}");
    // A range that begins later changes nothing yet, and no transaction marks the height at which it does.
    let start = a.height().await + 8;
    grant_connect(a, &address, start, u64::from(u32::MAX)).await;
    assert!(a.peers().await.is_empty() || a.height().await + 1 >= start);
    a.wait_peers(&[&address]).await;
    let back = a.height().await;
    assert!(back + 1 >= start, "back at {back}, the range begins at {start}");
    chain.wait_agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_connection_is_shown_with_its_places_and_how_far_it_is() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let target = a.wait_blocks(1).await;
    until("the two ends to agree", async || {
        let (of_a, of_b) = (a.call("getpeerinfo", json!([])).await, b.call("getpeerinfo", json!([])).await);
        let (at_a, at_b) = (&of_a[0], &of_b[0]);
        let agree = at_a["addr"] == at_b["addrlocal"] && at_b["addr"] == at_a["addrlocal"] && at_a["addr"].is_string();
        // A peer that only listens tells nothing after its hello.
        let figures = ["synced_headers", "synced_blocks"];
        let told = figures.iter().all(|name| at_b[name].as_u64() >= Some(target) && at_a[name].is_u64());
        check(agree && told, (of_a, of_b))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_told_to_connect_to_some_peers_has_no_others() {
    let chain = Chain::create("c").nodes(&["a", "b", "c"]).start().await;
    let (a, b, c) = (chain.node("a"), chain.node("b"), chain.node("c"));
    let (first, second, third) = (a.address().await, b.address().await, c.address().await);
    c.wait_peers(&[&first, &second]).await;
    c.stop().await;
    c.start_with(&chain.name, &[&format!("-connect={}", place(b))]).await;
    b.wait_peers(&[&first, &third]).await;
    // The others know where it was, and it knows them: several looks into the books pass meanwhile.
    let target = a.wait_blocks(15).await;
    c.wait_height(target).await;
    c.wait_peers(&[&second]).await;
    a.wait_peers(&[&second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_added_by_hand_is_kept_one_removed_is_not_and_one_try_is_one() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let b = joined(&chain, "b", &[NOWHERE]).await;
    let (first, second) = (a.address().await, b.address().await);
    assert_eq!(b.refusal("addnode", json!([place(a), "remove"])).await.code, -24);
    b.call("addnode", json!([place(a), "add"])).await;
    assert_eq!(b.refusal("addnode", json!([place(a), "add"])).await.code, -23);
    a.wait_peers(&[&second]).await;
    wait_added(&b, a, json!("outbound")).await;
    a.stop().await;
    wait_added(&b, a, json!("false")).await;
    a.restart().await;
    a.wait_peers(&[&second]).await;

    b.call("addnode", json!([place(a), "remove"])).await;
    assert_eq!(b.refusal("getaddednodeinfo", json!([true, place(a)])).await.code, -24);
    b.wait_peers(&[&first]).await;
    a.stop().await;
    b.wait_peers(&[]).await;
    a.restart().await;
    a.wait_blocks(6).await;
    assert!(a.peers().await.is_empty(), "a removed node was dialled again");
    b.call("addnode", json!([place(a), "onetry"])).await;
    a.wait_peers(&[&second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_book_of_known_nodes_survives_restarts_and_leads_back_to_the_chain() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let b = joined(&chain, "b", &[]).await;
    let (first, second) = (a.address().await, b.address().await);
    b.wait_peers(&[&first]).await;
    b.kill().await;
    b.restart().await;
    b.wait_peers(&[&first]).await;
    let known = b.call("liststorednodes", json!([])).await;
    assert_eq!(known[0]["addr"], json!(place(a)), "{known}");
    assert_eq!(known[0]["handshakes"][0]["address"], json!(first), "{known}");
    a.wait_peers(&[&second]).await;
    // The node that was dialled knows the way back too, by the port it was told.
    let known = a.call("liststorednodes", json!([])).await;
    assert!(known.as_array().unwrap().iter().any(|node| node["addr"] == place(&b)), "{known}");
    // Nobody dials by itself where the operator leaves no room for that.
    b.stop().await;
    a.stop().await;
    for node in [a, &b] {
        node.start_with(&chain.name, &["-maxoutconnections=0"]).await;
    }
    a.wait_blocks(3).await;
    assert!(b.peers().await.is_empty(), "a known node was dialled");
    b.stop().await;
    b.restart().await;
    b.wait_peers(&[&first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_other_than_the_expected_one_is_neither_joined_nor_started() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let hash = text(&a.call("getblockchainparams", json!([])).await["chain-params-hash"]);
    let other = format!("-expectparamshash={}", "0".repeat(64));
    let b = chain.outsider("b");
    chain.admit(&b, &a.invitation()).await;
    b.stop().await;
    b.run_to_end(&chain.name, &[&other]).await.failed_saying(&["chain-params-hash", &hash]);
    b.start_with(&chain.name, &[&format!("-expectparamshash={hash}")]).await;
    let c = chain.outsider("c");
    let asked = c.run_to_end(&a.invitation(), &[]).await;
    let line = asked.line_after("node-cli c grant ");
    let address = line.split_whitespace().next().unwrap();
    a.wait_confirmed(&text(&a.call("grant", json!([address, "connect"])).await)).await;
    c.run_to_end(&a.invitation(), &[&other]).await.failed_saying(&["chain-params-hash", &hash]);
}
