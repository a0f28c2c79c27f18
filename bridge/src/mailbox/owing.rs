//! Receipts that an inbox owes to senders (contract rule 11), from when a message leaves until they are in a batch.

use std::sync::Arc;

use super::leaving::Fate;
use super::{Context, Effects, Mailbox};
use crate::receipts::{Receipt, State, Unread};
use inbox_types::{Message, Seq};

/// What is to be durable together with the removal of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) seq: Seq,
    /// What its sender is told.
    pub(crate) receipt: Option<Receipt>,
    /// Its sender waits to be told that it was read.
    pub(crate) unread: Option<Unread>,
}

impl Mailbox {
    /// A message leaves. Most senders do not want to know.
    #[inline]
    pub(super) fn owe(&mut self, seq: Seq, message: &Message, fate: Fate, cx: Context, fx: &mut Effects) {
        if message.receipts_wanted().is_some() {
            self.owe_asked(seq, message, fate, cx, fx);
        }
    }

    #[cold]
    fn owe_asked(&mut self, seq: Seq, message: &Message, fate: Fate, cx: Context, fx: &mut Effects) {
        let state = match fate {
            Fate::Read => State::Delivered,
            Fate::Rejected(_) if inbox_types::fault!(RefusedIsDelivered) => State::Delivered,
            Fate::Rejected(reason) => State::Refused(reason),
            Fate::Unread(left) => State::of_left(left),
            Fate::Replaced => return,
        };
        let due = Due {
            seq,
            receipt: Receipt::of(message, cx.inbox, seq, cx.now.wall, state),
            unread: (fate == Fate::Read).then(|| Unread::of(message, cx.age)).flatten(),
        };
        if due.receipt.is_some() || due.unread.is_some() {
            self.owed.insert(seq, due);
            fx.commit_by(cx.now.mono);
        }
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
            self.owe(seq, message, fate, cx, fx);
        }
    }
}
