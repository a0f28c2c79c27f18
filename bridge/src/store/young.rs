//! What the log holds and the inboxes' own records do not yet: an index in memory, without I/O.
//!
//! A commit is applied when it is durable. Settling takes an inbox's messages and removals from here once its own records say
//! the same. **Why it is right:** a message is here, or settled, or both; both is no harm, because equal seqs of one inbox are the
//! same message. A removal stays here for as long as a settled copy may exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::Batch;
use crate::client_id::ClientId;
use crate::message::{Entry, Message, Seq};

/// What a message costs in memory beyond its [`Message::size`], and what a removal costs, in bytes: roughly, from the sizes of types.
const MESSAGE_BYTES: usize = 300;
const REMOVAL_BYTES: usize = 40;

/// All inboxes that have something in the log.
#[derive(Debug, Default)]
pub(crate) struct Young {
    inboxes: BTreeMap<ClientId, YoungInbox>,
    /// No settled message is above this seq.
    settled: Seq,
    /// The highest seq that was put.
    highest: Seq,
    weight: usize,
}

#[derive(Debug, Default)]
struct YoungInbox {
    puts: BTreeMap<Seq, Arc<Message>>,
    /// Removed, and perhaps settled.
    removals: BTreeSet<Seq>,
}

/// What a reader needs to know of one inbox before it reads what is settled.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Messages that are not removed, in order, as many as were asked for.
    pub(crate) entries: Vec<Entry>,
    /// Settled messages that are removed, in order.
    pub(crate) removals: Vec<Seq>,
}

/// What is to be settled of one inbox.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// Messages, in order.
    pub(crate) puts: Vec<Entry>,
    /// Removals, in order.
    pub(crate) removals: Vec<Seq>,
}

impl Unsettled {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }
}

impl Young {
    /// Nothing, in a store where no settled message is above `settled`.
    pub(crate) fn new(settled: Seq) -> Self {
        Young {
            settled,
            highest: settled,
            ..Young::default()
        }
    }

    /// A durable commit.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for (inbox, entry) in &batch.puts {
            self.highest = self.highest.max(entry.seq);
            let young = match self.inboxes.get_mut(inbox) {
                Some(young) => young,
                None => self.inboxes.entry(inbox.clone()).or_default(),
            };
            let replaced = young.puts.insert(entry.seq, entry.message.clone());
            self.weight += weight(&entry.message);
            self.weight -= replaced.map_or(0, |message| weight(&message));
        }
        for (inbox, seq) in &batch.removals {
            self.remove(inbox, *seq);
        }
    }

    fn remove(&mut self, inbox: &ClientId, seq: Seq) {
        let may_be_settled = seq <= self.settled;
        let young = match self.inboxes.get_mut(inbox) {
            Some(young) => young,
            None if may_be_settled => self.inboxes.entry(inbox.clone()).or_default(),
            None => return,
        };
        let put = young.puts.remove(&seq);
        self.weight -= put.map_or(0, |message| weight(&message));
        if may_be_settled && young.removals.insert(seq) {
            self.weight += REMOVAL_BYTES;
        }
        if young.is_empty() {
            self.inboxes.remove(inbox);
        }
    }

    /// Roughly what all this takes in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// At most `limit` messages of `inbox` above `after`, and every removal above it.
    pub(crate) fn view(&self, inbox: &ClientId, after: Seq, limit: usize) -> View {
        let Some(young) = self.inboxes.get(inbox) else {
            return View::default();
        };
        let above = (Bound::Excluded(after), Bound::Unbounded);
        let puts = young.puts.range(above).take(limit);
        View {
            entries: puts
                .map(|(seq, message)| Entry {
                    seq: *seq,
                    message: message.clone(),
                })
                .collect(),
            removals: young.removals.range(above).copied().collect(),
        }
    }

    /// The first inbox after `after` that has something here.
    pub(crate) fn next_inbox(&self, after: Option<&ClientId>) -> Option<ClientId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (inbox, _) = self.inboxes.range::<ClientId, _>((from, Bound::Unbounded)).next()?;
        Some(inbox.clone())
    }

    /// Begins to settle: from now on everything that was put until now may be settled. Returns the seq that held until now and the
    /// one that holds now, which must be durable before anything is settled.
    pub(crate) fn begin(&mut self) -> (Seq, Seq) {
        let before = self.settled;
        self.settled = self.settled.max(self.highest);
        (before, self.settled)
    }

    /// What is to be settled of `inbox`.
    pub(crate) fn unsettled(&self, inbox: &ClientId) -> Unsettled {
        let Some(young) = self.inboxes.get(inbox) else {
            return Unsettled::default();
        };
        let puts = young.puts.range(..=self.settled);
        Unsettled {
            puts: puts
                .map(|(seq, message)| Entry {
                    seq: *seq,
                    message: message.clone(),
                })
                .collect(),
            removals: young.removals.iter().copied().collect(),
        }
    }

    /// The inbox's own records say what `done` says. What was removed meanwhile is still to be removed from them.
    pub(crate) fn settled(&mut self, inbox: &ClientId, done: &Unsettled) {
        let Some(young) = self.inboxes.get_mut(inbox) else {
            return;
        };
        for entry in &done.puts {
            let put = young.puts.remove(&entry.seq);
            self.weight -= put.map_or(0, |message| weight(&message));
        }
        for seq in &done.removals {
            if young.removals.remove(seq) {
                self.weight -= REMOVAL_BYTES;
            }
        }
        if young.is_empty() {
            self.inboxes.remove(inbox);
        }
    }
}

