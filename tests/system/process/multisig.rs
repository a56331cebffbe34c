//! An address of two keys on two nodes: it holds assets and rights, pays and publishes, and each node alone does nothing.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// The public key of a node's first address.
async fn public_key(node: &Node) -> String {
    text(&node.call("validateaddress", json!([node.address().await])).await["pubkey"])
}

/// Two nodes that share an address of both their keys, which holds 100 coins and may send and receive.
async fn sharing() -> (Chain, String) {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let keys = json!([public_key(a).await, public_key(b).await]);
    let shared = text(&a.call("addmultisigaddress", json!([2, keys])).await);
    assert_eq!(b.call("addmultisigaddress", json!([2, keys])).await, json!(shared));
    let granted = text(&a.call("grant", json!([shared, "send,receive,create"])).await);
    a.wait_confirmed(&granted).await;
    let issued = text(&a.call("issue", json!([shared, "coin", 100, 0.1])).await);
    a.wait_confirmed(&issued).await;
    b.wait_confirmed(&issued).await;
    (chain, shared)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_two_keys_pays_when_both_nodes_have_signed() {
    let (chain, shared) = sharing().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let to = b.address().await;
    let unsigned = text(&a.call("createrawsendfrom", json!([shared, {to.as_str(): {"coin": 12.5}}])).await);
    assert_eq!(a.refusal("createrawsendfrom", json!([shared, {to.as_str(): {"coin": 1}}, [], "send"])).await.code, -25);

    // One after the other, and each apart.
    let first = a.call("signrawtransaction", json!([unsigned])).await;
    assert_eq!(first["complete"], false);
    assert_eq!(b.refusal("sendrawtransaction", json!([first["hex"]])).await.code, -26);
    let second = b.call("signrawtransaction", json!([first["hex"]])).await;
    assert_eq!(second["complete"], true);
    let ids = [&json!(unsigned), &first["hex"], &second["hex"]];
    let mut shown = Vec::new();
    for hex in ids {
        shown.push(a.call("decoderawtransaction", json!([hex])).await["txid"].clone());
    }
    assert!(shown.iter().all(|txid| *txid == shown[0]), "signing does not change the id: {shown:?}");
    let sent = b.call("sendrawtransaction", json!([second["hex"]])).await;
    assert_eq!(sent, shown[0]);
    a.wait_confirmed(&text(&sent)).await;
    let left = a.call("getaddressbalances", json!([shared])).await;
    assert_eq!(left[0]["qty"], 87.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_two_keys_makes_a_stream_and_publishes_in_it() {
    let (chain, shared) = sharing().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let both = async |addresses: Value, data: Value| {
        let unsigned = a.call("createrawsendfrom", json!([shared, addresses, data])).await;
        let half = a.call("signrawtransaction", json!([unsigned])).await;
        let whole = b.call("signrawtransaction", json!([half["hex"]])).await;
        assert_eq!((&half["complete"], &whole["complete"]), (&json!(false), &json!(true)));
        let txid = text(&b.call("sendrawtransaction", json!([whole["hex"]])).await);
        a.wait_confirmed(&txid).await;
        b.wait_confirmed(&txid).await;
        txid
    };
    both(json!({}), json!([{"create": "stream", "name": "ours"}])).await;
    a.call("subscribe", json!(["ours"])).await;
    assert_eq!(a.refusal("publish", json!(["ours", "k", "00"])).await.code, -704, "a alone may not write");
    let txid = both(json!({}), json!([{"for": "ours", "key": "k", "data": {"text": "together"}}])).await;
    let item = a.wait_item("ours", &txid).await;
    assert_eq!(item["publishers"], json!([shared]));
    assert_eq!(item["data"], json!({"text": "together"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_keys_and_outputs_sign_for_an_address_the_wallet_does_not_know() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let pairs = a.call("createkeypairs", json!([2])).await;
    let keys = json!([pairs[0]["pubkey"], pairs[1]["pubkey"]]);
    let made = a.call("createmultisig", json!([2, keys])).await;
    let cold = text(&made["address"]);
    let granted = text(&a.call("grant", json!([cold, "send,receive"])).await);
    a.wait_confirmed(&granted).await;
    let issued = text(&a.call("issue", json!([cold, "coin", 9])).await);
    a.wait_confirmed(&issued).await;
    let script = a.call("gettxout", json!([issued, 0])).await["scriptPubKey"]["hex"].clone();
    let input = json!({"txid": issued, "vout": 0});
    let raw = a.call("createrawtransaction", json!([[input], {a.address().await: {"coin": 9}}])).await;
    let mut previous = input;
    previous["scriptPubKey"] = script;
    previous["redeemScript"] = made["redeemScript"].clone();
    let one = a.call("signrawtransaction", json!([raw, [previous], [pairs[0]["privkey"]]])).await;
    assert_eq!(one["complete"], false);
    let other = a.call("signrawtransaction", json!([one["hex"], [previous], [pairs[1]["privkey"]]])).await;
    assert_eq!(other["complete"], true);
    let mut wrong = previous;
    wrong["scriptPubKey"] = json!(format!("76a914{}88ac", "11".repeat(20)));
    wrong["redeemScript"] = json!("");
    assert_eq!(a.refusal("signrawtransaction", json!([raw, [wrong]])).await.code, -712);
    let sent = text(&a.call("sendrawtransaction", json!([other["hex"]])).await);
    a.wait_confirmed(&sent).await;
    let unknown = format!("{}ZZ", text(&pairs[0]["privkey"]));
    assert_eq!(a.refusal("signrawtransaction", json!([raw, [], [unknown]])).await.code, -5);
}
