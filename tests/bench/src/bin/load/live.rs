//! Online traffic: every reader is there while the publishers publish (`p2p`, `fanin`).
//!
//! *Closed loop* (no rate): a publisher sends one message for every PUBACK, so the broker sets the pace; this measures
//! throughput. *Open loop* (a rate): message k is due at k / rate, whatever the broker does. One that cannot be sent
//! then, because the window is full, keeps its due time, and latencies count from it.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value;

use crate::ledger::Ledger;
use crate::options::Pace;
use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::system::Usage;
use crate::traffic::Traffic;

const SECOND_NS: u64 = 1_000_000_000;
/// How long what was sent may take to arrive after the last message was due.
const SETTLE_MAX: Duration = Duration::from_secs(15);

/// What to drive.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'static str,
    /// Publisher p writes to inbox p modulo the readers.
    pub(crate) publishers: usize,
    pub(crate) readers: usize,
    pub(crate) pace: &'a Pace,
}

/// When things happen, in nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Publishing begins.
    begin: u64,
    /// Messages due from now on count in the latencies.
    measure_from: u64,
    /// Nothing is due any more.
    pub(crate) measure_to: u64,
}

/// Drives `plan` and reports.
pub(crate) fn drive(run: &Run, plan: &Plan<'_>, options: Value) -> Result<Report, RunError> {
    let shared = Shared::default();
    let schedule = OnceLock::new();
    let (samples, workers) = run.with_workers(
        &shared,
        |index| Traffic::new(run, plan, &shared, &schedule, index),
        || watch(run, plan, &shared, &schedule),
    )?;

    let mut report = Report::new(plan.name, options);
    let [from, to] = &samples.measured;
    let delivered = to.delivered - from.delivered;
    report.rate("delivered_per_s", delivered, from.now_ns, to.now_ns);
    report.rate(
        "acknowledged_per_s",
        to.accepted - from.accepted,
        from.now_ns,
        to.now_ns,
    );
    report.usage("", "message", delivered, &from.usage, &to.usage);
    let mut ledger = Ledger::new(plan.publishers);
    let (mut puback, mut delivery, mut lag) = (Latencies::new(), Latencies::new(), Latencies::new());
    for worker in &workers {
        ledger.merge(&worker.ledger);
        puback.merge(&worker.puback);
        delivery.merge(&worker.delivery);
        lag.merge(&worker.lag);
    }
    report.latencies("puback_us", &puback);
    report.latencies("delivery_us", &delivery);
    if plan.pace.rate.is_some() {
        report.latencies("generator_lag_us", &lag);
        report.count("not_acknowledged", samples.not_acknowledged);
    }
    report.verdict(ledger.verdict());
    if samples.not_acknowledged > 0 {
        report.fail();
    }
    Ok(report)
}

struct Samples {
    measured: [Sample; 2],
    not_acknowledged: u64,
}

struct Sample {
    now_ns: u64,
    usage: Usage,
    accepted: u64,
    delivered: u64,
}

fn watch(run: &Run, plan: &Plan<'_>, shared: &Shared, schedule: &OnceLock<Schedule>) -> Result<Samples, RunError> {
    let clients = (plan.publishers + plan.readers) as u64;
    run.watch(shared, "connecting", || shared.ready.load(Relaxed) >= clients)?;
    let begin = run.clock.now_ns();
    let measure_from = begin + plan.pace.warmup * SECOND_NS;
    let measure_to = measure_from + plan.pace.seconds * SECOND_NS;
    schedule.get_or_init(|| Schedule {
        begin,
        measure_from,
        measure_to,
    });

    let sample = || {
        let (now_ns, usage) = run.usage();
        Sample {
            now_ns,
            usage,
            accepted: shared.accepted.load(Relaxed),
            delivered: shared.delivered.load(Relaxed),
        }
    };
    run.watch(shared, "warming up", || run.clock.now_ns() >= measure_from)?;
    let from = sample();
    run.watch(shared, "measuring", || run.clock.now_ns() >= measure_to)?;
    let to = sample();
    // What does not come in time is in the verdict, so that the figures are not lost with it.
    let threads = run.threads as u64;
    run.watch_for(SETTLE_MAX, shared, "settling", || {
        let accepted = shared.accepted.load(Relaxed);
        shared.finished.load(Relaxed) == threads
            && accepted >= shared.due.load(Relaxed)
            && shared.delivered.load(Relaxed) >= accepted
    });
    let not_acknowledged = shared.due.load(Relaxed).saturating_sub(shared.accepted.load(Relaxed));
    Ok(Samples {
        measured: [from, to],
        not_acknowledged,
    })
}

impl Schedule {
    /// Whether what is due then counts in the latencies.
    pub(crate) fn measures(&self, due_ns: u64) -> bool {
        (self.measure_from..self.measure_to).contains(&due_ns)
    }

    /// When message `number` of publisher `index` is due at `rate` messages/s: the publishers take turns.
    pub(crate) fn due_ns(&self, publishers: usize, rate: u64, index: usize, number: u64) -> u64 {
        let place = u128::from(number) * publishers as u128 + index as u128;
        let after_ns = place * u128::from(SECOND_NS) / u128::from(rate);
        self.begin.saturating_add(u64::try_from(after_ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the open loop sends exactly at its rate, whosever turn it is, from the beginning of the schedule.
    #[test]
    fn the_schedule_keeps_its_rate() {
        let schedule = Schedule {
            begin: 500,
            measure_from: 1000,
            measure_to: 2000,
        };
        let due: Vec<u64> = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
            .map(|(index, number)| schedule.due_ns(3, 1000, index, number) - 500)
            .to_vec();
        assert_eq!(due, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]);
        assert_eq!(schedule.due_ns(3, 10_000_000, 0, u64::MAX), u64::MAX);
        assert!(schedule.measures(1000) && schedule.measures(1999) && !schedule.measures(2000));
    }
}
