//! Programs that watch a chain over a WebSocket: they come back and miss nothing, and a reorganisation does not fool them.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::socket::{Held, Socket};
use crate::harness::view::text;

/// Carries out events until the last block held is the one at this height, whole.
async fn follow_to(
    socket: &mut Socket,
    subscription: &Value,
    held: &mut Held,
    member: &str,
    height: u64,
) -> Vec<String> {
    let mut words = Vec::new();
    while !held.whole || held.blocks.last().is_none_or(|(last, ..)| *last < height) {
        let event = socket.event(subscription).await;
        words.push(held.carry_out(&event, member));
    }
    words
}

/// Carries out events until so many entries are held and their block is whole.
async fn follow_until(socket: &mut Socket, subscription: &Value, held: &mut Held, member: &str, entries: usize) {
    while !held.whole || held.entries().len() < entries {
        let event = socket.event(subscription).await;
        held.carry_out(&event, member);
    }
}

fn txids(entries: &[&Value]) -> Vec<String> {
    entries.iter().map(|entry| text(&entry["txid"])).collect()
}

/// Publishes and waits for the block.
async fn publish(node: &Node, key: &str, content: &str) -> String {
    let txid = node.publish("s", key, content).await;
    node.wait_confirmed(&txid).await;
    txid
}

/// The heights and hashes of the active chain.
async fn active(node: &Node) -> Vec<(u64, String)> {
    let blocks = node.call("listblocks", json!([format!("0-{}", node.height().await)])).await;
    let blocks = blocks.as_array().expect("a list").iter();
    blocks.map(|block| (block["height"].as_u64().expect("a height"), text(&block["hash"]))).collect()
}

