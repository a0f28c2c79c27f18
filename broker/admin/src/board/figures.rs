//! The broker in figures: totals, rates of the last interval, percentiles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use inbox_bridge::{Hub, Now, Pressure, Store};
use mqtt_session::{SessionTable, Shared};
use parking_lot::Mutex;
use pubsub::Router;
use serde_json::{Value, json};

use super::census::Census;
use super::refused::{self, rounded};

/// See the module's documentation.
pub struct Figures {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    table: Arc<SessionTable>,
    router: Router,
    census: Census,
    version: &'static str,
    engine: &'static str,
    started: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    before: Option<Sample>,
    overview: Option<Value>,
}

/// Numbers at one time.
struct Sample {
    at: Duration,
    counters: BTreeMap<&'static str, u64>,
    puback: Histogram<u64>,
    delivery: Histogram<u64>,
    commit: Histogram<u64>,
    sync: Histogram<u64>,
    commit_messages: Histogram<u64>,
}

/// Totals that are told by other names, too.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub(super) version: &'static str,
    pub(super) uptime: Duration,
    pub(super) connected: u64,
    pub(super) kept_sessions: u64,
    pub(super) sockets: u64,
    pub(super) connects: u64,
    pub(super) packets_received: u64,
    pub(super) packets_sent: u64,
    pub(super) publishes_received: u64,
    pub(super) publishes_sent: u64,
    pub(super) publish_bytes_received: u64,
    pub(super) publish_bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) dropped: u64,
    pub(super) stored_messages: u64,
    pub(super) stored_bytes: u64,
    pub(super) subscriptions: u64,
    pub(super) retained: u64,
    pub(super) heap: u64,
}

impl Figures {
    /// Figures of these.
    pub fn new(
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        table: Arc<SessionTable>,
        router: Router,
        version: &'static str,
        engine: &'static str,
    ) -> Self {
        let started = shared.node.now().mono;
        Figures {
            hub,
            store,
            shared,
            table,
            router,
            census: Census::default(),
            version,
            engine,
            started,
            state: Mutex::default(),
        }
    }

