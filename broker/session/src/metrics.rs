//! What the broker counts, beside what the inboxes count themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use inbox_types::{Counter, Events};

use crate::presences::Presences;
use crate::refusals::Refusals;

/// Totals since the start, and what is now.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that are open.
    pub connections: Gauge,
    /// CONNECTs that were accepted.
    pub connects_accepted: Counter,
    /// CONNECTs that were refused, and connections that never sent one.
    pub connects_refused: Counter,
    /// Connections that were closed because packets that are not whole took too much memory.
    pub half_packets_refused: Counter,
    /// Clients that were not let in because the memory budget was used up.
    pub connects_refused_memory: Counter,
    /// Connections that took over a session.
    pub takeovers: Counter,
    /// Connections that the broker ended for what the client did.
    pub protocol_errors: Counter,
    /// Publishes that were refused.
    pub publishes_refused: Counter,
    /// Of these, those that an MQTT 3.1.1 client was told by a notice in its inbox.
    pub publishes_bounced: Counter,
    /// Publishes and wills to topics that begin with `$`, which lead nowhere.
    pub reserved_topics_dropped: Counter,
    /// Ordinary messages dropped because their reader was too slow.
    pub ordinary_overflowed: Counter,
    /// Messages not sent because of the reader's Maximum Packet Size.
    pub too_large_for_reader: Counter,
    /// Wills that were published.
    pub wills_published: Counter,
    /// Bytes of MQTT that came from clients.
    pub bytes_received: Counter,
    /// Bytes of MQTT that the sockets of clients took.
    pub bytes_sent: Counter,
    /// Packets of clients that were let in.
    pub packets_received: Counter,
    /// Answers to PUBLISH packets.
    pub acks_sent: Counter,
    /// PUBLISH packets of clients.
    pub publishes_received: Counter,
    /// The bytes of their payloads.
    pub publish_bytes_received: Counter,
    /// PUBLISH packets to clients.
    pub publishes_sent: Counter,
    /// The bytes of their payloads.
    pub publish_bytes_sent: Counter,
    /// Who is connected.
    pub present: Presences,
    /// What was refused, by cause.
    pub refusals: Refusals,
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One that counts in a [`Gauge`] until it is dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU64>);

impl Gauge {
    /// One more, until what is given is dropped; nothing when there are `most` already.
    pub fn enter(&self, most: u64) -> Option<Counted> {
        self.0
            .fetch_update(Relaxed, Relaxed, |number| (number < most).then(|| number + 1))
            .is_ok()
            .then(|| Counted(self.0.clone()))
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    /// Nothing is counted yet. What is refused is told as events.
    pub fn telling(events: &Arc<Events>) -> Self {
        Metrics {
            refusals: Refusals::telling(events),
            ..Metrics::default()
        }
    }

    /// Every number by name, in a fixed order.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        let mut numbers = vec![
            ("connections", self.connections.get()),
            ("connects_accepted", self.connects_accepted.get()),
            ("connects_refused", self.connects_refused.get()),
            ("half_packets_refused", self.half_packets_refused.get()),
            ("connects_refused_memory", self.connects_refused_memory.get()),
            ("takeovers", self.takeovers.get()),
            ("protocol_errors", self.protocol_errors.get()),
            ("publishes_refused", self.publishes_refused.get()),
            ("publishes_bounced", self.publishes_bounced.get()),
            ("reserved_topics_dropped", self.reserved_topics_dropped.get()),
            ("ordinary_overflowed", self.ordinary_overflowed.get()),
            ("too_large_for_reader", self.too_large_for_reader.get()),
            ("wills_published", self.wills_published.get()),
            ("bytes_received", self.bytes_received.get()),
            ("bytes_sent", self.bytes_sent.get()),
            ("packets_received", self.packets_received.get()),
            // Other packets are not counted.
            ("packets_sent", self.publishes_sent.get() + self.acks_sent.get()),
            ("publishes_received", self.publishes_received.get()),
            ("publish_bytes_received", self.publish_bytes_received.get()),
            ("publishes_sent", self.publishes_sent.get()),
            ("publish_bytes_sent", self.publish_bytes_sent.get()),
        ];
        numbers.extend(self.refusals.snapshot());
        numbers
    }
}
