//! Lists read by cursor: every one of them, to its end while others write, over a kill; and queries in bounded steps.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// Entries of a list and the token behind them, read by pages from a token on until there is no more.
async fn read_on(node: &Node, method: &str, params: &[Value], count: u64, token: &str) -> (Vec<Value>, String) {
    let (mut entries, mut token) = (Vec::new(), token.to_owned());
    loop {
        let mut call = params.to_vec();
        call.extend([json!(count), json!({ "after": token })]);
        let page = node.call(method, Value::Array(call)).await;
        let found = page["entries"].as_array().unwrap_or_else(|| panic!("{method}: {page}"));
        assert!(found.len() as u64 <= count || method == "liststreamblockitems", "{method}: {page}");
        assert!(page.get("rewound").is_none(), "{method}: {page}");
        entries.extend(found.iter().cloned());
        token = text(&page["after"]);
        if page["more"] == false {
            return (entries, token);
        }
    }
}

fn ids(entries: &[Value]) -> Vec<(String, u64)> {
    entries.iter().map(|entry| (text(&entry["txid"]), entry["vout"].as_u64().unwrap())).collect()
}

async fn publish_many(node: &Node, calls: u64) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for call in 0..calls {
        let items: Vec<Value> = (0..1 + call % 5).map(|n| json!({"key": format!("k{n}"), "data": "00"})).collect();
        made.insert(text(&node.call("publishmulti", json!(["s", items])).await));
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_read_to_its_end_by_cursor_while_others_publish_and_over_a_kill_with_nothing_missed_or_doubled() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    a.open_stream("s", true).await;
    chain.grant("b", "send").await;
    chain.wait_agreed().await;
    for node in [a, b] {
        node.call("subscribe", json!(["s"])).await;
    }
    let (mut by_chain, mut by_key, mut arrived) = (Vec::new(), Vec::new(), Vec::new());
    let (mut chain_at, mut key_at, mut local_at) = (String::new(), String::new(), String::new());
    let mut made = BTreeSet::new();
    for round in 0..3 {
        let mut written = Box::pin(async { tokio::join!(publish_many(a, 40), publish_many(b, 20)) });
        let (one, two) = loop {
            tokio::select! {
                done = &mut written => break done,
                () = async {
                    let (found, at) = read_on(b, "liststreamitems", &[json!("s"), json!(true)], 7, &chain_at).await;
                    by_chain.extend(ids(&found));
                    chain_at = at;
                    let key = [json!("s"), json!("k1"), json!(true)];
                    let (found, at) = read_on(b, "liststreamkeyitems", &key, 3, &key_at).await;
                    by_key.extend(ids(&found));
                    key_at = at;
                    let mut params = vec![json!("s"), json!(true), json!(5), json!({"after": local_at}), json!(true)];
                    loop {
                        let page = b.call("liststreamitems", Value::Array(params.clone())).await;
                        arrived.extend(ids(page["entries"].as_array().unwrap()));
                        local_at = text(&page["after"]);
                        params[3] = json!({"after": local_at});
                        if page["more"] == false {
                            break;
                        }
                    }
                } => {}
            }
        };
        drop(written);
        made.extend(one);
        made.extend(two);
        if round == 1 {
            b.kill().await;
            b.start().await;
        }
    }
    for txid in &made {
        b.wait_confirmed(txid).await;
    }
    let (found, _) = read_on(b, "liststreamitems", &[json!("s"), json!(true)], 1_000_000, &chain_at).await;
    by_chain.extend(ids(&found));
    let (found, _) = read_on(b, "liststreamkeyitems", &[json!("s"), json!("k1"), json!(true)], 9, &key_at).await;
    by_key.extend(ids(&found));
    let offset =
        |method: &'static str, params: Value| async move { ids(b.call(method, params).await.as_array().unwrap()) };
    let listed = offset("liststreamitems", json!(["s", true, 1_000_000, 0])).await;
    assert_eq!(listed.iter().map(|(txid, _)| txid.clone()).collect::<BTreeSet<_>>(), made);
    assert_eq!(by_chain, listed);
    assert_eq!(by_key, offset("liststreamkeyitems", json!(["s", "k1", true, 1_000_000, 0])).await);
    let local = json!(["s", true, 1_000_000, {"after": local_at}, true]);
    arrived.extend(ids(b.call("liststreamitems", local).await["entries"].as_array().unwrap()));
    assert_eq!(arrived, offset("liststreamitems", json!(["s", true, 1_000_000, 0, true])).await);
}

