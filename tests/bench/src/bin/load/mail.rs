//! Messages for clients that are away: stored first, read later (`offline`, `drain`, `replay`, `storm`).

mod drain;
mod plan;
mod store;

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::ledger::Ledger;
use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::subscribe::{Stay, Subscriber};
use drain::Drainer;
pub(crate) use plan::Plan;
use store::Storer;

/// How long clients that leave a session behind are given to leave.
const LEAVING: Duration = Duration::from_secs(1);

/// Drives `plan` and reports.
pub(crate) fn drive(run: &Run, plan: &Plan, options: Value) -> Result<Report, RunError> {
    let mut report = Report::new(plan.name, options);
    let mut ledger = Ledger::new(plan.streams());
    if plan.stores && plan.post.presubscribe {
        presubscribe(run, plan, &mut report)?;
    }
    if plan.stores {
        store(run, plan, &mut ledger, &mut report)?;
    } else {
        // Another run stored them, and ended well only if all were acknowledged.
        for stream in 0..plan.streams() {
            (0..plan.messages_in(stream)).for_each(|number| ledger.accepted(stream as u32, number));
        }
    }
    if plan.drains {
        drain(run, plan, &mut ledger, &mut report)?;
        report.verdict(ledger.verdict());
    } else {
        report.count("accepted", ledger.verdict().accepted);
    }
    Ok(report)
}

fn presubscribe(run: &Run, plan: &Plan, report: &mut Report) -> Result<(), RunError> {
    let shared = Shared::default();
    let clients = plan.clients as u64;
    let (begin, _) = run.usage();
    run.with_workers(
        &shared,
        |index| Subscriber::new(run, &shared, plan.clients, Stay::LeavesSession, index),
        || run.watch(&shared, "subscribing", || shared.finished.load(Relaxed) >= clients),
    )?;
    report.rate("presubscribed_per_s", clients, begin, run.clock.now_ns());
    // Those who leave are to be gone before the first publisher comes.
    thread::sleep(LEAVING);
    Ok(())
}

fn store(run: &Run, plan: &Plan, ledger: &mut Ledger, report: &mut Report) -> Result<(), RunError> {
    let shared = Shared::default();
    let begin = OnceLock::new();
    let publishers = plan.post.publishers as u64;
    let ((from, to), workers) = run.with_workers(
        &shared,
        |index| Storer::new(run, plan, &shared, &begin, index),
        || {
            run.watch(&shared, "connecting", || shared.ready.load(Relaxed) >= publishers)?;
            let from = run.usage();
            begin.get_or_init(|| from.0);
            run.watch(&shared, "storing", || shared.accepted.load(Relaxed) >= plan.messages)?;
            Ok((from, run.usage()))
        },
    )?;
    let mut puback = Latencies::new();
    for worker in &workers {
        ledger.merge(&worker.ledger);
        puback.merge(&worker.puback);
    }
    let end_ns = workers
        .iter()
        .map(|worker| worker.last_ns)
        .max()
        .filter(|&ns| ns > 0)
        .unwrap_or(to.0);
    if let Some(rss_kib) = from.1.broker_rss_kib {
        report.count("store_broker_rss_before_kib", rss_kib);
    }
    report.rate("stored_per_s", plan.messages, from.0, end_ns);
    report.usage("store_", "message", plan.messages, &from.1, &to.1);
    report.latencies("store_puback_us", &puback);
    Ok(())
}

fn drain(run: &Run, plan: &Plan, ledger: &mut Ledger, report: &mut Report) -> Result<(), RunError> {
    let shared = Shared::default();
    let clients = plan.clients as u64;
    let from = run.usage();
    let (to, workers) = run.with_workers(
        &shared,
        |index| Drainer::new(run, plan, &shared, index),
        || {
            run.watch(&shared, "draining", || shared.finished.load(Relaxed) >= clients)?;
            Ok(run.usage())
        },
    )?;
    let mut online = Latencies::new();
    for worker in &workers {
        ledger.merge(&worker.ledger);
        online.merge(&worker.online);
    }
    let end_ns = workers
        .iter()
        .map(|worker| worker.last_ns)
        .max()
        .filter(|&ns| ns > 0)
        .unwrap_or(to.0);
    let delivered = shared.delivered.load(Relaxed);
    report.rate("drained_per_s", delivered, from.0, end_ns);
    report.amount(
        "drain_s",
        Duration::from_nanos(end_ns.saturating_sub(from.0)).as_secs_f64(),
    );
    report.usage("drain_", "message", delivered, &from.1, &to.1);
    report.latencies("connect_to_suback_us", &online);
    let stalled: u64 = workers.iter().map(|worker| worker.stalled).sum();
    report.count("stalled_clients", stalled);
    if stalled > 0 {
        report.fail();
    }
    Ok(())
}
