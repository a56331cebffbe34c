//! A full block on its way: four nodes hold the same transactions, one of them mines; from sealed to applied on it and on
//! the others, and what callers of the miner notice meanwhile.

pub mod log;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::arguments::{Read, Site};
use crate::calibrate::{self, Calibration};
use crate::caller::{self, Call, Pace};
use crate::connection::Connection;
use crate::fill;
use crate::histogram::Histogram;
use crate::list::List;
use crate::network::{Network, settle, tip, waiting};
use crate::node::Node;
use crate::outcome::Outcome;
use crate::publish::Publish;
use crate::report::{latency_json, latency_text};
use crate::workload::{self, Workload};
use log::{Event, Log, Moment};

/// Nodes of the network.
const NODES: usize = 4;
/// The chain's name.
const CHAIN: &str = "propagation";
/// Its stream.
const STREAM: &str = "bench";
/// How long pools may take to hold the same, and a block to come and to be everywhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks whether they do.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two calls of a caller, so that it takes little of the machine.
const PAUSE: Duration = Duration::from_millis(1);
/// Items the stream has before the first block, for the caller who reads.
const FIRST_ITEMS: u64 = 1_000;

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the nodes are started; the folder must not exist.
    pub site: Site,
    /// Transactions of one item that wait for each block.
    pub items_per_block: u64,
    /// How many blocks, with callers and without.
    pub blocks: u64,
    /// Connections that fill the pools.
    pub clients: usize,
    /// Bytes of an item.
    pub size: usize,
}

/// What was seen of the blocks, with or without callers.
struct Seen {
    /// From sealed to applied on the miner.
    miner: Histogram,
    /// From sealed to applied on each other node.
    others: Histogram,
    /// From sealed to applied on the last of them.
    last: Histogram,
}

/// What callers of the miner saw.
struct Callers {
    /// Longest read and longest publish while each block was applied.
    longest: [Histogram; 2],
    /// Every read and every publish, at whatever time.
    all: [Histogram; 2],
}

struct Bed {
    nodes: Vec<Node>,
    connections: Vec<Connection>,
    logs: Vec<Log>,
    published: u64,
}

/// Makes the measurement.
///
/// # Errors
/// Whatever keeps the nodes from running, a block that holds less than waited, and items that are missing at the end.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut bed = Bed::start(plan).await?;
    let calibration = calibrate::measure(&plan.site.folder)?;
    let (mut quiet, mut busy, mut callers) = (Seen::new(), Seen::new(), Callers::new());
    for number in 0..plan.blocks {
        eprintln!("propagation: block {} of {}", number + 1, plan.blocks);
        bed.fill(plan).await?;
        let block = bed.mine(plan).await?;
        quiet.add(&block)?;
        bed.fill(plan).await?;
        bed.mine_with_callers(plan, &mut busy, &mut callers).await?;
    }
    bed.nodes[0].connect().await?.call("resume", json!(["mining"])).await?;
    settle(&bed.nodes).await?;
    for (number, connection) in bed.connections.iter_mut().enumerate() {
        let found = workload::fill(STREAM, connection).await?;
        let published = bed.published;
        ensure!(found.confirmed == published, "node {number}: {published} items were published, {found:?} are there");
    }
    for node in &mut bed.nodes {
        node.stop().await?;
    }
    Ok(outcome(plan, &quiet, &busy, &callers, bed.published, calibration))
}

/// A block's way: when it was sealed, and when each node had it.
struct Way {
    sealed: Moment,
    applied: Vec<Moment>,
}

