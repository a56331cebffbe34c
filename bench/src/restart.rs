//! How long a node takes from its start to its first answer: after a clean end, and after one by a signal that it cannot
//! catch.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::arguments::Site;
use crate::histogram::Histogram;
use crate::network;
use crate::node::Node;
use crate::outcome::Outcome;
use crate::report::{latency_json, latency_text};

/// A measurement to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The programs, and the data directory that holds the chain.
    pub site: Site,
    /// The chain's name.
    pub chain: String,
    /// How often each kind of restart.
    pub rounds: u64,
}

/// Times from start to answer.
pub struct Restarts {
    clean: Histogram,
    killed: Histogram,
}

/// Makes the measurement.
///
/// # Errors
/// Whatever keeps the node from running, and a node that lost blocks by its end.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let folder = plan.site.folder.join(&plan.chain);
    ensure!(folder.is_dir(), "there is no chain {} in {}", plan.chain, plan.site.folder.display());
    let mut node = Node::new(&plan.site.bin, &plan.site.folder, &plan.chain, &[])?;
    node.start().await?;
    let restarts = Restarts::measure(&mut node, plan.rounds).await?;
    let height = height(&node).await?;
    node.stop().await?;
    let text = format!("restart: {}, {height} blocks, ms until the first answer\n{restarts}", plan.chain);
    let json = json!({"chain": plan.chain, "blocks": height, "restarts": restarts.to_json()});
    Ok(Outcome { name: "restart".to_owned(), text, json, calibration: None, fault: None })
}

impl Restarts {
    /// Restarts a node that runs, so often in each way.
    pub async fn measure(node: &mut Node, rounds: u64) -> anyhow::Result<Self> {
        let mut restarts = Self { clean: Histogram::new(), killed: Histogram::new() };
        for round in 0..rounds {
            for hard in [false, true] {
                let before = height(node).await?;
                let took = node.restart(hard).await.with_context(|| format!("restart {round}"))?;
                let after = height(node).await?;
                ensure!(after >= before, "the node had {before} blocks when it ended, and {after} after its start");
                restarts.note(hard, took);
            }
        }
        Ok(restarts)
    }

    fn note(&mut self, hard: bool, took: Duration) {
        let of = if hard { &mut self.killed } else { &mut self.clean };
        of.record(took);
    }

    /// The times for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "rounds": self.clean.count(),
            "clean_micros": latency_json(&self.clean),
            "killed_micros": latency_json(&self.killed),
        })
    }

    /// The median of both.
    pub fn medians(&self) -> [Duration; 2] {
        [self.clean.quantile(0.5), self.killed.quantile(0.5)]
    }
}

impl std::fmt::Display for Restarts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "  after a clean end: {}", latency_text(&self.clean))?;
        write!(formatter, "  after kill -9:     {}", latency_text(&self.killed))
    }
}

async fn height(node: &Node) -> anyhow::Result<u64> {
    network::height(&mut node.connect().await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_and_killed_restarts_are_kept_apart() {
        let mut restarts = Restarts { clean: Histogram::new(), killed: Histogram::new() };
        restarts.note(false, Duration::from_millis(20));
        restarts.note(true, Duration::from_millis(70));
        assert_eq!(restarts.medians(), [Duration::from_millis(20), Duration::from_millis(70)]);
        assert_eq!(restarts.to_json()["killed_micros"]["max"], 70_000.0);
        assert!(restarts.to_string().contains("after kill -9:     p50 70.000"), "{restarts}");
    }
}
