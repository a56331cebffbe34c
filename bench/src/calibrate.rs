//! What this machine does in this minute: signatures verified and made a second, on one core and on all, and how long the
//! disk takes to make a write safe. Figures of a node are compared with these, so both move together on a busy machine.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rota_chain::key::{PrivateKey, PublicKey, Signature};
use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::outcome::Outcome;
use crate::publish::mix;

/// How long each rate is measured for.
const SPAN: Duration = Duration::from_millis(400);
/// Signatures that are verified in turn, so that no two in a row are alike.
const SAMPLES: u64 = 256;
/// Operations between two looks at the clock.
const BATCH: usize = 8;
/// Writes that are made safe, at most.
const SYNCS: usize = 400;
/// Longest time spent on them.
const SYNC_SPAN: Duration = Duration::from_secs(3);
/// Bytes of each: a page, as the log of a database appends.
const SYNC_BYTES: usize = 4_096;

/// The measure of a machine.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// Threads that run at once.
    pub cores: usize,
    /// Signatures verified a second on one core and on all.
    pub verify: [f64; 2],
    /// Signatures made a second on one core and on all.
    pub sign: [f64; 2],
    /// Durations of `fdatasync` behind an append of a page.
    pub sync: Histogram,
}

/// Takes the measure; the disk is that of `folder`, where a file is made and removed.
///
/// # Errors
/// The system's, when the folder cannot be written.
pub fn measure(folder: &Path) -> anyhow::Result<Calibration> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let samples = samples()?;
    let verify = |index: u64| {
        let (key, digest, signature) = &samples[(index % SAMPLES) as usize];
        key.verify(digest, signature).is_ok()
    };
    let key = secret(1)?;
    let sign = |index: u64| key.sign(&digest(index)).0 != [0; 64];
    let verify = [rate(1, &verify)?, rate(cores, &verify)?];
    let sign = [rate(1, &sign)?, rate(cores, &sign)?];
    Ok(Calibration { cores, verify, sign, sync: syncs(folder)? })
}

fn secret(number: u64) -> anyhow::Result<PrivateKey> {
    PrivateKey::from_bytes(digest(number)).context("hardly any number is no key")
}

fn digest(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&mix(number ^ ((index as u64) << 56)).to_le_bytes());
    }
    bytes
}

/// Signatures of a key each, and of more keys than are remembered: verifying begins with the 33 bytes of the key.
fn samples() -> anyhow::Result<Vec<(PublicKey, [u8; 32], Signature)>> {
    let one = |number| {
        let key = secret(number)?;
        Ok((key.public_key(), digest(number), key.sign(&digest(number))))
    };
    (0..SAMPLES).map(one).collect()
}

/// How often a second `work` is done by so many threads that begin together.
fn rate(threads: usize, work: &(dyn Fn(u64) -> bool + Sync)) -> anyhow::Result<f64> {
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let began = Instant::now();
        let mut done = 0_u64;
        while began.elapsed() < SPAN {
            for _ in 0..BATCH {
                if !work(done) {
                    return None;
                }
                done += 1;
            }
        }
        Some(done as f64 / began.elapsed().as_secs_f64())
    };
    let rates: Vec<Option<f64>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    let rates: Option<Vec<f64>> = rates.into_iter().collect();
    Ok(rates.context("a signature did not verify")?.iter().sum())
}

/// Appends pages to a file of the folder and makes each safe.
fn syncs(folder: &Path) -> anyhow::Result<Histogram> {
    let path = folder.join(format!("rota-bench-{}.sync", std::process::id()));
    let mut file = File::create_new(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let measured = time_syncs(&mut file);
    std::fs::remove_file(&path)?;
    measured
}

fn time_syncs(file: &mut File) -> anyhow::Result<Histogram> {
    let mut durations = Histogram::new();
    let page = [0x5a; SYNC_BYTES];
    let began = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&page)?;
        let asked = Instant::now();
        file.sync_data()?;
        durations.record(asked.elapsed());
        if began.elapsed() >= SYNC_SPAN {
            break;
        }
    }
    ensure!(durations.count() > 0, "nothing was written");
    Ok(durations)
}

impl Calibration {
    /// Signatures verified a second on all cores.
    pub fn verify_all(&self) -> f64 {
        self.verify[1]
    }

    /// The measure as a report of its own.
    pub fn outcome(self) -> Outcome {
        let (text, json) = (self.to_string(), self.to_json());
        Outcome { name: "calibrate".to_owned(), text, json, calibration: Some(self), fault: None }
    }

    /// The measure for programs.
    pub fn to_json(&self) -> Value {
        let micros = |share| self.sync.quantile(share).as_secs_f64() * 1e6;
        json!({
            "cores": self.cores,
            "verify_per_second_one_core": self.verify[0],
            "verify_per_second_all_cores": self.verify[1],
            "sign_per_second_one_core": self.sign[0],
            "sign_per_second_all_cores": self.sign[1],
            "fdatasync_micros": {"p50": micros(0.5), "p99": micros(0.99), "count": self.sync.count()},
        })
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.sync.quantile(share).as_secs_f64() * 1e3;
        write!(
            formatter,
            "this minute: verify {:.0}/s on one core, {:.0}/s on all {}; sign {:.0}/s and {:.0}/s; fdatasync p50 {:.3} ms, \
             p99 {:.3} ms",
            self.verify[0],
            self.verify[1],
            self.cores,
            self.sign[0],
            self.sign[1],
            millis(0.5),
            millis(0.99),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn a_machine_verifies_signs_and_syncs_and_leaves_no_file() {
        let folder = std::env::temp_dir().join(format!("rota-bench-calibrate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let calibration = measure(&folder).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(&folder).unwrap();
        let json = calibration.to_json();
        for name in ["verify_per_second_one_core", "verify_per_second_all_cores", "sign_per_second_one_core"] {
            assert!(json[name].as_f64().unwrap() > 100.0, "{name}: {json}");
        }
        assert!(json["fdatasync_micros"]["count"].as_u64().unwrap() > 0);
        assert!(measure(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_wrong_signature_ends_the_measure() {
        assert!(rate(2, &|number| number < 100).is_err());
        assert!(rate(2, &|_| true).unwrap() > 100.0);
    }
}