impl Bed {
    async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let network = Network {
            site: &plan.site,
            chain: CHAIN,
            stream: STREAM,
            nodes: NODES,
            parameters: &["-target-block-time=5"],
            options: &["-debug=miner", "-debug=ledger"],
            rights: "connect,send,receive",
        };
        let nodes = network.start().await?;
        let (mut connections, mut logs) = (Vec::new(), Vec::new());
        for node in &nodes {
            connections.push(node.connect().await?);
            logs.push(Log::open(&node.chain_folder())?);
        }
        let mut bed = Self { nodes, connections, logs, published: 0 };
        bed.publish(plan, FIRST_ITEMS).await?;
        settle(&bed.nodes).await?;
        Ok(bed)
    }

    async fn publish(&mut self, plan: &Plan, count: u64) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let miner = &self.nodes[0];
        let publishing = fill::publishing(miner.target()?, STREAM, plan.clients, plan.size, miner.pid()?);
        fill::publish(&publishing, count).await?;
        self.published += count;
        Ok(())
    }

    /// Stops mining and fills all pools.
    async fn fill(&mut self, plan: &Plan) -> anyhow::Result<()> {
        self.connections[0].call("pause", json!(["mining"])).await?;
        let already = waiting(&mut self.connections[0]).await?;
        self.publish(plan, plan.items_per_block.saturating_sub(already)).await?;
        let end = Instant::now() + PATIENCE;
        for number in 0..self.connections.len() {
            while waiting(&mut self.connections[number]).await? < plan.items_per_block {
                ensure!(Instant::now() < end, "the pool of node {number} did not fill within {} s", PATIENCE.as_secs());
                tokio::time::sleep(LOOK).await;
            }
        }
        for log in &mut self.logs {
            log.events()?;
        }
        Ok(())
    }

    /// Lets the block be made, waits until it is everywhere, and reads its way from the logs.
    async fn mine(&mut self, plan: &Plan) -> anyhow::Result<Way> {
        let before = tip(&mut self.connections[0]).await?;
        self.connections[0].call("resume", json!(["mining"])).await?;
        let end = Instant::now() + PATIENCE;
        for connection in &mut self.connections {
            while tip(connection).await? == before {
                ensure!(Instant::now() < end, "no block was everywhere within {} s", PATIENCE.as_secs());
                tokio::time::sleep(LOOK).await;
            }
        }
        self.connections[0].call("pause", json!(["mining"])).await?;
        // Callers see a tip a moment before the log tells of it.
        let mut events = vec![Vec::new(); self.logs.len()];
        loop {
            for (events, log) in events.iter_mut().zip(&mut self.logs) {
                events.extend(log.events()?);
            }
            if let Some(way) = way(&events, plan.items_per_block)? {
                return Ok(way);
            }
            ensure!(Instant::now() < end, "a node's log does not tell when the block was sealed or applied");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same while one caller reads from the miner and another publishes to it.
    async fn mine_with_callers(&mut self, plan: &Plan, seen: &mut Seen, callers: &mut Callers) -> anyhow::Result<()> {
        let miner = &self.nodes[0];
        let items = workload::fill(STREAM, &mut self.connections[0]).await?.items;
        let list = List::prepare(Read::Page, STREAM, items, &mut self.connections[0]).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let work = [Workload::List(list), Workload::Publish(Publish::new(STREAM, plan.size, 1))];
        let mut running = Vec::new();
        for (number, workload) in work.into_iter().enumerate() {
            let (node, stop) = (miner.connect().await?, Arc::clone(&stop));
            running.push(tokio::spawn(caller::ask(number, workload, node, Pace::Pause(PAUSE), stop)));
        }
        let mined = self.mine(plan).await;
        stop.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for asking in running {
            calls.push(asking.await??);
        }
        let way = mined?;
        self.published += calls[1].len() as u64;
        seen.add(&way)?;
        callers.add(&way, &calls);
        Ok(())
    }
}

/// The way of the first block that was sealed, of all nodes' events, if they tell all of it; the first node is the miner.
fn way(events: &[Vec<Event>], items: u64) -> anyhow::Result<Option<Way>> {
    let sealed = events.first().into_iter().flatten().find_map(|event| match event {
        Event::Sealed { at, block, transactions } => Some((*at, block, *transactions)),
        Event::Moved { .. } => None,
    });
    let Some((sealed, wanted, transactions)) = sealed else { return Ok(None) };
    ensure!(
        transactions > items,
        "the block holds {transactions} transactions, {items} waited: the chain's blocks or pools are too small"
    );
    let applied = |events: &Vec<Event>| {
        events.iter().find_map(|event| match event {
            Event::Moved { at, block } if block == wanted => Some(*at),
            Event::Moved { .. } | Event::Sealed { .. } => None,
        })
    };
    let applied: Option<Vec<Moment>> = events.iter().map(applied).collect();
    Ok(applied.map(|applied| Way { sealed, applied }))
}

impl Seen {
    fn new() -> Self {
        Self { miner: Histogram::new(), others: Histogram::new(), last: Histogram::new() }
    }

    fn add(&mut self, way: &Way) -> anyhow::Result<()> {
        let mut last = Duration::ZERO;
        for (number, applied) in way.applied.iter().enumerate() {
            let took = applied.since(way.sealed).context("a block was applied before it was sealed")?;
            if number == 0 {
                self.miner.record(took);
            } else {
                self.others.record(took);
                last = last.max(took);
            }
        }
        self.last.record(last);
        Ok(())
    }

    fn to_json(&self) -> Value {
        json!({
            "blocks": self.miner.count(),
            "miner_micros": latency_json(&self.miner),
            "others_micros": latency_json(&self.others),
            "last_of_others_micros": latency_json(&self.last),
        })
    }

    fn text(&self) -> String {
        format!(
            "  on the miner: {}\n  on each of {} others: {}\n  on the last of them: {}",
            latency_text(&self.miner),
            NODES - 1,
            latency_text(&self.others),
            latency_text(&self.last)
        )
    }
}

impl Callers {
    fn new() -> Self {
        let pair = || [Histogram::new(), Histogram::new()];
        Self { longest: pair(), all: pair() }
    }

    fn add(&mut self, way: &Way, calls: &[Vec<Call>]) {
        for (number, calls) in calls.iter().enumerate() {
            let within = calls.iter().filter_map(|call| call.within(way.sealed, way.applied[0]));
            self.longest[number].record(within.max().unwrap_or_default());
            calls.iter().for_each(|call| self.all[number].record(call.took()));
        }
    }

    fn to_json(&self) -> Value {
        let one = |number: usize| {
            json!({
                "longest_while_applied_micros": latency_json(&self.longest[number]),
                "all_micros": latency_json(&self.all[number]),
            })
        };
        json!({"read": one(0), "publish": one(1)})
    }
}

fn outcome(
    plan: &Plan,
    quiet: &Seen,
    busy: &Seen,
    callers: &Callers,
    published: u64,
    calibration: Calibration,
) -> Outcome {
    let text = format!(
        "propagation: {} blocks of {} items over {NODES} nodes, ms from sealed to applied\n{}\n\
         {} more blocks while one caller reads from the miner and another publishes\n{}\n\
         longest call while a block is applied on the miner, ms, over the blocks\n  reads: {} (all at any time: {})\n  \
         publishes: {} (all at any time: {})\n{calibration}\nall {published} items are on all nodes",
        quiet.miner.count(),
        plan.items_per_block,
        quiet.text(),
        busy.miner.count(),
        busy.text(),
        latency_text(&callers.longest[0]),
        latency_text(&callers.all[0]),
        latency_text(&callers.longest[1]),
        latency_text(&callers.all[1]),
    );
    let json = json!({
        "items_per_block": plan.items_per_block,
        "nodes": NODES,
        "sealed_to_applied": quiet.to_json(),
        "sealed_to_applied_with_callers": busy.to_json(),
        "callers_of_the_miner": callers.to_json(),
        "items": published,
    });
    let name = format!("propagation-{}i", plan.items_per_block);
    Outcome { name, text, json, calibration: Some(calibration), fault: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn the_way_of_a_block_is_read_from_all_logs() {
        let now = Moment::now();
        let at = |millis| now.after(Duration::from_millis(millis));
        let sealed = Event::Sealed { at: at(0), block: "b".to_owned(), transactions: 11 };
        let moved = |millis, block: &str| Event::Moved { at: at(millis), block: block.to_owned() };
        let events = vec![vec![sealed, moved(30, "b")], vec![moved(5, "a"), moved(70, "b")], vec![moved(90, "b")]];
        let mut seen = Seen::new();
        seen.add(&way(&events, 10).unwrap().unwrap()).unwrap();
        let millis = |histogram: &Histogram| histogram.longest().as_millis();
        assert_eq!((millis(&seen.miner), millis(&seen.others), millis(&seen.last)), (30, 90, 90));
        assert_eq!((seen.others.count(), seen.last.count()), (2, 1));
        assert!(way(&events, 11).err().unwrap().to_string().contains("11 waited"));
        assert!(way(&[events[0].clone(), vec![]], 10).unwrap().is_none());
        assert!(way(&events[1..], 10).unwrap().is_none());
    }
}
