//! An operator removes what an inbox holds, while it is in use (contract rule 5).
//!
//! The operator asked for it, and is told how many messages there were; of their senders, those who asked for receipts.

use std::sync::Arc;

use super::leaving::Fate;
use super::{Context, Durability, Effects, Mailbox};
use inbox_types::{Left, Message, Seq};

/// A message in the store.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its place.
    pub seq: Seq,
    /// The message, where it can be read.
    pub message: Option<Arc<Message>>,
}

impl Mailbox {
    /// What is in memory and not beyond `up_to` leaves. Gives what that was.
    pub(crate) fn purge_young(&mut self, up_to: Seq, cx: Context, fx: &mut Effects) -> Vec<Seq> {
        let leaves = |durability| !matches!(durability, Durability::Never | Durability::CommittingGone);
        let young = self.young.iter().take_while(|young| young.seq <= up_to);
        let leaving: Vec<_> = young
            .filter(|young| leaves(young.durability))
            .map(|young| (young.seq, young.message.size()))
            .collect();
        for (seq, size) in &leaving {
            self.give_up_in_flight(*seq);
            let known = (Some(*size), None);
            self.remove(*seq, self.young_at(*seq), known, Fate::Unread(Left::Purged), cx, fx);
        }
        self.purged(leaving.into_iter().map(|(seq, _)| seq).collect(), cx, fx)
    }

    /// What the store holds at these places leaves; they were just read from it, and the messages, too, where they can be read. Gives what that
    /// was: a message that its reader acknowledged since may be in it once more.
    pub(crate) fn purge_stored(&mut self, stored: &[Place], cx: Context, fx: &mut Effects) -> Vec<Seq> {
        let mut leaving = Vec::new();
        for Place { seq, message } in stored {
            if self.young_at(*seq).is_none() && !self.is_leaving(*seq) {
                self.give_up_in_flight(*seq);
                // It may have left since it was read: nothing is taken off the totals for it, they are counted anew.
                let known = (None, message.as_ref());
                self.remove(*seq, None, known, Fate::Unread(Left::Purged), cx, fx);
                leaving.push(*seq);
            }
        }
        self.purged(leaving, cx, fx)
    }

    /// Whether something up to `seq` is on its way out and not durably gone.
    pub(crate) fn is_removing(&self, up_to: Seq) -> bool {
        let is_first_before = |first: Option<&Seq>| first.is_some_and(|first| *first <= up_to);
        let is_committing_gone = |young: &super::Young| young.durability == Durability::CommittingGone;
        is_first_before(self.removals.keys().next())
            || is_first_before(self.removals_committing.keys().next())
            || self
                .young
                .iter()
                .take_while(|young| young.seq <= up_to)
                .any(is_committing_gone)
    }

    fn purged(&mut self, left: Vec<Seq>, cx: Context, fx: &mut Effects) -> Vec<Seq> {
        cx.counters.purged.add(left.len() as u64);
        // A later notice must not take the place of one that is gone: it would be taken off the totals a second time.
        fx.void_notices.extend_from_slice(&left);
        if !self.removals.is_empty() {
            // Somebody waits for it.
            self.removals_since = cx.now.mono.saturating_sub(cx.limits.ack_flush_interval);
            fx.commit_by(cx.now.mono);
        }
        self.pump(cx, fx);
        left
    }
}
