//! What all clients of a soak share: the pace, the number of what is to be sent, what was acknowledged and how fast.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rota_chain::hash::Txid;

use crate::arguments::Target;
use crate::connection::{Connection, succeeded};
use crate::histogram::Histogram;
use crate::publish::Publish;

/// Keys that items are published under.
const KEYS: u64 = 1_000;
/// How long a client waits before it tries a node again that does not take its calls.
const PAUSE: Duration = Duration::from_millis(100);

/// The shared state.
pub struct Tally {
    began: Instant,
    wanted: u64,
    rate: Option<u64>,
    next: AtomicU64,
    stopped: AtomicBool,
    unanswered: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    txids: Vec<Txid>,
    latencies: Option<Histogram>,
}

impl Tally {
    /// A tally of so many acknowledged transactions, begun now, at so many a second.
    pub fn new(wanted: u64, rate: Option<u64>) -> Tally {
        Tally {
            began: Instant::now(),
            wanted,
            rate,
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.kept().txids.len() as u64
    }

    /// Calls that were cut off before they were answered.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Ids of what was acknowledged.
    pub fn txids(&self) -> Vec<Txid> {
        self.kept().txids.clone()
    }

    /// Latencies since the last call.
    pub fn take_latencies(&self) -> Histogram {
        self.kept().latencies.take().unwrap_or_else(Histogram::new)
    }

    /// Whether as many are acknowledged as are wanted.
    pub fn is_done(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.acknowledged() >= self.wanted
    }

    /// Ends the clients.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The number of the next transaction, when its time has come: none once all are acknowledged.
    async fn next(&self) -> Option<u64> {
        if self.is_done() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(rate) = self.rate {
            let due = self.began + Duration::from_secs_f64(number as f64 / rate as f64);
            tokio::time::sleep_until(due.into()).await;
        }
        Some(number)
    }

    fn note(&self, answer: &[u8], latency: Duration) -> bool {
        let txid = succeeded(answer).then(|| txid_in(answer)).flatten();
        let Some(txid) = txid else { return false };
        let mut kept = self.kept();
        kept.txids.push(txid);
        kept.latencies.get_or_insert_with(Histogram::new).record(latency);
        true
    }
}

/// One client of a node: publishes when its turn has come, and waits while the node is being restarted.
pub async fn publish(tally: Arc<Tally>, target: anyhow::Result<Target>, work: Arc<Publish>) {
    let Ok(target) = target else { return tally.stop() };
    let mut connection = None;
    let mut body = Vec::new();
    while let Some(number) = tally.next().await {
        body.clear();
        work.write_request((number % KEYS) as usize, number, &mut body);
        loop {
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => Connection::open(&target).await,
            };
            if let Ok(mut open) = open {
                let sent = Instant::now();
                match open.exchange(&body).await.map(|answer| tally.note(answer, sent.elapsed())) {
                    Ok(taken) => {
                        connection = Some(open);
                        if taken {
                            break;
                        }
                    }
                    Err(_) => {
                        // It may have been taken: it is not sent again.
                        tally.unanswered.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
            }
            if tally.is_done() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The transaction id that is the result of an answer.
fn txid_in(answer: &[u8]) -> Option<Txid> {
    let text = std::str::from_utf8(answer).ok()?;
    let result = text.split_once("\"result\":\"")?.1;
    result.split_once('"')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn requests_have_the_size_asked_for_and_differ() {
        let body = |number, size| {
            let mut body = Vec::new();
            Publish::new("s", size, 1).write_request(0, number, &mut body);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()
        };
        let data = |number, size| body(number, size)["params"][2].as_str().unwrap().to_owned();
        assert_eq!((data(1, 100).len(), data(1, 3).len()), (200, 6));
        let all: std::collections::BTreeSet<String> = (0..1_000).map(|number| data(number, 16)).collect();
        assert_eq!(all.len(), 1_000);
    }

    #[test]
    fn an_acknowledgement_is_kept_and_a_refusal_is_not() {
        let tally = Tally::new(2, None);
        let txid = "ab".repeat(32);
        let answer = format!(r#"{{"result":"{txid}","error":null,"id":1}}"#);
        assert!(tally.note(answer.as_bytes(), Duration::from_millis(1)));
        assert!(!tally.note(br#"{"result":null,"error":{"code":-1},"id":1}"#, Duration::from_millis(1)));
        assert_eq!((tally.acknowledged(), tally.take_latencies().count()), (1, 1));
        assert_eq!(tally.txids(), [txid.parse().unwrap()]);
        assert!(!tally.is_done());
    }
}
