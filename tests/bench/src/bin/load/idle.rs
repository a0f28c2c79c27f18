//! Connections that do nothing: what one costs the broker in memory (`idle`).

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::subscribe::{Stay, Subscriber};
use crate::system::Process;

/// How often the broker's memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The memory has settled when it stays within 1/256 for this long.
const SETTLED: Duration = Duration::from_secs(1);
/// It is taken as it is after this long.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// Opens `connections`, measures, and closes them.
pub(crate) fn drive(run: &Run, connections: usize, options: Value) -> Result<Report, RunError> {
    let shared = Shared::default();
    let (before_ns, before) = run.usage();
    let ((after_ns, settled_kib), workers) = run.with_workers(
        &shared,
        |index| Subscriber::new(run, &shared, connections, Stay::Stays, index),
        || {
            run.watch(&shared, "connecting", || {
                shared.finished.load(Relaxed) >= connections as u64
            })?;
            let after_ns = run.clock.now_ns();
            let settled_kib = run.broker.and_then(|broker| settle(run, &shared, broker));
            Ok((after_ns, settled_kib))
        },
    )?;
    let (_, after) = run.usage();

    let mut report = Report::new("idle", options);
    let mut online = Latencies::new();
    workers.iter().for_each(|worker| online.merge(&worker.online));
    report.rate("connections_per_s", connections as u64, before_ns, after_ns);
    report.latencies("connect_to_suback_us", &online);
    if let (Some(before_kib), Some(settled_kib)) = (before.broker_rss_kib, settled_kib) {
        report.count("broker_rss_before_kib", before_kib);
        report.count("broker_rss_connected_kib", settled_kib);
        let grown_kib = settled_kib as f64 - before_kib as f64;
        report.amount("broker_rss_kib_per_connection", grown_kib / connections as f64);
    }
    report.usage("connect_", "connection", connections as u64, &before, &after);
    Ok(report)
}

/// The broker's resident memory in KiB once it stops changing. Connections must still be open, so that a broker that
/// cannot hold them fails the run.
fn settle(run: &Run, shared: &Shared, broker: Process) -> Option<u64> {
    let begin = Instant::now();
    let mut reference = (broker.rss_kib()?, Instant::now());
    while begin.elapsed() < SETTLE_MAX && reference.1.elapsed() < SETTLED {
        run.watch_for(LOOK_INTERVAL, shared, "settling", || false);
        let rss_kib = broker.rss_kib()?;
        if rss_kib.abs_diff(reference.0) > reference.0 / 256 {
            reference = (rss_kib, Instant::now());
        }
    }
    broker.rss_kib()
}
