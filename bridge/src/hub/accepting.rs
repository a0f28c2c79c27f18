//! Taking messages for an inbox, or refusing them: what is the same for all inboxes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Hub;
use crate::dedupe::{Look, Named};
use crate::mailbox::{Context, Effects, Mailbox, NamedEnd, Origin};
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
            for (message, mut origin) in messages {
                let named = self.dedupe.name(inbox, &message);
                let accepted = message.expiry.accepted();
                if let Some(named) = &named
                    && self.is_repeated(named, &mut origin, mailbox, cx)
                {
                    continue;
                }
                let Some(seq) = self.seq_to_keep(now) else {
                    refused.push(origin);
                    continue;
                };
                #[cfg(feature = "testing")]
                inbox_types::given(inbox, seq, &message);
                let is_taken = mailbox.publish(seq, message, origin, cx, fx);
                if let Some(named) = named.filter(|_| is_taken) {
                    self.dedupe.remember(&named, seq, accepted);
                }
            }
        });
        self.refuse(refused, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }

    /// Whether a publish repeats an `id` (contract rule 8): then it is answered.
    fn is_repeated(&self, named: &Named, origin: &mut Option<Origin>, mailbox: &mut Mailbox, cx: Context) -> bool {
        match self.dedupe.look(named, cx.age) {
            Look::New => return false,
            Look::Repeats(seq, is_delivered) => mailbox.repeat(seq, is_delivered, origin.take(), cx),
            Look::OtherPayload => {
                let (counter, refusal) = (&self.counters.refused_other_payload, Refusal::OtherPayload);
                self.refuse([origin.take()], counter, refusal);
            }
        }
        true
    }

    /// What became of messages with an `id`.
    #[cold]
    pub(super) fn note_ids(&self, inbox: &ClientId, fx: &Effects) {
        for (seq, message, end) in &fx.named {
            match end {
                NamedEnd::Refused => self.dedupe.forget(inbox, message, *seq),
                NamedEnd::Read => self.dedupe.note_delivered(inbox, message, *seq),
            }
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
