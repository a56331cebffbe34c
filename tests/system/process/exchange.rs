//! Two nodes swap assets and share nothing but hexadecimal text; each tries to cheat.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Raw units of 123.45 as they stand in a transaction's text: an asset of hundredths.
const OFFERED_RAW: &str = "3930000000000000";
/// Raw units of 67.89.
const ASKED_RAW: &str = "851a000000000000";
/// One unit more, and one less.
const MORE_RAW: &str = "861a000000000000";
const LESS_RAW: &str = "3830000000000000";

/// Two nodes on one chain: a holds 500 apples, b 500 pears, in hundredths.
async fn two_holders() -> Chain {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let apple = text(&a.call("issue", json!([a.address().await, "apple", 500, 0.01])).await);
    let pear = text(&a.call("issue", json!([b.address().await, "pear", 500, 0.01])).await);
    for txid in [apple, pear] {
        a.wait_confirmed(&txid).await;
        b.wait_confirmed(&txid).await;
    }
    chain
}

/// What an address of a node holds of an asset.
async fn holds(node: &Node, asset: &str) -> f64 {
    let balances = node.call("getaddressbalances", json!([node.address().await, 0, true])).await;
    let balances = balances.as_array().expect("a list").clone();
    balances.iter().find(|entry| entry["name"] == asset).map_or(0.0, |entry| entry["qty"].as_f64().unwrap())
}

/// Sets quantities aside on one node, waits until the other knows the output, and gives its name.
async fn prepared(node: &Node, other: &Node, amounts: Value) -> (String, Value) {
    let output = node.call("preparelockunspent", json!([amounts])).await;
    let txid = text(&output["txid"]);
    other.wait_confirmed(&txid).await;
    node.wait_confirmed(&txid).await;
    (txid, output["vout"].clone())
}

/// An offer of node a: 123.45 apples for 67.89 pears.
async fn offered(a: &Node, b: &Node) -> String {
    let (txid, vout) = prepared(a, b, json!({"apple": 123.45})).await;
    text(&a.call("createrawexchange", json!([txid, vout, {"pear": 67.89}])).await)
}

/// A text in which something that stands there once is another.
fn changed(hex: &str, from: &str, to: &str) -> String {
    assert_eq!(hex.matches(from).count(), 1, "{from} in {hex}");
    hex.replace(from, to)
}

