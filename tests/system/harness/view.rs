//! What a scenario asks a node about its chain: heights, tips, miners, peers, streams, permissions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::node::Node;
use super::wait::{LONG_PATIENCE, check, until, until_within};

impl Node {
    /// Height of the tip.
    pub async fn height(&self) -> u64 {
        self.call("getblockcount", json!([])).await.as_u64().expect("a height")
    }

    /// Hash of the tip.
    pub async fn tip(&self) -> String {
        text(&self.call("getbestblockhash", json!([])).await)
    }

    /// Hash of the block at a height of the active chain.
    pub async fn hash_at(&self, height: u64) -> String {
        text(&self.call("getblockhash", json!([height])).await)
    }

    /// The first address of the wallet.
    pub async fn address(&self) -> String {
        text(&self.call("getaddresses", json!([])).await[0])
    }

    /// Waits until the tip has at least this height.
    pub async fn wait_height(&self, height: u64) {
        until_within(LONG_PATIENCE, &format!("height {height} on {}", self.name), async || {
            let now = self.height().await;
            check(now >= height, now)
        })
        .await;
    }

    /// Waits for `count` more blocks and gives the height reached.
    pub async fn wait_blocks(&self, count: u64) -> u64 {
        let target = self.height().await + count;
        self.wait_height(target).await;
        target
    }

    /// Miners of the blocks from one height to another, both included.
    pub async fn miners(&self, from: u64, to: u64) -> Vec<String> {
        let blocks = self.call("listblocks", json!([format!("{from}-{to}")])).await;
        let blocks = blocks.as_array().expect("a list of blocks");
        assert_eq!(blocks.len() as u64, to + 1 - from, "blocks {from} to {to}");
        blocks.iter().map(|block| text(&block["miner"])).collect()
    }

    /// Addresses of the connected peers.
    pub async fn peers(&self) -> BTreeSet<String> {
        let peers = self.call("getpeerinfo", json!([])).await;
        peers.as_array().expect("a list of peers").iter().map(|peer| text(&peer["handshake"])).collect()
    }

    /// Waits until exactly these addresses are connected.
    pub async fn wait_peers(&self, addresses: &[&str]) {
        let wanted: BTreeSet<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        until(&format!("peers {wanted:?} on {}", self.name), async || {
            let peers = self.peers().await;
            check(peers == wanted, peers)
        })
        .await;
    }

    /// Waits until a transaction is in a block of the active chain.
    pub async fn wait_confirmed(&self, txid: &str) {
        until(&format!("{txid} to confirm on {}", self.name), async || {
            let shown = self.try_call("getrawtransaction", json!([txid, 1])).await;
            let confirmations = shown.as_ref().ok().and_then(|tx| tx["confirmations"].as_i64());
            check(confirmations.unwrap_or(0) > 0, shown)
        })
        .await;
    }

    /// Waits until nothing waits to be mined.
    pub async fn wait_pool_empty(&self) {
        until(&format!("an empty pool on {}", self.name), async || {
            let info = self.call("getmempoolinfo", json!([])).await;
            check(info["size"] == 0, info)
        })
        .await;
    }

    /// Creates a stream closed to others and subscribes to it.
    pub async fn open_stream(&self, name: &str, open: bool) {
        let txid = text(&self.call("create", json!(["stream", name, open])).await);
        self.call("subscribe", json!([name])).await;
        self.wait_confirmed(&txid).await;
    }

    /// Publishes text under a key and gives the transaction id.
    pub async fn publish(&self, stream: &str, key: &str, content: &str) -> String {
        text(&self.call("publish", json!([stream, key, {"text": content}])).await)
    }

    /// All items of a subscribed stream.
    pub async fn items(&self, stream: &str) -> Vec<Value> {
        let items = self.call("liststreamitems", json!([stream, false, 1_000_000, 0])).await;
        items.as_array().expect("a list of items").clone()
    }

    /// Waits until the stream holds an item with this transaction id, and gives it.
    pub async fn wait_item(&self, stream: &str, txid: &str) -> Value {
        until(&format!("item {txid} in {stream} on {}", self.name), async || {
            let items = self.try_call("liststreamitems", json!([stream, false, 1_000_000, 0])).await;
            let items = items.map_err(|refusal| format!("{refusal:?}"))?;
            let found = items.as_array().and_then(|items| items.iter().find(|item| item["txid"] == txid));
            found.cloned().ok_or_else(|| format!("{} items", items.as_array().map_or(0, Vec::len)))
        })
        .await
    }

    /// Whether an address holds a global permission with a range that covers the next block.
    pub async fn has_permission(&self, address: &str, permission: &str) -> bool {
        let entries = self.call("listpermissions", json!([permission, address])).await;
        let next = self.height().await + 1;
        entries.as_array().expect("a list").iter().any(|entry| {
            entry["startblock"].as_u64().is_some_and(|start| start <= next)
                && entry["endblock"].as_u64().is_some_and(|end| next < end)
        })
    }
}

/// The text of a JSON string; anything else fails the test.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a string, got {value}")).to_owned()
}
