//! What the figures of a small machine say about a large one: a model, with its assumptions.

use std::collections::BTreeMap;

use super::results::Part;
use super::statistics::{Summary, count, number};

const CORES: f64 = 32.0;
const CONNECTIONS: f64 = 1e6;
const MICROSECONDS: f64 = 1e6;

/// A rate on [`CORES`] cores.
#[derive(Debug, Clone, PartialEq)]
struct Rate {
    what: &'static str,
    /// Processor time of the broker for each message, in microseconds.
    us: f64,
    /// The thread that does the most for each message among those that are alone of their kind.
    alone: Option<(String, f64)>,
}

impl Rate {
    fn of(part: &Part, what: &'static str, workload: &str, prefix: &str) -> Option<Self> {
        let variant = part.reference()?.name();
        let us = part
            .summary(workload, &variant, &format!("{prefix}broker_cpu_us_per_message"))?
            .median;
        (us > 0.0).then(|| Rate {
            what,
            us,
            alone: alone(
                part,
                workload,
                &variant,
                &format!("{prefix}broker_lone_threads_us_per_message"),
            ),
        })
    }

    fn by_cores(&self) -> f64 {
        CORES * MICROSECONDS / self.us
    }

    fn by_thread(&self) -> f64 {
        self.alone.as_ref().map_or(f64::INFINITY, |(_, us)| MICROSECONDS / us)
    }

    fn row(&self) -> String {
        let alone = self.alone.as_ref().map_or_else(
            || "none".to_owned(),
            |(name, us)| format!("`{name}` {} µs: {}", number(*us), millions(self.by_thread())),
        );
        format!(
            "| {} | {} | {} | {alone} | {} |\n",
            self.what,
            number(self.us),
            millions(self.by_cores()),
            millions(self.by_cores().min(self.by_thread()))
        )
    }
}

/// A rate without more digits than a model has.
fn millions(per_s: f64) -> String {
    format!("{} million/s", number(per_s / 1e6))
}

/// The thread that takes the most, by the median of the rounds.
fn alone(part: &Part, workload: &str, variant: &str, figure: &str) -> Option<(String, f64)> {
    let mut threads: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for measurement in part.of(workload, variant) {
        let figure = measurement.figures.get(figure).and_then(serde_json::Value::as_object);
        for (name, us) in figure.into_iter().flatten() {
            threads.entry(name).or_default().extend(us.as_f64());
        }
    }
    threads
        .into_iter()
        .filter_map(|(name, us)| Some((name.to_owned(), Summary::of(us)?.median)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The section of the report. `None` without the figures that it needs.
pub(crate) fn section(part: &Part) -> Option<String> {
    let variant = part.reference()?.name();
    let rates: Vec<Rate> = [
        Rate::of(part, "readers are there", "p2p", ""),
        Rate::of(part, "readers are away: accepting", "offline", "store_"),
        Rate::of(part, "readers come back: reading", "drain", "drain_"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let online = rates.first()?;
    let idle = |figure: &str| part.summary("idle", &variant, figure).map(|it| it.median);
    let (before_kib, kib, connect_us) = (
        idle("broker_rss_before_kib")?,
        idle("broker_rss_kib_per_connection")?,
        idle("connect_broker_cpu_us_per_connection")?,
    );
    let memory_gib = (before_kib + CONNECTIONS * kib) / 1024.0 / 1024.0;
    let per_minute = online.by_cores().min(online.by_thread()) / CONNECTIONS * 60.0;
    Some(format!(
        "This is arithmetic, not a measurement. It takes the medians of {variant} above and assumes that a message costs the same \
         processor time on each of {CORES} cores as on this machine's, that clients and disk keep up, that the load generator runs \
         elsewhere, and that what one thread does alone cannot be spread. More cores mean more contention for locks and caches, which \
         it leaves out: so these are bounds from above.\n\n\
         | | broker µs/message | {CORES} cores | bound by the busiest thread that is alone of its kind | model |\n\
         |---|---|---|---|---|\n{}\n\
         * Memory of {} idle connections: {} MiB at the beginning and {} KiB for each, {} GiB in all.\n\
         * Connecting all of them takes {} s of processor time, and so {} s on {CORES} cores.\n\
         * With all of them connected, the first row is {} messages per minute for each client.\n",
        rates.iter().map(Rate::row).collect::<String>(),
        count(CONNECTIONS),
        number(before_kib / 1024.0),
        number(kib),
        number(memory_gib),
        number(CONNECTIONS * connect_us / MICROSECONDS),
        number(CONNECTIONS * connect_us / MICROSECONDS / CORES),
        number(per_minute),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the cores bound a rate unless one thread does so first.
    #[test]
    fn a_lone_thread_bounds_the_rate() {
        let rate = Rate {
            what: "test",
            us: 2.0,
            alone: Some(("commit".to_owned(), 0.25)),
        };
        assert_eq!(rate.by_cores(), 16e6);
        assert_eq!(rate.by_thread(), 4e6);
        assert!(
            rate.row()
                .ends_with("| `commit` 0.25 µs: 4.00 million/s | 4.00 million/s |\n"),
            "{}",
            rate.row()
        );
        let free = Rate { alone: None, ..rate };
        assert!(free.row().ends_with("| none | 16.0 million/s |\n"));
    }
}
