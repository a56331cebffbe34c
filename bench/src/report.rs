//! What a run saw: rates, latencies, cost, and whether everything acknowledged is there; as text and JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::workload::Fill;

/// The outcome of a run.
pub struct Report {
    /// Name of the work.
    pub workload: &'static str,
    /// Connections at once.
    pub clients: usize,
    /// Bytes of an item.
    pub size: usize,
    /// Items of a transaction.
    pub items_per_tx: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Operations that were accepted (items, or calls).
    pub accepted: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Latency of each accepted request.
    pub latencies: Histogram,
    /// The stream before and after.
    pub fill: (Fill, Fill),
    /// Items the accepted requests must have added.
    pub expected_items: u64,
    /// The node's processor time in microseconds, and its memory at the end in KiB, when asked for.
    pub node: Option<(u64, u64)>,
}

impl Report {
    /// Whether the stream grew by exactly what was acknowledged.
    pub fn nothing_lost(&self) -> bool {
        self.fill.1.items.saturating_sub(self.fill.0.items) == self.expected_items
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn confirmed(&self) -> u64 {
        self.fill.1.confirmed.saturating_sub(self.fill.0.confirmed)
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let micros = |duration: Duration| (duration.as_nanos() as f64) / 1_000.0;
        json!({
            "workload": self.workload,
            "clients": self.clients,
            "size": self.size,
            "items_per_tx": self.items_per_tx,
            "seconds": self.elapsed.as_secs_f64(),
            "accepted": self.accepted,
            "accepted_per_second": self.rate(self.accepted),
            "confirmed_per_second": self.rate(self.confirmed()),
            "refused": self.refused,
            "requests": self.latencies.count(),
            "latency_micros": {
                "p50": micros(self.latencies.quantile(0.5)),
                "p90": micros(self.latencies.quantile(0.9)),
                "p99": micros(self.latencies.quantile(0.99)),
                "max": micros(self.latencies.longest()),
            },
            "stream_items": self.fill.1.items,
            "nothing_lost": self.nothing_lost(),
            "node_processor_micros_per_operation": self.node.map(|(micros, _)| micros as f64 / self.accepted.max(1) as f64),
            "node_resident_kib": self.node.map(|(_, kib)| kib),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.latencies.quantile(share).as_secs_f64() * 1e3;
        writeln!(
            formatter,
            "{}: {} clients, {} bytes, {} items a transaction, {:.1} s",
            self.workload,
            self.clients,
            self.size,
            self.items_per_tx,
            self.elapsed.as_secs_f64()
        )?;
        write!(formatter, "accepted {:.0}/s ({}), ", self.rate(self.accepted), self.accepted)?;
        if self.expected_items > 0 {
            write!(formatter, "confirmed {:.0}/s, ", self.rate(self.confirmed()))?;
        }
        writeln!(formatter, "refused {}", self.refused)?;
        writeln!(
            formatter,
            "latency ms: p50 {:.3}, p90 {:.3}, p99 {:.3}, longest {:.3}",
            millis(0.5),
            millis(0.9),
            millis(0.99),
            self.latencies.longest().as_secs_f64() * 1e3
        )?;
        if let Some((micros, kib)) = self.node {
            let each = micros as f64 / self.accepted.max(1) as f64;
            writeln!(formatter, "node: {each:.0} us of processor an operation, {} MiB resident", kib / 1024)?;
        }
        let verdict = if self.nothing_lost() { "every acknowledged item is there" } else { "ITEMS LOST OR DOUBLED" };
        write!(formatter, "stream: {} items, {verdict}", self.fill.1.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(expected_items: u64) -> Report {
        let mut latencies = Histogram::new();
        latencies.record(Duration::from_millis(2));
        Report {
            workload: "publish",
            clients: 1,
            size: 100,
            items_per_tx: 1,
            elapsed: Duration::from_secs(2),
            accepted: 10,
            refused: 1,
            latencies,
            fill: (Fill { items: 5, confirmed: 5 }, Fill { items: 15, confirmed: 9 }),
            expected_items,
            node: Some((4_000, 2_048)),
        }
    }

    #[test]
    fn rates_and_costs_are_those_of_the_run() {
        let json = report(10).to_json();
        assert_eq!(json["accepted_per_second"], 5.0);
        assert_eq!(json["confirmed_per_second"], 2.0);
        assert_eq!(json["node_processor_micros_per_operation"], 400.0);
        assert_eq!(json["latency_micros"]["p50"], 2_000.0);
        assert_eq!(json["nothing_lost"], true);
    }

    #[test]
    fn a_missing_or_doubled_item_shows() {
        for expected in [9, 11] {
            assert!(!report(expected).nothing_lost());
            assert!(report(expected).to_string().contains("LOST"));
        }
    }
}
