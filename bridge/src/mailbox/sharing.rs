//! No sender holds more than its share of an inbox, so that one that floods it does not shut others out (`inbox.sender_share`, contract rule 3).
//!
//! An inbox that holds no more than one sender may needs no books: nobody in it can hold more. Only beyond that are its messages counted by
//! sender ([`shares`](super::shares)), from when something is to be written to it. What was published before they were counted is judged then, as the limits of an
//! inbox are whose totals were not known.

use std::mem;

use super::{Context, Durability, Effects, Mailbox, Young, shrink};
use inbox_store::{InboxRecord, Page};
use inbox_types::{ClientId, Message, NOTICE_FROM, Refusal, Seq};

impl Mailbox {
    /// Whether a sender may add a message of `size` bytes, as far as is known without asking the store.
    #[inline]
    pub(super) fn share_has_room(&self, from: &ClientId, size: usize, cx: Context) -> bool {
        let Some(shares) = self.shares.as_ref().filter(|shares| shares.wants_page().is_none()) else {
            return true;
        };
        let has_room = |max| *from == *NOTICE_FROM || shares.has_room(from, size, max);
        cx.limits.sender_max(cx.size).is_none_or(has_room) || inbox_types::fault!(IgnoreShare)
    }

    /// A message is accepted. Unless all is counted, it is when it has been judged.
    #[inline]
    pub(super) fn share_grows(&mut self, seq: Seq, message: &Message, size: usize) {
        if let Some(shares) = self.shares.as_mut().filter(|shares| shares.wants_page().is_none()) {
            shares.put(seq, &message.from, size);
        }
    }

    /// A message has left, or was refused after all.
    #[inline]
    pub(super) fn share_shrinks(&mut self, seq: Seq) {
        if let Some(shares) = self.shares.as_mut() {
            shares.gone(seq);
        }
    }

    /// Before anything is written, with the totals known: after which seq a page of the store is wanted, to say who holds how much.
    pub(super) fn wants_senders(&mut self, cx: Context) -> Option<Seq> {
        let (messages_max, bytes_max) = cx.limits.sender_max(cx.size)?;
        let InboxRecord { messages, bytes } = self.held();
        if messages > messages_max || bytes > bytes_max {
            return self.shares.get_or_insert_default().wants_page();
        }
        // Nobody can hold too much. What was counted is kept for a while, so that it is not counted again and again at the limit.
        let is_far_below = messages <= messages_max / 2 && bytes <= bytes_max / 2;
        if is_far_below || self.shares.as_ref().is_some_and(|shares| shares.wants_page().is_some()) {
            self.shares = None;
        }
        None
    }

    /// The page that was wanted, read while no commit was under way. With the last one, what waits is judged.
    pub(crate) fn senders_read(&mut self, page: &Page, cx: Context, fx: &mut Effects) {
        let Some(mut shares) = self.shares.take() else { return };
        for entry in page.entries.iter().filter(|entry| !self.is_leaving(entry.seq)) {
            shares.put(entry.seq, &entry.message.from, entry.message.size());
        }
        shares.page_was_read(page.entries.last().map(|last| last.seq), page.more);
        let is_complete = shares.wants_page().is_none();
        self.shares = Some(shares);
        if is_complete {
            self.judge_waiting(cx, fx);
            self.made_room(cx, fx);
        }
    }

    /// Memory is scarce: who holds how much is counted again when it is needed. Tells whether anything was known of that.
    pub(crate) fn forget_shares(&mut self) -> bool {
        self.shares.take().is_some()
    }

    /// What came before it could be told who holds how much: each as if it came now, in their order. What a reader was sent stays.
    fn judge_waiting(&mut self, cx: Context, fx: &mut Effects) {
        for mut young in mem::take(&mut self.young) {
            if young.durability == Durability::Waiting {
                let size = young.message.size();
                if !self.is_exempt(young.seq) && !self.share_has_room(&young.message.from, size, cx) {
                    self.refuse_young(&mut young, Refusal::SenderShare, cx, fx);
                    continue;
                }
                self.share_grows(young.seq, &young.message, size);
            }
            self.young.push_back(young);
        }
    }

    /// Whether a message that waits is not refused any more for want of room: a reader was sent it, or it takes the place of another one.
    pub(super) fn is_exempt(&self, seq: Seq) -> bool {
        self.has_passed(seq) || self.is_with_reader(seq) || self.replaced.contains_key(&seq)
    }

    /// A message that waited, and was taken out, does not fit.
    pub(super) fn refuse_young(&mut self, young: &mut Young, refusal: Refusal, cx: Context, fx: &mut Effects) {
        shrink(&mut self.unstored, young.message.size());
        self.forget_place(young.seq);
        self.void_notice(young.seq, &young.message, fx);
        count_no_room(refusal, cx);
        self.refuse_accepted(young.seq, young.message.clone(), young.origin.take(), refusal, fx);
    }
}

/// A message was refused because the inbox, or the share of its sender, had no room for it.
pub(super) fn count_no_room(refusal: Refusal, cx: Context) {
    match refusal {
        Refusal::SenderShare => cx.counters.refused_sender_share.add(1),
        _ => cx.counters.refused_inbox_full.add(1),
    }
}
