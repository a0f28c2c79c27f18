//! The committer's side of an inbox: what goes into the next batch, and what follows when it is durable.

use std::mem;
use std::time::Duration;

use super::amended::Wanted;
use super::{Context, Durability, Effects, Mailbox, grow, shrink};
use crate::notices::Replaced;
use inbox_store::{Batch, InboxRecord};
use inbox_types::{
    BATCH_BYTES_MAX, ClientId, Counters, Entry, Event, EventKind, Outcome, Proof, Refusal, Seq, Sizes, WhenFull,
};

/// After totals could not be read because something was lacking for now, they are asked for again.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What an inbox wants of the committer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// Nothing is left to write.
    Nothing,
    /// Something is left, for a batch not later than this.
    Later(Duration),
    /// First [`Mailbox::loaded`]: limits cannot be checked without the totals.
    NeedsTotals,
    /// First [`Mailbox::senders_read`], with the page after this seq: nobody knows who holds how much.
    NeedsSenders(Seq),
    /// First [`Mailbox::names_read`], with the page after this seq: a message is about an earlier one, and nobody knows where that is.
    NeedsNames(Seq),
    /// First [`Mailbox::earlier_read`], of each of these messages: others are about them.
    NeedsEarlier(Vec<Seq>),
    /// First [`Mailbox::message_read`], of this message: it leaves, and its sender may want to know.
    NeedsMessage(Seq),
    /// First [`Mailbox::drop_oldest`]: it is over its limits.
    NeedsOldest,
    /// First [`Mailbox::unread_read`]: nobody knows how many left unread before.
    NeedsUnread,
}

impl Mailbox {
    /// Adds to `batch` what is due: waiting messages that no reader is about to acknowledge, and removals. With `all`, everything.
    pub(crate) fn gather(
        &mut self,
        inbox: &ClientId,
        all: bool,
        batch: &mut Batch,
        batch_bytes: &mut usize,
        cx: Context,
        fx: &mut Effects,
    ) -> Gathered {
        if self.unread.is_wanted() {
            return Gathered::NeedsUnread;
        }
        let now = cx.now.mono;
        let waiting = |mailbox: &Mailbox| {
            let waiting = mailbox
                .young
                .iter()
                .filter(|young| young.durability == Durability::Waiting);
            waiting.map(|young| young.held_until).min()
        };
        let due = waiting(self).filter(|held_until| all || *held_until <= now);
        let settles =
            self.reader.is_some() && (all || due.is_some() || self.settles_by(cx.limits).is_some_and(|by| by <= now));
        let has_settled = (settles && self.settle_due(cx, fx)) || self.removals_are_due;
        if let Some(seq) = self.wants_message() {
            self.removals_are_due = has_settled;
            return Gathered::NeedsMessage(seq);
        }
        if due.is_some() && !self.puts_off() {
            let Some(totals) = self.totals else {
                return Gathered::NeedsTotals;
            };
            if let Some(after) = self.wants_senders(cx) {
                return Gathered::NeedsSenders(after);
            }
            if cx.limits.when_full == WhenFull::DropOldest {
                self.settle_for_room(|mailbox| mailbox.is_over(cx), cx, fx);
            }
            if cx.limits.when_full == WhenFull::DropOldest && self.is_over(cx) {
                if totals.messages > 0 {
                    return Gathered::NeedsOldest;
                }
                self.drop_oldest_waiting(cx, fx);
                if self.unread.is_wanted() {
                    return Gathered::NeedsUnread;
                }
            }
            if let Some(after) = self.totals.and_then(|totals| self.wants_names(totals)) {
                return Gathered::NeedsNames(after);
            }
            let up_to = match self.amend(batch, *batch_bytes, cx.limits.sizes, cx, fx) {
                Wanted::Messages(seqs) => return Gathered::NeedsEarlier(seqs),
                Wanted::UpTo(up_to) => up_to,
            };
            for earlier in self.take_waiting(up_to, inbox, batch, batch_bytes, cx.limits.sizes) {
                // In one batch with the notice that takes its place: a crash leaves one of the two.
                self.leave_replaced(earlier, cx, fx);
            }
        }
        let removals_by = self.removals_since + cx.limits.ack_flush_interval;
        let is_due = all || due.is_some() || has_settled || removals_by <= now || self.owes_with_removals();
        let has_removals = !self.removals.is_empty() || self.unread.waits();
        if inbox_types::fault!(ReceiptApart) && !self.owed.is_empty() {
            // The removals go with the next batch.
            self.take_due();
        } else if has_removals && is_due {
            self.take_removals(inbox, batch);
        } else if due.is_none() && self.wants_totals() {
            // Only where nothing is to be written: a store that cannot be read for now must not hold that up.
            return Gathered::NeedsTotals;
        }
        let has_removals = !self.removals.is_empty() || self.unread.waits();
        let removals_by = has_removals.then_some(removals_by);
        let settles_by = self.settles_by(cx.limits);
        let deadline = [waiting(self), removals_by, settles_by].into_iter().flatten().min();
        deadline.map_or(Gathered::Nothing, |deadline| Gathered::Later(deadline.max(now)))
    }

