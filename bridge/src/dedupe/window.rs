//! The `id`s that are known, of some of all senders.

use std::collections::VecDeque;

use hashbrown::HashMap;
use inbox_types::{Age, DEDUPE_IDS_PER_SENDER_MAX, Seq};

use super::Use;

/// What a publish with an `id` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The first with it.
    New,
    /// A repetition of the message with this seq; and whether its reader is known to have acknowledged that.
    Repeats(Seq, bool),
    /// Another message.
    OtherPayload,
}

/// What is known of an `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) seq: Seq,
    /// When its message was accepted.
    pub(super) at: Age,
    pub(super) payload: u64,
    pub(super) is_delivered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    known: HashMap<u128, Known>,
    /// By sender and inbox, the oldest first. What is not known under this seq is void.
    lines: HashMap<u64, VecDeque<Use>>,
}

impl Window {
    pub(super) fn get(&self, key: u128) -> Option<Known> {
        self.known.get(&key).copied()
    }

    /// Tells whether another `id` of the same sender was forgotten for it.
    pub(super) fn put(&mut self, used: Use, known: Known) -> bool {
        self.known.insert(used.key, known);
        let line = self.lines.entry(used.line).or_default();
        line.push_back(used);
        if line.len() <= DEDUPE_IDS_PER_SENDER_MAX {
            return false;
        }
        let oldest = line.pop_front();
        oldest.is_some_and(|oldest| self.take(oldest))
    }

    pub(super) fn note_delivered(&mut self, used: Use) {
        if let Some(known) = self.known.get_mut(&used.key).filter(|known| known.seq == used.seq) {
            known.is_delivered = true;
        }
    }

    /// A message was refused after all. It is one of the last.
    pub(super) fn refused(&mut self, used: Use) {
        self.take(used);
        if let Some(line) = self.lines.get_mut(&used.line) {
            if let Some(at) = line.iter().rposition(|one| *one == used) {
                line.remove(at);
            }
            self.drop_empty(used.line);
        }
    }

    /// The time of an `id` is over. All that its sender used before it was forgotten, too, or will be.
    pub(super) fn forgotten(&mut self, used: Use) {
        self.take(used);
        if let Some(line) = self.lines.get_mut(&used.line) {
            while line.front().is_some_and(|first| first.seq <= used.seq) {
                line.pop_front();
            }
            self.drop_empty(used.line);
        }
        if self.known.capacity() > 1024 && self.known.len() * 4 < self.known.capacity() {
            self.known.shrink_to_fit();
            self.lines.shrink_to_fit();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.lines.len()
    }

    fn take(&mut self, used: Use) -> bool {
        let is_it = self.known.get(&used.key).is_some_and(|known| known.seq == used.seq);
        is_it && self.known.remove(&used.key).is_some()
    }

    fn drop_empty(&mut self, line: u64) {
        if self.lines.get(&line).is_some_and(VecDeque::is_empty) {
            self.lines.remove(&line);
        }
    }
}
