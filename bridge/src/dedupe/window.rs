//! The `id`s that are known, of some of all senders.

use std::collections::VecDeque;

use hashbrown::HashMap;
use inbox_types::{Age, DEDUPE_IDS_PER_SENDER_MAX, Seq};

use super::Id;

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

/// One use of an `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: [u64; 2],
    pub(super) seq: Seq,
    /// When its message was accepted.
    pub(super) at: Age,
    pub(super) payload: u64,
    pub(super) is_delivered: bool,
}

/// What is asked all the time is small, because it lies anywhere in memory: that an `id` is not known. What is known of it lies beside what the same
/// sender used before and after.
#[derive(Debug, Default)]
pub(super) struct Window {
    seqs: HashMap<[u64; 2], Seq>,
    /// By sender and inbox, in the order of seqs. What is not known under this seq is void.
    lines: HashMap<u64, VecDeque<Known>>,
}

impl Window {
    pub(super) fn get(&self, id: Id) -> Option<Known> {
        let seq = *self.seqs.get(&id.key)?;
        let line = self.lines.get(&id.line)?;
        line.get(find(line, seq)?).copied()
    }

    /// Tells whether another `id` of the same sender was forgotten for it.
    pub(super) fn put(&mut self, line: u64, known: Known) -> bool {
        self.seqs.insert(known.key, known.seq);
        let line = self.lines.entry(line).or_default();
        // Only those that a restart brings back are not in order: what waits for the disk can be overtaken by what never needs it.
        match line.back().is_some_and(|last| last.seq > known.seq) {
            true => line.insert(line.partition_point(|one| one.seq < known.seq), known),
            false => line.push_back(known),
        }
        if line.len() <= DEDUPE_IDS_PER_SENDER_MAX {
            return false;
        }
        let oldest = line.pop_front();
        oldest.is_some_and(|oldest| take(&mut self.seqs, &oldest))
    }

    pub(super) fn note_delivered(&mut self, line: u64, seq: Seq) {
        if let Some(line) = self.lines.get_mut(&line)
            && let Some(known) = find(line, seq).and_then(|at| line.get_mut(at))
        {
            known.is_delivered = true;
        }
    }

    /// A message was refused after all.
    pub(super) fn refused(&mut self, line: u64, seq: Seq) {
        let Some(known) = self.lines.get_mut(&line) else { return };
        if let Some(one) = find(known, seq).and_then(|at| known.remove(at)) {
            take(&mut self.seqs, &one);
        }
        if known.is_empty() {
            self.lines.remove(&line);
        }
    }

    /// The time of what one sender used up to here is over. Gives how many that were.
    pub(super) fn forget(&mut self, line: u64, up_to: Seq) -> usize {
        let Some(known) = self.lines.get_mut(&line) else {
            return 0;
        };
        let over = known.partition_point(|one| one.seq <= up_to);
        let forgotten = known.drain(..over).filter(|one| take(&mut self.seqs, one)).count();
        if known.is_empty() {
            self.lines.remove(&line);
        } else if known.capacity() > 64 && known.len() * 4 < known.capacity() {
            known.shrink_to_fit();
        }
        if self.seqs.capacity() > 1024 && self.seqs.len() * 4 < self.seqs.capacity() {
            self.seqs.shrink_to_fit();
            self.lines.shrink_to_fit();
        }
        forgotten
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seqs.len() + self.lines.len()
    }
}

fn find(line: &VecDeque<Known>, seq: Seq) -> Option<usize> {
    line.binary_search_by_key(&seq, |known| known.seq).ok()
}

/// Takes out what this use is known by, unless that is a later one.
fn take(seqs: &mut HashMap<[u64; 2], Seq>, known: &Known) -> bool {
    let is_it = seqs.get(&known.key) == Some(&known.seq);
    is_it && seqs.remove(&known.key).is_some()
}
