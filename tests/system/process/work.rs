//! Chains where anyone may mine: real nodes without any grant of mine, held against docs/protocol/work.md.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::chain::{Chain, Plan};
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{LONG_PATIENCE, check, until_within};

/// Compact form of the easiest target of 8 zero bits.
const EASIEST: u32 = 0x2000_ffff;
/// Seconds a block shall take.
const TARGET: u64 = 2;
/// Seconds between two adjustments: ten blocks.
const ADJUSTED: u64 = 20;
/// Blocks between two adjustments.
const INTERVAL: u64 = ADJUSTED / TARGET;

/// A block as a node shows it.
struct Block {
    height: u64,
    hash: String,
    bits: u32,
    time: u64,
    nonce: u64,
    chainwork: String,
    miner: String,
}

async fn block(node: &Node, height: u64) -> Block {
    let shown: Value = node.call("getblock", json!([height.to_string()])).await;
    let number = |name: &str| shown[name].as_u64().unwrap_or_else(|| panic!("{name} of {shown:#}"));
    Block {
        height: number("height"),
        hash: text(&shown["hash"]),
        bits: u32::from_str_radix(shown["bits"].as_str().expect("bits in hexadecimal"), 16).expect("a number"),
        time: number("time"),
        nonce: number("nonce"),
        chainwork: text(&shown["chainwork"]),
        miner: text(&shown["miner"]),
    }
}

async fn blocks(node: &Node, from: u64, to: u64) -> Vec<Block> {
    let mut found = Vec::new();
    for height in from..=to {
        found.push(block(node, height).await);
    }
    found
}

/// The target of a compact form, as the 64 digits a hash is compared with.
fn target(bits: u32) -> String {
    let (length, mantissa) = ((bits >> 24) as usize, bits & 0x007f_ffff);
    let digits = format!("{mantissa:06x}{}", "00".repeat(length - 3));
    format!("{digits:0>64}")
}

/// The compact form after an adjustment: the target times `actual` over `wanted`, within a factor of four, no easier
/// than the easiest. Digits that a compact form has no room for do not matter.
fn adjusted(bits: u32, actual: u64, wanted: u64) -> u32 {
    let actual = actual.clamp((wanted / 4).max(1), wanted * 4);
    let (mut length, mantissa) = (bits >> 24, u128::from(bits & 0x007f_ffff));
    let mut scaled = (mantissa << 64) * u128::from(actual) / u128::from(wanted);
    length -= 8;
    while scaled >= 0x0080_0000 {
        scaled >>= 8;
        length += 1;
    }
    let new = (length << 24) | u32::try_from(scaled).expect("three bytes");
    if target(new) > target(EASIEST) { EASIEST } else { new }
}

/// A chain where anyone may mine; alone, a node mines on.
fn plan(name: &str) -> Plan {
    Chain::create(name)
        .param("anyone-can-mine", "true")
        .param("setup-first-blocks", "2")
        .param("pow-minimum-bits", "8")
        .param("mining-requires-peers", "false")
}

/// A chain whose target is adjusted.
fn adjusting(name: &str) -> Plan {
    plan(name).param("target-block-time", &TARGET.to_string()).param("target-adjust-freq", &ADJUSTED.to_string())
}