fn chain_of(held: &Held) -> Vec<(u64, String)> {
    held.blocks.iter().map(|(height, hash, _)| (*height, hash.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_comes_back_is_told_exactly_the_items_it_missed() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let first = publish(a, "k1", "one").await;

    let mut socket = Socket::open(a).await;
    assert_eq!(socket.call("getinfo", json!([])).await["chainname"], "c");
    let items = socket.call("watchstreamitems", json!(["s", -1])).await;
    let (mut held, mut of_key) = (Held::default(), Held::default());
    follow_until(&mut socket, &items, &mut held, "items", 1).await;
    let keyed = socket.call("watchstreamitems", json!(["s", -1, ["k2", "k3"]])).await;
    let second = publish(a, "k2", "two").await;
    follow_until(&mut socket, &items, &mut held, "items", 2).await;
    follow_until(&mut socket, &keyed, &mut of_key, "items", 1).await;
    assert_eq!(txids(&held.entries()), [first.clone(), second.clone()]);
    assert_eq!(txids(&of_key.entries()), std::slice::from_ref(&second));

    // While it is away, more is published; the node is restarted too.
    drop(socket);
    let third = publish(a, "k1", "three").await;
    a.stop().await;
    a.restart().await;
    let fourth = publish(a, "k3", "four").await;
    let mut socket = Socket::open(a).await;
    let mut missed = Held::default();
    let items = socket.call("watchstreamitems", json!(["s", held.checkpoint()])).await;
    follow_until(&mut socket, &items, &mut missed, "items", 2).await;
    assert_eq!(txids(&missed.entries()), [third, fourth.clone()]);
    let address = a.address().await;
    let keyed = socket.call("watchstreamitems", json!(["s", of_key.checkpoint(), "k3", address])).await;
    follow_until(&mut socket, &keyed, &mut of_key, "items", 2).await;
    assert_eq!(txids(&of_key.entries()), [second, fourth]);

    // What was told is what is listed, but for the confirmations since.
    let listed = a.call("liststreamitems", json!(["s", true, 100, 0])).await;
    let plain = |item: &Value| {
        let mut item = item.clone();
        item.as_object_mut().expect("an item").remove("confirmations");
        item
    };
    let told: Vec<Value> = held.entries().into_iter().chain(missed.entries()).map(plain).collect();
    assert_eq!(told, listed.as_array().expect("items").iter().map(plain).collect::<Vec<_>>());

    // A stream that is not followed any more ends its subscription with the reason.
    a.call("unsubscribe", json!(["s"])).await;
    assert_eq!(socket.told(&items).await["error"]["code"], -703);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_is_told_newest_first_to_who_listens_and_to_who_was_away() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.wait_height(6).await;
    let mut socket = Socket::open(a).await;
    let blocks = socket.call("watchblocks", json!([-1])).await;
    let mut held = Held::default();
    a.call("pause", json!(["mining"])).await;
    let tip = a.height().await;
    follow_to(&mut socket, &blocks, &mut held, "block", tip).await;
    assert_eq!(chain_of(&held), active(a).await);
    let (before, away) = (chain_of(&held), held.checkpoint());

    // Three blocks leave; the listener is told while the chain stands still, and follows the new branch after that.
    a.call("invalidateblock", json!([a.hash_at(tip - 2).await])).await;
    for height in [tip, tip - 1, tip - 2] {
        let event = socket.event(&blocks).await;
        assert_eq!((&event["event"], &event["height"]), (&json!("disconnected"), &json!(height)));
        held.carry_out(&event, "block");
    }
    assert_eq!(chain_of(&held), active(a).await);
    a.call("resume", json!(["mining"])).await;
    a.wait_height(tip + 1).await;
    a.call("pause", json!(["mining"])).await;
    let grown = a.height().await;
    let words = follow_to(&mut socket, &blocks, &mut held, "block", grown).await;
    assert!(words.iter().all(|word| word == "connected"), "{words:?}");
    assert_eq!(chain_of(&held), active(a).await);

    // Who comes back with a block that is no longer on the chain is led off its branch first.
    let mut late =
        Held { blocks: before.into_iter().map(|(height, hash)| (height, hash, Vec::new())).collect(), whole: true };
    let mut socket = Socket::open(a).await;
    let blocks = socket.call("watchblocks", json!([away, true])).await;
    let mut words = Vec::new();
    while chain_of(&late) != chain_of(&held) {
        let event = socket.event(&blocks).await;
        words.push(late.carry_out(&event, "block"));
    }
    let (left, joined) = words.split_at(3);
    assert!(left.iter().all(|word| word == "disconnected"), "{words:?}");
    assert!(joined.iter().all(|word| word == "connected"), "{words:?}");

    // Back on the old branch, which the new one cannot outweigh once it is refused.
    a.call("invalidateblock", json!([a.hash_at(tip - 2).await])).await;
    a.call("reconsiderblock", json!([away["hash"]])).await;
    let wanted = active(a).await;
    while chain_of(&late) != wanted {
        let event = socket.event(&blocks).await;
        late.carry_out(&event, "block");
    }

    let unknown = socket.ask("watchblocks", json!([{"height": 3, "hash": "ab".repeat(32)}])).await;
    assert_eq!(unknown["error"]["code"], -711, "{unknown}");
    assert_eq!(socket.ask("watchblocks", json!([1_000_000])).await["error"]["code"], -711);
    assert_eq!(socket.ask("watchstreamitems", json!(["nosuchstream"])).await["error"]["code"], -708);
    assert_eq!(a.refusal("watchblocks", json!([])).await.code, -702, "over HTTP");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_told_as_they_come_and_as_a_block_confirms_them_in_parts() {
    const ITEMS: usize = 120;
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let mut socket = Socket::open(a).await;
    let live = socket.call("watchtransactions", json!([null, true, true])).await;
    let ids = socket.call("watchtransactions", json!([null, false])).await;
    let items = socket.call("watchstreamitems", json!(["s", -1])).await;
    a.call("pause", json!(["mining"])).await;

    let mut published = Vec::new();
    for number in 0..ITEMS {
        published.push(a.publish("s", &format!("k{number}"), &"x".repeat(2_000)).await);
    }
    let mut arrived = Vec::new();
    while arrived.len() < ITEMS {
        let event = socket.event(&live).await;
        if event["event"] == "unconfirmed" {
            assert!(event.get("height").is_none(), "{event}");
            arrived.extend(event["transactions"].as_array().expect("a list").iter().map(|tx| text(&tx["txid"])));
        }
    }
    assert_eq!(arrived, published);
    a.call("resume", json!(["mining"])).await;
    a.wait_pool_empty().await;

    // One block has them all, in more than one notification, and none is missing or told twice.
    let (mut in_full, mut parts) = (Vec::new(), 0);
    while in_full.len() < ITEMS {
        let event = socket.event(&live).await;
        assert_eq!(event["event"], "connected");
        parts += u32::from(event["more"] == true);
        let coinbase = |tx: &&Value| tx["vin"][0].get("coinbase").is_none();
        in_full.extend(event["transactions"].as_array().expect("a list").iter().filter(coinbase).cloned());
    }
    assert!(parts > 1, "{ITEMS} items came in {parts} parts");
    assert_eq!(txids(&in_full.iter().collect::<Vec<_>>()), published);
    let mut held = Held::default();
    follow_until(&mut socket, &items, &mut held, "items", ITEMS).await;
    assert_eq!(txids(&held.entries()), published);
    let mut told = Vec::new();
    while !told.contains(&published[ITEMS - 1]) {
        let event = socket.event(&ids).await;
        assert_eq!(event["more"], false, "ids of one block fit one notification");
        told.extend(event["transactions"].as_array().expect("a list").iter().map(text));
    }
    assert!(published.iter().all(|txid| told.contains(txid)));

    let shown = a.call("getrawtransaction", json!([published[7], 1])).await;
    let members = |tx: &Value| tx.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&in_full[7]), members(&shown));
    assert_eq!((&in_full[7]["hex"], &in_full[7]["blockhash"]), (&shown["hex"], &shown["blockhash"]));

    // An ended subscription says no more; the others go on, and the node's end is said to all.
    assert_eq!(socket.call("unwatchtransactions", json!([ids])).await, true);
    assert_eq!(socket.call("unwatchtransactions", json!([ids])).await, false);
    let none = json!("none");
    let (end, ()) = tokio::join!(socket.told(&none), a.stop());
    assert_eq!(end["close"], 1001);
}
