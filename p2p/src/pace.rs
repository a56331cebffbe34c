//! How fast a peer goes: a level that rises with what it sends and sinks with time.

use std::time::Instant;

/// A level with a rate at which it sinks and a height that it must not exceed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    level: f64,
    at: Instant,
    rate: f64,
    burst: f64,
}

impl Pace {
    /// A level of 0 that sinks by `rate` a second and may rise to `burst`.
    pub fn new(rate: f64, burst: f64, now: Instant) -> Pace {
        Pace { level: 0.0, at: now, rate, burst }
    }

    /// Whether one more may come now; if so, it counts.
    pub fn allows_one(&mut self, now: Instant) -> bool {
        if self.exceeded_by(1, now) {
            self.level -= 1.0;
            return false;
        }
        true
    }

    /// Adds what was sent since the last look. Whether that is too much.
    pub fn exceeded_by(&mut self, amount: u64, now: Instant) -> bool {
        let sunk = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.level = (self.level - sunk).max(0.0) + amount as f64;
        self.at = now;
        self.level > self.burst
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_allowed_and_the_rate_for_ever_and_no_more() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 100.0, now);
        assert!(!pace.exceeded_by(100, now));
        assert!(pace.exceeded_by(1, now));
        let mut pace = Pace::new(10.0, 100.0, now);
        assert_eq!((0..500).filter(|_| pace.allows_one(now)).count(), 100);
        assert_eq!((0..500).filter(|_| pace.allows_one(now + Duration::from_secs(1))).count(), 10);
        let mut pace = Pace::new(10.0, 100.0, now);
        assert!((1..1_000).all(|second| !pace.exceeded_by(10, now + Duration::from_secs(second))));
        let mut pace = Pace::new(10.0, 100.0, now);
        assert!((1..1_000).any(|second| pace.exceeded_by(12, now + Duration::from_secs(second))));
    }
}