/// What stands before `count` in a call of a list, on a chain that [`furnished`] made.
fn leading(method: &str, address: &str, height: u64) -> Vec<Value> {
    let address = json!(address);
    match method {
        "explorerlisttransactions" => vec![json!(false)],
        "explorerlistblocktransactions" => vec![json!(height), json!(false)],
        "explorerlistaddressassettransactions" => vec![address, json!("gold"), json!(false)],
        "explorerlistassetaddresses" | "listassetissues" | "listassettransactions" => vec![json!("gold"), json!(false)],
        "explorerlistaddressassets" | "explorerlistaddressstreams" | "explorerlistaddresstransactions" => {
            vec![address, json!(false)]
        }
        "getvariablehistory" => vec![json!("v"), json!(false)],
        "liststreamblockitems" => vec![json!("s"), json!(format!("0-{}", height - 2)), json!(false)],
        "liststreamitems" => vec![json!("s"), json!(false)],
        "liststreamkeyitems" => vec![json!("s"), json!("k1"), json!(false)],
        "liststreamkeys" | "liststreampublishers" => vec![json!("s"), json!("*"), json!(false)],
        "liststreampublisheritems" => vec![json!("s"), address, json!(false)],
        "liststreamqueryitems" => {
            vec![json!("s"), json!({"json": {"path": "$.n", "op": ">=", "value": 1}}), json!(false)]
        }
        "listaddresses" | "listassets" | "liststreams" | "listvariables" | "explorerlistaddresses" => {
            vec![json!("*"), json!(false)]
        }
        "listwallettransactions" => Vec::new(),
        "listaddresstransactions" => vec![address],
        other => panic!("{other} takes a cursor and is not in this test"),
    }
}

