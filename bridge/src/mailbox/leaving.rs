//! How a message leaves its inbox: acknowledged by its reader, or unread by a rule that somebody is told about (contract rule 5).

use std::sync::Arc;
use std::time::Duration;

use super::in_flight::InFlight;
use super::{Context, Durability, Effects, Mailbox, NamedEnd, Unwritten, Young, shrink};
use crate::notices::Replaced;
use inbox_types::{ClientId, Entry, Event, EventKind, Left, Message, NOTICE_FROM, Outcome, Proof, Seq, WhenFull};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its reader acknowledged it.
    Read,
    /// Its reader had it, and does not want it, for this reason code.
    Rejected(u8),
    /// It left unread.
    Unread(Left),
    /// Another message is there in its place, which says all that is to be said.
    Replaced,
}

impl Mailbox {
    /// The client has a message: it leaves the inbox. Unknown and repeated acknowledgements change nothing.
    pub(crate) fn acknowledge(&mut self, seq: Seq, cx: Context, fx: &mut Effects) {
        self.land(seq, Fate::Read, cx, fx);
    }

    /// The same of a message that the client does not want, for this reason code.
    pub(crate) fn reject(&mut self, seq: Seq, reason: u8, cx: Context, fx: &mut Effects) {
        self.land(seq, Fate::Rejected(reason), cx, fx);
    }

    #[inline]
    fn land(&mut self, seq: Seq, fate: Fate, cx: Context, fx: &mut Effects) {
        let landed = self.reader.as_mut().and_then(|reader| reader.landed(seq));
        let sent = landed.unwrap_or_else(|| InFlight::new(seq, None, None));
        self.leave_read(sent, fate, cx, fx);
        // Its place in the window is free, even if it had left before.
        self.pump(cx, fx);
    }

    /// A message leaves because its reader has it, unless it has left already. `sent` is what the reader's books say.
    pub(super) fn leave_read(&mut self, sent: InFlight, fate: Fate, cx: Context, fx: &mut Effects) {
        let InFlight {
            seq,
            size,
            message,
            gone: was_given_up,
        } = sent;
        let young = self.young_at(seq);
        let gone = match young {
            Some((_, durability)) => durability == Durability::CommittingGone,
            None => was_given_up || self.is_leaving(seq),
        };
        if gone {
            return;
        }
        cx.counters.acknowledged.add(1);
        let is_cancelled = matches!(young, Some((_, Durability::Waiting)));
        cx.events.tell(EventKind::Acknowledged, || Event::Acknowledged {
            inbox: cx.inbox.clone(),
            seq,
            is_cancelled,
        });
        if is_cancelled {
            cx.counters.never_written.add(1);
        }
        if young.is_none() && size.is_none() {
            self.ask_for(seq, fate);
        }
        self.remove(seq, young, (size, message.as_ref()), fate, cx, fx);
    }

    /// The client cannot take this message (it is larger than its Maximum Packet Size): it stays, and the next ones go on.
    pub(crate) fn skip(&mut self, seq: Seq, cx: Context, fx: &mut Effects) {
        if self.reader.as_mut().is_some_and(|reader| reader.landed(seq).is_some()) {
            if self.young_at(seq).is_some() {
                self.release_holds(cx.now.mono, fx);
            }
            self.pump(cx, fx);
        }
    }

    /// A message that the store holds has expired. Does nothing while it is in memory: delivery looks at the time itself.
    pub(crate) fn expire_stored(&mut self, entry: &Entry, cx: Context, fx: &mut Effects) {
        let in_memory =
            self.young_at(entry.seq).is_some() || self.is_with_reader(entry.seq) || self.is_leaving(entry.seq);
        if !in_memory && entry.message.is_expired(cx.age) {
            left_unread(entry.seq, &entry.message, Left::Expired, cx, fx);
            // It was read some time ago and may have left since: nothing is taken off the totals for it, they are counted anew.
            let known = (None, Some(&entry.message));
            self.remove(entry.seq, None, known, Fate::Unread(Left::Expired), cx, fx);
        }
    }

