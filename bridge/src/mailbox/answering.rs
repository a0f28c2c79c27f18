//! Answers to publishers that a message does not bring itself, because it is never written, or because it repeats another one (contract rule 8).

use std::sync::Arc;

use super::{Context, Durability, Effects, Mailbox, NamedEnd, Origin};
use inbox_types::{Counters, Message, Outcome, Proof, PublishState, Refusal, Seq};

/// Repetitions of messages of one inbox that wait for their answers, at most: what a client may have unacknowledged, several times.
const REPEATS_MAX: usize = 4096;

/// A message that was gone before it was written. Its `id` is to be durable when its publisher is told, and so are receipts.
pub(super) struct Unwritten {
    pub(super) seq: Seq,
    pub(super) message: Arc<Message>,
    pub(super) origin: Option<Origin>,
    pub(super) state: PublishState,
}

impl Mailbox {
    /// A publish repeats the message `seq`: it is answered as that is, and when that is.
    pub(crate) fn repeat(&mut self, seq: Seq, is_delivered: bool, origin: Option<Origin>, cx: Context) {
        cx.counters.repeated.add(1);
        let Some(origin) = origin else { return };
        let is_young = self
            .young_at(seq)
            .is_some_and(|(_, durability)| durability != Durability::Durable);
        let mut unwritten = self.unwritten.iter().chain(&self.unwritten_committing);
        if !is_young && !unwritten.any(|one| one.seq == seq) {
            let state = if is_delivered {
                PublishState::Delivered
            } else {
                PublishState::Stored
            };
            origin.settle(Outcome::Accepted(Proof::that(seq, state)));
        } else if self.repeats.len() >= REPEATS_MAX {
            cx.counters.refused_store_troubled.add(1);
            origin.settle(Outcome::Refused(Refusal::StoreTroubled));
        } else {
            self.repeats.push((seq, origin));
        }
    }

    /// The publisher of a message is told, and whoever repeated it.
    #[inline]
    pub(super) fn answer(&mut self, seq: Seq, origin: Option<Origin>, outcome: Outcome) {
        if !self.repeats.is_empty() {
            self.answer_repeats(seq, &outcome);
        }
        if let Some(origin) = origin {
            origin.settle(outcome);
        }
    }

    #[cold]
    fn answer_repeats(&mut self, seq: Seq, outcome: &Outcome) {
        for (_, origin) in self.repeats.extract_if(.., |(repeated, _)| *repeated == seq) {
            origin.settle(outcome.clone());
        }
    }

    /// Whether this message is to be known again, so that its `id` is to be durable before its publisher is told that it was accepted.
    #[inline]
    pub(super) fn is_known(message: &Message, cx: Context) -> bool {
        cx.keeps_ids && message.is_named() && !inbox_types::fault!(AckIdsEarly)
    }

    /// A message is gone and was not written. If something about it is to be durable all the same, as when receipts are awaited, its publisher is told
    /// after that.
    pub(super) fn leave_unwritten(&mut self, one: Unwritten, is_awaited: bool, cx: Context, fx: &mut Effects) {
        if !is_awaited && !Mailbox::is_known(&one.message, cx) {
            return self.answer(one.seq, one.origin, Outcome::Accepted(Proof::that(one.seq, one.state)));
        }
        self.unwritten.push(one);
        fx.commit_by(cx.now.mono);
    }

    /// A message that was accepted, and waited, is refused after all.
    pub(super) fn refuse_accepted(
        &mut self,
        seq: Seq,
        message: Arc<Message>,
        origin: Option<Origin>,
        refusal: Refusal,
        fx: &mut Effects,
    ) {
        if message.id.is_some() {
            fx.named.push((seq, message, NamedEnd::Refused));
        }
        self.answer(seq, origin, Outcome::Refused(refusal));
    }

    /// Whether the next batch is to take something of this: not before it can take the count of what left unread, too, which receipts tell of.
    #[inline]
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty() && !self.unread.is_wanted()
    }

    /// What of it goes into the next batch: which messages.
    pub(crate) fn take_unwritten(&mut self) -> impl Iterator<Item = (Seq, Arc<Message>)> {
        let from = self.unwritten_committing.len();
        self.unwritten_committing.append(&mut self.unwritten);
        if from < self.unwritten_committing.len() {
            self.take_due();
        }
        let taken = self.unwritten_committing.iter().skip(from);
        taken.map(|one| (one.seq, one.message.clone()))
    }

    /// That batch is durable.
    #[inline]
    pub(super) fn unwritten_committed(&mut self) {
        if self.unwritten_committing.is_empty() {
            return;
        }
        for one in std::mem::take(&mut self.unwritten_committing) {
            self.answer(one.seq, one.origin, Outcome::Accepted(Proof::that(one.seq, one.state)));
        }
    }

    /// Nothing will be durable any more.
    pub(super) fn refuse_unwritten(&mut self, counters: &Counters) {
        let unwritten = self.unwritten.drain(..).chain(self.unwritten_committing.drain(..));
        let origins = unwritten.filter_map(|one| one.origin);
        for origin in origins.chain(self.repeats.drain(..).map(|(_, origin)| origin)) {
            counters.refused_store_failed.add(1);
            origin.settle(Outcome::Refused(Refusal::StoreFailed));
        }
    }
}
