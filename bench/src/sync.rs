//! An empty node joins a filled chain: how long until it has the tip, and until it has indexed the stream; compared with the
//! signatures that this machine verifies in the same minute.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::arguments::Site;
use crate::calibrate::{self, Calibration};
use crate::connection::Connection;
use crate::fill;
use crate::network::{Network, roomy, tip};
use crate::node::Node;
use crate::outcome::Outcome;
use crate::probe;
use crate::workload;

/// The chain's name.
const CHAIN: &str = "sync";
/// Its stream.
const STREAM: &str = "bench";
/// Longest wait for a node that has nobody to wait for: hours of catching up.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);
/// Time between two looks at the node that catches up.
const LOOK: Duration = Duration::from_millis(10);

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the nodes are started; the folder must not exist.
    pub site: Site,
    /// Items of the chain, one a transaction.
    pub items: u64,
    /// Connections that publish them.
    pub clients: usize,
    /// Bytes of an item.
    pub size: usize,
    /// Target time of a block in seconds.
    pub block_time: u32,
}

/// What was seen.
struct Synced {
    items: u64,
    /// From the start of the process to its first answer.
    answered: Duration,
    /// From there to its first peer.
    connected: Duration,
    /// From the start of the process to the other node's tip.
    tip: Duration,
    /// From the start of the process to the last item in the index.
    indexed: Duration,
    /// Processor time of the node that joined, and of the one that served it.
    micros: [u64; 2],
    resident_kib: u64,
    filled: f64,
}

/// Makes the measurement.
///
/// # Errors
/// Whatever keeps the nodes from running, and a node that does not catch up.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let parameters = roomy(plan.block_time);
    let parameters = parameters.each_ref().map(String::as_str);
    let network = Network::of_one(&plan.site, CHAIN, STREAM, &parameters);
    let mut nodes = network.start().await?;
    let full = &nodes[0];
    let mut control = full.connect().await?;
    let publishing = fill::publishing(full.target()?, STREAM, plan.clients, plan.size, full.pid()?);
    let filled = fill::publish(&publishing, plan.items).await?.rate();
    let mut empty = network.node(1)?;
    network.invite(full, &empty).await?;
    fill::confirm(&mut control).await?;
    // The tip stands still while the other node runs after it.
    control.call("pause", json!(["mining"])).await?;
    let calibration = calibrate::measure(&plan.site.folder)?;
    let synced = catch_up(full, &mut empty, filled).await?;
    empty.stop().await?;
    nodes[0].stop().await?;
    ensure!(synced.items == plan.items, "{} items were published, {} are there", plan.items, synced.items);
    Ok(synced.outcome(calibration))
}

/// Starts the empty node and waits until it has everything.
async fn catch_up(full: &Node, empty: &mut Node, filled: f64) -> anyhow::Result<Synced> {
    let mut control = full.connect().await?;
    let wanted = (tip(&mut control).await?, workload::fill(STREAM, &mut control).await?);
    let served_before = probe::usage(full.pid()?);
    let began = Instant::now();
    let seed = full.seed();
    empty.start_from(&seed).await?;
    let answered = began.elapsed();
    let mut node = empty.connect().await?;
    while !has_peer(&mut node).await? {
        wait(began).await?;
    }
    let connected = began.elapsed() - answered;
    let (mut subscribed, mut reached) = (false, None);
    let indexed = loop {
        if !subscribed {
            // Refused until the block with the stream is there.
            subscribed = node.call("subscribe", json!([STREAM])).await.is_ok();
        }
        if reached.is_none() && tip(&mut node).await? == wanted.0 {
            reached = Some(began.elapsed());
        }
        if subscribed && reached.is_some() && workload::fill(STREAM, &mut node).await? == wanted.1 {
            break began.elapsed();
        }
        wait(began).await?;
    };
    let (pid, served) = (empty.pid()?, probe::usage(full.pid()?));
    let used = probe::usage(pid);
    let served =
        served_before.zip(served).map_or(0, |(before, after)| after.processor_micros - before.processor_micros);
    Ok(Synced {
        items: wanted.1.items,
        answered,
        connected,
        tip: reached.unwrap_or(indexed),
        indexed,
        micros: [used.map_or(0, |used| used.processor_micros), served],
        resident_kib: used.map_or(0, |used| used.resident_kib),
        filled,
    })
}