    /// A message of an inbox that is forgotten, which the store holds. Tells whether it leaves: what is in memory is not to.
    pub(crate) fn leave_forgotten(&mut self, entry: &Entry, cx: Context, fx: &mut Effects) -> bool {
        let in_memory = self.young_at(entry.seq).is_some() || self.is_leaving(entry.seq);
        if !in_memory {
            left_unread(entry.seq, &entry.message, Left::Idle, cx, fx);
            self.void_notice(entry.seq, &entry.message, fx);
            // As for one that expired.
            let known = (None, Some(&entry.message));
            self.remove(entry.seq, None, known, Fate::Unread(Left::Idle), cx, fx);
        }
        !in_memory
    }

    /// A notice leaves, unread: a later one that says all of it is durable. One that was sent meanwhile stays its reader's.
    pub(super) fn leave_replaced(&mut self, earlier: Replaced, cx: Context, fx: &mut Effects) {
        let is_unread = self.is_unread(earlier.seq, cx) || inbox_types::fault!(ReplaceGone);
        if !is_unread || self.is_leaving(earlier.seq) {
            return;
        }
        // Of an inbox that drops the oldest it may have been dropped already: then the totals are counted anew.
        let size = (cx.limits.when_full == WhenFull::Refuse).then_some(earlier.size);
        self.remove(
            earlier.seq,
            self.young_at(earlier.seq),
            (size, None),
            Fate::Replaced,
            cx,
            fx,
        );
    }

    /// A message is refused after all, or forgotten. If it is a notice, it is not in the store, so that none takes its place: taking it off the
    /// totals would make an inbox with mail look empty.
    pub(super) fn void_notice(&mut self, seq: Seq, message: &Message, fx: &mut Effects) {
        if message.from == *NOTICE_FROM {
            self.replaces_no_more(seq);
            fx.void_notices.push(seq);
        }
    }

    /// A message has left, and is not to leave once more when a notice that was to take its place is durable.
    pub(super) fn replaces_no_more(&mut self, seq: Seq) {
        if !self.replaced.is_empty() {
            self.replaced.retain(|_, earlier| earlier.seq != seq);
        }
    }

    pub(super) fn remove_unread(
        &mut self,
        seq: Seq,
        message: &Arc<Message>,
        young: Option<(usize, Durability)>,
        why: Left,
        cx: Context,
        fx: &mut Effects,
    ) {
        if matches!(young, Some((_, Durability::Never))) {
            cx.counters.qos0_undelivered.add(1);
        } else {
            left_unread(seq, message, why, cx, fx);
        }
        let known = (Some(message.size()), Some(message));
        self.remove(seq, young, known, Fate::Unread(why), cx, fx);
    }

    /// Takes a message out, wherever it is; of a stored one, `size` and `message` where they are known. Its publisher is answered: it was
    /// acknowledged by its reader, or it left by a rule that somebody is told about, as it may any time after its acceptance. But where something
    /// about it is to be durable first, its publisher waits for that.
    pub(super) fn remove(
        &mut self,
        seq: Seq,
        young: Option<(usize, Durability)>,
        (size, message): (Option<usize>, Option<&Arc<Message>>),
        fate: Fate,
        cx: Context,
        fx: &mut Effects,
    ) {
        self.replaces_no_more(seq);
        let state = self.state_left(seq, fate);
        self.forget_place(seq);
        self.made_room(cx, fx);
        let is_counted = !matches!(young, Some((_, Durability::Never | Durability::CommittingGone)));
        if is_counted && matches!(fate, Fate::Unread(left) if !left.is_withdrawn()) {
            self.leaves_unread(cx, fx);
        }
        match young {
            Some((at, Durability::Waiting | Durability::Never)) => {
                if let Some(Young { message, origin, .. }) = self.take_young(at) {
                    if message.asks_nothing() {
                        return self.answer(seq, origin, Outcome::Accepted(Proof::that(seq, state)));
                    }
                    note_read(seq, &message, fate, cx, fx);
                    let is_awaited = self.owe(seq, &message, fate, cx, fx);
                    let unwritten = Unwritten {
                        seq,
                        message,
                        origin,
                        state,
                    };
                    self.leave_unwritten(unwritten, is_awaited, cx, fx);
                }
            }
            Some((at, Durability::Committing)) => {
                let Some(young) = self.young.get_mut(at) else { return };
                young.durability = Durability::CommittingGone;
                let message = young.message.clone();
                note_read(seq, &message, fate, cx, fx);
                let is_awaited = self.owe(seq, &message, fate, cx, fx);
                if !is_awaited && !Mailbox::is_known(&message, cx) {
                    let origin = self.young.get_mut(at).and_then(|young| young.origin.take());
                    self.answer(seq, origin, Outcome::Accepted(Proof::that(seq, state)));
                }
            }
            Some((_, Durability::CommittingGone)) => {}
            Some((at, Durability::Durable)) => {
                let young = self.take_young(at);
                if let Some(young) = &young {
                    note_read(seq, &young.message, fate, cx, fx);
                    self.owe_stored(seq, &young.message, fate, cx, fx);
                }
                self.leave_store(seq, young.map(|young| young.message.size()), cx, fx);
            }
            None => {
                if let Some(message) = message {
                    self.owe_stored(seq, message, fate, cx, fx);
                }
                self.leave_store(seq, size, cx, fx);
            }
        }
    }

