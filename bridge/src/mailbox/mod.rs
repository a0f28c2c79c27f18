//! One inbox, as a state machine without I/O.
//!
//! ```text
//!              attach                    all that was stored is delivered
//!  Offline ─────────────▶ Replaying ────────────────────────────────────────▶ Live
//!     ▲                      ▲  │                                              │
//!     │                      └──┼── the reader falls behind what memory keeps ─┘
//!     └────────── detach ───────┴──────────────────────────────── detach ──────┘
//! ```
//!
//! A message is *young* from its acceptance until it is durable and no longer wanted in memory. What is not young is in the
//! store, or gone. Young messages are in seq order, and they become durable in that order, because a commit takes all
//! that wait. So everything before the first young message is durable, and a reader that has had all of that from the
//! store ([`reader::Reader::stored_up_to`]) goes on with the young ones, and misses nothing. Messages with QoS 0 are young until
//! they are sent: a reader that is still being replayed to gets them in between, where their seq belongs.

#![allow(
    clippy::disallowed_methods,
    reason = "a proof is made here, and nowhere else (contract rule 3)"
)]

mod accepting;
mod amended;
mod amending;
mod answering;
mod commit;
mod dropping;
mod in_flight;
mod leaving;
mod looking;
mod names;
mod owing;
mod purging;
mod queue;
mod reader;
mod room;
mod settling;
mod shares;
mod sharing;
mod step;
#[cfg(test)]
mod tests;
pub(crate) mod unread;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use amending::Amends;
pub(crate) use commit::Gathered;
pub use looking::{InMemory, Waiting};
pub(crate) use owing::Due;
pub use purging::Place;
pub(crate) use step::{Context, Effects, NamedEnd};

use crate::notices::Replaced;
use amending::Amending;
use answering::Unwritten;
use inbox_store::InboxRecord;
use inbox_types::{Delivery, Event, EventKind, InboxSize, Left, Message, Outcome, PAGE_BYTES_MAX, Port, Seq, Ticket};
use leaving::Fate;
use queue::{find, place_of, take_out};
use reader::Reader;
use shares::Shares;
use unread::Unread;

/// Bytes of the durable messages that stay in memory: a reader that has stopped to read costs no more than one that is replayed to.
const KEPT_BYTES_MAX: usize = PAGE_BYTES_MAX;

/// Who awaits the outcome of a publish.
pub(crate) struct Origin {
    pub(crate) port: Arc<dyn Port>,
    pub(crate) ticket: Ticket,
}

impl Origin {
    pub(crate) fn settle(self, outcome: Outcome) {
        self.port.settle(self.ticket, outcome);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Accepted, not in any batch yet.
    Waiting,
    /// In the batch that is being made durable.
    Committing,
    /// In that batch, and already on its way out again: it is removed when the batch is durable.
    CommittingGone,
    /// In the store; kept here for a reader that keeps up.
    Durable,
    /// QoS 0: never stored (contract rule 9).
    Never,
}

struct Young {
    seq: Seq,
    message: Arc<Message>,
    durability: Durability,
    origin: Option<Origin>,
    /// When it goes to the disk if its reader has not acknowledged it by then.
    held_until: Duration,
}

/// One inbox.
#[derive(Default)]
pub(crate) struct Mailbox {
    /// How much it holds. It is kept here so that no message waits for a rule to be looked up.
    pub(crate) size: InboxSize,
    young: VecDeque<Young>,
    /// What the store holds, less what is on its way out; `None` until somebody asked the store.
    totals: Option<InboxRecord>,
    /// The young messages that count towards the limits and are not in the totals.
    unstored: InboxRecord,
    /// Young messages with QoS 0, and the sum of their sizes.
    qos0_waiting: usize,
    qos0_bytes: usize,
    /// The sum of the sizes of young messages that are durable.
    kept_bytes: usize,
    /// Durable messages on their way out, and their size where it is known.
    removals: BTreeMap<Seq, Option<usize>>,
    /// Those of them in the batch that is being made durable.
    removals_committing: BTreeMap<Seq, Option<usize>>,
    removals_since: Duration,
    /// The batch is to take them, and waits for the store to tell of one.
    removals_are_due: bool,
    /// Messages waited for one batch already because removals of unknown size went first.
    has_put_off: bool,
    /// Notices, and the earlier notice that each replaces when it is durable.
    replaced: BTreeMap<Seq, Replaced>,
    /// Messages that were gone before they were written, and whose publishers wait for what is to be durable all the same.
    unwritten: Vec<Unwritten>,
    /// Those of them of the batch that is being made durable.
    unwritten_committing: Vec<Unwritten>,
    /// What senders are owed for messages that left, until the batch takes it that removes them.
    owed: BTreeMap<Seq, Due>,
    /// What the batch is to take.
    due: Vec<Due>,
    /// It took some, and is not durable.
    due_committing: bool,
    /// Messages that left and may owe something: nobody knows until they are read.
    unknown: BTreeMap<Seq, Fate>,
    /// Publishes that repeat one which has no answer yet.
    repeats: Vec<(Seq, Origin)>,
    /// Who holds how much, while one sender could hold more than it may.
    shares: Option<Box<Shares>>,
    /// What senders change their minds about, and by which names that is found.
    amending: Option<Box<Amending>>,
    reader: Option<Box<Reader>>,
    unread: Unread,
    /// Whether anybody waits for room here.
    is_awaited: bool,
    /// The highest seq ever sent to this client in this run.
    sent_up_to: Seq,
    /// When the committer is to visit this inbox, if it is on its list.
    pub(crate) visit_at: Option<Duration>,
    /// Since when nothing keeps this inbox in memory.
    pub(crate) idle_since: Option<Duration>,
}

impl Mailbox {
    /// An inbox of this size that is not in memory yet, and of which up to `sent_up_to` was sent in this run.
    pub(crate) fn new(sent_up_to: Seq, size: InboxSize) -> Self {
        Mailbox {
            size,
            sent_up_to,
            ..Mailbox::default()
        }
    }

