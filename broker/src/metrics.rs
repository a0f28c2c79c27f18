//! What the broker counts, beside what the inboxes count themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use inbox_bridge::Counter;

/// Totals since the start, and what is now.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// CONNECTs that were accepted.
    pub(crate) connects_accepted: Counter,
    /// CONNECTs that were refused, and connections that never sent one.
    pub(crate) connects_refused: Counter,
    /// Connections that took over a session.
    pub(crate) takeovers: Counter,
    /// Connections that the broker ended for what the client did.
    pub(crate) protocol_errors: Counter,
    /// Publishes that were refused.
    pub(crate) publishes_refused: Counter,
    /// Ordinary messages dropped because their reader was too slow.
    pub(crate) ordinary_overflowed: Counter,
    /// Messages not sent because of the reader's Maximum Packet Size.
    pub(crate) too_large_for_reader: Counter,
    /// Wills that were published.
    pub(crate) wills_published: Counter,
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// One more, until the guard is dropped. Gives also the new number.
    pub(crate) fn enter(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    /// One less.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Metrics {
    /// Every number by name, in a fixed order.
    pub(crate) fn snapshot(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("connections", self.connections.get()),
            ("connects_accepted", self.connects_accepted.get()),
            ("connects_refused", self.connects_refused.get()),
            ("takeovers", self.takeovers.get()),
            ("protocol_errors", self.protocol_errors.get()),
            ("publishes_refused", self.publishes_refused.get()),
            ("ordinary_overflowed", self.ordinary_overflowed.get()),
            ("too_large_for_reader", self.too_large_for_reader.get()),
            ("wills_published", self.wills_published.get()),
        ]
    }
}
