//! The figures of a run, as a table for people or as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::ledger::Verdict;
use crate::system::Usage;

/// Longest latency that is told from longer ones, in nanoseconds.
const LATENCY_NS_MAX: u64 = 600 * 1_000_000_000;
/// Width of the table's first column.
const NAME_WIDTH: usize = 44;
/// A thread that takes less than this part of the broker's processor time is not worth a figure.
const THREAD_SHARE_MIN: f64 = 0.01;
/// The quantiles that are reported.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// Latencies in nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Option<Histogram<u64>>);

/// What a run found.
#[derive(Debug)]
pub(crate) struct Report {
    workload: &'static str,
    options: Value,
    figures: Vec<(String, Figure)>,
    is_clean: bool,
}

#[derive(Debug)]
enum Figure {
    Count(u64),
    Amount(f64),
    /// In microseconds, in the order of [`QUANTILES`].
    Quantiles([f64; QUANTILES.len()]),
    /// In microseconds, by name.
    Named(BTreeMap<String, f64>),
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        Latencies(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).ok())
    }

    /// Adds one.
    pub(crate) fn record(&mut self, latency_ns: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(latency_ns.max(1));
        }
    }

    /// Adds another worker's.
    pub(crate) fn merge(&mut self, other: &Latencies) {
        if let (Some(mine), Some(theirs)) = (&mut self.0, &other.0) {
            // Both have the same bounds, which is the only thing that can fail.
            mine.add(theirs).unwrap_or_default();
        }
    }
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(workload: &'static str, options: Value) -> Self {
        Report {
            workload,
            options,
            figures: Vec::new(),
            is_clean: true,
        }
    }

    /// A number of things.
    pub(crate) fn count(&mut self, name: &str, value: u64) {
        self.figures.push((name.to_owned(), Figure::Count(value)));
    }

    /// A measured amount; the unit ends its name. Left out if it is not a number (nothing happened).
    pub(crate) fn amount(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.figures.push((name.to_owned(), Figure::Amount(value)));
        }
    }

    /// `count` things between two moments, per second.
    pub(crate) fn rate(&mut self, name: &str, count: u64, from_ns: u64, to_ns: u64) {
        self.amount(name, count as f64 * 1e9 / to_ns.saturating_sub(from_ns) as f64);
    }

    /// Latencies, in microseconds. Left out if there are none.
    pub(crate) fn latencies(&mut self, name: &str, latencies: &Latencies) {
        if let Some(histogram) = latencies.0.as_ref().filter(|histogram| !histogram.is_empty()) {
            let quantiles = QUANTILES.map(|(_, quantile)| histogram.value_at_quantile(quantile) as f64 / 1e3);
            self.figures.push((name.to_owned(), Figure::Quantiles(quantiles)));
        }
    }

    /// Processor time per `thing`, of which there were `count`, of the broker and of this program: in total, and outside
    /// the kernel; and the broker's memory at the end.
    pub(crate) fn usage(&mut self, prefix: &str, thing: &str, count: u64, from: &Usage, to: &Usage) {
        for (who, from, to) in [
            ("broker", from.broker_cpu, to.broker_cpu),
            ("generator", from.own_cpu, to.own_cpu),
        ] {
            let (Some(from), Some(to)) = (from, to) else { continue };
            let used = to.since(from);
            for (kind, us) in [("cpu", used.user_us + used.system_us), ("user_cpu", used.user_us)] {
                self.amount(
                    &format!("{prefix}{who}_{kind}_us_per_{thing}"),
                    us as f64 / count as f64,
                );
            }
        }
        self.lone_threads(prefix, thing, count, from, to);
        if let Some(rss_kib) = to.broker_rss_kib {
            self.count(&format!("{prefix}broker_rss_kib"), rss_kib);
        }
    }

    /// Processor time per `thing` of the broker's threads that are the only one of their kind.
    fn lone_threads(&mut self, prefix: &str, thing: &str, count: u64, from: &Usage, to: &Usage) {
        let (Some(begin), Some(end)) = (from.broker_cpu, to.broker_cpu) else {
            return;
        };
        let all = end.since(begin);
        let least_us = (all.user_us + all.system_us) as f64 * THREAD_SHARE_MIN;
        let threads: BTreeMap<String, f64> = to
            .broker_lone_threads_ns
            .iter()
            .map(|(name, &ns)| {
                let before_ns = from.broker_lone_threads_ns.get(name).copied().unwrap_or(0);
                (name.clone(), ns.saturating_sub(before_ns) as f64 / 1e3)
            })
            .filter(|&(_, us)| us > 0.0 && us >= least_us && count > 0)
            .map(|(name, us)| (name, us / count as f64))
            .collect();
        if !threads.is_empty() {
            let name = format!("{prefix}broker_lone_threads_us_per_{thing}");
            self.figures.push((name, Figure::Named(threads)));
        }
    }

    /// What became of the messages. Anything lost, foreign or out of order fails the run; duplicates do not.
    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.count("accepted", verdict.accepted);
        self.count("delivered", verdict.delivered);
        self.count("lost", verdict.lost);
        self.count("duplicated", verdict.duplicated);
        self.count("out_of_order", verdict.out_of_order);
        self.count("foreign", verdict.foreign);
        if verdict.lost + verdict.out_of_order + verdict.foreign > 0 {
            self.fail();
        }
    }

    /// How many receipts came, of those that were owed. Missing ones fail the run.
    pub(crate) fn receipts(&mut self, came: u64, owed: u64) {
        let missing = owed.saturating_sub(came);
        self.count("receipts", came);
        self.count("receipts_missing", missing);
        if missing > 0 {
            self.fail();
        }
    }

    /// The broker did not do what it must.
    pub(crate) fn fail(&mut self) {
        self.is_clean = false;
    }

    /// Whether the broker did what it must.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// One JSON object in one line.
    pub(crate) fn json(&self) -> String {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|(name, figure)| {
                let value = match figure {
                    Figure::Count(count) => json!(count),
                    Figure::Amount(amount) => json!(amount),
                    Figure::Quantiles(us) => QUANTILES
                        .iter()
                        .zip(us)
                        .map(|((name, _), us)| ((*name).to_owned(), json!(us)))
                        .collect(),
                    Figure::Named(us) => json!(us),
                };
                (name.clone(), value)
            })
            .collect();
        let Report {
            workload,
            options,
            is_clean,
            ..
        } = self;
        json!({ "workload": workload, "options": options, "figures": figures, "is_clean": is_clean }).to_string() + "\n"
    }

    /// Lines for people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{} {}\n", self.workload, self.options);
        for (name, figure) in &self.figures {
            let name = name.replace('_', " ");
            let value = match figure {
                Figure::Count(count) => format!("{count:>14}"),
                Figure::Amount(amount) if *amount >= 100.0 => format!("{amount:>14.0}"),
                Figure::Amount(amount) => format!("{amount:>14.2}"),
                Figure::Quantiles(us) => {
                    let shown = QUANTILES
                        .iter()
                        .zip(us)
                        .map(|((name, _), us)| format!("{name} {us:.0}"));
                    format!("      {}", shown.collect::<Vec<_>>().join("   "))
                }
                Figure::Named(us) => {
                    let shown = us.iter().map(|(name, us)| format!("{name} {us:.2}"));
                    format!("      {}", shown.collect::<Vec<_>>().join("   "))
                }
            };
            // Writing to a String cannot fail.
            writeln!(text, "  {name:<NAME_WIDTH$}{value}").unwrap_or_default();
        }
        text + if self.is_clean {
            "clean\n"
        } else {
            "NOT CLEAN: messages were lost, out of order, foreign or not delivered\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the JSON holds every figure under its name, and losing a message makes the run fail.
    #[test]
    fn a_lost_message_fails_the_run() {
        let mut report = Report::new("p2p", json!({"pairs": 1}));
        report.rate("delivered_per_s", 500, 1_000_000_000, 1_500_000_000);
        report.rate("nothing_per_s", 0, 5, 5);
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|us| latencies.record(us * 1000));
        report.latencies("puback_us", &latencies);
        report.verdict(Verdict {
            accepted: 2,
            delivered: 2,
            duplicated: 1,
            ..Verdict::default()
        });
        assert!(report.is_clean());
        report.verdict(Verdict {
            accepted: 2,
            delivered: 1,
            lost: 1,
            ..Verdict::default()
        });
        assert!(!report.is_clean());
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["figures"]["delivered_per_s"], 1000.0);
        assert_eq!(json["figures"].get("nothing_per_s"), None);
        let p50 = json["figures"]["puback_us"]["p50"].as_f64().unwrap();
        assert!((499.0..=502.0).contains(&p50), "{p50}");
        assert_eq!(json["is_clean"], false);
        assert!(report.table().contains("lost"));
    }
}