    /// Whether it can be forgotten: nobody reads it and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.reader.is_none()
            && self.young.is_empty()
            && self.removals.is_empty()
            && self.removals_committing.is_empty()
            && !self.is_owing()
            && self.unwritten.is_empty()
            && self.unwritten_committing.is_empty()
            && self.unread.is_settled()
            && !self.wants_totals()
    }

    /// Whether its owner is there.
    pub(crate) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    /// Up to where messages that are still here may have been sent before; zero when none is left.
    pub(crate) fn sent_mark(&self) -> Seq {
        match self.totals {
            Some(InboxRecord { messages: 0, .. }) => Seq::ZERO,
            _ => self.sent_up_to,
        }
    }

    /// Whether anything was ever sent to this client, as far as is known.
    pub(crate) fn was_sent_any(&self) -> bool {
        self.sent_up_to > Seq::ZERO
    }

    /// What the store holds, if that is known and nothing is on its way out.
    pub(crate) fn settled_totals(&self) -> Option<InboxRecord> {
        let settled = self.removals.is_empty() && self.removals_committing.is_empty();
        self.totals.filter(|_| settled)
    }

    /// What counts towards the limits, as far as is known without asking the store.
    #[inline]
    fn held(&self) -> InboxRecord {
        let stored = self.totals.unwrap_or_default();
        InboxRecord {
            messages: stored.messages + self.unstored.messages,
            bytes: stored.bytes + self.unstored.bytes,
        }
    }

    /// Bytes accepted and neither durable nor gone.
    pub(crate) fn unstored_bytes(&self) -> usize {
        self.unstored.bytes as usize
    }