#[test]
fn the_expected_targets_are_those_of_the_page() {
    assert_eq!(target(EASIEST), format!("00ffff{}", "0".repeat(58)));
    assert_eq!(adjusted(EASIEST, 5, 20), 0x1f3f_ffc0);
    assert_eq!(adjusted(EASIEST, 1, 20), 0x1f3f_ffc0, "by a quarter at most");
    assert_eq!(adjusted(EASIEST, 80, 20), EASIEST);
    assert_eq!(adjusted(0x1f00_ffff, 40, 20), 0x1f01_fffe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grant_of_mine_both_nodes_mine_blocks_that_carry_work() {
    let chain = plan("work").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let both = BTreeSet::from([a.address().await, b.address().await]);
    let height = until_within(LONG_PATIENCE, "blocks of both nodes", async || {
        let height = a.height().await;
        let seen: BTreeSet<String> = a.miners(1, height).await.into_iter().collect();
        check(seen == both, &seen).map(|()| height)
    })
    .await;
    assert!(!a.has_permission(&b.address().await, "mine").await, "nobody granted it");
    chain.wait_height(height).await;
    let found = blocks(b, 1, height).await;
    for block in &found {
        assert_eq!(block.bits, EASIEST, "block {}: nothing adjusts the target", block.height);
        assert!(block.hash <= target(EASIEST), "block {} shows no work: {}", block.height, block.hash);
    }
    assert!(found.iter().any(|block| block.nonce > 0), "a nonce was searched");
    let entries = b.call("listminers", json!([])).await;
    let address = b.address().await;
    let own = entries.as_array().unwrap().iter().find(|entry| entry["address"] == address.as_str());
    assert_eq!(own.map(|entry| entry["islocal"].clone()), Some(json!(true)), "{entries:#}");
    let item = {
        a.open_stream("s", true).await;
        chain.wait_agreed().await;
        b.publish("s", "k", "mined by whoever finds it").await
    };
    a.wait_confirmed(&item).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_adjusted_as_documented_and_all_nodes_agree_on_it() {
    let chain = adjusting("adjust").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let height = a.height().await.max(4 * INTERVAL) + INTERVAL;
    chain.wait_height(height).await;
    let found = blocks(b, 0, height).await;
    for pair in found.windows(2) {
        let (parent, block) = (&pair[0], &pair[1]);
        let expected = if block.height.is_multiple_of(INTERVAL) {
            let first = &found[usize::try_from(block.height - INTERVAL).unwrap()];
            adjusted(parent.bits, parent.time - first.time, ADJUSTED)
        } else {
            parent.bits
        };
        assert_eq!(block.bits, expected, "bits of block {}: {:08x}, not {expected:08x}", block.height, block.bits);
        assert!(block.hash <= target(block.bits), "block {} shows too little work: {}", block.height, block.hash);
    }
    assert_ne!(found.last().unwrap().bits, EASIEST, "two nodes find more than one easy block in two seconds");
    let both = BTreeSet::from([a.address().await, b.address().await]);
    let seen: BTreeSet<String> = found[1..].iter().map(|block| block.miner.clone()).collect();
    assert!(seen.is_subset(&both) && !seen.is_empty(), "{seen:?}");
    // The search for a block is given up when the node is to stop.
    for node in chain.nodes() {
        node.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_partition_the_branch_with_more_work_wins_though_it_is_shorter() {
    let chain =
        adjusting("weight").param("allow-min-difficulty-blocks", "true").nodes(&["a", "b"]).linked().start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    // Heavy enough that two blocks outweigh rounds of easy ones: 65,536 tries where an easy block takes 256.
    until_within(LONG_PATIENCE, "a target that takes some work", async || {
        let height = a.height().await;
        let bits = block(a, height).await.bits;
        check(target(bits).starts_with("0000") && height % INTERVAL < 5, format!("{height}: {bits:08x}"))
    })
    .await;
    b.call("pause", json!(["mining"])).await;
    chain.wait_height(a.height().await).await;
    chain.links.split(&[&["a"], &["b"]]);
    a.wait_peers(&[]).await;
    b.wait_peers(&[]).await;
    let fork = b.height().await;
    let lost = b.publish("root", "k", "on the lighter branch").await;
    a.wait_height(fork + 2).await;
    a.call("pause", json!(["mining"])).await;
    let heavy = a.height().await;

    // After twice the target time an easy block is allowed, and those that follow inherit its target.
    until_within(LONG_PATIENCE, "the tip to be old", async || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let tip = block(b, b.height().await).await.time;
        check(now > tip + 2 * TARGET + 1, now.saturating_sub(tip))
    })
    .await;
    b.call("resume", json!(["mining"])).await;
    b.wait_height(heavy + 1).await;
    b.call("pause", json!(["mining"])).await;
    b.wait_confirmed(&lost).await;
    let light = b.height().await;
    let (ours, theirs) = (block(a, heavy).await, block(b, light).await);
    assert!(
        light > heavy && ours.chainwork > theirs.chainwork,
        "{light} > {heavy}, {} > {}",
        ours.chainwork,
        theirs.chainwork
    );

    chain.links.heal_all();
    chain.wait_agreed().await;
    // A block that was nearly found when its node was paused may stand on it.
    assert_eq!(b.hash_at(heavy).await, ours.hash, "the shorter branch has more work");
    assert_eq!(a.hash_at(heavy).await, ours.hash);
    assert!(b.height().await < light, "it is the shorter one");
    a.call("resume", json!(["mining"])).await;
    a.wait_confirmed(&lost).await;
}
