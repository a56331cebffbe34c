//! Waiting for a condition, never for a time: every wait has a deadline that only a failure reaches.

use std::time::{Duration, Instant};

/// Deadline of an ordinary condition. Several nodes on two busy cores take seconds; two minutes mean never.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Deadline of a condition that needs many blocks: 60 blocks of 2 s, and as long again for a busy machine.
pub const LONG_PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Repeats `probe` until it yields a value; after `limit` the test fails with what it last said.
pub async fn until_within<T>(limit: Duration, what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        let reason = match probe().await {
            Ok(value) => return value,
            Err(reason) => reason,
        };
        assert!(started.elapsed() < limit, "waited {limit:?} for {what}; last seen: {reason}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// [`until_within`] the ordinary patience.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    until_within(PATIENCE, what, probe).await
}

/// `Ok` when the condition holds, else a description of what was seen instead.
pub fn check(holds: bool, seen: impl std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{seen:?}")) }
}
