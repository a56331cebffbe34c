//! A caller who asks steadily but not hard beside other work, and notes when each call began and how long it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::{Interval, MissedTickBehavior};

use crate::connection::{Connection, succeeded};
use crate::propagation::log::Moment;
use crate::workload::Workload;

/// The number of the first of them, so that their items differ from those of clients that work as fast as they can.
const FIRST_CLIENT: usize = 1 << 20;

/// When the next call begins.
pub enum Pace {
    /// So long after the answer to the one before.
    Pause(Duration),
    /// When it is due; who was held up makes up for it, so that the rate is what was asked for.
    Due(Interval),
}

impl Pace {
    /// Calls that are due with this time between them, the first at `first`.
    pub fn due(first: Instant, period: Duration) -> Self {
        let mut due = tokio::time::interval_at(first.into(), period);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Self::Due(due)
    }

    async fn wait(&mut self) {
        match self {
            Self::Pause(pause) => tokio::time::sleep(*pause).await,
            Self::Due(due) => {
                due.tick().await;
            }
        }
    }
}

/// A call: when it began, and how long it took.
pub struct Call {
    began: Moment,
    took: Duration,
}

impl Call {
    /// Its length, if it lies in a span of time or reaches into it.
    pub fn within(&self, from: Moment, to: Moment) -> Option<Duration> {
        let began_before_the_end = to.since(self.began).is_some();
        let ended_behind_the_beginning = self.began.after(self.took).since(from).is_some();
        (began_before_the_end && ended_behind_the_beginning).then_some(self.took)
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// The caller of this number calls until told to stop.
pub async fn ask(
    caller: usize,
    workload: Workload,
    mut node: Connection,
    mut pace: Pace,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Call>> {
    let (mut calls, mut body) = (Vec::new(), Vec::new());
    for number in 0.. {
        pace.wait().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        body.clear();
        workload.write_request(FIRST_CLIENT + caller, number, &mut body);
        let (began, sent) = (Moment::now(), Instant::now());
        let answer = node.exchange(&body).await?;
        let took = sent.elapsed();
        if !succeeded(answer) {
            bail!("a caller was refused: {}", String::from_utf8_lossy(answer));
        }
        calls.push(Call { began, took });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_when_it_reaches_into_the_span() {
        let now = Moment::now();
        let millis = Duration::from_millis;
        let call = Call { began: now.after(millis(10)), took: millis(5) };
        let within = |from, to| call.within(now.after(millis(from)), now.after(millis(to)));
        for (from, to) in [(0, 10), (0, 12), (11, 13), (12, 30), (15, 20), (0, 30)] {
            assert_eq!(within(from, to), Some(millis(5)), "{from} to {to}");
        }
        for (from, to) in [(0, 9), (16, 20)] {
            assert_eq!(within(from, to), None, "{from} to {to}");
        }
    }
}
