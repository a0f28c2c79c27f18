//! Receipts that an inbox owes to senders (contract rule 11), from when a message leaves until they are in a batch.

use std::sync::Arc;

use super::leaving::Fate;
use super::{Context, Effects, Mailbox};
use crate::receipts::{Asking, State, Unread};
use inbox_types::{Message, Micros, ReceiptsWanted, Seq};

/// What is to be durable together with the removal of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) seq: Seq,
    pub(crate) about: Asking,
    /// What its sender is told, if it wants to know.
    pub(crate) told: Option<State>,
    /// When it left, by the system clock.
    pub(crate) at: Micros,
    /// Its sender waits to be told that it was read.
    pub(crate) is_unread: bool,
}

impl Mailbox {
    /// A message leaves that the store does not have. Tells whether its sender wants to know; most do not.
    #[inline]
    pub(super) fn owe(&mut self, seq: Seq, message: &Arc<Message>, fate: Fate, cx: Context, fx: &mut Effects) -> bool {
        let wanted = message.receipts_wanted();
        if let Some(wanted) = wanted {
            // It is kept whole until the batch all the same.
            self.owe_asked(seq, Asking::Whole(message.clone()), wanted, fate, cx, fx);
        }
        wanted.is_some()
    }

    /// The same of one that the store has.
    #[inline]
    pub(super) fn owe_stored(&mut self, seq: Seq, message: &Message, fate: Fate, cx: Context, fx: &mut Effects) {
        if let Some(wanted) = message.receipts_wanted()
            && let Some(asked) = Unread::of(message, cx.age)
        {
            self.owe_asked(seq, Asking::Kept(asked), wanted, fate, cx, fx);
        }
    }

    #[cold]
    fn owe_asked(
        &mut self,
        seq: Seq,
        about: Asking,
        wanted: ReceiptsWanted,
        fate: Fate,
        cx: Context,
        fx: &mut Effects,
    ) {
        let state = match fate {
            Fate::Read => State::Delivered,
            Fate::Rejected(_) if inbox_types::fault!(RefusedIsDelivered) => State::Delivered,
            Fate::Rejected(reason) => State::Refused(reason),
            Fate::Unread(left) => State::of_left(left),
            Fate::Replaced => return,
        };
        let told = Some(state).filter(|state| state.is_told(wanted));
        let is_unread = fate == Fate::Read && wanted.read;
        if told.is_none() && !is_unread {
            return;
        }
        let due = Due {
            seq,
            about,
            told,
            at: cx.now.wall,
            is_unread,
        };
        self.owed.insert(seq, due);
        fx.commit_by(cx.now.mono);
    }

    /// Whether a batch is to take the removals, because receipts go with them.
    pub(super) fn owes_with_removals(&self) -> bool {
        !self.owed.is_empty() && self.owed.keys().any(|seq| self.is_out(*seq))
    }

    /// What goes with the removals that are in the batch, and with what was never written.
    pub(super) fn take_due(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let owed = std::mem::take(&mut self.owed);
        for (seq, due) in owed {
            match self.is_out(seq) {
                true => self.due.push(due),
                false => _ = self.owed.insert(seq, due),
            }
        }
        self.due_committing |= !self.due.is_empty();
    }

    /// Whether there is any.
    #[inline]
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The same, for the batch.
    pub(crate) fn due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.due)
    }

    /// Whether something that this inbox owes is not durable yet.
    pub(crate) fn is_owing(&self) -> bool {
        !self.owed.is_empty() || !self.unknown.is_empty() || self.due_committing
    }

    /// It is not in memory as a message that is being written.
    fn is_out(&self, seq: Seq) -> bool {
        self.young_at(seq).is_none() && !self.unknown.contains_key(&seq)
    }

    /// A message left of which nothing is known: whoever drives this reads it, and says so.
    pub(super) fn ask_for(&mut self, seq: Seq, fate: Fate) {
        self.unknown.insert(seq, fate);
    }

    /// The first of these.
    pub(crate) fn wants_message(&self) -> Option<Seq> {
        self.unknown.keys().next().copied()
    }

    /// What was asked for: the message, if it is there.
    pub(crate) fn message_read(&mut self, seq: Seq, message: Option<&Arc<Message>>, cx: Context, fx: &mut Effects) {
        if let Some(fate) = self.unknown.remove(&seq)
            && let Some(message) = message
        {
            self.owe_stored(seq, message, fate, cx, fx);
        }
    }
}
