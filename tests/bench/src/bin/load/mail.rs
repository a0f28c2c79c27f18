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
use crate::system::Usage;
use drain::{Drainer, Who};
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
    let begin = run.usage();
    let mut spent_ns = 0;
    if plan.stores {
        spent_ns += store(run, plan, &mut ledger, &mut report)?;
    } else {
        // Another run stored them, and ended well only if all were acknowledged.
        for stream in 0..plan.streams() {
            (0..plan.messages_in(stream)).for_each(|number| ledger.accepted(stream as u32, number));
        }
    }
    if plan.drains {
        spent_ns += drain(run, plan, &mut ledger, &mut report)?;
        if plan.receipts() > 0 {
            spent_ns += tell(run, plan, &mut report)?;
        }
        report.verdict(ledger.verdict());
    } else {
        report.count("accepted", ledger.verdict().accepted);
    }
    if plan.stores && plan.drains {
        report.rate("through_per_s", plan.messages, 0, spent_ns);
        report.usage("through_", "message", plan.messages, &begin.1, &run.usage().1);
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

/// Stores all, and says how many nanoseconds that took.
fn store(run: &Run, plan: &Plan, ledger: &mut Ledger, report: &mut Report) -> Result<u64, RunError> {
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
    Ok(end_ns.saturating_sub(from.0))
}

/// Lets readers come for their mail, and says how many nanoseconds that took.
fn drain(run: &Run, plan: &Plan, ledger: &mut Ledger, report: &mut Report) -> Result<u64, RunError> {
    let shared = Shared::default();
    let came = come(run, plan, &shared, Who::Readers)?;
    let mut online = Latencies::new();
    for worker in &came.workers {
        ledger.merge(&worker.ledger);
        online.merge(&worker.online);
    }
    let delivered = shared.delivered.load(Relaxed);
    report.rate("drained_per_s", delivered, 0, came.spent_ns);
    report.amount("drain_s", Duration::from_nanos(came.spent_ns).as_secs_f64());
    report.usage("drain_", "message", delivered, &came.from, &came.to);
    report.latencies("connect_to_suback_us", &online);
    came.stalled(report, "stalled_clients");
    Ok(came.spent_ns)
}

/// Lets publishers come for their receipts, and says how many nanoseconds that took.
fn tell(run: &Run, plan: &Plan, report: &mut Report) -> Result<u64, RunError> {
    let shared = Shared::default();
    let came = come(run, plan, &shared, Who::Publishers)?;
    let receipts = shared.receipts.load(Relaxed);
    report.rate("told_per_s", receipts, 0, came.spent_ns);
    report.usage("tell_", "message", receipts, &came.from, &came.to);
    report.receipts(receipts, plan.receipts() * plan.messages);
    came.stalled(report, "stalled_publishers");
    Ok(came.spent_ns)
}

/// Those who came back.
struct Came<'a> {
    workers: Vec<Drainer<'a>>,
    from: Usage,
    to: Usage,
    spent_ns: u64,
}

impl Came<'_> {
    /// Some waited in vain.
    fn stalled(&self, report: &mut Report, name: &str) {
        let stalled: u64 = self.workers.iter().map(|worker| worker.stalled).sum();
        report.count(name, stalled);
        if stalled > 0 {
            report.fail();
        }
    }
}

fn come<'a>(run: &'a Run, plan: &'a Plan, shared: &'a Shared, who: Who) -> Result<Came<'a>, RunError> {
    let all = who.all(plan) as u64;
    let (from_ns, from) = run.usage();
    let ((to_ns, to), workers) = run.with_workers(
        shared,
        |index| Drainer::new(run, plan, shared, who, index),
        || {
            run.watch(shared, "draining", || shared.finished.load(Relaxed) >= all)?;
            Ok(run.usage())
        },
    )?;
    let last_ns = workers.iter().map(|worker| worker.last_ns).max().filter(|&ns| ns > 0);
    Ok(Came {
        workers,
        from,
        to,
        spent_ns: last_ns.unwrap_or(to_ns).saturating_sub(from_ns),
    })
}
