//! A node that is tortured and its twin that never dies, on one chain; what the first one promised, and the judgement
//! whether it kept that.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rota_api::client::ClientError;
use serde_json::{Value, json};

use crate::load::Promises;
use crate::node::{self, LOOK, Node};

const CHAIN: &str = "c";
/// The file that says that the chain is made and both nodes have it.
const MADE: &str = "made";
/// Longest wait for both nodes to be at one block: many block times.
const AGREEMENT: Duration = Duration::from_secs(120);
/// Items whose order and blocks are compared.
const ITEMS: u64 = 100;
/// Confirmations after which a transaction is not looked at again until the end.
const DEEP: i64 = 6;
/// Longest start of a node, whatever its chain.
pub const START_LIMIT: Duration = Duration::from_secs(5);
/// Callers that fill a chain at once.
const FILLERS: usize = 8;

/// The two nodes.
pub struct Network {
    /// Where their directories are.
    pub root: PathBuf,
    /// Dies again and again.
    pub victim: Node,
    /// Never dies.
    pub twin: Node,
    /// What the victim promised and the chain does not hold deep enough yet.
    pub open: Promises,
    /// Transactions that were promised and are deep in the chain.
    pub kept: Vec<String>,
}

impl Network {
    /// Makes the chain and brings both nodes to it, or starts those that are there. What is left of nodes that were closed,
    /// or not finished, is removed.
    ///
    /// # Errors
    /// If a node does not do as it is told.
    pub async fn open(root: &Path) -> anyhow::Result<Network> {
        let made = root.join(MADE);
        let is_made = made.exists();
        let [twin_home, victim_home] = ["twin", "victim"].map(|name| root.join(name));
        if !is_made {
            for home in [&twin_home, &victim_home].into_iter().filter(|home| home.exists()) {
                std::fs::remove_dir_all(home)?;
            }
        }
        let mut twin = Node::new(twin_home, CHAIN, &[])?;
        let mut victim = Node::new(victim_home, CHAIN, &[format!("-addnode=127.0.0.1:{}", twin.port)])?;
        if is_made {
            twin.start(&[]).await?;
            victim.start(&[]).await?;
        } else {
            node::util(
                &[
                    "create",
                    CHAIN,
                    "-target-block-time=2",
                    "-mine-empty-rounds=-1",
                    "-mining-requires-peers=false",
                    "-anyone-can-connect=true",
                    "-anyone-can-send=true",
                    "-anyone-can-receive=true",
                    "-mining-diversity=0",
                ],
                &twin.home,
            )
            .await?;
            twin.start(&[]).await?;
            victim.spawn(node::Program::Noded, &twin.invitation(), &[], None)?;
            victim.wait_ready().await?;
            furnish(&twin, &victim).await?;
            std::fs::write(made, "")?;
        }
        let root = root.to_path_buf();
        let mut network = Network { root, victim, twin, open: Promises::default(), kept: Vec::new() };
        network.agree().await?;
        Ok(network)
    }

    /// Publishes through the victim until the chain holds so many transactions.
    ///
    /// # Errors
    /// If a node does not do as it is told.
    pub async fn fill(&mut self, transactions: u64) -> anyhow::Result<u64> {
        loop {
            let there = self.transactions().await?;
            if there >= transactions {
                self.settle().await?;
                return Ok(there);
            }
            let mut callers = tokio::task::JoinSet::new();
            let each = (transactions - there).min(20_000).div_ceil(FILLERS as u64);
            for _ in 0..FILLERS {
                let client = self.victim.client();
                callers.spawn(async move {
                    for number in 0..each {
                        let item =
                            json!(["s", format!("key {}", number % 1_000), {"text": format!("filling {number}")}]);
                        client.call("publish", item).await?;
                    }
                    Ok::<(), ClientError>(())
                });
            }
            while let Some(done) = callers.join_next().await {
                done??;
            }
            self.agree().await?;
            let told = format!("{there} of {transactions} transactions");
            crate::progress::say(&told);
        }
    }

