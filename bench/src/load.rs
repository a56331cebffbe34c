//! Drives a workload with so many clients for so long, and takes the measure before and after.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::arguments::Plan;
use crate::connection::{Connection, succeeded};
use crate::histogram::Histogram;
use crate::probe;
use crate::report::Report;
use crate::workload::{Workload, fill};

/// What one client counted.
struct Tally {
    latencies: Histogram,
    accepted: u64,
    refused: u64,
    first_refusal: Option<String>,
}

/// Makes the run a plan describes.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut control = Connection::open(&plan.target).await?;
    let workload = Arc::new(Workload::prepare(plan, &mut control).await?);
    let mut connections = Vec::new();
    for _ in 0..plan.clients {
        connections.push(Connection::open(&plan.target).await?);
    }
    let before = fill(&plan.stream, &mut control).await?;
    let usage_before = plan.pid.and_then(probe::usage);

    let started = Instant::now();
    let total = drive(&workload, connections, started + plan.duration).await?;
    let elapsed = started.elapsed();
    let usage_after = plan.pid.and_then(probe::usage);
    let after = fill(&plan.stream, &mut control).await?;
    if total.accepted == 0 {
        anyhow::bail!("no request was accepted: {}", total.first_refusal.unwrap_or_default());
    }
    Ok(Report {
        workload: workload.name(),
        clients: plan.clients,
        size: plan.size,
        items_per_tx: plan.items_per_tx,
        elapsed,
        accepted: total.accepted * workload.operations(),
        refused: total.refused,
        latencies: total.latencies,
        fill: (before, after),
        expected_items: total.accepted * workload.items_added(),
        node: usage_before.zip(usage_after).map(|(before, after)| {
            (after.processor_micros.saturating_sub(before.processor_micros), after.resident_kib)
        }),
    })
}

/// Runs every connection until the deadline and adds up what they counted.
async fn drive(workload: &Arc<Workload>, connections: Vec<Connection>, deadline: Instant) -> anyhow::Result<Tally> {
    let mut clients = JoinSet::new();
    for (client, connection) in connections.into_iter().enumerate() {
        clients.spawn(work(Arc::clone(workload), client, connection, deadline));
    }
    let mut total = Tally::new();
    while let Some(tally) = clients.join_next().await {
        total.add(tally??);
    }
    Ok(total)
}

/// One client: a request, its answer, the next request, until the deadline.
async fn work(
    workload: Arc<Workload>,
    client: usize,
    mut connection: Connection,
    deadline: Instant,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new();
    let mut body = Vec::new();
    for number in 0.. {
        body.clear();
        workload.write_request(client, number, &mut body);
        let sent = Instant::now();
        if sent >= deadline {
            break;
        }
        let answer = connection.exchange(&body).await?;
        if succeeded(answer) {
            tally.accepted += 1;
            tally.latencies.record(sent.elapsed());
        } else {
            tally.refused += 1;
            tally.first_refusal.get_or_insert_with(|| String::from_utf8_lossy(answer).into_owned());
        }
    }
    Ok(tally)
}

impl Tally {
    fn new() -> Self {
        Self { latencies: Histogram::new(), accepted: 0, refused: 0, first_refusal: None }
    }

    fn add(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
    }
}

#[cfg(test)]
mod tests;
