//! Every call that needs a right, by an address that has all others: refused by the call and as a signed transaction, by
//! a code that programs can rely on; and the same bytes are taken once the right is granted.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// Want of a permission.
const NO_PERMISSION: i64 = -704;
/// Something that the chain does not allow this address.
const NOT_ALLOWED: i64 = -701;

/// A signed transaction that a rule refuses; the message begins with the rule.
const REJECTED: i64 = -26;

/// A call that needs a right.
struct Row {
    /// What the address holds already.
    holds: &'static str,
    /// What it lacks.
    lacks: &'static str,
    /// The rule that refuses the signed transaction.
    rule: &'static str,
    method: &'static str,
    /// Parameters after the address.
    params: Value,
    /// The same as addresses and data of a raw transaction, where there is a form for it.
    raw: Option<(Value, Value)>,
}

fn row(
    (holds, lacks, rule): (&'static str, &'static str, &'static str),
    method: &'static str,
    params: Value,
    raw: impl Into<Option<(Value, Value)>>,
) -> Row {
    Row { holds, lacks, rule, method, params, raw: raw.into() }
}

/// What publishes, creates and changes; `to` is an address that may receive.
fn rows(to: &str) -> Vec<Row> {
    let larger = json!({"maximum-block-size": 9_000_000});
    let item = json!({"text": "t"});
    let data = |entry: Value| (json!({}), json!([entry]));
    let in_stream = |stream: &str| data(json!({"for": stream, "key": "k", "data": item}));
    let issued = (json!({to: {"issue": {"raw": 10}}}), json!([{"create": "asset", "name": "a2", "multiple": 1}]));
    let more = (json!({to: {"issuemore": {"asset": "units", "raw": 1}}}), json!([]));
    let stream = data(json!({"create": "stream", "name": "s2"}));
    let variable = data(json!({"create": "variable", "name": "v2", "value": 1}));
    vec![
        row(("", "send", "tx-send"), "publishfrom", json!(["open", "k", item]), in_stream("open")),
        row(("send", "closed.write", "stream-write"), "publishfrom", json!(["closed", "k", item]), in_stream("closed")),
        row(("send", "create", "entity-create"), "createfrom", json!(["stream", "s1", false]), stream),
        row(("send", "create", "entity-create"), "createfrom", json!(["variable", "v1", true, 1]), variable),
        row(("admin", "create", "entity-create"), "createfrom", json!(["upgrade", "u1", false, larger]), None),
        row(("create", "admin", "upgrade-admin"), "createfrom", json!(["upgrade", "u2", false, larger]), None),
        row(("activate", "admin", "upgrade-vote"), "approvefrom", json!(["larger", false]), None),
        row(("send", "issue", "asset-issue"), "issuefrom", json!([to, "a1", 10]), issued),
        row(("send", "units.issue", "asset-issue-more"), "issuemorefrom", json!([to, "units", 1]), more),
        row(
            ("send", "units.admin", "asset-update"),
            "updatefrom",
            json!(["units", {"open": true}]),
            data(json!({"update": "units", "open": true})),
        ),
        row(
            ("send", "kept.write", "variable-write"),
            "setvariablevaluefrom",
            json!(["kept", 2]),
            data(json!({"update": "kept", "value": 3})),
        ),
    ]
}

/// What gives rights.
fn grant_rows(to: &str) -> Vec<Row> {
    let give = |holds, lacks, right: &str, also: Value| {
        let raw = (json!({to: {"permissions": also}}), json!([]));
        row((holds, lacks, "perm-denied"), "grantfrom", json!([to, right]), raw)
    };
    vec![
        give("send", "activate", "low1", json!({"type": "low2"})),
        give("activate", "admin", "high1", json!({"type": "high2"})),
        give("admin", "closed.activate", "closed.write", json!({"type": "write", "for": "closed"})),
        give("admin", "closed.admin", "closed.high1", json!({"type": "high2", "for": "closed"})),
    ]
}

/// Grants from the first address; this node's next call feels it, mined or not.
async fn grant(node: &Node, address: &str, rights: &str) {
    for right in rights.split(',').filter(|right| !right.is_empty()) {
        node.call("grant", json!([address, right])).await;
    }
}

async fn new_address(node: &Node) -> String {
    text(&node.call("getnewaddress", json!([])).await)
}

/// A signed transaction of an address, made without asking whether it may.
async fn signed(node: &Node, inputs: Value, (addresses, data): &(Value, Value)) -> Value {
    let hex = node.call("createrawtransaction", json!([inputs, addresses, data])).await;
    let signed = node.call("signrawtransaction", json!([hex])).await;
    assert_eq!(signed["complete"], true, "{signed}");
    signed["hex"].clone()
}

/// Sends a signed transaction and expects the refusal that names this rule.
async fn refused_by(node: &Node, hex: &Value, rule: &str) {
    let refusal = node.refusal("sendrawtransaction", json!([hex])).await;
    assert_eq!(refusal.code, REJECTED, "{rule}: {refusal:?}");
    assert!(refusal.message.starts_with(&format!("{rule}: ")), "{rule}: {refusal:?}");
}

async fn furnished() -> Chain {
    let chain = Chain::create("c")
        .param("admin-consensus-admin", "0")
        .param("admin-consensus-activate", "0")
        .param("admin-consensus-upgrade", "1")
        .node("a")
        .start()
        .await;
    let a = chain.node("a");
    let address = a.address().await;
    a.open_stream("open", true).await;
    a.open_stream("closed", false).await;
    a.call("create", json!(["variable", "kept", true, 1])).await;
    a.call("create", json!(["upgrade", "larger", false, {"maximum-block-size": 9_000_000, "startblock": 900}])).await;
    let units =
        json!({"name": "units", "open": true, "canopen": true, "canclose": true, "restrict": "send,receive,issue"});
    a.call("issue", json!([address, units, 1_000])).await;
    chain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_without_the_right_it_needs_is_refused_by_its_code_and_taken_with_it() {
    let chain = furnished().await;
    let a = chain.node("a");
    let to = a.address().await;
    for Row { holds, lacks, rule, method, params, raw } in rows(&to).into_iter().chain(grant_rows(&to)) {
        let address = new_address(a).await;
        grant(a, &address, holds).await;
        let params: Vec<Value> = std::iter::once(json!(address)).chain(params.as_array().unwrap().clone()).collect();
        let refusal = a.refusal(method, json!(params)).await;
        assert_eq!(refusal.code, NO_PERMISSION, "{method} without {lacks}: {refusal:?}");
        let hex = match &raw {
            Some(raw) => Some(signed(a, json!([{"address": address}]), raw).await),
            None => None,
        };
        if let Some(hex) = &hex {
            refused_by(a, hex, rule).await;
        }
        grant(a, &address, lacks).await;
        a.call(method, json!(params)).await;
        if let Some(hex) = hex {
            a.call("sendrawtransaction", json!([hex])).await;
        }
    }
    a.wait_pool_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paying_needs_the_rights_of_who_sends_and_of_who_gets() {
    let chain = furnished().await;
    let a = chain.node("a");
    let all = "send,receive,units.send,units.receive";
    for (from_lacks, to_lacks, code, rule) in [
        ("send", "", NO_PERMISSION, "tx-send"),
        ("units.send", "", NO_PERMISSION, "asset-send"),
        ("", "receive", NO_PERMISSION, "tx-receive"),
        ("", "units.receive", NOT_ALLOWED, "asset-receive"),
    ] {
        let (from, to) = (new_address(a).await, new_address(a).await);
        let but = |lacks: &str| all.split(',').filter(|right| *right != lacks).collect::<Vec<_>>().join(",");
        grant(a, &from, &but(from_lacks)).await;
        grant(a, &to, &but(to_lacks)).await;
        let coin = text(&a.call("sendasset", json!([from, "units", 2])).await);
        a.wait_confirmed(&coin).await;
        let refusal = a.refusal("sendassetfrom", json!([from, to, "units", 1])).await;
        assert_eq!(refusal.code, code, "{from_lacks}/{to_lacks}: {refusal:?}");
        let unspent = a.call("listunspent", json!([1, 9_999, [from]])).await;
        let input = json!([{"txid": unspent[0]["txid"], "vout": unspent[0]["vout"]}]);
        let hex = signed(a, input, &(json!({to.as_str(): {"units": 2}}), json!([]))).await;
        refused_by(a, &hex, rule).await;
        grant(a, &from, from_lacks).await;
        grant(a, &to, to_lacks).await;
        a.call("sendrawtransaction", json!([hex])).await;
    }
    a.wait_pool_empty().await;
}
