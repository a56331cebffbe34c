//! Reading while others publish: turns of reading alone, and turns of the same while so many items a second are published,
//! so that what the machine does besides strikes both; and the ratio of the rates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::arguments::Plan;
use crate::caller::{self, Call, Pace};
use crate::connection::Connection;
use crate::histogram::Histogram;
use crate::load::{Session, Until};
use crate::outcome::Outcome;
use crate::publish::Publish;
use crate::report::{Report, latency_json, latency_text};
use crate::workload::{self, Workload};

/// Connections that publish: enough that none has to wait for its answer before its next item is due.
const PUBLISHERS: u32 = 8;
/// Length of a turn.
const TURN: Duration = Duration::from_secs(2);

/// What was published.
struct Published {
    latencies: Histogram,
    elapsed: Duration,
}

/// Makes the run a plan of reading describes, with and without so many publishes a second; both take the plan's time.
pub async fn run(plan: &Plan, rate: u32) -> anyhow::Result<Outcome> {
    let mut control = Connection::open(&plan.target).await?;
    let mut alone = Session::open(plan, &plan.target, plan.pid).await?;
    let mut beside = Session::open(plan, &plan.target, plan.pid).await?;
    let before = workload::fill(&plan.stream, &mut control).await?.items;
    let mut published = Published { latencies: Histogram::new(), elapsed: Duration::ZERO };
    let mut left = plan.duration;
    while !left.is_zero() {
        let turn = left.min(TURN);
        alone.work(Until::Moment(Instant::now() + turn)).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let publishers = publishers(plan, rate, &stop).await?;
        let began = Instant::now();
        let worked = beside.work(Until::Moment(began + turn)).await;
        stop.store(true, Ordering::Relaxed);
        for calls in publishers.join_all().await {
            calls?.iter().for_each(|call| published.latencies.record(call.took()));
        }
        published.elapsed += began.elapsed();
        worked?;
        left -= turn;
    }
    let added = workload::fill(&plan.stream, &mut control).await?.items - before;
    Ok(outcome(&alone.report().await?, &beside.report().await?, &published, added))
}

/// Starts connections that share the rate, until told to stop.
async fn publishers(
    plan: &Plan,
    rate: u32,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<JoinSet<anyhow::Result<Vec<Call>>>> {
    let period = Duration::from_secs(1) * PUBLISHERS / rate;
    let mut running = JoinSet::new();
    for number in 0..PUBLISHERS {
        let node = Connection::open(&plan.target).await?;
        let items = Workload::Publish(Publish::new(&plan.stream, plan.size, 1));
        // Each a little later than the one before, or all of them would come at once.
        let pace = Pace::due(Instant::now() + period * number / PUBLISHERS, period);
        running.spawn(caller::ask(number as usize, items, node, pace, Arc::clone(stop)));
    }
    Ok(running)
}

fn outcome(alone: &Report, beside: &Report, published: &Published, added: u64) -> Outcome {
    let count = published.latencies.count();
    let rate = count as f64 / published.elapsed.as_secs_f64().max(f64::EPSILON);
    let ratio = beside.rate() / alone.rate().max(f64::EPSILON);
    let text = format!(
        "{} by {} clients, in turns alone and while {rate:.0} items/s are published\n  alone:  {:.0}/s, ms {}\n  beside: {:.0}/s, \
         ms {}\n  publishes: ms {}\nratio {ratio:.2}; {added} items were added, {count} were acknowledged",
        alone.workload,
        alone.clients,
        alone.rate(),
        latency_text(&alone.reads),
        beside.rate(),
        latency_text(&beside.reads),
        latency_text(&published.latencies),
    );
    let json = json!({
        "alone": alone.to_json(),
        "beside": beside.to_json(),
        "published": count,
        "published_per_second": rate,
        "publish_latency_micros": latency_json(&published.latencies),
        "ratio": ratio,
    });
    let fault = (added != count).then(|| format!("{count} items were acknowledged, {added} were added"));
    Outcome { name: format!("{}-contended", alone.name()), text, json, calibration: None, fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    fn published(count: u64) -> Published {
        let mut latencies = Histogram::new();
        (0..count).for_each(|_| latencies.record(Duration::from_millis(1)));
        Published { latencies, elapsed: Duration::from_secs(2) }
    }

    #[test]
    fn the_ratio_is_that_of_reading_beside_others_over_reading_alone() {
        let (mut alone, beside) = (report(0), report(0));
        alone.elapsed = beside.elapsed / 2;
        let outcome = outcome(&alone, &beside, &published(6_000), 6_000);
        assert_eq!(
            (outcome.json["ratio"].as_f64(), outcome.json["published_per_second"].as_f64()),
            (Some(0.5), Some(3_000.0))
        );
        assert!(outcome.fault.is_none() && outcome.text.contains("ratio 0.50"));
    }

    #[test]
    fn an_acknowledged_item_that_is_not_there_is_a_fault() {
        let fault = outcome(&report(0), &report(0), &published(10), 9).fault;
        assert!(fault.is_some_and(|fault| fault.contains("10 items were acknowledged, 9 were added")));
    }
}