    /// Every counter by name.
    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let node = &self.shared.node;
        let all = node.counters.snapshot().into_iter();
        all.chain(self.shared.metrics.snapshot()).collect()
    }

    fn sample(&self, now: Now) -> Sample {
        let timings = &self.shared.node.timings;
        Sample {
            at: now.mono,
            counters: self.counters(),
            puback: timings.puback.snapshot(),
            delivery: timings.delivery.snapshot(),
            commit: timings.commit.snapshot(),
            sync: timings.sync.snapshot(),
            commit_messages: timings.commit_messages.snapshot(),
        }
    }

    /// Looks at everything: what [`Figures::overview`] gives is from now, with the rates since the last time.
    pub fn measure(&self) {
        let now = self.shared.node.now();
        let after = self.sample(now);
        let mut state = self.state.lock();
        let before = state.before.take();
        state.overview = Some(self.overview_of(before.as_ref(), &after, now));
        state.before = Some(after);
    }

    /// The broker at a glance, as it was measured last.
    pub fn overview(&self) -> Value {
        if self.state.lock().overview.is_none() {
            self.measure();
        }
        self.state.lock().overview.clone().unwrap_or_default()
    }

    /// The largest inboxes, and those with the oldest mail.
    pub fn top(&self) -> Value {
        self.census.told()
    }

    /// Goes on looking for these. Blocks on the store.
    pub fn take_census(&self) {
        if let Err(error) = self.census.step(&*self.store, self.shared.node.now().wall) {
            tracing::debug!(%error, "the largest and oldest inboxes cannot be looked for now");
        }
    }

    /// How many clients are connected, by what they came with.
    pub fn clients(&self) -> Value {
        let counts = self.shared.metrics.present.counts();
        let by_listener: BTreeMap<_, _> = counts.by_listener.iter().map(|(name, n)| (&**name, n)).collect();
        json!({
            "connected": counts.connected(),
            "kept": self.table.kept(),
            "by_protocol": counts.by_protocol,
            "by_listener": by_listener,
        })
    }

    fn overview_of(&self, before: Option<&Sample>, after: &Sample, now: Now) -> Value {
        let (node, metrics) = (&self.shared.node, &self.shared.metrics);
        let interval = after.at.saturating_sub(before.map_or(self.started, |before| before.at));
        let seconds = interval.as_secs_f64().max(0.001);
        // The first time nothing is known of before.
        let earlier = before.map_or(&after.counters, |before| &before.counters);
        let total = |name: &str| after.counters.get(name).copied().unwrap_or_default();
        let since = |name: &str| total(name).saturating_sub(earlier.get(name).copied().unwrap_or_default());
        let rate = |name: &str| rounded(since(name) as f64 / seconds);
        let refused = ["publishes_refused", "connects_refused"].map(rate).iter().sum::<f64>();
        let spent = |now: &Histogram<u64>, then: fn(&Sample) -> &Histogram<u64>| difference(now, before.map(then));
        let commit = spent(&after.commit, |sample| &sample.commit);
        let batches = spent(&after.commit_messages, |sample| &sample.commit_messages);
        let cancelled = since("never_written") as f64 / (since("acknowledged") as f64).max(1.0);
        let found = self.census.found();
        let waiting = self.hub.waiting();
        let budget = &node.budgets.all;
        json!({
            "version": self.version,
            "at": now.wall.0,
            "uptime_s": now.mono.saturating_sub(self.started).as_secs(),
            "interval_ms": u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            "rates": {
                "received": rate("publishes_received"), "sent": rate("publishes_sent"),
                "accepted": rate("accepted"), "delivered": rate("delivered"),
                "acknowledged": rate("acknowledged"), "committed": rate("committed"),
                "refused": refused, "connects": rate("connects_accepted"),
                "bytes_received": rate("bytes_received"), "bytes_sent": rate("bytes_sent"),
            },
            "latency_us": {
                "puback": percentiles(&spent(&after.puback, |sample| &sample.puback)),
                "delivery": percentiles(&spent(&after.delivery, |sample| &sample.delivery)),
                "commit": percentiles(&commit),
                "fsync": percentiles(&spent(&after.sync, |sample| &sample.sync)),
            },
            "commit": {
                "per_second": rate("commits"),
                "messages_p50": batches.value_at_quantile(0.5),
                "messages_max": batches.max(),
                "cancelled_share": rounded(cancelled.min(1.0)),
            },
            "clients": {"connected": metrics.present.counts().connected(), "kept_sessions": self.table.kept()},
            "inboxes": {
                "with_mail": found.as_ref().map(|found| found.inboxes),
                "messages": found.as_ref().map(|found| found.messages),
                "bytes": found.as_ref().map(|found| found.bytes),
                "oldest_at": found.as_ref().and_then(|found| found.oldest_at()).map(|at| at.0),
                "counted_at": found.as_ref().map(|found| found.at.0),
            },
            "store": {
                "engine": self.engine,
                "disk_free_bytes": self.store.disk_free_bytes(),
                "uncommitted_bytes": self.hub.uncommitted_bytes(),
                "memory_bytes": self.store.memory_bytes(),
                "is_troubled": node.inboxes.is_troubled(),
            },
            "memory": {"used": budget.used(), "limit": budget.limit(), "pressure": budget.pressure() as u8},
            "refusals": refused::by_cause(&after.counters, earlier, seconds),
            "waiting": {
                "publishes": waiting.publishes,
                "oldest_ms": u64::try_from(waiting.oldest.as_millis()).unwrap_or(u64::MAX),
                "for": self.waited_for(&waiting),
            },
        })
    }

    /// What a PUBACK waits for.
    fn waited_for(&self, waiting: &inbox_bridge::Waiting) -> Option<&'static str> {
        let node = &self.shared.node;
        match () {
            () if node.inboxes.is_troubled() => Some("space"),
            () if node.budgets.all.pressure() > Pressure::None => Some("memory"),
            () if waiting.publishes == 0 => None,
            () if waiting.for_reader * 2 > waiting.publishes => Some("reader"),
            () => Some("disk"),
        }
    }

    /// Totals that are told by other names, too.
    pub fn counts(&self) -> Counts {
        let now = self.shared.node.now();
        let counters = self.counters();
        let total = |name: &str| counters.get(name).copied().unwrap_or_default();
        let found = self.census.found().unwrap_or_default();
        let present = self.shared.metrics.present.counts();
        Counts {
            version: self.version,
            uptime: now.mono.saturating_sub(self.started),
            connected: present.connected(),
            kept_sessions: self.table.kept() as u64,
            sockets: total("connects_accepted") + total("connects_refused"),
            connects: total("connects_accepted"),
            packets_received: total("packets_received"),
            packets_sent: total("packets_sent"),
            publishes_received: total("publishes_received"),
            publishes_sent: total("publishes_sent"),
            publish_bytes_received: total("publish_bytes_received"),
            publish_bytes_sent: total("publish_bytes_sent"),
            bytes_received: total("bytes_received"),
            bytes_sent: total("bytes_sent"),
            dropped: ["ordinary_overflowed", "qos0_undelivered", "dropped", "expired"]
                .map(total)
                .iter()
                .sum(),
            stored_messages: found.messages,
            stored_bytes: found.bytes,
            subscriptions: self.router.filters(),
            retained: self.router.retained(),
            heap: self.shared.node.budgets.all.used() as u64,
        }
    }
}

/// What was recorded since then.
fn difference(now: &Histogram<u64>, then: Option<&Histogram<u64>>) -> Histogram<u64> {
    let mut since = now.clone();
    if let Some(then) = then
        && let Err(error) = since.subtract(then)
    {
        // Both are of one recorder, which only grows.
        tracing::debug!(?error, "two histograms do not go together");
    }
    since
}

/// Microseconds.
fn percentiles(histogram: &Histogram<u64>) -> Value {
    match histogram.len() {
        0 => json!({"count": 0}),
        count => json!({
            "count": count,
            "p50": histogram.value_at_quantile(0.5),
            "p90": histogram.value_at_quantile(0.9),
            "p99": histogram.value_at_quantile(0.99),
            "max": histogram.max(),
        }),
    }
}
