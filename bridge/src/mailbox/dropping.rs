//! An inbox that drops its oldest message when it is full (`inbox.when_full`, contract rule 5).

use std::sync::Arc;

use super::{Context, Durability, Effects, Mailbox};
use inbox_types::{Entry, Left, Message, Seq};

impl Mailbox {
    pub(super) fn is_over(&self, cx: Context) -> bool {
        let held = self.held();
        held.messages > cx.size.messages_max || held.bytes > cx.size.bytes_max
    }

    /// More arrived at once than the inbox holds, and nothing older is stored.
    pub(super) fn drop_oldest_waiting(&mut self, cx: Context, fx: &mut Effects) {
        while self.is_over(cx) {
            let Some(at) = self
                .young
                .iter()
                .position(|young| young.durability == Durability::Waiting)
            else {
                return;
            };
            let Some((seq, message)) = self.young.get(at).map(|young| (young.seq, young.message.clone())) else {
                return;
            };
            self.drop_one(seq, &message, Some((at, Durability::Waiting)), cx, fx);
        }
    }

    fn drop_one(
        &mut self,
        seq: Seq,
        message: &Arc<Message>,
        young: Option<(usize, Durability)>,
        cx: Context,
        fx: &mut Effects,
    ) {
        self.give_up_in_flight(seq);
        self.remove_unread(seq, message, young, Left::Dropped, cx, fx);
    }

    /// The oldest entries of the inbox that were not looked at yet, just read; as many of them leave as must.
    pub(crate) fn drop_oldest(&mut self, oldest: &[Entry], cx: Context, fx: &mut Effects) {
        for entry in oldest {
            if !self.is_over(cx) {
                break;
            }
            if !self.is_leaving(entry.seq) {
                let kept = self.young_at(entry.seq);
                self.drop_one(entry.seq, &entry.message, kept, cx, fx);
            }
        }
        if oldest.is_empty() {
            // The totals disagree with the store: count anew.
            self.totals = None;
        }
        self.pump(cx, fx);
    }
}
