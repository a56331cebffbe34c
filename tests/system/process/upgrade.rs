//! Upgrades of parameters over real nodes: approved by administrators, held by every node, kept over a restart.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_upgrade_holds_on_every_node_and_after_a_restart() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let a = chain.node("a");
    let address = a.address().await;
    let stranger = a.call("getnewaddress", json!([])).await;
    let wanted = json!({"maximum-block-size": 16_000_000, "max-std-tx-size": 100_000_000, "anyone-can-send": true});
    let created = a.call("create", json!(["upgrade", "bigger", false, wanted])).await;
    a.wait_confirmed(created.as_str().expect("a transaction id")).await;
    assert_eq!(a.call("verifypermission", json!([stranger, "send"])).await, json!(false));
    let vote = a.call("approvefrom", json!([address, "bigger", true])).await;
    a.wait_confirmed(vote.as_str().expect("a transaction id")).await;
    for name in ["a", "b"] {
        let node = chain.node(name);
        let upgrade = until("the upgrade applies", async || {
            let upgrade = node.call("listupgrades", json!(["bigger"])).await[0].clone();
            if upgrade["appliedblock"].is_u64() { Ok(upgrade) } else { Err(upgrade.to_string()) }
        })
        .await;
        assert_eq!(upgrade["approved"], json!(true));
        assert_eq!(upgrade["appliedparams"], json!({"maximum-block-size": 16_000_000, "anyone-can-send": true}));
        assert!(upgrade["skippedparams"]["max-std-tx-size"].is_string(), "more than twice the value before: {upgrade}");
        assert_eq!(node.call("verifypermission", json!([stranger, "send"])).await, json!(true));
    }
    let height = chain.node("a").call("getblockcount", json!([])).await.as_u64().expect("a height");
    chain.node("b").wait_height(height + 2).await;
    chain.node("b").stop().await;
    chain.node("b").restart().await;
    let b = chain.node("b");
    let now = b.call("getblockchainparams", json!([true, true])).await;
    let before = b.call("getblockchainparams", json!([true, false])).await;
    assert_eq!(now["maximum-block-size"], json!(16_000_000));
    assert_ne!(before["maximum-block-size"], now["maximum-block-size"]);
    assert_eq!(b.call("verifypermission", json!([stranger, "send"])).await, Value::from(true));
}