    /// Waits until everything that waits is in a block.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.victim.call("getmempoolinfo", json!([])).await?["size"] != 0 {
            ensure!(begun.elapsed() < AGREEMENT * 5, "transactions are not confirmed:\n{}", self.victim.tail());
            tokio::time::sleep(LOOK * 10).await;
        }
        self.agree().await
    }

    /// Ends both nodes for good. Gives the folder where [`Network::open`] makes the next ones.
    ///
    /// # Errors
    /// If a node does not end.
    pub async fn close(mut self) -> anyhow::Result<PathBuf> {
        self.victim.stop().await?;
        self.twin.stop().await?;
        std::fs::remove_file(self.root.join(MADE))?;
        Ok(self.root)
    }

    /// Transactions of the stream: as many as the twin has items.
    ///
    /// # Errors
    /// If the twin does not answer.
    pub async fn transactions(&self) -> anyhow::Result<u64> {
        let streams = self.twin.call("liststreams", json!(["s", true])).await?;
        streams[0]["confirmed"].as_u64().or_else(|| streams[0]["items"].as_u64()).context("a stream without count")
    }

    /// Starts the victim again, as released, and judges what it kept. Gives the time until it answered, which is limited
    /// unless it rebuilds its database first.
    ///
    /// # Errors
    /// Says which promise was broken.
    pub async fn revive(&mut self, rebuilds: bool) -> anyhow::Result<Duration> {
        let time = self.victim.start(&[]).await.context("a node does not start again")?;
        ensure!(rebuilds || time <= START_LIMIT, "a node took {time:?} to start, {START_LIMIT:?} are promised");
        self.judge().await.with_context(|| format!("after a restart\n{}", self.victim.tail()))?;
        Ok(time)
    }

    /// Compares what the victim has with what it promised, and with its twin.
    async fn judge(&mut self) -> anyhow::Result<()> {
        self.victim.call("getstatehash", json!([])).await.context("the state is not what its hash says")?;
        for hash in std::mem::take(&mut self.open.invalidated) {
            match self.victim.call("reconsiderblock", json!([hash])).await {
                Ok(_) => {}
                // A block of its own that nobody else had, and that was not written in time.
                Err(error) if error.is(rota_api::Code::BlockNotFound) => {}
                Err(error) => bail!("block {hash} cannot be reconsidered: {error}"),
            }
        }
        self.look_for_transactions().await?;
        if !self.open.addresses.is_empty() {
            let addresses = self.victim.call("getaddresses", json!([])).await?;
            let there: std::collections::HashSet<&str> =
                addresses.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for address in std::mem::take(&mut self.open.addresses) {
                ensure!(there.contains(address.as_str()), "address {address} was given out and is not there");
            }
        }
        self.agree().await
    }

    /// Every transaction that was acknowledged is in the pool or the chain.
    async fn look_for_transactions(&mut self) -> anyhow::Result<()> {
        for txid in std::mem::take(&mut self.open.txids) {
            let shown = self.victim.call("getrawtransaction", json!([txid, 1])).await;
            let shown = shown.with_context(|| format!("transaction {txid} was acknowledged and is not there"))?;
            match shown["confirmations"].as_i64().unwrap_or(0) >= DEEP {
                true => self.kept.push(txid),
                false => self.open.txids.push(txid),
            }
        }
        Ok(())
    }

    /// Waits until both nodes are at one block, and compares their states and the last items of the stream there.
    ///
    /// # Errors
    /// If they do not meet, or differ.
    pub async fn agree(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let (mine, its) = (facts(&self.victim).await?, facts(&self.twin).await?);
            if mine["bestblock"] == its["bestblock"] {
                ensure!(mine == its, "at one block the nodes differ:\n{mine:#}\n{its:#}");
                return Ok(());
            }
            ensure!(
                begun.elapsed() < AGREEMENT,
                "the nodes are not at one block after {AGREEMENT:?}: {} and {}\n{}",
                mine["bestblock"],
                its["bestblock"],
                self.twin.tail()
            );
            tokio::time::sleep(LOOK * 5).await;
        }
    }

    /// Looks once more for everything that was ever acknowledged: confirmed, and listed once.
    ///
    /// # Errors
    /// Says which promise was broken.
    pub async fn last_judgement(&mut self) -> anyhow::Result<u64> {
        self.judge().await?;
        let begun = Instant::now();
        while !self.open.txids.is_empty() {
            ensure!(begun.elapsed() < AGREEMENT, "{} transactions are not confirmed", self.open.txids.len());
            tokio::time::sleep(LOOK * 50).await;
            self.look_for_transactions().await?;
        }
        for part in self.kept.chunks(500) {
            let found = self.victim.call("liststreamtxitems", json!(["s", part])).await?;
            let found = found.as_array().map_or(0, Vec::len);
            ensure!(found == part.len(), "of {} transactions {found} items are listed", part.len());
        }
        Ok(self.kept.len() as u64)
    }
}

/// Streams, subscriptions and the right to mine.
async fn furnish(twin: &Node, victim: &Node) -> anyhow::Result<()> {
    let addresses = victim.call("getaddresses", json!([])).await?;
    let address = addresses[0].as_str().context("a node without address")?;
    twin.call("grant", json!([address, "mine,create,issue"])).await?;
    twin.call("create", json!(["stream", "s", true])).await?;
    twin.call("create", json!(["stream", "t", true])).await?;
    for number in 0..20 {
        twin.call("publish", json!(["t", format!("key {number}"), {"json": {"number": number}}])).await?;
    }
    for node in [twin, victim] {
        let begun = Instant::now();
        while node.call("subscribe", json!(["s"])).await.is_err() {
            ensure!(begun.elapsed() < AGREEMENT, "a node does not hear of the stream:\n{}", node.tail());
            tokio::time::sleep(LOOK * 10).await;
        }
    }
    let begun = Instant::now();
    loop {
        let height = twin.call("getblockcount", json!([])).await?.as_u64().unwrap_or(0);
        let waiting = twin.call("getmempoolinfo", json!([])).await?["size"].as_u64();
        if height > 5 && waiting == Some(0) {
            return Ok(());
        }
        ensure!(begun.elapsed() < AGREEMENT, "no blocks are made:\n{}", twin.tail());
        tokio::time::sleep(LOOK * 10).await;
    }
}

/// What two nodes at one block have in common: the state counted anew, and the last confirmed items with their blocks.
async fn facts(node: &Node) -> anyhow::Result<Value> {
    loop {
        let before = node.call("getstatehash", json!([])).await?;
        let items = node.call("liststreamitems", json!(["s", true, ITEMS])).await?;
        let after = node.call("getbestblockhash", json!([])).await?;
        if before["bestblock"] != after {
            continue;
        }
        let confirmed = items.as_array().into_iter().flatten();
        let confirmed = confirmed.filter(|item| item["confirmations"].as_i64().unwrap_or(0) > 0);
        let rows: Vec<Value> = confirmed.map(|item| json!([item["txid"], item["blockhash"], item["keys"]])).collect();
        // Of what waits each node has its own list, so the older end of the rows may differ in length.
        let rows: Vec<Value> = rows.into_iter().rev().take(10).collect();
        return Ok(json!({
            "bestblock": before["bestblock"],
            "statehash": before["statehash"],
            "elements": before["elements"],
            "items": rows,
        }));
    }
}
