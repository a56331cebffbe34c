//! Fetching and deleting off-chain data of chosen items, and subscriptions that keep less.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

async fn publish(node: &Node, key: &str, content: &str) -> String {
    text(&node.call("publish", json!(["s", key, {"text": content}, "offchain"])).await)
}

async fn available(node: &Node, txid: &str) -> bool {
    node.call("getstreamitem", json!(["s", txid])).await["available"] == true
}

async fn wait_available(node: &Node, txid: &str) {
    until(&format!("the data of {txid} on {}", node.name), async || {
        let item = node.call("getstreamitem", json!(["s", txid])).await;
        check(item["available"] == true, item)
    })
    .await;
}

fn counts(value: &Value) -> (u64, u64) {
    (value["chunks"].as_u64().expect("a count"), value["bytes"].as_u64().expect("a count"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_retrieved_when_asked_for_and_purged_when_asked_for() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s", true, "items,keys"])).await;
    let (one, two) = (publish(a, "k1", "first").await, publish(a, "k2", "second").await);
    let three = publish(a, "k3", "and a third").await;
    for txid in [&one, &two, &three] {
        b.wait_item("s", txid).await;
        b.wait_confirmed(txid).await;
    }
    b.wait_blocks(1).await;
    for txid in [&one, &two, &three] {
        assert!(!available(b, txid).await, "nothing is fetched without being asked for");
    }
    let vout = b.call("getstreamitem", json!(["s", one, true])).await["vout"].clone();
    let queued = b.call("retrievestreamitems", json!(["s", [{"txid": one, "vout": vout}]])).await;
    assert_eq!(counts(&queued), (1, 5));
    wait_available(b, &one).await;
    assert!(!available(b, &two).await);
    assert_eq!(counts(&b.call("retrievestreamitems", json!(["s", {"key": "k2"}])).await), (1, 6));
    wait_available(b, &two).await;
    assert_eq!(
        counts(&b.call("retrievestreamitems", json!(["s", "all"])).await),
        (1, 11),
        "what is here is not queued"
    );
    wait_available(b, &three).await;
    assert_eq!(counts(&b.call("retrievestreamitems", json!(["s", {"blocks": "0-1000000"}])).await), (0, 0));

    assert_eq!(counts(&b.call("purgestreamitems", json!(["s", [one, two]])).await), (2, 11));
    assert!(!available(b, &one).await && !available(b, &two).await && available(b, &three).await);
    assert_eq!(counts(&b.call("purgestreamitems", json!(["s", one])).await), (0, 0));
    // What was purged stays so, though the stream is fetched by itself from now on and the node starts again.
    b.call("subscribe", json!(["s"])).await;
    b.stop().await;
    b.restart().await;
    let four = publish(a, "k4", "fourth").await;
    wait_available_after_listing(b, &four).await;
    assert!(!available(b, &one).await && !available(b, &two).await);
    b.call("retrievestreamitems", json!(["s", one])).await;
    wait_available(b, &one).await;
}

async fn wait_available_after_listing(node: &Node, txid: &str) {
    node.wait_item("s", txid).await;
    wait_available(node, txid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_purged_apart_and_comes_back_from_others() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let created = text(&a.call("create", json!(["stream", "s", true])).await);
    a.wait_confirmed(&created).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s"])).await;
    let (one, two) = (publish(a, "k", "first").await, publish(a, "k", "second").await);
    for txid in [&one, &two] {
        b.wait_item("s", txid).await;
        wait_available(b, txid).await;
    }
    assert_eq!(counts(&a.call("purgepublisheditems", json!([one])).await), (1, 5));
    assert!(!available(a, &one).await && available(a, &two).await);
    assert_eq!(counts(&a.call("purgepublisheditems", json!(["all"])).await), (1, 6));
    assert!(!available(a, &two).await);
    assert_eq!(counts(&b.call("purgepublisheditems", json!(["all"])).await), (0, 0), "others published it");
    a.call("subscribe", json!(["s"])).await;
    wait_available(a, &one).await;
    wait_available(a, &two).await;
    assert_eq!(a.refusal("purgepublisheditems", json!([{"key": "k"}])).await.code, -8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexes_are_dropped_one_by_one_and_come_back_with_a_new_subscription() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let txid = a.publish("s", "k", "text").await;
    a.wait_confirmed(&txid).await;
    a.call("trimsubscribe", json!(["s", "keys,items-local,retrieve"])).await;
    let entry = a.call("liststreams", json!(["s"])).await[0].clone();
    assert_eq!((&entry["retrieve"], &entry["indexes"]["keys"]), (&json!(false), &json!(false)), "{entry}");
    assert_eq!(entry["indexes"]["publishers"], true);
    assert_eq!(a.refusal("liststreamkeyitems", json!(["s", "k"])).await.code, -703);
    assert_eq!(a.refusal("liststreamitems", json!(["s", false, 10, 0, true])).await.code, -703);
    a.wait_item("s", &txid).await;
    let first = a.publish("s", "k", "later").await;
    a.wait_item("s", &first).await;
    for (params, code) in [(json!(["s", "nonsense"]), -8), (json!(["none", "keys"]), -708)] {
        assert_eq!(a.refusal("trimsubscribe", params).await.code, code);
    }
    a.call("unsubscribe", json!(["s"])).await;
    assert_eq!(a.refusal("trimsubscribe", json!(["s", "keys"])).await.code, -703);
    for method in ["retrievestreamitems", "purgestreamitems"] {
        assert_eq!(a.refusal(method, json!(["s", "all"])).await.code, -703);
        assert_eq!(a.refusal(method, json!(["none", "all"])).await.code, -708);
    }
    a.call("subscribe", json!(["s", true, "items"])).await;
    a.call("subscribe", json!(["s", true, "keys"])).await;
    let listed = a.call("liststreamkeyitems", json!(["s", "k"])).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    a.wait_item("s", &txid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_off_the_chain_goes_along_with_a_grant() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", false).await;
    chain.wait_agreed().await;
    b.call("subscribe", json!(["s"])).await;
    let to = b.address().await;
    let item = json!({"for": "s", "key": "k", "options": "offchain", "data": {"text": "welcome"}});
    let txid = text(&a.call("grantwithdata", json!([to, "s.write", item])).await);
    b.wait_item("s", &txid).await;
    wait_available(b, &txid).await;
    let shown = b.call("getstreamitem", json!(["s", txid])).await;
    assert_eq!((&shown["offchain"], &shown["data"]), (&json!(true), &json!({"text": "welcome"})));
    // The grant itself counts too: its recipient may write now.
    b.wait_confirmed(&txid).await;
    let own = publish(b, "k", "thanks").await;
    a.wait_item("s", &own).await;
    wait_available(a, &own).await;
}
