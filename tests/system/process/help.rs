//! The example on every page of `help`, pasted into a shell on a chain that has something of every kind.

use std::process::Stdio;

use rota_api::method::{Family, methods, sample};
use serde_json::json;
use tokio::process::Command;

use crate::harness::binary;
use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// Examples that are not pasted, each with the reason.
const NOT_PASTED: &[(&str, &str)] = &[
    ("stop", "ends the node"),
    ("encryptwallet", "everything after it would need the passphrase"),
    ("walletpassphrase", "the wallet is not encrypted"),
    ("walletpassphrasechange", "the wallet is not encrypted"),
    ("walletlock", "the wallet is not encrypted"),
    ("backupwallet", "writes to the place that the example names"),
    ("dumpwallet", "writes to the place that the example names"),
    ("importwallet", "reads what dumpwallet wrote"),
    ("submitblock", "needs a block that another program made"),
    ("appendrawexchange", "needs an offer of somebody else"),
    ("completerawexchange", "needs an offer of somebody else"),
    ("decoderawexchange", "an offer on a page would give the coin to whoever reads it"),
    ("disablerawtransaction", "an offer on a page would give the coin to whoever reads it"),
    ("invalidateblock", "takes back what the other examples stand on"),
    ("clearmempool", "asks for a pause first"),
    ("getfiltercode", "there are no filters in this version"),
    ("getlibrarycode", "there are no libraries in this version"),
    ("setlastblock", "takes back what the other examples stand on"),
];

/// What the example of a method does to those after it is taken back by a call.
const TAKEN_BACK: &[(&str, &str, &str)] = &[
    ("pause", "resume", r#"["mining,incoming"]"#),
    ("unsubscribe", "subscribe", r#"["orders"]"#),
    ("update", "update", r#"["gold",{"open":true}]"#),
];

/// A chain with a stream, items, assets, tokens, a variable, an upgrade, a second address, coins and a cached item.
async fn furnish(node: &Node) {
    let own = node.address().await;
    let other = text(&node.call("getnewaddress", json!([])).await);
    node.call("grant", json!([other, "connect,send,receive,issue,create"])).await;
    node.open_stream("orders", true).await;
    node.call("subscribe", json!(["orders"])).await;
    let terms = json!({"name": "gold", "open": true, "canopen": true, "canclose": true});
    let issued = text(&node.call("issue", json!([own, terms, 1000, 0.01])).await);
    node.wait_confirmed(&issued).await;
    node.call("subscribe", json!(["gold"])).await;
    let gallery = json!({"name": "gallery", "fungible": false, "open": true});
    let made = text(&node.call("issue", json!([own, gallery, 0])).await);
    node.wait_confirmed(&made).await;
    node.call("issuetoken", json!([own, "gallery", "night", 1])).await;
    node.call("create", json!(["variable", "rate", true, 7])).await;
    let proposal = json!({"target-block-time": 3});
    node.call("create", json!(["upgrade", "slower", false, proposal])).await;
    let item = node.publish("orders", "key1", "one").await;
    node.wait_confirmed(&item).await;
    node.call("createbinarycache", json!([])).await;
}

/// What the shell says to the example on a method's page, with `node-cli` found beside the other programs and told where
/// the chain's folder is.
async fn pasted(node: &Node, method: &str) -> Result<(), String> {
    let page = text(&node.call("help", json!([method])).await);
    let start = format!("node-cli {} ", node.chain);
    let line = page.lines().find(|line| line.starts_with(&start) || *line == start.trim_end());
    let line = line.ok_or_else(|| format!("{method}: no example in:\n{page}"))?;
    let program = binary::path("node-cli");
    let place = format!("{} -datadir={} -rpcport={}", program.display(), node.home.display(), node.rpc_port);
    let typed = line.replacen("node-cli", &place, 1);
    let mut shell = Command::new("bash");
    let output = shell.arg("-c").arg(&typed).stdin(Stdio::null()).output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{line}\n    {}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', "\n    ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_help_works_as_it_is_pasted() {
    let chain = Chain::create("c").option("-explorersupport=2").node("a").start().await;
    let a = chain.node("a");
    furnish(a).await;
    a.wait_height(6).await;
    // Whoever reads a page may not find an offer of the wallet's on it: it would be theirs to take.
    for method in ["decoderawexchange", "appendrawexchange", "completerawexchange", "disablerawtransaction"] {
        let page = text(&a.call("help", json!([method])).await);
        assert!(page.contains(sample::RAW_TRANSACTION), "{page}");
    }
    let mut complaints = Vec::new();
    for (family, method) in methods() {
        let left_out = NOT_PASTED.iter().any(|(name, _)| *name == method.name);
        if family == Family::FilterCallback || left_out {
            continue;
        }
        match pasted(a, method.name).await {
            Err(said) if !said.contains("error code: -702") => complaints.push(said),
            _ => {}
        }
        if let Some((_, back, params)) = TAKEN_BACK.iter().find(|(name, _, _)| *name == method.name) {
            a.call(back, serde_json::from_str(params).unwrap()).await;
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn what_is_not_pasted_is_in_the_table() {
    assert!(NOT_PASTED.iter().all(|(name, why)| rota_api::method::find(name).is_some() && !why.is_empty()));
}
