//! Taking messages for an inbox, or refusing them: what is the same for all inboxes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Hub;
use crate::dedupe::Look;
use crate::mailbox::{Context, Effects, Mailbox, Origin};
use inbox_types::{ClientId, Counter, Message, Now, Outcome, Refusal, Seq};

impl Hub {
    pub(super) fn accept(
        &self,
        inbox: &ClientId,
        messages: impl IntoIterator<Item = (Arc<Message>, Option<Origin>)>,
        now: Now,
    ) {
        if let Some((counter, refusal)) = self.refuses_all() {
            return self.refuse(messages.into_iter().map(|(_, origin)| origin), counter, refusal);
        }
        let mut refused = Vec::new();
        self.step(inbox, now, |mailbox, cx, fx| {
            for (message, origin) in messages {
                let is_named = self.dedupe.concerns(&message);
                let Some((message, origin)) = self.unless_known(is_named, message, origin, mailbox, cx) else {
                    continue;
                };
                match self.seq_to_keep(now) {
                    Some(seq) => {
                        #[cfg(feature = "testing")]
                        inbox_types::given(inbox, seq, &message);
                        let named = is_named.then(|| message.clone());
                        if mailbox.publish(seq, message, origin, cx, fx)
                            && let Some(message) = named
                        {
                            self.dedupe.remember(inbox, &message, seq);
                        }
                    }
                    None => refused.push(origin),
                }
            }
        });
        self.refuse(refused, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }

    /// Gives a publish back, unless it repeats an `id` (contract rule 8): that is answered.
    #[inline]
    pub(super) fn unless_known(
        &self,
        is_named: bool,
        message: Arc<Message>,
        origin: Option<Origin>,
        mailbox: &mut Mailbox,
        cx: Context,
    ) -> Option<(Arc<Message>, Option<Origin>)> {
        if !is_named {
            return Some((message, origin));
        }
        match self.dedupe.look(cx.inbox, &message, cx.age) {
            Look::New => return Some((message, origin)),
            Look::Repeats(seq, is_delivered) => mailbox.repeat(seq, is_delivered, origin, cx),
            Look::OtherPayload => {
                self.refuse([origin], &self.counters.refused_other_payload, Refusal::OtherPayload);
            }
        }
        None
    }

    /// What became of messages with an `id`.
    #[cold]
    pub(super) fn note_ids(&self, inbox: &ClientId, fx: &Effects) {
        for (seq, message) in &fx.refused {
            self.dedupe.forget(inbox, message, *seq);
        }
        for (seq, message) in &fx.read {
            self.dedupe.note_delivered(inbox, message, *seq);
        }
    }

    /// Why no inbox takes anything now, and where that is counted.
    #[inline]
    pub(super) fn refuses_all(&self) -> Option<(&Counter, Refusal)> {
        let counters = &self.counters;
        match () {
            () if self.has_failed() => Some((&counters.refused_store_failed, Refusal::StoreFailed)),
            () if self.disk_is_full.load(Ordering::Relaxed) => Some((&counters.refused_disk_full, Refusal::DiskFull)),
            () if self.budgets.are_used_up() => Some((&counters.refused_memory_full, Refusal::MemoryFull)),
            () if self.is_store_troubled() => Some((&counters.refused_store_troubled, Refusal::StoreTroubled)),
            () => None,
        }
    }

    pub(super) fn refuse(
        &self,
        origins: impl IntoIterator<Item = Option<Origin>>,
        counter: &Counter,
        refusal: Refusal,
    ) {
        for origin in origins {
            counter.add(1);
            if let Some(origin) = origin {
                origin.port.settle(origin.ticket, Outcome::Refused(refusal));
            }
        }
    }

    /// The next seq. Traffic that is never written would use the reservation up without the committer noticing: it is called.
    pub(super) fn next_seq(&self, now: Now) -> Option<Seq> {
        if self.seqs.is_low() {
            self.alarm.want(now.mono);
        }
        self.seqs.next(now.wall)
    }

    /// The next seq for a message that waits to be written; `None` once the hub has failed. That is looked at with the inbox locked: a failing hub
    /// passes by each inbox once, and this one may be done already.
    pub(super) fn seq_to_keep(&self, now: Now) -> Option<Seq> {
        self.next_seq(now).filter(|_| !self.has_failed())
    }
}
