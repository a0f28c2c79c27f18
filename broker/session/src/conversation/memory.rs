//! What one connection keeps in memory, and what it may not do while memory is scarce.

use std::time::Duration;

use inbox_types::{Budgets, Charge, Pressure};

use super::Conversation;

/// A packet of which so much has come is large: what has come of it counts against [`Budgets::receiving`].
const LARGE_BYTES: usize = 64 * 1024;
/// A connection counts at least this: its task and its session.
const CONNECTION_BYTES: usize = 4096;

impl Conversation {
    /// What carries MQTT to this client, such as TLS, takes so many bytes beside what plain TCP does.
    pub fn carried_by(&mut self, bytes: usize) {
        self.memory.carrier = bytes;
        self.memory.keeps(0, true);
    }
}

/// See the module's documentation.
pub(super) struct Memory {
    /// Bytes of what carries MQTT.
    carrier: usize,
    /// Buffers of both directions.
    buffers: Charge,
    /// Of a large packet, what has come of it.
    half: Charge,
    /// When a client that publishes is read again, on the monotonic clock.
    reads_from: Option<Duration>,
}

impl Memory {
    pub(super) fn new(budgets: &Budgets) -> Self {
        let mut buffers = Charge::new(&budgets.all);
        buffers.settle(CONNECTION_BYTES);
        Memory {
            carrier: 0,
            buffers,
            half: Charge::new(&budgets.receiving),
            reads_from: None,
        }
    }

    /// The buffers take so many bytes; one that `is_idle` keeps nothing in hand.
    pub(super) fn keeps(&mut self, bytes: usize, is_idle: bool) {
        let bytes = bytes.max(CONNECTION_BYTES) + self.carrier;
        match is_idle {
            true => self.buffers.settle(bytes),
            false => self.buffers.cover(bytes),
        }
    }

    /// Something was read, and `partial` bytes wait for the rest of their packet. Tells whether they may.
    pub(super) fn received(&mut self, budgets: &Budgets, partial: usize, capacity: usize, now: Duration) -> bool {
        self.reads_from = pause(budgets.pressure()).map(|pause| now + pause);
        if partial <= LARGE_BYTES {
            self.half.cover(0);
            return true;
        }
        self.half.cover(capacity);
        let fits = budgets.receiving.pressure() != Pressure::Refuse;
        if !fits {
            self.half.settle(0);
        }
        fits
    }

    /// Whether a client that publishes is not to be read now because memory is scarce. It is read now and then nevertheless, for its
    /// acknowledgements free memory.
    pub(super) fn is_slowed_down(&self, budgets: &Budgets, now: Duration) -> bool {
        self.reads_from.is_some_and(|from| now < from) && budgets.pressure() > Pressure::None
    }
}

/// How long a publisher is not read after each read.
fn pause(pressure: Pressure) -> Option<Duration> {
    match pressure {
        Pressure::None => None,
        Pressure::SlowDown => Some(Duration::from_millis(20)),
        Pressure::PageOut => Some(Duration::from_millis(100)),
        Pressure::Refuse => Some(Duration::from_millis(250)),
    }
}
