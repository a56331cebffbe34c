//! Networks of own nodes on this machine: how they are made and joined, and when they agree.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::arguments::Site;
use crate::connection::Connection;
use crate::node::Node;

/// How long nodes may take to agree.
const SETTLING: Duration = Duration::from_secs(300);
/// Time between two looks whether they do.
const LOOK: Duration = Duration::from_millis(200);

/// A network to be made.
pub struct Network<'a> {
    /// Where it is made; the folder must not exist.
    pub site: &'a Site,
    /// Name of the chain.
    pub chain: &'a str,
    /// Its stream, in which all may write.
    pub stream: &'a str,
    /// How many nodes.
    pub nodes: usize,
    /// Parameters of the chain, as `node-util create` takes them.
    pub parameters: &'a [&'a str],
    /// Options of each node, as `noded` takes them.
    pub options: &'a [&'a str],
    /// What the nodes behind the first are granted.
    pub rights: &'a str,
}

impl<'a> Network<'a> {
    /// A network of one node, to which others that may connect can be invited.
    pub const fn of_one(site: &'a Site, chain: &'a str, stream: &'a str, parameters: &'a [&'a str]) -> Network<'a> {
        Network { site, chain, stream, nodes: 1, parameters, options: &[], rights: "connect" }
    }

    /// Makes the chain and joins the nodes; when they agree on stream and rights, each subscribes the stream.
    pub async fn start(&self) -> anyhow::Result<Vec<Node>> {
        let folder = &self.site.folder;
        ensure!(!folder.exists(), "{} exists: name a folder that does not", folder.display());
        let mut nodes = Vec::new();
        for number in 0..self.nodes {
            nodes.push(self.node(number)?);
        }
        nodes[0].make_chain(self.parameters).await?;
        nodes[0].start().await?;
        let (first, others) = nodes.split_at_mut(1);
        let mut connection = first[0].connect().await?;
        for node in others {
            self.invite(&first[0], node).await?;
            node.start_from(&first[0].seed()).await?;
        }
        connection.call("create", json!(["stream", self.stream, true])).await?;
        for node in &nodes {
            let mut connection = node.connect().await?;
            wait_for_stream(&mut connection, self.stream).await?;
            connection.call("subscribe", json!([self.stream])).await?;
        }
        // What rests on a peer's waiting grant rests after a restart until that comes again: the rights stand in blocks
        // before anything is measured.
        settle(&nodes).await?;
        Ok(nodes)
    }

    /// A node of the network that does not run yet.
    pub fn node(&self, number: usize) -> anyhow::Result<Node> {
        let folder = self.site.folder.join(format!("node{number}"));
        Node::new(&self.site.bin, &folder, self.chain, self.options)
    }

    /// Grants a node its rights, by the first one.
    pub async fn invite(&self, first: &Node, node: &Node) -> anyhow::Result<()> {
        let address = node.address_when_refused(&first.seed()).await?;
        first.connect().await?.call("grant", json!([address, self.rights])).await?;
        Ok(())
    }
}

/// Parameters of a chain whose blocks come after so many seconds and hold what a node accepts in that time: with the usual
/// 8 MiB and 15 s, a long run measures how long the pool stays full.
pub fn roomy(block_time: u32) -> [String; 2] {
    [format!("-target-block-time={block_time}"), "-maximum-block-size=33554432".to_owned()]
}

/// Waits until a node knows the stream.
async fn wait_for_stream(connection: &mut Connection, stream: &str) -> anyhow::Result<()> {
    let end = Instant::now() + SETTLING;
    while connection.call("liststreams", json!([stream])).await.is_err() {
        ensure!(Instant::now() < end, "waited {} s for the stream to be known", SETTLING.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// How many transactions wait for a block.
pub async fn waiting(connection: &mut Connection) -> anyhow::Result<u64> {
    Ok(connection.call("getmempoolinfo", json!([])).await?["size"].as_u64().unwrap_or(u64::MAX))
}

/// The height of the tip.
pub async fn height(connection: &mut Connection) -> anyhow::Result<u64> {
    let height = connection.call("getblockcount", json!([])).await?;
    height.as_u64().context("getblockcount answered no number")
}

/// The hash of the tip.
pub async fn tip(connection: &mut Connection) -> anyhow::Result<Value> {
    connection.call("getbestblockhash", json!([])).await
}

/// Waits until all nodes have one tip and nothing waits.
pub async fn settle(nodes: &[Node]) -> anyhow::Result<()> {
    let end = Instant::now() + SETTLING;
    loop {
        let mut seen = Vec::new();
        for node in nodes {
            let mut connection = node.connect().await?;
            seen.push((tip(&mut connection).await?, waiting(&mut connection).await?));
        }
        if seen.iter().all(|(tip, waiting)| *tip == seen[0].0 && *waiting == 0) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "the nodes did not agree within {} s: {seen:?}", SETTLING.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}