    /// Adds to `batch` all removals, and how many of what they remove left unread.
    pub(crate) fn take_removals(&mut self, inbox: &ClientId, batch: &mut Batch) {
        batch
            .removals
            .extend(self.removals.keys().map(|seq| (inbox.clone(), *seq)));
        self.removals_committing.append(&mut self.removals);
        self.removals_are_due = false;
        self.take_due();
        batch.tables.extend(self.unread.gather(inbox));
    }

    /// What the store holds for this inbox, read while no commit was under way. Refuses what does not fit.
    pub(crate) fn loaded(&mut self, mut record: InboxRecord, cx: Context, fx: &mut Effects) {
        // One of unknown size may not be in the store at all. Until it is durably gone it counts as if it stayed: totals that are
        // too small would make an inbox with mail look empty.
        for size in self
            .removals
            .values()
            .chain(self.removals_committing.values())
            .flatten()
        {
            shrink(&mut record, *size);
        }
        self.totals = Some(record);
        self.made_room(cx, fx);
        if cx.limits.when_full == WhenFull::DropOldest {
            return;
        }
        self.settle_for_room(|mailbox| mailbox.is_over(cx), cx, fx);
        let mut room = self.totals.unwrap_or(record);
        for mut young in mem::take(&mut self.young) {
            let size = young.message.size();
            let fits = room.messages < cx.size.messages_max && room.bytes + size as u64 <= cx.size.bytes_max;
            if young.durability == Durability::Waiting && !fits && !self.is_exempt(young.seq) {
                self.refuse_young(&mut young, Refusal::InboxFull, cx, fx);
                continue;
            }
            if !matches!(young.durability, Durability::Durable | Durability::Never) {
                grow(&mut room, size);
            }
            self.young.push_back(young);
        }
    }

    /// The batch that was gathered is durable.
    pub(crate) fn committed(&mut self, cx: Context, fx: &mut Effects) {
        self.unwritten_committed();
        self.due_committing = false;
        self.unread.committed();
        let removed = mem::take(&mut self.removals_committing);
        if removed.values().any(Option::is_none) {
            self.totals = None;
        }
        if let Some(reader) = self.reader.as_mut() {
            reader.forget_removed(&removed);
        }
        let mut kept_bytes = 0;
        let mut replaced = Vec::new();
        for mut young in mem::take(&mut self.young) {
            let seq = young.seq;
            let size = young.message.size();
            match young.durability {
                Durability::Committing | Durability::CommittingGone => {}
                durability => {
                    if durability == Durability::Durable {
                        kept_bytes += size;
                    }
                    self.young.push_back(young);
                    continue;
                }
            }
            if !self.replaced.is_empty() {
                replaced.extend(self.replaced.remove(&seq));
            }
            shrink(&mut self.unstored, size);
            if let Some(totals) = self.totals.as_mut() {
                grow(totals, size);
            }
            cx.events.tell(EventKind::Committed, || Event::Committed {
                inbox: cx.inbox.clone(),
                seq,
            });
            if self.reader.is_none() && young.durability != Durability::CommittingGone {
                cx.events.tell(EventKind::Stored, || Event::Stored {
                    inbox: cx.inbox.clone(),
                    seq,
                });
            }
            // After it is told: who listens once its publisher knows is told of none of it.
            let origin = young.origin.take();
            let state = self.amended(seq);
            self.answer(seq, origin, Outcome::Accepted(Proof::that(seq, state)));
            if young.durability == Durability::CommittingGone {
                self.leave_store(seq, Some(size), cx, fx);
            } else if self.has_passed(seq) {
                // Sent: from now on the store has it, until it is acknowledged.
            } else if !cx.is_short_of_memory && self.keeps_for_reader(self.young.len(), kept_bytes + size, cx) {
                kept_bytes += size;
                young.durability = Durability::Durable;
                self.young.push_back(young);
            } else {
                self.fall_back_to_store(seq);
            }
        }
        let kept = self
            .young
            .iter()
            .filter(|young| young.durability == Durability::Durable);
        self.kept_bytes = kept.map(|young| young.message.size()).sum();
        for earlier in replaced {
            self.leave_replaced(earlier, cx, fx);
        }
        self.count_by(cx.now.mono, fx);
        self.pump(cx, fx);
    }