async fn has_peer(node: &mut Connection) -> anyhow::Result<bool> {
    let peers = node.call("getpeerinfo", json!([])).await?;
    Ok(peers.as_array().is_some_and(|peers| !peers.is_empty()))
}

async fn wait(began: Instant) -> anyhow::Result<()> {
    ensure!(began.elapsed() < PATIENCE, "the node did not catch up within {} s", PATIENCE.as_secs());
    tokio::time::sleep(LOOK).await;
    Ok(())
}

impl Synced {
    /// Items a second over a time since the process was started.
    fn rate(&self, time: Duration) -> f64 {
        self.items as f64 / time.as_secs_f64().max(f64::EPSILON)
    }

    /// The same since it was connected.
    fn rate_connected(&self) -> f64 {
        self.rate(self.indexed.saturating_sub(self.answered + self.connected))
    }

    fn micros_per_item(&self, node: usize) -> f64 {
        self.micros[node] as f64 / self.items.max(1) as f64
    }

    fn to_json(&self, calibration: &Calibration) -> Value {
        json!({
            "items": self.items,
            "filled_per_second": self.filled,
            "seconds_to_answer": self.answered.as_secs_f64(),
            "seconds_to_connection": (self.answered + self.connected).as_secs_f64(),
            "seconds_to_tip": self.tip.as_secs_f64(),
            "seconds_to_indexed": self.indexed.as_secs_f64(),
            "items_per_second_from_start": self.rate(self.indexed),
            "items_per_second_from_connection": self.rate_connected(),
            "share_of_verify_rate_from_start": self.rate(self.indexed) / calibration.verify_all(),
            "share_of_verify_rate_from_connection": self.rate_connected() / calibration.verify_all(),
            "processor_micros_per_item": self.micros_per_item(0),
            "serving_processor_micros_per_item": self.micros_per_item(1),
            "resident_kib": self.resident_kib,
        })
    }

    fn outcome(&self, calibration: Calibration) -> Outcome {
        let share = |rate: f64| rate / calibration.verify_all() * 100.0;
        let (start, connection) = (self.rate(self.indexed), self.rate_connected());
        let text = format!(
            "sync: {} items (published at {:.0}/s), an empty node joins\n\
             from its start: first answer {:.2} s, connected {:.2} s, tip {:.2} s, stream indexed {:.2} s\n\
             from its start {start:.0} items/s ({:.0}% of the signatures verified on all cores), from its connection \
             {connection:.0} items/s ({:.0}%)\n\
             processor: {:.0} us an item, {:.0} us an item on the node that serves; {} MiB resident\n\
             {calibration}\n\
             all {} items are there",
            self.items,
            self.filled,
            self.answered.as_secs_f64(),
            (self.answered + self.connected).as_secs_f64(),
            self.tip.as_secs_f64(),
            self.indexed.as_secs_f64(),
            share(start),
            share(connection),
            self.micros_per_item(0),
            self.micros_per_item(1),
            self.resident_kib / 1024,
            self.items,
        );
        let json = self.to_json(&calibration);
        let name = format!("sync-{}", self.items);
        Outcome { name, text, json, calibration: Some(calibration), fault: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;

    #[test]
    fn rates_and_shares_follow_from_the_times() {
        let seconds = Duration::from_secs;
        let synced = Synced {
            items: 1_000,
            answered: seconds(1),
            connected: seconds(1),
            tip: seconds(8),
            indexed: seconds(10),
            micros: [500_000, 100_000],
            resident_kib: 2_048,
            filled: 5.0,
        };
        let calibration = Calibration { cores: 2, verify: [100.0, 200.0], sign: [1.0, 2.0], sync: Histogram::new() };
        let outcome = synced.outcome(calibration);
        assert_eq!(outcome.json["items_per_second_from_start"], 100.0);
        assert_eq!(outcome.json["items_per_second_from_connection"], 125.0);
        assert_eq!(outcome.json["share_of_verify_rate_from_start"], 0.5);
        assert_eq!(outcome.json["processor_micros_per_item"], 500.0);
        assert!(outcome.text.contains("(50% of"), "{}", outcome.text);
    }
}
