//! What the log holds and the blocks do not yet: an index in memory, without I/O.
//!
//! A commit is applied when it is durable. A checkpoint takes an inbox's messages and removals from here once its blocks say the
//! same. **Why it is right:** a message is here, or in a block, or both; both is no harm, because equal seqs of one inbox are the same
//! message. A removal stays here for as long as a block may hold what it removes.

pub(crate) mod changes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::store::{Batch, InboxRecord};
use changes::Changes;
use inbox_types::{ClientId, Entry, Message, Seq};

/// What a message costs in memory beyond its [`Message::size`], and what a removal costs, in bytes: roughly, from the sizes of types.
const MESSAGE_BYTES: usize = 300;
const REMOVAL_BYTES: usize = 40;
/// What an inbox costs beyond its name: its place among the others, and the first node of each of its maps.
const INBOX_BYTES: usize = 400;

/// All inboxes that have something in the log.
#[derive(Debug, Default)]
pub(crate) struct Index {
    inboxes: BTreeMap<ClientId, InboxIndex>,
    /// No message in a block is above this seq.
    in_blocks: Seq,
    /// The highest seq that was put.
    highest: Seq,
    weight: usize,
    tables: Changes,
}

#[derive(Debug, Default)]
struct InboxIndex {
    puts: BTreeMap<Seq, Arc<Message>>,
    /// The sum of their sizes.
    bytes: u64,
    /// Removed, and perhaps in a block.
    removals: BTreeSet<Seq>,
}

/// What a reader needs to know of one inbox before it reads the blocks.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Messages that are not removed, in order, as many as were asked for.
    pub(crate) entries: Vec<Entry>,
    /// What is removed, and perhaps in a block, in order.
    pub(crate) removals: Vec<Seq>,
}

/// What the blocks of one inbox are to be told.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Messages, in order.
    pub(crate) puts: Vec<Entry>,
    /// Removals, in order.
    pub(crate) removals: Vec<Seq>,
}

impl Pending {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }
}

impl Index {
    /// Nothing, in a store where no message in a block is above `in_blocks`.
    pub(crate) fn new(in_blocks: Seq) -> Self {
        Index {
            in_blocks,
            highest: in_blocks,
            ..Index::default()
        }
    }

    /// A durable commit.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for (inbox, entry) in &batch.puts {
            self.highest = self.highest.max(entry.seq);
            let logged = match self.inboxes.get_mut(inbox) {
                Some(logged) => logged,
                None => {
                    self.weight += inbox_weight(inbox);
                    self.inboxes.entry(inbox.clone()).or_default()
                }
            };
            let replaced = logged.put(entry);
            self.weight += weight(&entry.message);
            self.weight -= replaced.map_or(0, |message| weight(&message));
        }
        for (inbox, seq) in &batch.removals {
            self.remove(inbox, *seq);
        }
        self.tables.apply(&batch.tables);
    }

    fn remove(&mut self, inbox: &ClientId, seq: Seq) {
        let may_be_in_block = seq <= self.in_blocks;
        let logged = match self.inboxes.get_mut(inbox) {
            Some(logged) => logged,
            None if may_be_in_block => {
                self.weight += inbox_weight(inbox);
                self.inboxes.entry(inbox.clone()).or_default()
            }
            None => return,
        };
        let put = logged.take(seq);
        self.weight -= put.map_or(0, |message| weight(&message));
        if may_be_in_block && logged.removals.insert(seq) {
            self.weight += REMOVAL_BYTES;
        }
        if logged.is_empty() {
            self.weight -= inbox_weight(inbox);
            self.inboxes.remove(inbox);
        }
    }

    /// Roughly what all this takes in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.weight + self.tables.weight()
    }

    /// The tables.
    pub(crate) fn tables(&self) -> &Changes {
        &self.tables
    }

    /// The tables, of which something is in the tree now.
    pub(crate) fn tables_mut(&mut self) -> &mut Changes {
        &mut self.tables
    }

    /// Whether something of `inbox` is here.
    pub(crate) fn has(&self, inbox: &ClientId) -> bool {
        self.inboxes.contains_key(inbox)
    }

    /// What is here of `inbox`, in total, beside what is in blocks; `None` when something is removed that may be in a block.
    pub(crate) fn totals(&self, inbox: &ClientId) -> Option<InboxRecord> {
        let Some(logged) = self.inboxes.get(inbox) else {
            return Some(InboxRecord::default());
        };
        logged.removals.is_empty().then_some(InboxRecord {
            messages: logged.puts.len() as u64,
            bytes: logged.bytes,
        })
    }

    /// At most `limit` messages of `inbox` above `after`, and every removal above it.
    pub(crate) fn view(&self, inbox: &ClientId, after: Seq, limit: usize) -> View {
        let Some(logged) = self.inboxes.get(inbox) else {
            return View::default();
        };
        let above = (Bound::Excluded(after), Bound::Unbounded);
        let puts = logged.puts.range(above).take(limit);
        View {
            entries: puts
                .map(|(seq, message)| Entry {
                    seq: *seq,
                    message: message.clone(),
                })
                .collect(),
            removals: logged.removals.range(above).copied().collect(),
        }
    }

    /// The first inbox after `after` that has something here.
    pub(crate) fn next_inbox(&self, after: Option<&ClientId>) -> Option<ClientId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (inbox, _) = self.inboxes.range::<ClientId, _>((from, Bound::Unbounded)).next()?;
        Some(inbox.clone())
    }

    /// Begins a checkpoint: from now on everything that was put until now may be in a block. Returns the seq that held until now and
    /// the one that holds now, which must be durable before any block is written.
    pub(crate) fn begin(&mut self) -> (Seq, Seq) {
        let before = self.in_blocks;
        self.in_blocks = self.in_blocks.max(self.highest);
        (before, self.in_blocks)
    }

    /// What the blocks of `inbox` are to be told in this checkpoint.
    pub(crate) fn pending(&self, inbox: &ClientId) -> Pending {
        let Some(logged) = self.inboxes.get(inbox) else {
            return Pending::default();
        };
        let puts = logged.puts.range(..=self.in_blocks);
        Pending {
            puts: puts
                .map(|(seq, message)| Entry {
                    seq: *seq,
                    message: message.clone(),
                })
                .collect(),
            removals: logged.removals.iter().copied().collect(),
        }
    }

    /// The blocks of `inbox` say what `done` says. What was removed meanwhile is still to be removed from them.
    pub(crate) fn forget(&mut self, inbox: &ClientId, done: &Pending) {
        let Some(logged) = self.inboxes.get_mut(inbox) else {
            return;
        };
        for entry in &done.puts {
            let put = logged.take(entry.seq);
            self.weight -= put.map_or(0, |message| weight(&message));
        }
        for seq in &done.removals {
            if logged.removals.remove(seq) {
                self.weight -= REMOVAL_BYTES;
            }
        }
        if logged.is_empty() {
            self.weight -= inbox_weight(inbox);
            self.inboxes.remove(inbox);
        }
    }
}

