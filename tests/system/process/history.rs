//! Lists of transactions: of the wallet and its addresses, of imported ones with their past, and of explorers.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

async fn txids(node: &Node, method: &str, params: Value) -> Vec<String> {
    let list = node.call(method, params).await;
    let list = list.as_array().unwrap_or_else(|| panic!("{method} answers a list, not {list}")).clone();
    list.iter().map(|entry| text(&entry["txid"])).collect()
}

async fn grant(node: &Node, to: &str) -> String {
    text(&node.call("grant", json!([to, "send"])).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wallet_lists_its_transactions_by_arrival_and_keeps_the_list_over_a_kill() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let first = a.address().await;
    let second = text(&a.call("getnewaddress", json!([])).await);
    let mut made = Vec::new();
    for number in 0..6 {
        made.push(if number % 2 == 0 {
            grant(a, &second).await
        } else {
            a.publish("root", "k", &number.to_string()).await
        });
    }
    assert_eq!(txids(a, "listwallettransactions", json!([6])).await, made, "those that wait are listed");
    assert_eq!(txids(a, "listwallettransactions", json!([2, 1])).await, made[3..5]);
    assert_eq!(txids(a, "listaddresstransactions", json!([second, 10])).await, [&*made[0], &*made[2], &*made[4]]);
    for txid in &made {
        a.wait_confirmed(txid).await;
    }
    let all = txids(a, "listwallettransactions", json!([100])).await;
    a.kill().await;
    a.start().await;
    assert_eq!(txids(a, "listwallettransactions", json!([100])).await, all);
    assert_eq!(txids(a, "listaddresstransactions", json!([first, 6])).await, made);
    a.stop().await;
    a.start_with("c", &["-reindex"]).await;
    let rebuilt = txids(a, "listwallettransactions", json!([100])).await;
    assert_eq!(rebuilt.len(), all.len(), "made anew from the blocks");
    let old = a.call("gettransaction", json!([made[0]])).await;
    assert_eq!(old["txid"], json!(made[0]));
    a.refusal("gettransaction", json!(["00".repeat(32)])).await;
    let since = a.call("listsinceblock", json!([a.hash_at(1).await])).await;
    assert!(since["transactions"].is_array() && since["lastblock"].is_string(), "{since}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_address_has_its_past_if_asked_and_only_its_future_if_not() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let pairs = a.call("createkeypairs", json!([2])).await;
    let (one, two) = (text(&pairs[0]["address"]), text(&pairs[1]["address"]));
    let past = [grant(a, &one).await, grant(a, &two).await];
    for txid in &past {
        a.wait_confirmed(txid).await;
    }
    a.call("importaddress", json!([one, "", true])).await;
    a.call("importaddress", json!([two, "", false])).await;
    assert_eq!(txids(a, "listaddresstransactions", json!([one])).await, [&*past[0]]);
    assert!(txids(a, "listaddresstransactions", json!([two])).await.is_empty());
    let later = grant(a, &two).await;
    assert_eq!(txids(a, "listaddresstransactions", json!([two])).await, [&*later]);
    let shown = &a.call("listaddresstransactions", json!([one])).await[0];
    assert_eq!(shown["myaddresses"], json!([one]));
    a.call("importprivkey", json!([pairs[1]["privkey"], "", true])).await;
    a.wait_confirmed(&later).await;
    assert_eq!(txids(a, "listaddresstransactions", json!([two])).await, [&*past[1], &*later], "its key has a past");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explorer_lists_need_the_setting_and_find_what_addresses_did() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let refused = a.refusal("explorerlisttransactions", json!([])).await;
    assert_eq!(refused.code, -702, "{refused:?}");
    let address = a.address().await;
    a.open_stream("s", false).await;
    let item = a.publish("s", "k", "1").await;
    a.wait_confirmed(&item).await;
    a.stop().await;
    a.start_with("c", &["-explorersupport=2"]).await;
    let all = a.call("explorerlisttransactions", json!([true, 1000])).await;
    let found = all.as_array().unwrap().iter().find(|entry| entry["txid"] == json!(item)).unwrap().clone();
    assert_eq!(found["tags"], json!(["onchain-stream-item"]));
    let entry = &a.call("explorerlistaddresses", json!([[address], true])).await[0];
    assert!(entry["txs"].as_u64().unwrap() >= 3 && entry["last"]["txid"].is_string(), "{entry}");
    let of_address = txids(a, "explorerlistaddresstransactions", json!([address, false, 1000])).await;
    assert!(of_address.contains(&item));
    let streams = a.call("explorerlistaddressstreams", json!([address])).await;
    assert!(streams.as_array().unwrap().iter().any(|stream| stream["name"] == json!("s")), "{streams}");
    let block = found["blockheight"].clone();
    assert!(txids(a, "explorerlistblocktransactions", json!([block, false, 100])).await.contains(&item));
    let raw = a.call("explorergetrawtransaction", json!([item, 1])).await;
    assert_eq!(raw["vout"][0]["redeem"], Value::Null);
    let redeemed = a.call("explorerlistredeemtransactions", json!([item, [0]])).await;
    assert_eq!(redeemed, json!([{"txid": null, "vin": null, "vout": 0}]));
    assert_eq!(a.call("explorerlistredeemtransactions", json!([item, 1])).await, json!([null]));
    // A stream that comes later is followed by itself.
    a.open_stream("t", false).await;
    let new = a.publish("t", "k", "2").await;
    a.wait_item("t", &new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_assets_are_followed_by_autosubscribe_and_by_explorers_which_take_up_older_ones() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let address = a.address().await;
    let issue = async |name: &str| {
        let txid = text(&a.call("issue", json!([address, name, 10])).await);
        a.wait_confirmed(&txid).await;
        txid
    };
    issue("before").await;
    for (option, name) in [("-autosubscribe=assets", "gold"), ("-explorersupport=2", "silver")] {
        a.stop().await;
        a.start_with("c", &[option]).await;
        let txid = issue(name).await;
        let asset = until(&format!("{name} to be followed"), async || {
            let asset = a.call("listassets", json!([name])).await[0].clone();
            check(asset["synchronized"] == json!(true), &asset).map(|()| asset)
        })
        .await;
        assert_eq!((&asset["subscribed"], &asset["transactions"]), (&json!(true), &json!(1)), "{asset}");
        assert_eq!(txids(a, "listassettransactions", json!([name])).await, [&*txid]);
    }
    let before = a.call("listassets", json!(["before"])).await[0].clone();
    assert_eq!(before["subscribed"], json!(true), "an explorer takes up what is there, too: {before}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explorers_see_what_waits_in_quantities_and_balances_and_none_of_it_twice() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    a.start_with("c", &["-explorersupport=2"]).await;
    let first = a.address().await;
    let second = text(&a.call("getnewaddress", json!([])).await);
    a.wait_confirmed(&text(&a.call("grant", json!([second, "send,receive"])).await)).await;
    a.wait_confirmed(&text(&a.call("issue", json!([first, "gold", 10, 0.1])).await)).await;
    a.open_stream("s", false).await;
    let sent = text(&a.call("sendasset", json!([second, "gold", 2.5])).await);
    let item = a.publish("s", "k", "1").await;
    a.wait_confirmed(&sent).await;
    a.wait_confirmed(&item).await;
    a.call("pause", json!(["mining"])).await;
    let back = text(&a.call("sendassetfrom", json!([second, first, "gold", 0.5])).await);
    a.call("sendassetfrom", json!([first, second, "gold", 8])).await;
    a.publish("s", "k", "2").await;
    for settled in [false, true] {
        if settled {
            a.call("resume", json!(["mining"])).await;
            a.wait_confirmed(&back).await;
            until("nothing to wait", async || {
                let waiting = a.call("getrawmempool", json!([])).await;
                check(waiting == json!([]), waiting)
            })
            .await;
        }
        let moves = a.call("explorerlistaddressassettransactions", json!(["gold", first])).await;
        let shown: Vec<Value> =
            moves.as_array().unwrap().iter().map(|entry| json!([entry["amount"], entry["balance"]])).collect();
        assert_eq!(json!(shown), json!([[10, 10], [-2.5, 7.5], [0.5, 8], [-8, 0]]), "{moves}");
        assert_eq!(moves[2]["txid"], json!(back));
        assert_eq!(moves[2]["blockheight"].is_u64(), settled, "{moves}");
        let page = a.call("explorerlistaddressassettransactions", json!([first, "gold", false, 2, 1])).await;
        assert_eq!([&page[0]["balance"], &page[1]["balance"]], [&json!(7.5), &json!(8)], "{page}");
        let number = a.call("explorerlistaddressassettransactions", json!([first, "gold", "-"])).await;
        assert_eq!(number, json!(4));
        let holders = a.call("explorerlistassetaddresses", json!(["gold"])).await;
        let quantities: Vec<Value> =
            holders.as_array().unwrap().iter().map(|holder| json!([holder["address"], holder["raw"]])).collect();
        assert_eq!(json!(quantities), json!([[first, 0], [second, 100]]), "{holders}");
        let streams = a.call("explorerlistaddressstreams", json!([first])).await;
        let stream = streams.as_array().unwrap().iter().find(|stream| stream["name"] == json!("s")).unwrap();
        assert_eq!((&stream["items"], &stream["confirmed"]), (&json!(2), &json!(if settled { 2 } else { 1 })));
        let entry = &a.call("explorerlistaddresses", json!([[second]])).await[0];
        assert_eq!(entry["txs"].as_u64().unwrap() - entry["confirmed"].as_u64().unwrap(), if settled { 0 } else { 2 });
    }
}
