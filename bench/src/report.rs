//! What a run saw: rates, latencies, cost, and whether everything acknowledged is there; as text and JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::outcome::Outcome;
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
    /// Latency of each accepted read.
    pub reads: Histogram,
    /// Latency of each accepted write.
    pub writes: Histogram,
    /// What was there before and after: items of the stream, or units that were sent.
    pub fill: (Fill, Fill),
    /// Items the accepted requests must have added.
    pub expected_items: u64,
    /// The node's processor time in microseconds, and its memory at the end in KiB, when asked for.
    pub node: Option<(u64, u64)>,
}

impl Report {
    /// How files are named by it: `publish-8c-100b-1i`.
    pub fn name(&self) -> String {
        let (workload, clients) = (self.workload, self.clients);
        match self.has_items() {
            true => format!("{workload}-{clients}c-{}b-{}i", self.size, self.items_per_tx),
            false => format!("{workload}-{clients}c"),
        }
    }

    /// The end of the run.
    pub fn outcome(&self) -> Outcome {
        let fault = (!self.nothing_lost()).then(|| "acknowledged items are missing or doubled".to_owned());
        Outcome { name: self.name(), text: self.to_string(), json: self.to_json(), calibration: None, fault }
    }

    /// Latencies of all that was accepted.
    pub fn latencies(&self) -> Histogram {
        let mut all = self.reads.clone();
        all.merge(&self.writes);
        all
    }

    /// Operations accepted a second.
    pub fn rate(&self) -> f64 {
        self.per_second(self.accepted)
    }

    /// Processor time of the node for each operation in microseconds, when it was asked for.
    pub fn processor_micros(&self) -> Option<f64> {
        self.node.map(|(micros, _)| micros as f64 / self.accepted.max(1) as f64)
    }

    /// Whether there is more by exactly what was acknowledged.
    pub fn nothing_lost(&self) -> bool {
        self.fill.1.items.saturating_sub(self.fill.0.items) == self.expected_items
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn confirmed(&self) -> u64 {
        self.fill.1.confirmed.saturating_sub(self.fill.0.confirmed)
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "workload": self.workload,
            "clients": self.clients,
            "size": self.size,
            "items_per_tx": self.items_per_tx,
            "seconds": self.elapsed.as_secs_f64(),
            "accepted": self.accepted,
            "accepted_per_second": self.rate(),
            "confirmed_per_second": self.per_second(self.confirmed()),
            "refused": self.refused,
            "requests": self.latencies().count(),
            "latency_micros": latency_json(&self.latencies()),
            "stream_items": self.fill.1.items,
            "nothing_lost": self.nothing_lost(),
            "node_processor_micros_per_operation": self.processor_micros(),
            "node_resident_kib": self.node.map(|(_, kib)| kib),
        });
        if self.is_mixed() {
            json["read_latency_micros"] = latency_json(&self.reads);
            json["write_latency_micros"] = latency_json(&self.writes);
        }
        json
    }

    /// Whether size and number of items say something of the work.
    fn has_items(&self) -> bool {
        self.expected_items > 0 && self.workload != "send"
    }

    fn is_mixed(&self) -> bool {
        self.reads.count() > 0 && self.writes.count() > 0
    }
}

/// Latencies for programs, in microseconds.
pub fn latency_json(latencies: &Histogram) -> Value {
    let micros = |duration: Duration| (duration.as_nanos() as f64) / 1_000.0;
    json!({
        "p50": micros(latencies.quantile(0.5)),
        "p90": micros(latencies.quantile(0.9)),
        "p99": micros(latencies.quantile(0.99)),
        "max": micros(latencies.longest()),
    })
}

/// Latencies to be read, in milliseconds.
pub fn latency_text(latencies: &Histogram) -> String {
    let millis = |share| latencies.quantile(share).as_secs_f64() * 1e3;
    let longest = latencies.longest().as_secs_f64() * 1e3;
    format!("p50 {:.3}, p90 {:.3}, p99 {:.3}, longest {longest:.3}", millis(0.5), millis(0.9), millis(0.99))
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} clients, ", self.workload, self.clients)?;
        if self.has_items() {
            write!(formatter, "{} bytes, {} items a transaction, ", self.size, self.items_per_tx)?;
        }
        writeln!(formatter, "{:.1} s", self.elapsed.as_secs_f64())?;
        write!(formatter, "accepted {:.0}/s ({}), ", self.rate(), self.accepted)?;
        if self.expected_items > 0 {
            write!(formatter, "confirmed {:.0}/s, ", self.per_second(self.confirmed()))?;
        }
        writeln!(formatter, "refused {}", self.refused)?;
        writeln!(formatter, "latency ms: {}", latency_text(&self.latencies()))?;
        if self.is_mixed() {
            writeln!(formatter, "  of reads: {}", latency_text(&self.reads))?;
            writeln!(formatter, "  of publishes: {}", latency_text(&self.writes))?;
        }
        if let Some((each, (_, kib))) = self.processor_micros().zip(self.node) {
            writeln!(formatter, "node: {each:.0} us of processor an operation, {} MiB resident", kib / 1024)?;
        }
        let verdict = if self.nothing_lost() { "every acknowledged one is there" } else { "SOME ARE LOST OR DOUBLED" };
        let (place, what) = if self.workload == "send" { ("recipient", "units") } else { ("stream", "items") };
        write!(formatter, "{place}: {} {what}, {verdict}", self.fill.1.items)
    }
}

#[cfg(test)]
pub mod tests {
    //! Reports of known figures, for this file and those that compare reports.

    use super::*;

    /// A report of ten acknowledged items in two seconds, of which so many are expected.
    pub fn report(expected_items: u64) -> Report {
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
            reads: Histogram::new(),
            writes: latencies,
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
