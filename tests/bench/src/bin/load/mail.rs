//! Messages for clients that are away: stored first, read later (`offline`, `drain`, `replay`, `storm`).

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::drain::Drainer;
use crate::ledger::Ledger;
use crate::options::Post;
use crate::report::{Latencies, Report};
use crate::run::{Run, RunError, Shared};
use crate::store::Storer;
use crate::subscribe::{Stay, Subscriber};

/// How long clients that leave a session behind are given to leave.
const LEAVING: Duration = Duration::from_secs(1);

/// What to store and to read.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Inboxes.
    pub(crate) clients: usize,
    /// For all of them together.
    pub(crate) messages: u64,
    /// Clients that read at a time.
    pub(crate) drain_clients: usize,
    pub(crate) post: Post,
    pub(crate) stores: bool,
    pub(crate) drains: bool,
}

impl Plan {
    /// There are as many streams as there are inboxes or publishers, whichever are more. Stream s is published by
    /// publisher s modulo the publishers, to inbox s modulo the clients: so every inbox is written to by one publisher,
    /// or every publisher writes to one inbox.
    pub(crate) fn streams(&self) -> usize {
        self.clients.max(self.post.publishers)
    }

    /// The inbox of `stream`.
    pub(crate) fn inbox(&self, stream: usize) -> usize {
        stream % self.clients
    }

    /// How many streams `publisher` serves; they are every `publishers`-th, beginning with its own number.
    pub(crate) fn streams_of(&self, publisher: usize) -> u64 {
        (self.streams().saturating_sub(publisher)).div_ceil(self.post.publishers) as u64
    }

    /// How many messages `publisher` sends, to its streams in turn.
    pub(crate) fn messages_of(&self, publisher: usize) -> u64 {
        let publishers = self.post.publishers as u64;
        (self.messages + publishers - 1).saturating_sub(publisher as u64) / publishers
    }

    /// How many messages `inbox` gets.
    pub(crate) fn messages_for(&self, inbox: usize) -> u64 {
        (inbox..self.streams())
            .step_by(self.clients)
            .map(|stream| self.messages_in(stream))
            .sum()
    }

    /// How many messages `stream` has.
    pub(crate) fn messages_in(&self, stream: usize) -> u64 {
        let (publisher, turn) = (stream % self.post.publishers, (stream / self.post.publishers) as u64);
        let streams = self.streams_of(publisher);
        (self.messages_of(publisher) + streams - 1).saturating_sub(turn) / streams
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: usize, publishers: usize, messages: u64) -> Plan {
        let post = Post {
            publishers,
            window: 1,
            bytes: 16,
            presubscribe: false,
            stall: 1,
        };
        Plan {
            name: "test",
            clients,
            messages,
            drain_clients: 1,
            post,
            stores: true,
            drains: true,
        }
    }

    /// Goal: readers expect exactly what publishers send, however the numbers divide; else a run would never end, or
    /// a loss would not be seen.
    #[test]
    fn readers_expect_what_publishers_send() {
        for (clients, publishers, messages) in [
            (1, 1, 1),
            (1, 16, 1000),
            (1000, 16, 200_000),
            (3, 5, 7),
            (5, 3, 7),
            (7, 7, 3),
            (10, 4, 0),
            (16, 3, 101),
        ] {
            let plan = plan(clients, publishers, messages);
            let mut per_inbox = vec![0; clients];
            let mut sent = 0;
            for publisher in 0..publishers {
                let streams = plan.streams_of(publisher);
                for turn in 0..plan.messages_of(publisher) {
                    let stream = publisher + (turn % streams) as usize * publishers;
                    assert!(stream < plan.streams() && turn / streams < plan.messages_in(stream));
                    per_inbox[plan.inbox(stream)] += 1;
                    sent += 1;
                }
            }
            assert_eq!(sent, messages);
            let expected: Vec<u64> = (0..clients).map(|inbox| plan.messages_for(inbox)).collect();
            assert_eq!(
                expected, per_inbox,
                "{clients} clients, {publishers} publishers, {messages} messages"
            );
        }
    }
}