    /// Nothing will be durable any more: whoever waits is told so.
    pub(crate) fn fail(&mut self, counters: &Counters) {
        for young in &mut self.young {
            if let Some(origin) = young.origin.take() {
                counters.refused_store_failed.add(1);
                origin.settle(if inbox_types::fault!(AckAfterFailedCommit) {
                    Outcome::Accepted(Proof::of(young.seq))
                } else {
                    Outcome::Refused(Refusal::StoreFailed)
                });
            }
        }
        self.refuse_unwritten(counters);
    }

    /// The store cannot be read for this inbox: what waits is refused, and forgotten. But for what its reader was sent already, if that passes
    /// and this is not the end: nobody is to get what was refused, so it waits a little longer.
    pub(crate) fn refuse_waiting(&mut self, refusal: Refusal, is_end: bool, cx: Context, fx: &mut Effects) {
        let sent_up_to = match (refusal, self.reader.as_ref()) {
            (Refusal::StoreTroubled, Some(reader)) if !is_end => reader.cursor(),
            _ => Seq::ZERO,
        };
        while let Some(at) = self
            .young
            .iter()
            .position(|young| young.durability == Durability::Waiting && young.seq > sent_up_to)
        {
            match refusal {
                Refusal::StoreTroubled => cx.counters.refused_store_troubled.add(1),
                _ => cx.counters.refused_store_failed.add(1),
            }
            let Some(young) = self.take_young(at) else { return };
            self.give_up_in_flight(young.seq);
            self.forget_place(young.seq);
            self.void_notice(young.seq, &young.message, fx);
            self.refuse_accepted(young.seq, young.message, young.origin, refusal, fx);
        }
        self.made_room(cx, fx);
        let again = cx.now.mono + READ_AGAIN_AFTER;
        for young in &mut self.young {
            if young.durability == Durability::Waiting {
                young.held_until = young.held_until.max(again);
                fx.commit_by(young.held_until);
            }
        }
        if !self.removals.is_empty() || self.unread.waits() {
            let removals_by = self.removals_since + cx.limits.ack_flush_interval;
            let is_wanted = self.unread.is_wanted();
            fx.commit_by(if is_wanted { removals_by.max(again) } else { removals_by });
        }
        if let Some(settles_by) = self.settles_by(cx.limits) {
            fx.commit_by(settles_by);
        }
        self.count_by(again, fx);
    }

    /// Nothing is acknowledged soon: what waits goes to the disk now.
    pub(super) fn release_holds(&mut self, now: Duration, fx: &mut Effects) {
        let mut released = false;
        for young in self
            .young
            .iter_mut()
            .filter(|young| young.durability == Durability::Waiting)
        {
            young.held_until = young.held_until.min(now);
            released = true;
        }
        if released {
            fx.commit_by(now);
        }
    }

    /// Gives the durable notices that leave with this batch, because later ones that take their place are in it. One that is not durable
    /// itself leaves when it is: whoever waits for it may only be answered then.
    fn take_waiting(
        &mut self,
        up_to: Seq,
        inbox: &ClientId,
        batch: &mut Batch,
        batch_bytes: &mut usize,
        sizes: Sizes,
    ) -> Vec<Replaced> {
        let mut taken = Vec::new();
        for young in self
            .young
            .iter_mut()
            .filter(|young| young.durability == Durability::Waiting)
        {
            if young.seq > up_to {
                break;
            }
            let size = young.message.size();
            let is_full = batch.puts.len() >= sizes.batch_messages_max || *batch_bytes + size > BATCH_BYTES_MAX;
            if is_full && !batch.puts.is_empty() {
                break;
            }
            *batch_bytes += size;
            young.durability = Durability::Committing;
            if self.replaced.contains_key(&young.seq) {
                taken.push(young.seq);
            }
            batch.puts.push((
                inbox.clone(),
                Entry {
                    seq: young.seq,
                    message: young.message.clone(),
                },
            ));
        }
        let durable = |mailbox: &Mailbox, seq| {
            let young = mailbox.young_at(seq);
            young.is_none_or(|(_, durability)| durability == Durability::Durable)
        };
        taken.retain(|seq| self.replaced.get(seq).is_some_and(|earlier| durable(self, earlier.seq)));
        taken.iter().filter_map(|seq| self.replaced.remove(seq)).collect()
    }

    /// Whether what waits is to wait for one more batch: with removals of unknown size under way the totals cannot be counted
    /// exactly. Not twice in a row, so that a reader who goes on with them does not hold publishers up.
    fn puts_off(&mut self) -> bool {
        let mut sizes = self.removals.values().chain(self.removals_committing.values());
        self.has_put_off = !self.has_put_off && self.totals.is_none() && sizes.any(Option::is_none);
        self.has_put_off
    }
}
