//! Latencies in constant memory: counts in buckets that grow with the value, exact to about one per cent.

use std::time::Duration;

/// Sub-buckets of each power of two: a value is known to one part in 128 at worst.
const STEPS_LOG2: u32 = 7;
const STEPS: usize = 1 << STEPS_LOG2;
/// Buckets for every value of nanoseconds in 64 bits.
const BUCKETS: usize = STEPS * (64 - STEPS_LOG2 as usize + 1);

/// Counts of durations.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: 0 }
    }

    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest duration.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The duration that this share of all (0 to 1) does not exceed; zero when nothing was counted.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index).min(self.longest));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a value: exact below `STEPS`, then `STEPS` buckets for each power of two.
fn bucket(nanos: u64) -> usize {
    if nanos < STEPS as u64 {
        return nanos as usize;
    }
    let power = 63 - nanos.leading_zeros();
    let shift = power - STEPS_LOG2;
    let step = (nanos >> shift) as usize - STEPS;
    STEPS * (shift as usize + 1) + step
}

/// The largest value of a bucket.
fn upper_end(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let shift = (index / STEPS - 1) as u32;
    let step = (index % STEPS + STEPS) as u64;
    (step << shift) + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_within_one_per_cent() {
        let values = (0..64).flat_map(|power| [1_u64 << power, (1_u64 << power) + 1, (1_u64 << power) - 1]);
        for value in values.chain([u64::MAX, 123_456_789]) {
            let index = bucket(value);
            let end = upper_end(index);
            assert!(end >= value, "{value} ends at {end}");
            assert!(end - value <= value / 100, "{value} ends at {end}");
            assert!(index == 0 || upper_end(index - 1) < value);
        }
    }

    #[test]
    fn quantiles_of_known_values_are_found() {
        let (mut all, mut part) = (Histogram::new(), Histogram::new());
        for micros in 1..=1000 {
            let one = if micros % 2 == 0 { &mut all } else { &mut part };
            one.record(Duration::from_micros(micros));
        }
        all.merge(&part);
        assert_eq!(all.count(), 1000);
        let near = |share: f64, micros: f64| {
            let found = all.quantile(share).as_secs_f64() * 1e6;
            assert!((found - micros).abs() <= micros * 0.01, "{share}: {found}");
        };
        near(0.5, 500.0);
        near(0.9, 900.0);
        near(0.99, 990.0);
        assert_eq!(all.quantile(1.0), Duration::from_micros(1000));
        assert_eq!(Histogram::new().quantile(0.5), Duration::ZERO);
    }
}