/// Something of everything that is listed, mined, and nothing mined any more: an address and the height of the last item.
async fn furnished(node: &Node) -> (String, u64) {
    let address = node.address().await;
    let mut last = String::new();
    for name in ["s", "s2", "s3"] {
        node.open_stream(name, true).await;
    }
    node.call("subscribe", json!(["s"])).await;
    for name in ["gold", "silver", "lead"] {
        let issue = json!([address, {"name": name, "open": true}, 100, 1]);
        last = text(&node.call("issue", issue).await);
        let made = text(&node.call("create", json!(["variable", format!("{name}v"), true, 0])).await);
        node.wait_confirmed(&made).await;
    }
    last = text(&node.call("create", json!(["variable", "v", true, last])).await);
    node.wait_confirmed(&last).await;
    node.call("subscribe", json!(["gold"])).await;
    for number in 0..5 {
        let other = text(&node.call("getnewaddress", json!([])).await);
        node.call("issuemore", json!([address, "gold", 10])).await;
        node.call("setvariablevalue", json!(["v", number])).await;
        node.call("grant", json!([other, "receive,send"])).await;
        last = text(&node.call("sendasset", json!([other, "gold", 1])).await);
        node.wait_confirmed(&last).await;
        node.call("publishfrom", json!([address, "s2", "k", "00"])).await;
        node.call("publishfrom", json!([address, "s3", "k", "00"])).await;
        for n in 0..3 {
            let item = json!([address, "s", ["k1", format!("k{number}{n}")], {"json": {"n": n}}]);
            last = text(&node.call("publishfrom", item).await);
        }
        node.wait_confirmed(&last).await;
    }
    node.call("pause", json!(["mining"])).await;
    let item = node.call("getstreamitem", json!(["s", last, true])).await;
    (address, item["blockheight"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_gives_by_cursor_what_it_gives_by_offset_and_takes_no_token_of_another() {
    let chain = Chain::create("c").option("-explorersupport=2").node("a").start().await;
    let a = chain.node("a");
    let (address, height) = furnished(a).await;
    let document = a.call("rpc.discover", json!([])).await;
    let takes_cursor = |method: &&Value| {
        let params = method["params"].as_array().unwrap();
        params.iter().any(|param| {
            let is_place = param["name"] == "start" || param["name"] == "skip";
            is_place && param["schema"]["type"].as_array().is_some_and(|types| types.contains(&json!("object")))
        })
    };
    let methods: Vec<String> =
        document["methods"].as_array().unwrap().iter().filter(takes_cursor).map(|m| text(&m["name"])).collect();
    assert!(methods.len() >= 23, "{methods:?}");
    let mut foreign = String::new();
    for method in &methods {
        let params = leading(method, &address, height);
        let mut whole = params.clone();
        whole.extend([json!(1_000_000), json!(0)]);
        let listed = a.call(method, Value::Array(whole)).await;
        let listed = listed.as_array().unwrap();
        assert!(listed.len() >= if method == "liststreampublishers" { 1 } else { 2 }, "{method}: {listed:?}");
        for count in [1, 2, 1_000] {
            let (read, token) = read_on(a, method, &params, count, "").await;
            assert_eq!(&read, listed, "{method} by {count}");
            let (nothing, again) = read_on(a, method, &params, count, &token).await;
            assert_eq!((nothing.len(), &again), (0, &token), "{method}");
            if !foreign.is_empty() && count == 1 {
                let mut call = params.clone();
                call.extend([json!(1), json!({ "after": foreign })]);
                let refusal = a.refusal(method, Value::Array(call)).await;
                assert_eq!(
                    (refusal.code, &*refusal.message),
                    (-8, "Invalid cursor: it belongs to another list"),
                    "{method}"
                );
            }
            if count == 1_000 {
                foreign = token;
            }
        }
        for wrong in [json!({"after": "AAAA"}), json!({"after": 7}), json!({}), json!({"after": "x".repeat(161)})] {
            let mut call = params.clone();
            call.extend([json!(1), wrong]);
            assert_eq!(a.refusal(method, Value::Array(call)).await.code, -8, "{method}");
        }
    }
    for chosen in [
        ("liststreams", vec![json!(["s3", "s"]), json!(true)]),
        ("liststreamkeys", vec![json!("s"), json!(["k1", "none", "k02"]), json!(false)]),
        ("liststreampublishers", vec![json!("s"), json!([address]), json!(true)]),
        ("listaddresses", vec![json!([address]), json!(true)]),
        ("explorerlistaddresses", vec![json!([address]), json!(true)]),
        ("liststreamblockitems", vec![json!("s"), json!("-4,2,3,5-9"), json!(true)]),
    ] {
        let (method, params) = chosen;
        let mut whole = params.clone();
        whole.extend([json!(1_000_000), json!(0)]);
        let (read, _) = read_on(a, method, &params, 1, "").await;
        assert_eq!(Value::Array(read), a.call(method, Value::Array(whole)).await, "{method}");
    }
}

async fn published(node: &Node, stream: &str, item: Value) -> String {
    text(&node.call("publish", json!([stream, "k", {"json": item}])).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_found_by_conditions_on_their_json() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.call("subscribe", json!(["s"])).await;
    let large = 9_007_199_254_740_993i64;
    let one = published(a, "s", json!({"n": 1, "tags": ["x", "y"], "at": {"b": "ä"}})).await;
    let two = published(a, "s", json!({"n": large, "tags": ["y"]})).await;
    a.publish("s", "k", "no JSON").await;
    let off = text(&a.call("publish", json!(["s", ["k", "off"], {"json": {"n": 2}}, "offchain"])).await);
    a.wait_confirmed(&off).await;
    let found = async |query: Value| -> Vec<String> {
        let list = a.call("liststreamqueryitems", json!(["s", query])).await;
        list.as_array().unwrap().iter().map(|item| text(&item["txid"])).collect()
    };
    let when = |path: &str, op: &str, value: Value| json!({"json": {"path": path, "op": op, "value": value}});
    assert_eq!(found(when("$.n", ">=", json!(1))).await, [&*one, &*two, &*off]);
    assert_eq!(found(when("$.n", ">", json!(large - 1))).await, [&*two]);
    assert_eq!(found(when("$.tags[*]", "=", json!("x"))).await, [&*one]);
    assert_eq!(found(when("$..b", "=", json!("ä"))).await, [&*one]);
    assert_eq!(found(when("$[?@ == 2]", "=", json!(2))).await, [&*off]);
    assert_eq!(found(json!({"json": {"path": "$.tags", "op": "missing"}})).await, [&*off]);
    assert_eq!(found(json!({"key": "off", "json": {"path": "$.n", "op": "exists"}})).await, [&*off]);
    let both = json!([{"path": "$.n", "op": "<", "value": 5}, {"path": "$.tags", "op": "exists"}]);
    assert_eq!(found(json!({"json": both})).await, [&*one]);
    let last = a.call("liststreamqueryitems", json!(["s", when("$.n", ">=", json!(1)), false, 1])).await;
    assert_eq!(text(&last[0]["txid"]), off, "count takes the last ones, as in other lists");

    let wrong = a.refusal("liststreamqueryitems", json!(["s", when("$.a[", "=", json!(1))])).await;
    assert_eq!(wrong.code, -8);
    assert!(wrong.message.contains("at character 5"), "{}", wrong.message);
    assert_eq!(a.refusal("purgestreamitems", json!(["s", when("$.n", "=", json!(2))])).await.code, -8);
    a.call("purgestreamitems", json!(["s", "all"])).await;
    a.call("purgepublisheditems", json!(["all"])).await;
    assert!(found(json!({"json": {"path": "$.tags", "op": "missing"}})).await.is_empty(), "its data is not here now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_looks_through_any_number_of_items_in_steps_that_are_bounded() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.call("subscribe", json!(["s"])).await;
    let mut wanted = Vec::new();
    for n in 0..34 {
        let txid = published(a, "s", json!({"n": n, "big": n % 10 == 0, "tags": ["x", n]})).await;
        if n % 10 == 0 || n == 33 {
            wanted.push(txid.clone());
        }
        if n == 33 {
            a.wait_confirmed(&txid).await;
        }
    }
    a.call("setruntimeparam", json!(["maxqueryscanitems", 4])).await;
    let query = json!({"json": {"path": "$[?@ == true || @[*] == 33]", "op": "exists"}});
    let refused = a.refusal("liststreamqueryitems", json!(["s", query])).await;
    assert_eq!(refused.code, -8, "a path to several values is not compared: {}", refused.message);
    let query = json!({"json": {"path": "$[?@ == true || @[1] == 33]", "op": "exists"}});
    let refused = a.refusal("liststreamqueryitems", json!(["s", query])).await;
    assert_eq!(refused.code, -702);
    assert!(refused.message.contains("maxqueryscanitems"), "{}", refused.message);
    let (mut read, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = a.call("liststreamqueryitems", json!(["s", query, false, 100, {"after": token}])).await;
        read.extend(page["entries"].as_array().unwrap().iter().map(|item| text(&item["txid"])));
        token = text(&page["after"]);
        pages += 1;
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(read, wanted);
    assert_eq!(pages, 9, "34 candidates, four a call");
    let new = published(a, "s", json!({"big": true})).await;
    a.wait_confirmed(&new).await;
    let page = a.call("liststreamqueryitems", json!(["s", query, false, 100, {"after": token}])).await;
    assert_eq!(text(&page["entries"][0]["txid"]), new, "it goes on with what is new");
}
