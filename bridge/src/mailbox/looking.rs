//! What is asked of an inbox that is in memory: by its own parts, and by operators.

use std::time::Duration;

use super::{Context, Durability, Mailbox};
use inbox_types::{Now, Seq};

/// An inbox, as far as it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InMemory {
    /// Messages that the store does not have yet.
    pub unstored: u64,
    /// Messages on their way out of the store.
    pub leaving: u64,
    /// Whether its client reads it.
    pub has_reader: bool,
    /// Messages that its client was sent and has not acknowledged.
    pub in_flight: u64,
}

/// Publishes that have no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many; of the inboxes that were looked at.
    pub publishes: u64,
    /// How many of them wait for the acknowledgement of a reader that has the message; the others wait for the disk.
    pub for_reader: u64,
    /// How old the oldest message is that they are about.
    pub oldest: Duration,
}

impl Mailbox {
    /// Whether a message that may still be here was never sent to the client.
    pub(crate) fn is_unread(&self, seq: Seq, cx: Context) -> bool {
        seq > self.sent_up_to.max(cx.sent_floor)
    }

    /// Whether it is in flight, or was written and has not settled.
    pub(super) fn is_with_reader(&self, seq: Seq) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.has(seq))
    }

    pub(crate) fn look(&self) -> InMemory {
        InMemory {
            unstored: self.unstored.messages,
            leaving: (self.removals.len() + self.removals_committing.len()) as u64,
            has_reader: self.has_reader(),
            in_flight: self.reader.as_ref().map_or(0, |reader| reader.in_flight.len() as u64),
        }
    }

    /// Adds the publishes that have no answer yet.
    pub(crate) fn count_waiting(&self, now: Now, all: &mut Waiting) {
        let is_unanswered = |young: &&super::Young| young.origin.is_some();
        for young in self.young.iter().filter(is_unanswered) {
            // By the wall clock, which may have been set back.
            let waited = Duration::from_micros(now.wall.0.saturating_sub(young.message.at.0));
            all.publishes += 1;
            let is_held = young.durability == Durability::Waiting && young.held_until > now.mono;
            all.for_reader += u64::from(is_held);
            all.oldest = all.oldest.max(waited);
        }
    }
}
