//! Clients that connect in good order, leave, and all come back at once (`reconnect`).

use std::sync::atomic::Ordering::Relaxed;

use serde_json::Value;

use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::subscribe::{Stay, Subscriber};
use crate::system::Usage;

/// Connections of a thread that are opened at a time at first: a broker that verifies passwords takes long, and refuses whoever waits too long.
const FIRST_MAX: usize = 16;

/// Connects `clients`, lets them go, and measures both that and how they come back.
pub(crate) fn drive(run: &Run, clients: usize, options: Value) -> Result<Report, RunError> {
    let mut report = Report::new("reconnect", options);
    connect(run, clients, FIRST_MAX)?.tell(&mut report, "first_", clients);
    connect(run, clients, clients)?.tell(&mut report, "again_", clients);
    Ok(report)
}

/// How all clients connected once.
struct Connected {
    from: (u64, Usage),
    to: (u64, Usage),
    online: Latencies,
}

fn connect(run: &Run, clients: usize, opening_max: usize) -> Result<Connected, RunError> {
    let shared = Shared::default();
    let from = run.usage();
    let (to, workers) = run.with_workers(
        &shared,
        |index| Subscriber::new(run, &shared, clients, Stay::Stays, index).opening_at_a_time(opening_max),
        || {
            run.watch(&shared, "connecting", || {
                shared.finished.load(Relaxed) >= clients as u64
            })?;
            Ok(run.usage())
        },
    )?;
    let mut online = Latencies::new();
    workers.iter().for_each(|worker| online.merge(&worker.online));
    Ok(Connected { from, to, online })
}

impl Connected {
    fn tell(&self, report: &mut Report, prefix: &str, clients: usize) {
        let (from_ns, to_ns) = (self.from.0, self.to.0);
        report.amount(&format!("{prefix}s"), to_ns.saturating_sub(from_ns) as f64 / 1e9);
        report.rate(&format!("{prefix}connections_per_s"), clients as u64, from_ns, to_ns);
        report.latencies(&format!("{prefix}connect_to_suback_us"), &self.online);
        report.usage(prefix, "connection", clients as u64, &self.from.1, &self.to.1);
    }
}
