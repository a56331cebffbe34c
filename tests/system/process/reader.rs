//! Read-restricted streams: who gets the data, who does not, and what the others see instead.

use rota_p2p::{Refusal, RequestError, Response};
use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::peer::{HandMade, chunk_hashes};
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Creates a stream that its readers alone may read and anybody may write to.
async fn restricted(chain: &Chain, node: &Node, name: &str) -> String {
    let txid = text(&node.call("create", json!(["stream", name, {"restrict": "read"}])).await);
    node.wait_confirmed(&txid).await;
    chain.wait_agreed().await;
    txid
}

async fn publish(node: &Node, stream: &str, content: &str) -> String {
    text(&node.call("publish", json!([stream, "k", {"text": content}, "offchain"])).await)
}

async fn wait_available(node: &Node, stream: &str, txid: &str) -> Value {
    until(&format!("the data of {txid} on {}", node.name), async || {
        let item = node.wait_item(stream, txid).await;
        check(item["available"] == true, item)
    })
    .await;
    node.wait_item(stream, txid).await
}

/// Waits until the node has asked for what it misses, if it would at all: as many looks at the queue as blocks.
async fn wait_unavailable(node: &Node, stream: &str, txid: &str) {
    node.wait_item(stream, txid).await;
    node.wait_blocks(2).await;
    let item = node.wait_item(stream, txid).await;
    assert_eq!((&item["available"], &item["offchain"]), (&json!(false), &json!(true)), "{item}");
    assert!(item.get("error").is_none(), "{item}");
    assert_eq!((&item["data"]["size"], &item["data"]["txid"]), (&json!(6), &json!(txid)), "{item}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_the_data_and_others_see_that_there_is_some() {
    // Every node follows new streams by itself, so that even who may not read sees the items listed.
    let chain = Chain::create("c").option("-autosubscribe=streams").nodes(&["a", "b", "c"]).start().await;
    let (a, b, c) = (chain.node("a"), chain.node("b"), chain.node("c"));
    restricted(&chain, a, "s").await;
    chain.grant("b", "s.read").await;
    chain.wait_agreed().await;
    let refusal = c.refusal("subscribe", json!(["s"])).await;
    assert_eq!(refusal.code, -704);
    let ask = format!("grant {} s.read", c.address().await);
    assert!(refusal.message.contains(&ask), "{}", refusal.message);
    b.call("subscribe", json!(["s"])).await;
    assert_eq!(b.call("liststreams", json!(["s"])).await[0]["canretrieve"], true);
    assert_eq!(c.call("liststreams", json!(["s"])).await[0]["canretrieve"], false);
    assert_eq!(a.refusal("publish", json!(["s", "k", "00"])).await.code, -701, "nothing of it stands on the chain");

    let first = publish(a, "s", "secret").await;
    let item = wait_available(b, "s", &first).await;
    assert_eq!(item["data"], json!({"text": "secret"}));
    wait_unavailable(c, "s", &first).await;
    let item = c.call("getstreamitem", json!(["s", first])).await;
    assert_eq!(item["available"], false);

    // A publisher without the right keeps what it published, and reads nobody else's.
    let by_c = publish(c, "s", "from c").await;
    assert_eq!(wait_available(b, "s", &by_c).await["data"], json!({"text": "from c"}));
    assert_eq!(c.call("getstreamitem", json!(["s", by_c])).await["available"], true);

    // Once granted, it gets all that was published before.
    chain.grant("c", "s.read").await;
    assert_eq!(wait_available(c, "s", &first).await["data"], json!({"text": "secret"}));
    // Once revoked, a reader keeps what it has and gets nothing more, until granted again.
    chain.revoke("b", "s.read").await;
    chain.wait_agreed().await;
    let second = publish(a, "s", "second").await;
    assert_eq!(wait_available(c, "s", &second).await["data"], json!({"text": "second"}));
    wait_unavailable(b, "s", &second).await;
    assert_eq!(b.wait_item("s", &first).await["available"], true);
    chain.grant("b", "s.read").await;
    assert_eq!(wait_available(b, "s", &second).await["data"], json!({"text": "second"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_made_by_hand_gets_nothing_that_its_sender_may_not_read() {
    let chain = Chain::create("c").nodes(&["a", "b", "c"]).start().await;
    let (a, b, c) = (chain.node("a"), chain.node("b"), chain.node("c"));
    let closed = restricted(&chain, a, "closed").await;
    let open = text(&a.call("create", json!(["stream", "open", {"salted": true}])).await);
    chain.grant("b", "closed.read").await;
    chain.wait_agreed().await;
    a.call("subscribe", json!([["closed", "open"]])).await;
    b.call("subscribe", json!([["closed", "open"]])).await;
    let secret = publish(a, "closed", "secret").await;
    let public = publish(a, "open", "public").await;
    wait_available(b, "closed", &secret).await;
    wait_available(b, "open", &public).await;
    let (secret, public) = (chunk_hashes(a, &secret).await, chunk_hashes(a, &public).await);

    // Under the address of a member of the chain that may not read: the publisher and a reader refuse alike.
    let refused = Err(RequestError::Refused(Refusal::NotServed));
    let by_c = HandMade::connect(c, a).await;
    assert_eq!(by_c.ask(&closed, &secret).await, refused);
    assert_eq!(by_c.ask(&open, &secret).await, Ok(Response::Chunks(Vec::new())), "the open stream does not have it");
    assert!(matches!(by_c.ask(&open, &public).await, Ok(Response::Chunks(bodies)) if bodies.len() == 1));
    // Unknown streams, lists of unknown hashes and repeats bring nothing, and the node goes on.
    assert_eq!(by_c.ask(&"ab".repeat(32), &public).await, refused);
    let unknown: Vec<_> = (0..64).map(|number| rota_chain::hash::ChunkHash([number; 32])).collect();
    assert_eq!(by_c.ask(&open, &unknown).await, Ok(Response::Chunks(Vec::new())));
    let repeated: Vec<_> = std::iter::repeat_n(public[0], 64).collect();
    for _ in 0..40 {
        let answer = by_c.ask(&open, &repeated).await;
        assert!(matches!(&answer, Ok(Response::Chunks(bodies)) if bodies.len() == 1), "{answer:?}");
    }
    drop(by_c);
    // The same request by a reader is answered: it is the right that decides, not the form.
    let by_b = HandMade::connect(b, a).await;
    assert!(matches!(by_b.ask(&closed, &secret).await, Ok(Response::Chunks(bodies)) if bodies[0].bytes == b"secret"));
    a.height().await;
}
