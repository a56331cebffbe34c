//! What all clients of a soak share: the pace, the number of what is to be sent, what was acknowledged and how fast.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::arguments::Target;
use crate::connection::{Connection, succeeded};
use crate::histogram::Histogram;

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
    txids: Vec<[u8; 32]>,
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
    pub fn txids(&self) -> Vec<[u8; 32]> {
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
pub async fn publish(tally: Arc<Tally>, target: anyhow::Result<Target>, stream: &'static str, size: usize) {
    let Ok(target) = target else { return tally.stop() };
    let mut connection = None;
    let mut body = Vec::new();
    while let Some(number) = tally.next().await {
        write_request(stream, size, number, &mut body);
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

fn write_request(stream: &str, size: usize, number: u64, body: &mut Vec<u8>) {
    let key = number % 1_000;
    body.clear();
    body.extend_from_slice(format!(r#"{{"method":"publish","params":["{stream}","key{key}",""#).as_bytes());
    let mut left = size;
    let mut word = mixed(number);
    while left > 0 {
        let bytes = hex(word);
        let take = left.min(8);
        body.extend_from_slice(&bytes[..take * 2]);
        left -= take;
        word = mixed(word ^ number.rotate_left(32));
    }
    body.extend_from_slice(format!(r#""],"id":{number}}}"#).as_bytes());
}

fn hex(word: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(word >> (60 - 4 * place) & 15) as usize])
}

/// A number without visible order, the same for the same number (the finisher of MurmurHash3, over a Weyl sequence).
pub fn mixed(number: u64) -> u64 {
    let mut word = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// The transaction id that is the result of an answer.
fn txid_in(answer: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(answer).ok()?;
    let result = text.split_once("\"result\":\"")?.1;
    txid_of(result.get(..64)?)
}

/// A transaction id from its text.
pub fn txid_of(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn requests_have_the_size_asked_for_and_differ() {
        let body = |number, size| {
            let mut body = Vec::new();
            write_request("s", size, number, &mut body);
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
        assert_eq!(tally.txids(), [txid_of(&txid).unwrap()]);
        assert!(!tally.is_done());
    }
}