impl YoungInbox {
    fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }
}

fn weight(message: &Message) -> usize {
    message.size() + MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::super::contract::{batch_of, id};
    use super::*;

    fn removal(inbox: &str, seq: u64) -> Batch {
        Batch {
            removals: vec![(id(inbox), Seq(seq))],
            ..Batch::default()
        }
    }

    fn seqs(young: &Young, inbox: &str) -> Vec<u64> {
        let view = young.view(&id(inbox), Seq::ZERO, 100);
        view.entries.iter().map(|entry| entry.seq.0).collect()
    }

    /// Goal: a message that comes and goes before it is settled leaves nothing.
    #[test]
    fn what_is_removed_young_leaves_nothing() {
        let mut young = Young::new(Seq(100));
        young.apply(&batch_of("bob", 101..=103));
        young.apply(&removal("bob", 102));
        young.apply(&removal("bob", 999));
        assert_eq!(seqs(&young, "bob"), [101, 103]);
        young.apply(&removal("bob", 101));
        young.apply(&removal("bob", 103));
        young.apply(&removal("carol", 104));
        assert_eq!((young.weight(), young.next_inbox(None)), (0, None));
    }

    /// Goal: a removal of what may be settled is remembered until it is settled, too, also when it comes in the middle.
    #[test]
    fn a_removal_outlives_the_settling_that_it_meets() {
        let mut young = Young::new(Seq::ZERO);
        young.apply(&batch_of("bob", 1..=3));
        assert_eq!(young.begin(), (Seq(0), Seq(3)));
        let first = young.unsettled(&id("bob"));
        assert_eq!(first.puts.len(), 3);
        young.apply(&removal("bob", 2));
        young.apply(&batch_of("bob", 4..=4));
        assert_eq!(seqs(&young, "bob"), [1, 3, 4]);
        young.settled(&id("bob"), &first);
        let view = young.view(&id("bob"), Seq::ZERO, 100);
        assert_eq!((view.entries.len(), view.removals), (1, vec![Seq(2)]));
        assert_eq!(young.begin(), (Seq(3), Seq(4)));
        let second = young.unsettled(&id("bob"));
        assert_eq!((second.puts.len(), &*second.removals), (1, &[Seq(2)][..]));
        young.settled(&id("bob"), &second);
        assert_eq!((young.weight(), young.next_inbox(None)), (0, None));
    }

    /// Goal: after a crash, a message whose settling had begun and which was removed is remembered as removed.
    #[test]
    fn replay_remembers_removals_of_what_may_be_settled() {
        let mut young = Young::new(Seq(5));
        young.apply(&batch_of("bob", 4..=6));
        young.apply(&removal("bob", 4));
        young.apply(&removal("bob", 6));
        assert_eq!(seqs(&young, "bob"), [5]);
        assert_eq!(young.view(&id("bob"), Seq::ZERO, 100).removals, [Seq(4)]);
    }

    /// Goal: what came after the beginning waits for the next time.
    #[test]
    fn what_comes_later_is_settled_later() {
        let mut young = Young::new(Seq::ZERO);
        young.apply(&batch_of("bob", 1..=2));
        young.begin();
        young.apply(&batch_of("bob", 3..=4));
        assert_eq!(young.unsettled(&id("bob")).puts.len(), 2);
    }
}
