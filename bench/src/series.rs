//! A chain as it grows: rates, latencies, memory, disk, syncs and restarts at so many items, and at ten and a hundred times
//! as many. What is flat stays the same.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::arguments::{self, Kind, Read, Site};
use crate::calibrate::{self, Calibration};
use crate::caller::{self, Pace};
use crate::connection::Connection;
use crate::fill;
use crate::load::{Session, Until};
use crate::network::{Network, height, roomy};
use crate::node::{Disk, Node};
use crate::outcome::Outcome;
use crate::publish::Publish;
use crate::report::Report;
use crate::restart::Restarts;
use crate::sync_count::{SyncCount, Syncs};
use crate::workload::{self, Workload};

/// The chain's name.
const CHAIN: &str = "series";
/// Its stream.
const STREAM: &str = "bench";
/// Clients of the rates with several.
const CLIENTS: usize = 8;
/// Blocks over which syncs are counted.
const COUNTED_BLOCKS: u32 = 3;
/// Time between two publishes meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// A rate of publishing is measured over this share of the items there, at most: it is to be that of the stop.
const MEASURED_SHARE: u64 = 2;
/// At the first stops over so many all the same: a rate without a block in it is not the one of a long run.
const MEASURED_LEAST: u64 = 40_000;
/// Longest wait for one of them beyond its target time.
const BLOCK_PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(50);
/// Restarts of each kind at each stop.
const RESTARTS: u64 = 3;

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the node is started; the folder must not exist.
    pub site: Site,
    /// Numbers of items at which is measured, rising.
    pub stops: Vec<u64>,
    /// How long each rate is measured.
    pub duration: Duration,
    /// Connections that fill the chain.
    pub clients: usize,
    /// Bytes of an item.
    pub size: usize,
    /// Target time of a block in seconds.
    pub block_time: u32,
}

/// What was seen at a stop.
struct Stop {
    /// Items when the stop was reached, and when it was left.
    items: (u64, u64),
    /// Items a second while the chain was filled.
    filled: f64,
    calibration: Calibration,
    publish: [Report; 2],
    list: [Report; 2],
    resident_kib: u64,
    disk: Disk,
    syncs: Counted,
    restarts: Restarts,
}

/// Makes the measurement.
///
/// # Errors
/// Whatever keeps the node from running, and items that are missing or doubled at a stop.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let parameters = roomy(plan.block_time);
    let parameters = parameters.each_ref().map(String::as_str);
    let network = Network::of_one(&plan.site, CHAIN, STREAM, &parameters);
    let mut nodes = network.start().await?;
    let node = &mut nodes[0];
    let mut series = Series { stops: Vec::new() };
    let mut published = 0;
    for stop in &plan.stops {
        let stop = measure(plan, node, *stop, &mut published).await?;
        eprintln!("{stop}");
        series.stops.push(stop);
    }
    node.stop().await?;
    Ok(series.outcome())
}

/// Fills the chain up to a stop and measures there.
async fn measure(plan: &Plan, node: &mut Node, stop: u64, published: &mut u64) -> anyhow::Result<Stop> {
    let publishing = fill::publishing(node.target()?, STREAM, plan.clients, plan.size, node.pid()?);
    let wanted = stop.saturating_sub(*published);
    eprintln!("series: {wanted} items to publish until there are {stop}");
    let filled = match wanted {
        0 => 0.0,
        _ => fill::publish(&publishing, wanted).await?.rate(),
    };
    *published += wanted;
    let reached = *published;
    let calibration = calibrate::measure(&plan.site.folder)?;
    let rates = rates(plan, node, &publishing, reached, published).await?;
    let [publish_one, publish_many, list_one, list_many] =
        <[Report; 4]>::try_from(rates).map_err(|_| anyhow::anyhow!("four rates are measured"))?;
    let syncs = count_syncs(plan, node, published).await?;
    fill::confirm(&mut node.connect().await?).await?;
    check(node, *published).await?;
    let (resident_kib, disk) = (node.uses()?.resident_kib, node.disk());
    let restarts = Restarts::measure(node, RESTARTS).await?;
    check(node, *published).await?;
    Ok(Stop {
        items: (reached, *published),
        filled,
        calibration,
        publish: [publish_one, publish_many],
        list: [list_one, list_many],
        resident_kib,
        disk,
        syncs,
        restarts,
    })
}

