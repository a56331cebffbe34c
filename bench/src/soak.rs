//! Long load: three nodes of one chain take transactions at a steady rate for hours, one of them is restarted every few
//! minutes, and what must not grow is watched. At its end every acknowledged transaction is looked for on every node.

mod sample;
mod tally;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rota_chain::hash::Txid;
use serde_json::json;
use tokio::task::JoinSet;

use crate::arguments::Site;
use crate::network::{Network, settle};
use crate::node::Node;
use crate::outcome::Outcome;
use crate::publish::{Publish, mix};
use sample::{Sample, Series};
use tally::Tally;

/// Nodes of the network.
const NODES: usize = 3;
/// The chain's name.
const CHAIN: &str = "soak";
/// Its stream.
const STREAM: &str = "soak";
/// How long the greatest rate is measured for.
const MEASURING: Duration = Duration::from_secs(20);
/// Items read at once when they are counted.
const PAGE: usize = 5_000;

/// A soak to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the nodes are started; the folder must not exist.
    pub site: Site,
    /// Transactions to be acknowledged.
    pub transactions: u64,
    /// Transactions a second over all nodes; half of what the network takes if none.
    pub rate: Option<u64>,
    /// Bytes of an item.
    pub size: usize,
    /// Connections to each node.
    pub clients: usize,
    /// Time between two restarts.
    pub restart_every: Duration,
    /// Time between two samples.
    pub sample_every: Duration,
}

/// Makes the soak.
///
/// # Errors
/// Whatever keeps the network from running, and an acknowledged transaction that is missing or doubled.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut nodes = start(plan).await?;
    let rate = match plan.rate {
        Some(rate) => rate,
        None => measure(plan, &nodes).await?,
    };
    eprintln!("soak: {} transactions at {rate}/s over {NODES} nodes", plan.transactions);
    let tally = Arc::new(Tally::new(plan.transactions, Some(rate)));
    let mut clients = clients(plan, &nodes, &tally);
    let mut series = Series::new(rate);
    let watched = watch(plan, &mut nodes, &tally, &mut series).await;
    tally.stop();
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    watched?;
    settle(&nodes).await?;
    series.push(sample(&nodes, &tally)?);
    let found = check(&nodes, &tally).await?;
    for node in &mut nodes {
        node.stop().await?;
    }
    Ok(Outcome {
        name: "soak".to_owned(),
        text: format!("{series}{found}"),
        json: series.to_json(),
        calibration: None,
        fault: None,
    })
}

/// Makes a network in which all nodes may mine and write.
async fn start(plan: &Plan) -> anyhow::Result<Vec<Node>> {
    let network = Network {
        site: &plan.site,
        chain: CHAIN,
        stream: STREAM,
        nodes: NODES,
        parameters: &["-target-block-time=5", "-setup-first-blocks=10", "-mine-empty-rounds=10"],
        options: &[],
        rights: "connect,send,receive,mine,create",
    };
    network.start().await
}

fn clients(plan: &Plan, nodes: &[Node], tally: &Arc<Tally>) -> JoinSet<()> {
    let work = Arc::new(Publish::new(STREAM, plan.size, 1));
    let mut clients = JoinSet::new();
    for node in nodes {
        for _ in 0..plan.clients {
            clients.spawn(tally::publish(Arc::clone(tally), node.target(), Arc::clone(&work)));
        }
    }
    clients
}

/// Half of what the network takes without a limit.
async fn measure(plan: &Plan, nodes: &[Node]) -> anyhow::Result<u64> {
    let tally = Arc::new(Tally::new(u64::MAX, None));
    let mut clients = clients(plan, nodes, &tally);
    let began = Instant::now();
    tokio::time::sleep(MEASURING).await;
    tally.stop();
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    let greatest = tally.acknowledged() as f64 / began.elapsed().as_secs_f64();
    eprintln!("soak: the network takes {greatest:.0} transactions a second");
    settle(nodes).await?;
    Ok(((greatest / 2.0) as u64).max(1))
}

/// Takes samples and restarts nodes until all is acknowledged.
async fn watch(plan: &Plan, nodes: &mut [Node], tally: &Tally, series: &mut Series) -> anyhow::Result<()> {
    let mut next_restart = Instant::now() + plan.restart_every;
    let mut number = 0;
    while !tally.is_done() {
        tokio::time::sleep(plan.sample_every).await;
        series.push(sample(nodes, tally)?);
        eprintln!("{}", series.progress(plan.transactions));
        if Instant::now() >= next_restart && !tally.is_done() {
            let victim = mix(number) as usize % nodes.len();
            // Every other end is one without farewell.
            let took = nodes[victim].restart(number % 2 == 1).await.with_context(|| format!("restart {number}"))?;
            series.note_restart(took);
            number += 1;
            next_restart = Instant::now() + plan.restart_every;
        }
    }
    Ok(())
}

fn sample(nodes: &[Node], tally: &Tally) -> anyhow::Result<Sample> {
    let uses = nodes.iter().map(Node::uses).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Sample { at: tally.elapsed(), acknowledged: tally.acknowledged(), latencies: tally.take_latencies(), uses })
}

/// Looks for every acknowledged transaction on every node.
async fn check(nodes: &[Node], tally: &Tally) -> anyhow::Result<String> {
    let acknowledged = tally.txids();
    let mut text = String::new();
    for (number, node) in nodes.iter().enumerate() {
        let found = items_of(node).await?;
        let missing = acknowledged.iter().filter(|txid| !found.contains_key(*txid)).count();
        let doubled = found.values().filter(|count| **count > 1).count();
        if missing + doubled > 0 {
            bail!("node {number}: {missing} acknowledged transactions are missing, {doubled} are there twice");
        }
        text.push_str(&format!(
            "node {number}: all {} acknowledged transactions of this run are there, once\n",
            acknowledged.len()
        ));
    }
    let unanswered = tally.unanswered();
    text.push_str(&format!("{unanswered} calls were cut off by a restart, and are counted neither way\n"));
    Ok(text)
}

/// How often each transaction is listed in the stream.
async fn items_of(node: &Node) -> anyhow::Result<HashMap<Txid, u32>> {
    let mut connection = node.connect().await?;
    let mut found = HashMap::new();
    let mut cursor = json!({"after": ""});
    loop {
        let page = connection.call("liststreamitems", json!([STREAM, false, PAGE, cursor])).await?;
        let items = page["entries"].as_array().context("a page without entries")?;
        for item in items {
            let txid = item["txid"].as_str().and_then(|text| text.parse().ok()).context("an item without a txid")?;
            *found.entry(txid).or_default() += 1;
        }
        if page["more"] != true {
            return Ok(found);
        }
        cursor = json!({"after": page["after"]});
    }
}