async fn refused(node: &Node, method: &str, params: Value, code: i64) {
    let refusal = node.refusal(method, params).await;
    assert_eq!(refusal.code, code, "{method}: {}", refusal.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_share_only_text_swap_assets_once() {
    let chain = two_holders().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let offer = offered(a, b).await;
    let shown = b.call("decoderawexchange", json!([offer])).await;
    assert_eq!(shown["offer"]["assets"][0]["qty"], 123.45);
    assert_eq!(shown["ask"]["assets"][0]["qty"], 67.89);
    assert_eq!((&shown["candisable"], &shown["cancomplete"]), (&json!(false), &json!(true)));
    refused(b, "sendrawtransaction", json!([offer]), -26).await;

    let (txid, vout) = prepared(b, a, json!({"pear": 67.89})).await;
    let both = b.call("appendrawexchange", json!([offer, txid, vout, {"apple": 123.45}])).await;
    assert_eq!(both["complete"], true);
    let done = text(&b.call("sendrawtransaction", json!([both["hex"]])).await);
    a.wait_confirmed(&done).await;
    b.wait_confirmed(&done).await;
    assert_eq!((holds(a, "apple").await, holds(a, "pear").await), (376.55, 67.89));
    assert_eq!((holds(b, "apple").await, holds(b, "pear").await), (123.45, 432.11));

    // Neither the exchange nor the offer can be had twice.
    refused(a, "sendrawtransaction", json!([both["hex"]]), -27).await;
    refused(b, "decoderawexchange", json!([offer]), -707).await;
    let (txid, vout) = prepared(b, a, json!({"pear": 67.89})).await;
    refused(b, "appendrawexchange", json!([offer, txid, vout, {"apple": 123.45}]), -707).await;
    assert_eq!(a.call("listlockunspent", json!([])).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_what_another_has_signed() {
    let chain = two_holders().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let offer = offered(a, b).await;
    let (txid, vout) = prepared(b, a, json!({"pear": 67.88})).await;

    // b pays less than a asks: a's own words changed, then b's quantity beside them.
    let less = changed(&offer, ASKED_RAW, "841a000000000000");
    refused(b, "decoderawexchange", json!([less]), -707).await;
    refused(b, "appendrawexchange", json!([less, txid, vout, {"apple": 123.45}]), -707).await;
    let short = b.call("appendrawexchange", json!([offer, txid, vout, {"apple": 123.45}])).await;
    assert_eq!(short["complete"], false);
    refused(b, "sendrawtransaction", json!([short["hex"]]), -26).await;
    refused(b, "completerawexchange", json!([offer, txid, vout, {"apple": 123.45}]), -707).await;

    // b takes more than a offers, or leaves some to nobody.
    let (txid, vout) = prepared(b, a, json!({"pear": 67.89})).await;
    for quantity in [123.46, 123.44] {
        let taken = b.call("appendrawexchange", json!([offer, txid, vout, {"apple": quantity}])).await;
        assert_eq!(taken["complete"], false, "{quantity}");
        refused(b, "sendrawtransaction", json!([taken["hex"]]), -26).await;
    }

    // Once both have signed, a changes b's part, b changes a's, and a third adds himself.
    let both = text(&b.call("appendrawexchange", json!([offer, txid, vout, {"apple": 123.45}])).await["hex"]);
    for (from, to) in [(ASKED_RAW, MORE_RAW), (OFFERED_RAW, LESS_RAW)] {
        let tampered = changed(&both, from, to);
        refused(a, "sendrawtransaction", json!([tampered]), -26).await;
        refused(a, "decoderawexchange", json!([tampered]), -707).await;
    }
    let (own, stranger) = (a.address().await, b.address().await);
    let script = |node: &Value| text(&node[0]["scriptPubKey"])[6..46].to_owned();
    let of_a = script(&a.call("listunspent", json!([0, 9_999_999, [own]])).await);
    let of_b = script(&b.call("listunspent", json!([0, 9_999_999, [stranger]])).await);
    let redirected = offer.replace(&of_a, &of_b);
    assert_ne!(redirected, offer);
    refused(b, "decoderawexchange", json!([redirected]), -707).await;
    let signed = b.call("signrawtransaction", json!([redirected])).await;
    assert_eq!(signed["complete"], false, "b cannot sign for a's coin");
    assert_eq!((holds(a, "apple").await, holds(b, "apple").await), (500.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_exchange_is_closed_to_everybody() {
    let chain = two_holders().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let offer = offered(a, b).await;
    let (txid, vout) = prepared(b, a, json!({"pear": 67.89})).await;
    let data = json!({"text": "as agreed"});
    let whole = text(&b.call("completerawexchange", json!([offer, txid, vout, {"apple": 123.45}, data])).await);
    refused(a, "appendrawdata", json!([whole, "00"]), -701).await;
    refused(a, "appendrawtransaction", json!([whole, [], {a.address().await: 0}]), -701).await;
    let (other, other_vout) = prepared(a, b, json!({"apple": 1})).await;
    refused(a, "appendrawexchange", json!([whole, other, other_vout, {"pear": 0}]), -701).await;
    let lie = changed(&whole, &hex::encode("as agreed"), &hex::encode("as I like"));
    refused(a, "sendrawtransaction", json!([lie]), -26).await;
    let done = text(&a.call("sendrawtransaction", json!([whole])).await);
    b.wait_confirmed(&done).await;
    let shown = b.call("getwallettransaction", json!([done])).await;
    assert_eq!(shown["data"], json!([data]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_offer_cannot_be_taken() {
    let chain = two_holders().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let offer = offered(a, b).await;
    let (txid, vout) = prepared(b, a, json!({"pear": 67.89})).await;
    let both = b.call("appendrawexchange", json!([offer, txid, vout, {"apple": 123.45}])).await;
    refused(b, "disablerawtransaction", json!([offer]), -714).await;
    let disabled = text(&a.call("disablerawtransaction", json!([offer])).await);
    refused(a, "disablerawtransaction", json!([offer]), -714).await;
    b.wait_confirmed(&disabled).await;
    refused(b, "sendrawtransaction", json!([both["hex"]]), -27).await;
    refused(b, "decoderawexchange", json!([offer]), -707).await;
    until("a to have all its apples", async || {
        let held = holds(a, "apple").await;
        check((held - 500.0).abs() < f64::EPSILON, held)
    })
    .await;
    assert_eq!(a.call("listlockunspent", json!([])).await, json!([]));
}
