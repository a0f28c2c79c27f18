//! Online traffic: every reader is there while the publishers publish (`p2p`, `fanin`).
//!
//! *Closed loop* (no rate): a publisher sends one message for every PUBACK, so the broker sets the pace; this measures
//! throughput. *Open loop* (a rate): message k is due at k / rate, whatever the broker does. One that cannot be sent
//! then, because the window is full, keeps its due time, and latencies count from it.

mod plan;
mod traffic;

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value;

use crate::ledger::Ledger;
use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::system::Usage;
pub(crate) use plan::Plan;
use plan::{SECOND_NS, Schedule};
use traffic::Traffic;

/// How long what was sent may take to arrive after the last message was due.
const SETTLE_MAX: Duration = Duration::from_secs(15);

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
    let verdict = ledger.verdict();
    report.verdict(verdict);
    if plan.tells_senders() {
        let told: u64 = workers.iter().map(|worker| worker.told).sum();
        let receipts = shared.receipts.load(Relaxed);
        report.receipts(receipts, plan.receipts() * verdict.accepted);
        report.amount("receipts_per_packet", receipts as f64 / told as f64);
    }
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
            && shared.receipts.load(Relaxed) >= plan.receipts() * accepted
    });
    let not_acknowledged = shared.due.load(Relaxed).saturating_sub(shared.accepted.load(Relaxed));
    Ok(Samples {
        measured: [from, to],
        not_acknowledged,
    })
}
