//! Coins of a chain with native currency: rewards, balances, locks, combining, and fees paid from them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::chain::{Chain, Plan};
use crate::harness::node::Node;
use crate::harness::wait::{check, until};

/// Blocks pay 5 units; a reward is spendable in the next block.
fn currency(name: &str) -> Plan {
    Chain::create(name).param("initial-block-reward", "500000000").param("native-currency-multiple", "100000000")
}

async fn unspent(node: &Node) -> Vec<Value> {
    node.call("listunspent", json!([])).await.as_array().expect("a list").clone()
}

fn sum(coins: &[Value]) -> f64 {
    coins.iter().map(|coin| coin["amount"].as_f64().expect("an amount")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewards_are_listed_summed_and_combined_into_one_coin() {
    let chain = currency("c").node("a").start().await;
    let a = chain.node("a");
    let address = a.address().await;
    a.wait_height(6).await;
    a.call("pause", json!(["mining"])).await;
    let coins = unspent(a).await;
    assert!(coins.len() >= 5, "{coins:?}");
    for coin in &coins {
        assert_eq!(coin["address"], address.as_str());
        assert_eq!((&coin["cansend"], &coin["spendable"]), (&json!(true), &json!(true)));
        assert_eq!(coin["amount"].as_f64(), Some(5.0));
    }
    let total = sum(&coins);
    assert_eq!(a.call("getbalance", json!([])).await.as_f64(), Some(total));
    let balances = a.call("getaddressbalances", json!([address])).await;
    assert_eq!((&balances[0]["assetref"], balances[0]["qty"].as_f64()), (&json!(""), Some(total)));
    assert_eq!(a.call("getwalletinfo", json!([])).await["utxocount"], coins.len());
    assert_eq!(a.call("gettotalbalances", json!([])).await, balances);
    assert_eq!(a.call("getmultibalances", json!([])).await["total"], balances);
    let set = a.call("gettxoutsetinfo", json!([])).await;
    assert_eq!(set["txouts"], set["transactions"], "every coin is of a coinbase");
    assert!(set["total_amount"].as_f64() >= Some(total));

    let sent = a.call("combineunspent", json!([address])).await;
    let combined = sent[0].as_str().expect("a transaction id").to_owned();
    let waiting = a.call("gettxout", json!([combined, 0])).await;
    assert_eq!((waiting["value"].as_f64(), &waiting["confirmations"]), (Some(total), &json!(0)));
    assert_eq!(a.call("gettxout", json!([combined, 0, false])).await, Value::Null);
    assert_eq!(a.call("gettxout", json!([coins[0]["txid"], coins[0]["vout"]])).await, Value::Null);
    assert_eq!(unspent(a).await, Vec::<Value>::new(), "all that was confirmed is being spent");
    assert_eq!(a.call("listunspent", json!([0])).await.as_array().map(Vec::len), Some(1));
    assert_eq!(a.call("combineunspent", json!([address])).await, json!([]), "one coin is not combined");
    a.call("resume", json!(["mining"])).await;
    a.wait_confirmed(&combined).await;
    let after = unspent(a).await;
    assert!(after.iter().any(|coin| coin["txid"] == combined.as_str() && coin["amount"].as_f64() == Some(total)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_coins_are_neither_listed_nor_spent_and_a_restart_frees_them() {
    let chain = currency("c").node("a").start().await;
    let (locked, address) = {
        let a = chain.node("a");
        a.wait_height(5).await;
        a.call("pause", json!(["mining"])).await;
        let coins = unspent(a).await;
        let locked = json!({"txid": coins[0]["txid"], "vout": coins[0]["vout"]});
        assert_eq!(a.call("lockunspent", json!([false, [locked]])).await, json!(true));
        assert_eq!(a.call("listlockunspent", json!([])).await, json!([locked]));
        assert_eq!(unspent(a).await.len(), coins.len() - 1);
        let address = a.address().await;
        let without = a.call("getaddressbalances", json!([address])).await;
        let with = a.call("getaddressbalances", json!([address, 1, true])).await;
        assert_eq!(with[0]["qty"].as_f64(), without[0]["qty"].as_f64().map(|qty| qty + 5.0));
        a.call("combineunspent", json!(["*"])).await;
        assert_ne!(a.call("gettxout", json!([locked["txid"], locked["vout"]])).await, Value::Null);
        (locked, address)
    };
    let a = chain.node("a");
    a.stop().await;
    a.restart().await;
    assert_eq!(a.call("listlockunspent", json!([])).await, json!([]));
    a.call("combineunspent", json!([address, 0])).await;
    assert_eq!(a.call("gettxout", json!([locked["txid"], locked["vout"]])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_with_fees_takes_them_from_coins_of_the_author_and_gives_change_back() {
    let chain = currency("c").param("minimum-relay-fee", "1000").node("a").start().await;
    let a = chain.node("a");
    a.wait_height(4).await;
    a.call("pause", json!(["mining"])).await;
    let before = a.call("getbalance", json!([])).await.as_f64().expect("a number");
    let published = a.call("publish", json!(["root", "key", "00"])).await;
    let fees = a.call("getrawmempool", json!([true])).await;
    let fee = fees[published.as_str().expect("an id")]["fee"].as_f64().expect("a fee");
    assert!((0.000_01..0.000_1).contains(&fee), "{fee}");
    let after = a.call("getbalance", json!([])).await.as_f64().expect("a number");
    assert!((before - fee - after).abs() < 1e-9, "{before} - {fee} = {after}");
    let stranger = a.call("getnewaddress", json!([])).await;
    a.call("grant", json!([stranger, "send,receive"])).await;
    let refused = a.refusal("publishfrom", json!([stranger, "root", "key", "00"])).await;
    assert_eq!(refused.code, -716, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_once_never_spend_the_same_coin() {
    let chain = currency("c").param("minimum-relay-fee", "1000").node("a").start().await;
    let a = chain.node("a");
    a.wait_height(3).await;
    a.call("pause", json!(["mining"])).await;
    let publish = |key: &'static str| a.call("publish", json!(["root", key, "00"]));
    let (one, two, three, four, five, six) =
        tokio::join!(publish("1"), publish("2"), publish("3"), publish("4"), publish("5"), publish("6"));
    let ids: BTreeSet<String> = [one, two, three, four, five, six].iter().map(Value::to_string).collect();
    assert_eq!(ids.len(), 6);
    assert_eq!(a.call("getmempoolinfo", json!([])).await["size"], 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_with_many_coins_gets_few_without_being_asked() {
    let plan = currency("c").option("-autocombinemininputs=4").option("-autocombinesuspend=0");
    let chain = plan.node("a").start().await;
    let a = chain.node("a");
    until("rewards to be combined", async || {
        let set = a.call("gettxoutsetinfo", json!([])).await;
        let number = |name: &str| set[name].as_u64().expect("a number");
        check(number("txouts") + 2 < number("height"), &set)
    })
    .await;
    a.call("setruntimeparam", json!(["autocombinemininputs", 0])).await;
    assert_eq!(a.call("getruntimeparams", json!([])).await["autocombinemininputs"], 0);
}