impl InboxIndex {
    /// Returns the message that was in its place.
    fn put(&mut self, entry: &Entry) -> Option<Arc<Message>> {
        self.bytes += entry.message.size() as u64;
        let replaced = self.puts.insert(entry.seq, entry.message.clone());
        self.bytes -= replaced.as_ref().map_or(0, |message| message.size() as u64);
        replaced
    }

    fn take(&mut self, seq: Seq) -> Option<Arc<Message>> {
        let taken = self.puts.remove(&seq);
        self.bytes -= taken.as_ref().map_or(0, |message| message.size() as u64);
        taken
    }

    fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }
}

fn inbox_weight(inbox: &ClientId) -> usize {
    inbox.as_str().len() + INBOX_BYTES
}

fn weight(message: &Message) -> usize {
    message.size() + MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{batch_of, id};

    fn removal(inbox: &str, seq: u64) -> Batch {
        Batch {
            removals: vec![(id(inbox), Seq(seq))],
            ..Batch::default()
        }
    }

    fn seqs(index: &Index, inbox: &str) -> Vec<u64> {
        let view = index.view(&id(inbox), Seq::ZERO, 100);
        view.entries.iter().map(|entry| entry.seq.0).collect()
    }

    /// Goal: a message that comes and goes between two checkpoints leaves nothing.
    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let mut index = Index::new(Seq(100));
        index.apply(&batch_of("bob", 101..=103));
        index.apply(&removal("bob", 102));
        index.apply(&removal("bob", 999));
        assert_eq!(seqs(&index, "bob"), [101, 103]);
        index.apply(&removal("bob", 101));
        index.apply(&removal("bob", 103));
        index.apply(&removal("carol", 104));
        assert_eq!((index.weight(), index.next_inbox(None)), (0, None));
    }

    /// Goal: a removal of what may be in a block is remembered until the blocks know, also when it comes in the middle.
    #[test]
    fn a_removal_outlives_the_checkpoint_that_it_meets() {
        let mut index = Index::new(Seq::ZERO);
        index.apply(&batch_of("bob", 1..=3));
        assert_eq!(index.begin(), (Seq(0), Seq(3)));
        let first = index.pending(&id("bob"));
        assert_eq!(first.puts.len(), 3);
        index.apply(&removal("bob", 2));
        index.apply(&batch_of("bob", 4..=4));
        assert_eq!(seqs(&index, "bob"), [1, 3, 4]);
        index.forget(&id("bob"), &first);
        let view = index.view(&id("bob"), Seq::ZERO, 100);
        assert_eq!((view.entries.len(), view.removals), (1, vec![Seq(2)]));
        assert_eq!(index.begin(), (Seq(3), Seq(4)));
        let second = index.pending(&id("bob"));
        assert_eq!((second.puts.len(), &*second.removals), (1, &[Seq(2)][..]));
        index.forget(&id("bob"), &second);
        assert_eq!((index.weight(), index.next_inbox(None)), (0, None));
    }

    /// Goal: after a crash in a checkpoint, a message that it may have written and that was removed is remembered as removed.
    #[test]
    fn replay_remembers_removals_of_what_may_be_in_block() {
        let mut index = Index::new(Seq(5));
        index.apply(&batch_of("bob", 4..=6));
        index.apply(&removal("bob", 4));
        index.apply(&removal("bob", 6));
        assert_eq!(seqs(&index, "bob"), [5]);
        assert_eq!(index.view(&id("bob"), Seq::ZERO, 100).removals, [Seq(4)]);
    }

    /// Goal: what came after the beginning waits for the next checkpoint.
    #[test]
    fn what_comes_later_waits() {
        let mut index = Index::new(Seq::ZERO);
        index.apply(&batch_of("bob", 1..=2));
        index.begin();
        index.apply(&batch_of("bob", 3..=4));
        assert_eq!(index.pending(&id("bob")).puts.len(), 2);
    }
}