    /// Queues the removal of a durable message of `size` bytes; without a size, the totals are counted anew when next needed.
    pub(super) fn leave_store(&mut self, seq: Seq, size: Option<usize>, cx: Context, fx: &mut Effects) {
        match (self.totals.as_mut(), size) {
            (Some(totals), Some(size)) => shrink(totals, size),
            _ => self.totals = None,
        }
        if inbox_types::fault!(ForgetRemoval) {
            return;
        }
        self.made_room(cx, fx);
        if self.removals.is_empty() && !self.unread.waits() {
            self.removals_since = cx.now.mono;
        }
        self.removals.insert(seq, size);
        let may_wait = match self.owed.is_empty() {
            true => cx.limits.ack_flush_interval,
            false => Duration::ZERO,
        };
        fx.commit_by(self.removals_since + may_wait);
    }

    /// The books that say who holds what are without it.
    pub(super) fn forget_place(&mut self, seq: Seq) {
        self.share_shrinks(seq);
        self.names_shrink(seq);
    }

    pub(super) fn is_leaving(&self, seq: Seq) -> bool {
        self.removals.contains_key(&seq) || self.removals_committing.contains_key(&seq)
    }
}

/// A message with an `id` is with its reader: whoever repeats it is told so.
#[inline]
fn note_read(seq: Seq, message: &Arc<Message>, fate: Fate, cx: Context, fx: &mut Effects) {
    if fate == Fate::Read && cx.keeps_ids && message.is_named() {
        fx.named.push((seq, message.clone(), NamedEnd::Read));
    }
}

/// Somebody is told about a message that leaves without being read (contract rule 5).
fn left_unread(seq: Seq, message: &Message, why: Left, cx: Context, fx: &mut Effects) {
    told_left(seq, &message.from, message.id.as_deref(), why, cx, fx);
}

/// The same of one of which only this is known.
pub(super) fn told_left(seq: Seq, from: &ClientId, id: Option<&str>, why: Left, cx: Context, fx: &mut Effects) {
    match why {
        Left::Expired => cx.counters.expired.add(1),
        Left::Dropped => cx.counters.dropped.add(1),
        Left::Idle => cx.counters.idle.add(1),
        Left::Collapsed => cx.counters.collapsed.add(1),
        Left::Recalled => cx.counters.recalled.add(1),
        Left::Edited => cx.counters.edited.add(1),
        Left::Purged => {}
    }
    cx.events.tell(EventKind::Left, || Event::Left {
        inbox: cx.inbox.clone(),
        seq,
        from: from.clone(),
        id: id.map(Box::from),
        why,
    });
    if !inbox_types::fault!(LeaveSilently) {
        fx.left.push((seq, from.clone(), why));
    }
}
