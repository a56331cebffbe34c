//! Moving from an old chain to a new one with scripts/migrate, killed on the way and started again.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::rpc::credentials;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Items of the first stream: enough that a kill after some of them leaves others.
const ITEMS: usize = 30;
/// Bytes of the large item: more than the script reads at once.
const LARGE: usize = 1_500_000;

fn url(node: &Node) -> String {
    let (user, password) = credentials(&node.folder().join("node.conf")).expect("a started node has credentials");
    format!("http://{user}:{password}@127.0.0.1:{}", node.rpc_port)
}

fn migrate(from: &Node, to: &Node, further: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/migrate"));
    command.args(["--from", &url(from), "--to", &url(to), "--mapping", "mapping.jsonl"]).args(further);
    command.current_dir(&to.home).kill_on_drop(true);
    command
}

async fn migrate_to_end(from: &Node, to: &Node, further: &[&str]) -> String {
    let outcome = migrate(from, to, further).output().await.expect("python3 runs");
    let error = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{error}");
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// What an item says, without what differs between chains.
async fn contents(node: &Node, stream: &str) -> Vec<Value> {
    let items = node.call("liststreamitems", json!([stream, true, 1000, 0])).await;
    let mut contents = Vec::new();
    for item in items.as_array().expect("a list") {
        let data = match item["data"].get("txid") {
            Some(_) => node.call("gettxoutdata", json!([item["txid"], item["vout"]])).await,
            None => item["data"].clone(),
        };
        contents.push(json!([item["publishers"], item["keys"], item["offchain"], item["available"], data]));
    }
    contents
}

async fn fill(old: &Node) {
    let first = old.call("create", json!(["stream", "one", {"restrict": "write", "salted": true}, {"use": [1]}])).await;
    let second = old.call("create", json!(["stream", "two", true])).await;
    let variable = old.call("create", json!(["variable", "v", true, {"a": 1}])).await;
    let address = old.address().await;
    let asset = old.call("issue", json!([address, {"name": "gold", "open": true}, 100, 0.01, 0, {"mine": "x"}])).await;
    for txid in [first, second, variable, asset] {
        old.wait_confirmed(&text(&txid)).await;
    }
    let other = text(&old.call("getnewaddress", json!([])).await);
    old.call("grant", json!([other, "one.write", 0, 0, 4_000_000_000_u32])).await;
    old.call("grant", json!([other, "two.activate"])).await;
    old.call("setvariablevalue", json!(["v", [2]])).await;
    old.call("issuemore", json!([address, "gold", 5])).await;
    for number in 0..ITEMS {
        let data = [json!({"json": {"n": number}}), json!({"text": "h\u{e9}"}), json!("00ff")][number % 3].clone();
        let place = if number % 2 == 0 { "" } else { "offchain" };
        old.call("publish", json!(["one", ["all", format!("k{number}")], data, place])).await;
    }
    let cache = old.call("createbinarycache", json!([])).await;
    old.call("appendbinarycache", json!([cache, "c5".repeat(LARGE)])).await;
    old.call("publish", json!(["two", "large", {"cache": cache}, "offchain"])).await;
    let both = json!([{"for": "one", "key": "m", "data": "01"}, {"key": "m", "data": {"text": "2"}}]);
    let last = old.call("publishmulti", json!(["two", both])).await;
    old.wait_confirmed(&text(&last)).await;
    old.call("subscribe", json!([["one", "two"]])).await;
}

fn lines(node: &Node) -> Vec<String> {
    let text = std::fs::read_to_string(node.home.join("mapping.jsonl")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Two chains of the same address versions, so that keys of the one are keys of the other.
async fn chains() -> (Chain, Chain) {
    let plan = |name| {
        Chain::create(name)
            .param("address-pubkeyhash-version", "00aabbcc")
            .param("address-scripthash-version", "05aabbcc")
            .param("private-key-version", "80aabbcc")
            .param("address-checksum-value", "01020304")
            .nodes(&["a"])
    };
    (plan("old").start().await, plan("new").start().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_moved_without_doubles_though_the_move_is_killed_on_the_way() {
    let (old_chain, new_chain) = chains().await;
    let (old, new) = (old_chain.node("a"), new_chain.node("a"));
    fill(old).await;
    let key = text(&old.call("dumpprivkey", json!([old.address().await])).await);
    std::fs::write(new.home.join("keys"), format!("{key}\n")).expect("a written file");
    let keys = ["--keys", "keys"];

    let told = migrate_to_end(old, new, &["--dry-run"]).await;
    assert!(told.contains("2 streams") && told.contains("33 items"), "{told}");
    assert_eq!((lines(new).len(), new.call("liststreams", json!([])).await.as_array().map(Vec::len)), (0, Some(1)));

    let mut run = migrate(old, new, &keys).spawn().expect("python3 runs");
    until("some of the move", async || check(lines(new).len() > 20, lines(new).len())).await;
    run.kill().await.expect("a killed process");
    // As after a kill between the call and its note, in the middle of a line.
    let mut kept = lines(new);
    let _ = kept.pop_if(|line| line.contains("\"done\""));
    kept.push("{\"note\": \"do".to_owned());
    std::fs::write(new.home.join("mapping.jsonl"), kept.join("\n")).expect("a written file");
    migrate_to_end(old, new, &keys).await;
    let after = lines(new);
    let again = migrate_to_end(old, new, &keys).await;
    assert!(again.contains("replayed before"), "{again}");
    assert_eq!(lines(new), after, "a finished move has nothing more to do");

    new.call("subscribe", json!([["one", "two"]])).await;
    for stream in ["one", "two"] {
        assert_eq!(contents(new, stream).await, contents(old, stream).await, "{stream}");
        let [was, is] = [old, new].map(|node| node.call("liststreams", json!([stream, true])));
        let (was, is) = (was.await, is.await);
        for member in ["restrict", "salted", "details", "items", "keys"] {
            assert_eq!(is[0][member], was[0][member], "{stream} {member}");
        }
    }
    let rights = new.call("listpermissions", json!(["two.activate"])).await;
    assert!(rights.as_array().is_some_and(|rows| rows.len() == 3), "creator, new creator, granted one: {rights}");
    let values = new.call("getvariablehistory", json!(["v"])).await;
    assert_eq!([&values[0]["value"], &values[1]["value"]], [&json!({"a": 1}), &json!([2])]);
    let gold = new.call("getassetinfo", json!(["gold"])).await;
    assert_eq!((&gold["issueraw"], &gold["open"], &gold["units"]), (&json!(10_500), &json!(true), &json!(0.01)));
}
