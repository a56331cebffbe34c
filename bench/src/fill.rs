//! Filling a chain with one-item transactions as fast as it takes them, with progress and the time left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::arguments::{Kind, Plan, Target, Turns};
use crate::connection::Connection;
use crate::load::{Session, Until};
use crate::network;
use crate::report::Report;

/// Time between two lines about the progress.
const LINE: Duration = Duration::from_secs(10);
/// How long the pool may take to get empty, beyond the blocks that it needs.
const PATIENCE: Duration = Duration::from_secs(600);
/// Time between two looks whether it is.
const LOOK: Duration = Duration::from_millis(100);

/// A plan of publishing to a node of one's own: by so many clients, items of so many bytes, one a transaction.
pub fn publishing(target: Target, stream: &str, clients: usize, size: usize, pid: u32) -> Plan {
    Plan {
        kind: Kind::Publish,
        target,
        stream: stream.to_owned(),
        clients,
        size,
        items_per_tx: 1,
        duration: Duration::ZERO,
        pid: Some(pid),
        turns: Turns::None,
    }
}

/// Publishes so many items, and looks whether all are there.
pub async fn publish(plan: &Plan, count: u64) -> anyhow::Result<Report> {
    let mut session = Session::open(plan, &plan.target, plan.pid).await?;
    let left = Arc::new(AtomicU64::new(count));
    let lines = tokio::spawn(tell_progress(Arc::clone(&left), count));
    let worked = session.work(Until::Left(left)).await;
    lines.abort();
    worked?;
    let report = session.report().await?;
    ensure!(report.nothing_lost(), "{report}\nacknowledged items are missing or doubled");
    Ok(report)
}

async fn tell_progress(left: Arc<AtomicU64>, count: u64) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(LINE).await;
        eprintln!("{}", progress(count, left.load(Ordering::Relaxed), began.elapsed()));
    }
}

fn progress(count: u64, left: u64, elapsed: Duration) -> String {
    let done = count - left;
    let rate = done as f64 / elapsed.as_secs_f64();
    let minutes = left as f64 / rate.max(1.0) / 60.0;
    format!("published {done} of {count}, {rate:.0}/s, {minutes:.1} min left")
}

/// Waits until nothing waits for a block.
pub async fn confirm(node: &mut Connection) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let waiting = network::waiting(node).await?;
        if waiting == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{waiting} transactions wait for a block since {} s", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_the_rate_and_the_time_that_is_left() {
        let text = progress(100_000, 60_000, Duration::from_secs(20));
        assert_eq!(text, "published 40000 of 100000, 2000/s, 0.5 min left");
    }
}
