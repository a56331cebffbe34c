//! Drives a workload with so many clients, for so long or for so many writes, and takes the measure before and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::task::JoinSet;

use crate::arguments::{Plan, Target};
use crate::connection::{Connection, succeeded};
use crate::histogram::Histogram;
use crate::probe;
use crate::report::Report;
use crate::workload::{Fill, Operation, Workload};

/// Time before a refused request of a fixed number is made anew: the pool may be full until the next block.
const PAUSE: Duration = Duration::from_millis(100);
/// How often that is done in a row: an hour.
const TRIES: u32 = 36_000;

/// What was counted.
pub struct Tally {
    /// Latencies of accepted reads.
    pub reads: Histogram,
    /// Latencies of accepted writes.
    pub writes: Histogram,
    /// How many requests were refused.
    pub refused: u64,
    first_refusal: Option<String>,
}

/// When work ends.
#[derive(Clone)]
pub enum Until {
    /// At a moment.
    Moment(Instant),
    /// When this many more requests are accepted; clients share the number.
    Left(Arc<AtomicU64>),
    /// At the sooner of both.
    Sooner(Instant, Arc<AtomicU64>),
}

/// A connection that works, and the number of its next request.
struct Client {
    connection: Connection,
    index: usize,
    next: u64,
}

/// Work prepared against one node, and what was counted so far.
pub struct Session {
    plan: Plan,
    pid: Option<u32>,
    workload: Arc<Workload>,
    clients: Vec<Client>,
    control: Connection,
    before: Fill,
    tally: Tally,
    elapsed: Duration,
    processor_micros: u64,
}

/// Makes the run a plan describes, against its node alone.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut session = Session::open(plan, &plan.target, plan.pid).await?;
    session.work(Until::Moment(Instant::now() + plan.duration)).await?;
    session.report().await
}

impl Session {
    /// Prepares a plan's work against a node, and connects its clients.
    pub async fn open(plan: &Plan, target: &Target, pid: Option<u32>) -> anyhow::Result<Self> {
        let mut control = Connection::open(target).await?;
        let workload = Arc::new(Workload::prepare(plan, &mut control).await?);
        let mut clients = Vec::new();
        for index in 0..plan.clients {
            clients.push(Client { connection: Connection::open(target).await?, index, next: 0 });
        }
        let before = workload.fill(&plan.stream, &mut control).await?;
        let (tally, elapsed) = (Tally::new(), Duration::ZERO);
        Ok(Self { plan: plan.clone(), pid, workload, clients, control, before, tally, elapsed, processor_micros: 0 })
    }

    /// Runs every client until the end, and adds up what they counted.
    pub async fn work(&mut self, until: Until) -> anyhow::Result<()> {
        let usage_before = self.pid.and_then(probe::usage);
        let began = Instant::now();
        let mut running = JoinSet::new();
        for client in self.clients.drain(..) {
            running.spawn(work(Arc::clone(&self.workload), client, until.clone()));
        }
        while let Some(ended) = running.join_next().await {
            let (client, tally) = ended??;
            self.clients.push(client);
            self.tally.add(tally);
        }
        self.elapsed += began.elapsed();
        if let Some((before, after)) = usage_before.zip(self.pid.and_then(probe::usage)) {
            self.processor_micros += after.processor_micros.saturating_sub(before.processor_micros);
        }
        Ok(())
    }

    /// Looks whether all is there that was acknowledged.
    pub async fn report(mut self) -> anyhow::Result<Report> {
        let after = self.workload.fill(&self.plan.stream, &mut self.control).await?;
        let (reads, writes) = (self.tally.reads.count(), self.tally.writes.count());
        ensure!(reads + writes > 0, "no request was accepted: {}", self.tally.first_refusal.unwrap_or_default());
        let expected_items = writes * self.workload.items_added();
        let resident = self.pid.and_then(probe::usage).map(|usage| usage.resident_kib);
        Ok(Report {
            workload: self.workload.name(),
            clients: self.plan.clients,
            size: self.plan.size,
            items_per_tx: self.plan.items_per_tx,
            elapsed: self.elapsed,
            accepted: reads + expected_items,
            refused: self.tally.refused,
            reads: self.tally.reads,
            writes: self.tally.writes,
            fill: (self.before, after),
            expected_items,
            node: resident.map(|resident| (self.processor_micros, resident)),
        })
    }
}

impl Until {
    /// Whether another request is to be made.
    fn goes_on(&self) -> bool {
        match self {
            Self::Moment(moment) => Instant::now() < *moment,
            Self::Left(left) => take_one(left),
            Self::Sooner(moment, left) => Instant::now() < *moment && take_one(left),
        }
    }
}

/// Takes one of what is left, if anything is.
fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// One client: a request, its answer, the next request, until the end.
async fn work(workload: Arc<Workload>, mut client: Client, until: Until) -> anyhow::Result<(Client, Tally)> {
    let mut tally = Tally::new();
    let mut body = Vec::new();
    while until.goes_on() {
        let mut tries = 0;
        body.clear();
        workload.write_request(client.index, client.next, &mut body);
        let operation = workload.operation(client.index, client.next);
        client.next += 1;
        loop {
            let sent = Instant::now();
            let answer = client.connection.exchange(&body).await?;
            if succeeded(answer) {
                tally.record(operation, sent.elapsed());
                break;
            }
            tally.refused += 1;
            let said = tally.first_refusal.get_or_insert_with(|| String::from_utf8_lossy(answer).into_owned());
            if !matches!(until, Until::Left(_)) {
                break;
            }
            tries += 1;
            if tries == TRIES {
                bail!("refused {tries} times in a row; at first: {said}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok((client, tally))
}

impl Tally {
    fn new() -> Self {
        Self { reads: Histogram::new(), writes: Histogram::new(), refused: 0, first_refusal: None }
    }

    fn record(&mut self, operation: Operation, latency: Duration) {
        match operation {
            Operation::Read => self.reads.record(latency),
            Operation::Write => self.writes.record(latency),
        }
    }

    fn add(&mut self, other: Self) {
        self.reads.merge(&other.reads);
        self.writes.merge(&other.writes);
        self.refused += other.refused;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
    }
}

#[cfg(test)]
mod tests;