/// Looks whether all that was acknowledged stands in blocks.
async fn check(node: &Node, published: u64) -> anyhow::Result<()> {
    let found = workload::fill(STREAM, &mut node.connect().await?).await?;
    let whole = found.items == published && found.confirmed == published;
    ensure!(whole, "{published} items were acknowledged, {found:?} are there");
    Ok(())
}

/// Publishes by one client and by several, and lists by one and by several.
async fn rates(
    plan: &Plan,
    node: &Node,
    publishing: &arguments::Plan,
    reached: u64,
    published: &mut u64,
) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for kind in [Kind::Publish, Kind::List(Read::Page)] {
        for clients in [1, CLIENTS] {
            fill::confirm(&mut node.connect().await?).await?;
            let plan = arguments::Plan { kind, clients, duration: plan.duration, ..publishing.clone() };
            let mut session = Session::open(&plan, &plan.target, plan.pid).await?;
            let end = Instant::now() + plan.duration;
            let most = Arc::new(AtomicU64::new((reached / MEASURED_SHARE).max(MEASURED_LEAST)));
            session.work(if kind == Kind::Publish { Until::Sooner(end, most) } else { Until::Moment(end) }).await?;
            let report = session.report().await?;
            ensure!(report.nothing_lost(), "{report}\nacknowledged items are missing or doubled");
            *published += report.expected_items;
            reports.push(report);
        }
    }
    Ok(reports)
}

/// Counts syncs over some blocks while one client publishes now and then.
async fn count_syncs(plan: &Plan, node: &Node, published: &mut u64) -> anyhow::Result<Counted> {
    let stop = Arc::new(AtomicBool::new(false));
    let publish = Workload::Publish(Publish::new(STREAM, plan.size, 1));
    let publishing =
        tokio::spawn(caller::ask(0, publish, node.connect().await?, Pace::Pause(PAUSE), Arc::clone(&stop)));
    let counted = count_over_blocks(plan, node).await;
    stop.store(true, Ordering::Relaxed);
    *published += publishing.await??.len() as u64;
    counted
}

async fn count_over_blocks(plan: &Plan, node: &Node) -> anyhow::Result<Counted> {
    let mut control = node.connect().await?;
    let longest = (BLOCK_PATIENCE + Duration::from_secs(u64::from(plan.block_time))) * COUNTED_BLOCKS;
    // A block may come while strace takes hold: what counts is how many came in all.
    let (height_before, own_before) = (height(&mut control).await?, own_syncs(&mut control).await?);
    let count = SyncCount::begin(node.pid()?, &plan.site.folder).await;
    let began = Instant::now();
    let blocks = loop {
        let blocks = height(&mut control).await?.saturating_sub(height_before);
        if blocks >= u64::from(COUNTED_BLOCKS) {
            break blocks;
        }
        ensure!(began.elapsed() < longest, "no {COUNTED_BLOCKS} blocks within {} s", longest.as_secs());
        tokio::time::sleep(LOOK).await;
    };
    let own = own_syncs(&mut control).await?.saturating_sub(own_before);
    let syncs = match count {
        Some(count) => Some(count.end().await?),
        None => None,
    };
    Ok(Counted { blocks, syncs, own })
}

/// How often the node has asked the disk since its start, as it counts itself.
async fn own_syncs(node: &mut Connection) -> anyhow::Result<u64> {
    let diagnostics = node.call("getdiagnostics", json!([true])).await?;
    diagnostics["storage"]["syncs"].as_u64().context("getdiagnostics tells no syncs")
}

/// Syncs of so many blocks.
struct Counted {
    blocks: u64,
    /// As strace saw them; none without it.
    syncs: Option<Syncs>,
    /// As the node counted them.
    own: u64,
}

impl Counted {
    fn own_per_block(&self) -> f64 {
        self.own as f64 / self.blocks.max(1) as f64
    }
}

/// All stops.
struct Series {
    stops: Vec<Stop>,
}

impl Stop {
    fn disk_per_item(&self, part: u64) -> f64 {
        part as f64 / self.items.1.max(1) as f64
    }

