//! What operators are told of a session: how much it receives and sends, and samples of how long that takes.
//!
//! Counted here and added to the broker's numbers once for what comes together, so that no packet waits for a number that all share.

use std::time::Duration;

use inbox_types::{Delivery, Micros, Node, Now, Ticket};

use crate::metrics::Metrics;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    pub(super) packets_received: u64,
    pub(super) publishes_received: u64,
    pub(super) publish_bytes_received: u64,
    publishes_sent: u64,
    publish_bytes_sent: u64,
    pub(super) acks_sent: u64,
    /// A publish that is being timed, and when it came. One at a time.
    timed: Option<(Ticket, Duration)>,
    /// What was accepted since then is delivered as it comes; the rest is replayed.
    pub(super) attached_at: Micros,
}

impl Stopwatch {
    /// A publish begins to wait for its answer.
    #[inline]
    pub(super) fn begins(&mut self, ticket: Ticket, node: &Node, now: Duration) {
        if self.timed.is_none() && node.timings.are_wanted(now) {
            self.timed = Some((ticket, now));
        }
    }

    /// Whether a publish is being timed.
    #[inline]
    pub(super) fn is_timing(&self) -> bool {
        self.timed.is_some()
    }

    /// Every publish before `ticket` is answered.
    #[inline]
    pub(super) fn answered_before(&mut self, ticket: Ticket, node: &Node, now: Duration) {
        if let Some((_, began)) = self.timed.take_if(|(timed, _)| timed.0 < ticket.0) {
            node.timings.puback.time(now.saturating_sub(began));
        }
    }

    /// A connection is gone: nobody waits any more.
    pub(super) fn disconnected(&mut self) {
        self.timed = None;
    }

    /// Mail is written for its reader, and somebody wants to know how long that took.
    pub(super) fn delivers(&self, delivery: &Delivery, node: &Node, now: Now) {
        let at = delivery.message.at;
        if !delivery.dup && at >= self.attached_at {
            node.timings.delivery.record(now.wall.0.saturating_sub(at.0));
        }
    }

    /// A PUBLISH was encoded.
    #[inline]
    pub(super) fn sent(&mut self, payload_bytes: usize) {
        self.publishes_sent += 1;
        self.publish_bytes_sent += payload_bytes as u64;
    }

    /// Adds what was received.
    #[inline]
    pub(super) fn tell_received(&mut self, metrics: &Metrics) {
        move_to(&mut self.packets_received, &metrics.packets_received);
        if self.publishes_received > 0 {
            move_to(&mut self.publishes_received, &metrics.publishes_received);
            move_to(&mut self.publish_bytes_received, &metrics.publish_bytes_received);
        }
    }

    /// Adds what was sent.
    #[inline]
    pub(super) fn tell_sent(&mut self, metrics: &Metrics) {
        if self.publishes_sent > 0 {
            move_to(&mut self.publishes_sent, &metrics.publishes_sent);
            move_to(&mut self.publish_bytes_sent, &metrics.publish_bytes_sent);
        }
        move_to(&mut self.acks_sent, &metrics.acks_sent);
    }
}

#[inline]
fn move_to(counted: &mut u64, total: &inbox_types::Counter) {
    if *counted > 0 {
        total.add(*counted);
        *counted = 0;
    }
}
