//! What was seen over time, and how it grew: least squares over the samples, per 100,000 transactions.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::node::Uses;

/// Growth is told per so many transactions.
const UNIT: f64 = 100_000.0;
/// Samples at the beginning that are left out of slopes: caches fill.
const WARM_UP_SHARE: usize = 4;

/// One look at the network.
pub struct Sample {
    /// Time since the beginning.
    pub at: Duration,
    /// Transactions acknowledged so far.
    pub acknowledged: u64,
    /// Latencies since the sample before.
    pub latencies: Histogram,
    /// What each node uses.
    pub uses: Vec<Uses>,
}

/// All samples of a run.
pub struct Series {
    rate: u64,
    samples: Vec<Sample>,
    restarts: Vec<Duration>,
}

/// What grows of one node.
struct Growth {
    resident_mib: (u64, u64),
    resident_slope: f64,
    files: (u64, u64),
    files_slope: f64,
    disk_per_transaction: f64,
}

impl Series {
    /// An empty series of a run at so many transactions a second.
    pub fn new(rate: u64) -> Series {
        Series { rate, samples: Vec::new(), restarts: Vec::new() }
    }

    /// Adds a sample.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Notes how long a restart took.
    pub fn note_restart(&mut self, took: Duration) {
        self.restarts.push(took);
    }

    /// A line about the last sample, with the time left.
    pub fn progress(&self, wanted: u64) -> String {
        let Some(last) = self.samples.last() else { return String::new() };
        let rate = last.acknowledged as f64 / last.at.as_secs_f64().max(1.0);
        let left = wanted.saturating_sub(last.acknowledged) as f64 / rate.max(1.0) / 60.0;
        let uses: Vec<String> = last
            .uses
            .iter()
            .map(|uses| format!("{} MiB {} files {} MB", uses.resident_kib >> 10, uses.files, uses.disk / 1_000_000))
            .collect();
        format!(
            "{} of {wanted} transactions, {rate:.0}/s, p50 {:.2} p99 {:.2} longest {:.0} ms; {}; {} restarts; {left:.0} min left",
            last.acknowledged,
            millis(last.latencies.quantile(0.5)),
            millis(last.latencies.quantile(0.99)),
            millis(last.latencies.longest()),
            uses.join(", "),
            self.restarts.len(),
        )
    }

    /// Latencies of the first and of the last quarter.
    fn quarters(&self) -> [Histogram; 2] {
        let quarter = (self.samples.len() / 4).max(1);
        let merged = |samples: &[Sample]| {
            let mut all = Histogram::new();
            samples.iter().for_each(|sample| all.merge(&sample.latencies));
            all
        };
        let end = self.samples.len();
        [merged(&self.samples[..quarter.min(end)]), merged(&self.samples[end - quarter.min(end)..])]
    }

    fn growth(&self, node: usize) -> Option<Growth> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let warm = &self.samples[self.samples.len() / WARM_UP_SHARE..];
        let points = |of: &dyn Fn(&Uses) -> f64| -> Vec<(f64, f64)> {
            warm.iter().map(|sample| (sample.acknowledged as f64 / UNIT, of(&sample.uses[node]))).collect()
        };
        let (from, to) = (first.uses[node], last.uses[node]);
        let sent = last.acknowledged.saturating_sub(first.acknowledged).max(1);
        Some(Growth {
            resident_mib: (from.resident_kib >> 10, to.resident_kib >> 10),
            resident_slope: slope(&points(&|uses| uses.resident_kib as f64 / 1024.0)),
            files: (from.files, to.files),
            files_slope: slope(&points(&|uses| uses.files as f64)),
            disk_per_transaction: to.disk.saturating_sub(from.disk) as f64 / sent as f64,
        })
    }

    fn nodes(&self) -> usize {
        self.samples.last().map_or(0, |sample| sample.uses.len())
    }

    /// The report for programs: every sample.
    pub fn to_json(&self) -> Value {
        let one = |sample: &Sample| {
            let uses = |uses: &Uses| json!({"resident_kib": uses.resident_kib, "files": uses.files, "disk": uses.disk});
            json!({
                "seconds": sample.at.as_secs_f64(),
                "acknowledged": sample.acknowledged,
                "latency_ms": {
                    "p50": millis(sample.latencies.quantile(0.5)),
                    "p99": millis(sample.latencies.quantile(0.99)),
                    "max": millis(sample.latencies.longest()),
                },
                "nodes": sample.uses.iter().map(uses).collect::<Vec<_>>(),
            })
        };
        json!({
            "rate": self.rate,
            "restarts_ms": self.restarts.iter().map(|took| millis(*took)).collect::<Vec<_>>(),
            "samples": self.samples.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.samples.last() else { return Ok(()) };
        writeln!(
            formatter,
            "soak: {} transactions acknowledged in {:.0} min, {} a second wanted, {} restarts{}",
            last.acknowledged,
            last.at.as_secs_f64() / 60.0,
            self.rate,
            self.restarts.len(),
            match self.restarts.iter().max() {
                Some(longest) => format!(" (the slowest answered after {:.1} s)", longest.as_secs_f64()),
                None => String::new(),
            }
        )?;
        for (name, latencies) in ["first", "last"].iter().zip(self.quarters()) {
            writeln!(
                formatter,
                "latency in the {name} quarter, ms: p50 {:.2}, p90 {:.2}, p99 {:.2}, longest {:.0}",
                millis(latencies.quantile(0.5)),
                millis(latencies.quantile(0.9)),
                millis(latencies.quantile(0.99)),
                millis(latencies.longest()),
            )?;
        }
        for node in 0..self.nodes() {
            let Some(growth) = self.growth(node) else { continue };
            writeln!(
                formatter,
                "node {node}: memory {} to {} MiB ({:+.2} MiB per 100,000 after the first quarter), files {} to {} \
                 ({:+.2}), disk {:.0} bytes a transaction",
                growth.resident_mib.0,
                growth.resident_mib.1,
                growth.resident_slope,
                growth.files.0,
                growth.files.1,
                growth.files_slope,
                growth.disk_per_transaction,
            )?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The slope of the line with the least squares through points; 0 where there are fewer than two.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count.max(1.0), sum_y / count.max(1.0));
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in points {
        over += (x - mean_x) * (y - mean_y);
        under += (x - mean_x) * (x - mean_x);
    }
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64, resident_kib: u64) -> Sample {
        let mut latencies = Histogram::new();
        latencies.record(Duration::from_millis(number + 1));
        let uses = Uses { resident_kib, files: 40, disk: number * 1_000 * 500 };
        Sample { at: Duration::from_secs(number), acknowledged: number * 1_000, latencies, uses: vec![uses] }
    }

    #[test]
    fn growth_is_told_per_hundred_thousand_transactions_after_the_beginning() {
        let mut series = Series::new(1_000);
        // A steep beginning, then 1 MiB more every thousand.
        for number in 0..40 {
            series.push(sample(number, if number < 10 { number * 90_000 } else { 900_000 + number * 1_024 }));
        }
        let text = series.to_string();
        assert!(text.contains("+100.00 MiB per 100,000"), "{text}");
        assert!(text.contains("disk 500 bytes a transaction"), "{text}");
        assert!(text.contains("files 40 to 40 (+0.00)"), "{text}");
        assert!(series.progress(80_000).starts_with("39000 of 80000 transactions, 1000/s"));
        assert_eq!(series.to_json()["samples"].as_array().map(Vec::len), Some(40));
    }

    #[test]
    fn a_line_has_its_slope_and_a_point_has_none() {
        assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 7.0)]), 0.0);
        assert_eq!(slope(&[]), 0.0);
    }
}