    fn to_json(&self) -> Value {
        json!({
            "items": self.items.0,
            "items_at_the_end": self.items.1,
            "filled_per_second": self.filled,
            "calibration": self.calibration.to_json(),
            "publish_1": self.publish[0].to_json(),
            "publish_8": self.publish[1].to_json(),
            "list_1": self.list[0].to_json(),
            "list_8": self.list[1].to_json(),
            "resident_kib": self.resident_kib,
            "disk_bytes_per_item": {
                "all": self.disk_per_item(self.disk.all()),
                "blocks": self.disk_per_item(self.disk.blocks),
                "database": self.disk_per_item(self.disk.database),
                "journal": self.disk_per_item(self.disk.journal),
                "offchain": self.disk_per_item(self.disk.offchain),
                "other": self.disk_per_item(self.disk.other),
            },
            "syncs_per_block": self.syncs.syncs.map(|syncs| syncs.to_json(self.syncs.blocks)),
            "own_syncs_per_block": self.syncs.own_per_block(),
            "restarts": self.restarts.to_json(),
        })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |report: &Report| report.processor_micros().unwrap_or_default();
        let p50 = |report: &Report| report.latencies().quantile(0.5).as_secs_f64() * 1e3;
        writeln!(formatter, "{} items (filled at {:.0}/s; {} at the end)", self.items.0, self.filled, self.items.1)?;
        for (name, reports) in [("publish", &self.publish), ("list", &self.list)] {
            for report in reports {
                writeln!(
                    formatter,
                    "  {name}, {} clients: {:.0}/s, p50 {:.3} ms, {:.0} us of processor",
                    report.clients,
                    report.rate(),
                    p50(report),
                    micros(report)
                )?;
            }
        }
        let per = |part| self.disk_per_item(part);
        writeln!(
            formatter,
            "  {} MiB resident; disk {:.0} bytes an item: blocks {:.0}, database {:.0}, journal {:.0}, off-chain {:.0}, \
             other {:.0}",
            self.resident_kib / 1024,
            per(self.disk.all()),
            per(self.disk.blocks),
            per(self.disk.database),
            per(self.disk.journal),
            per(self.disk.offchain),
            per(self.disk.other),
        )?;
        let own = self.syncs.own_per_block();
        match self.syncs.syncs {
            Some(syncs) => writeln!(formatter, "  {} ({own:.1} as the node counts)", syncs.text(self.syncs.blocks))?,
            None => writeln!(formatter, "  {own:.1} syncs a block as the node counts (strace is missing here)")?,
        }
        let [clean, killed] = self.restarts.medians().map(|median| median.as_secs_f64());
        writeln!(formatter, "  first answer {clean:.2} s after a clean end, {killed:.2} s after kill -9 (medians)")?;
        write!(formatter, "  {}", self.calibration)
    }
}

impl Series {
    /// Rates at the last stop over those at the first.
    fn flatness(&self) -> Option<Flatness> {
        let (first, last) = (self.stops.first()?, self.stops.last()?);
        let of = |rate: &dyn Fn(&Stop) -> f64| rate(last) / rate(first).max(f64::EPSILON);
        Some(Flatness {
            publish: [of(&|stop| stop.publish[0].rate()), of(&|stop| stop.publish[1].rate())],
            list: [of(&|stop| stop.list[0].rate()), of(&|stop| stop.list[1].rate())],
            machine: of(&|stop| stop.calibration.verify_all()),
        })
    }

    fn outcome(self) -> Outcome {
        let stops: Vec<String> = self.stops.iter().map(Stop::to_string).collect();
        let flatness = self.flatness();
        let ratio = flatness.as_ref().map_or_else(String::new, |flat| {
            format!(
                "last stop over first: publish {:.2} (1 client), {:.2} (8); list {:.2}, {:.2}; the machine itself {:.2}\n",
                flat.publish[0], flat.publish[1], flat.list[0], flat.list[1], flat.machine
            )
        });
        let text = format!("series\n{}\n{ratio}every acknowledged item is there", stops.join("\n"));
        let flat = flatness.map(|flat| {
            json!({
                "publish_1": flat.publish[0],
                "publish_8": flat.publish[1],
                "list_1": flat.list[0],
                "list_8": flat.list[1],
                "verify": flat.machine,
            })
        });
        let json = json!({
            "stops": self.stops.iter().map(Stop::to_json).collect::<Vec<_>>(),
            "last_over_first": flat,
        });
        let calibration = self.stops.last().map(|stop| stop.calibration.clone());
        Outcome { name: "series".to_owned(), text, json, calibration, fault: None }
    }
}

/// How a chain has changed from the first stop to the last.
struct Flatness {
    publish: [f64; 2],
    list: [f64; 2],
    machine: f64,
}