    /// Bytes of messages that this inbox holds in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let page = self.reader.as_ref().map_or(0, |reader| reader.page_bytes());
        let shares = self.shares.as_ref().map_or(0, |shares| shares.memory_bytes());
        self.unstored_bytes() + self.qos0_bytes + self.kept_bytes + page + shares + self.names_bytes()
    }

    /// The committer is wanted by `commit_by`. Gives the time to list this inbox for, unless it is listed for an earlier one.
    pub(crate) fn list_for(&mut self, commit_by: Option<Duration>) -> Option<Duration> {
        let sooner = commit_by.filter(|wanted| self.visit_at.is_none_or(|visit_at| *wanted < visit_at))?;
        self.visit_at = Some(sooner);
        Some(sooner)
    }

    /// Notes whether anything keeps this inbox in memory. Tells whether nothing does, and did before.
    pub(crate) fn note_idle(&mut self, now: Duration) -> bool {
        if !self.is_idle() {
            self.idle_since = None;
            return false;
        }
        let became_idle = self.idle_since.is_none();
        self.idle_since = self.idle_since.or(Some(now));
        became_idle
    }

    /// Sends what the window has room for: first what is stored, then what is young.
    fn pump(&mut self, cx: Context, fx: &mut Effects) {
        if self.unread.durable().is_none() {
            return;
        }
        while let Some(reader) = self.reader.as_mut().filter(|reader| reader.has_room()) {
            // A reader that keeps up mostly has everything.
            let newest = self.young.back().map_or(Seq::ZERO, |young| young.seq);
            if newest <= reader.cursor() && !reader.is_replaying() {
                return;
            }
            let at = place_of(&self.young, Seq(reader.cursor().0.saturating_add(1)), |young| young.seq);
            let at = at + usize::from(inbox_types::fault!(OutOfOrder) && at + 1 < self.young.len());
            let young = self.young.get(at);
            let next = match reader.next_stored(young.map(|young| young.seq), fx) {
                reader::Stored::Entry(entry) => (entry.seq, entry.message, None),
                reader::Stored::Wait => return,
                reader::Stored::Young => match young {
                    Some(young) if self.amending.is_some() && self.is_held_back(young.seq) => return,
                    Some(young) => (young.seq, young.message.clone(), Some((at, young.durability))),
                    None => return,
                },
            };
            self.send(next.0, next.1, next.2, cx, fx);
            if let Some(reader) = self.reader.as_mut() {
                reader.read_ahead(fx);
            }
        }
    }

    /// Sends one message, unless it is on its way out or its time is over.
    fn send(
        &mut self,
        seq: Seq,
        message: Arc<Message>,
        young: Option<(usize, Durability)>,
        cx: Context,
        fx: &mut Effects,
    ) {
        let gone = matches!(young, Some((_, Durability::CommittingGone))) || (young.is_none() && self.is_leaving(seq));
        let Some(reader) = self.reader.as_mut() else { return };
        reader.pass(seq);
        if gone && !inbox_types::fault!(DeliverLeaving) {
            return;
        }
        if reader.has(seq) {
            // Sent over this connection already: it is not sent again while that lasts (contract rule 4, MQTT-4.4.0-1).
            if let Some((at, Durability::Durable)) = young {
                drop(self.take_young(at));
            }
            return;
        }
        if message.is_expired(cx.age) {
            return self.remove_unread(seq, &message, young, Left::Expired, cx, fx);
        }
        let dup = seq <= self.sent_up_to.max(cx.sent_floor) && !inbox_types::fault!(NoDup);
        self.sent_up_to = self.sent_up_to.max(seq);
        cx.counters.delivered.add(1);
        cx.events.tell(EventKind::Delivered, || Event::Delivered {
            inbox: cx.inbox.clone(),
            seq,
            dup,
        });
        let awaits_acknowledgement = !matches!(young, Some((_, Durability::Never)));
        let dropped = self.unread.durable().unwrap_or_default();
        let sent = inbox_types::fault!(ReceiptBeforeAck).then(|| message.clone());
        let delivery = Delivery {
            seq,
            message,
            dup,
            dropped,
        };
        reader.send(delivery, awaits_acknowledgement);
        if let Some(message) = sent {
            self.owe(seq, &message, Fate::Read, cx, fx);
        }
        if let Some((at, Durability::Durable | Durability::Never)) = young {
            // What is durable or never will be is not needed here once it is sent.
            drop(self.take_young(at));
        }
    }

    fn young_at(&self, seq: Seq) -> Option<(usize, Durability)> {
        let at = find(&self.young, seq, |young| young.seq)?;
        self.young.get(at).map(|young| (at, young.durability))
    }

    fn take_young(&mut self, at: usize) -> Option<Young> {
        let young = take_out(&mut self.young, at)?;
        if !self.replaced.is_empty() {
            self.replaced.remove(&young.seq);
        }
        match young.durability {
            Durability::Never => {
                self.qos0_waiting -= 1;
                self.qos0_bytes -= young.message.size();
            }
            Durability::Durable => self.kept_bytes -= young.message.size(),
            _ => shrink(&mut self.unstored, young.message.size()),
        }
        Some(young)
    }
}

fn grow(record: &mut InboxRecord, size: usize) {
    record.messages += 1;
    record.bytes += size as u64;
}

fn shrink(record: &mut InboxRecord, size: usize) {
    record.messages = record.messages.saturating_sub(1);
    record.bytes = record.bytes.saturating_sub(size as u64);
}
