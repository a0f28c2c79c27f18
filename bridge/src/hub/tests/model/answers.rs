//! What publishers are told (rules 3 and 6).

use super::*;

impl Model {
    /// What the answers say of seqs, to be known before anything else is checked.
    pub(in super::super) fn learn(&mut self, settled: &[(Ticket, Outcome)]) -> Result<(), TestCaseError> {
        for (Ticket(ticket), outcome) in settled {
            if let Outcome::Accepted(proof) = outcome {
                self.has_seq(*ticket, proof.seq())?;
            }
        }
        Ok(())
    }

    /// Rule 3: exactly one outcome, and yes only for what is safe.
    pub(in super::super) fn outcomes(
        &mut self,
        settled: Vec<(Ticket, Outcome)>,
        store: &MemoryStore,
    ) -> Result<(), TestCaseError> {
        for (Ticket(ticket), outcome) in settled {
            let sent = &self.sent[ticket as usize];
            let it = format!("message {ticket}: {sent:?}, {outcome:?}");
            check(sent.outcome.is_none(), || format!("a second outcome: {it}"))?;
            match &outcome {
                Outcome::Accepted(proof) => {
                    let durable = store.crash_image();
                    let is_safe = sent.gone || sent.written.is_some() || self.holds(&durable, sent.inbox, proof.seq());
                    check(is_safe, || format!("accepted, not stored and not acknowledged: {it}"))?;
                }
                Outcome::Refused(Refusal::InboxFull | Refusal::LargerThanInbox) => self.is_full(ticket, store)?,
                Outcome::Refused(Refusal::SenderShare) => self.has_its_share(ticket)?,
                Outcome::Refused(Refusal::StoreFailed) => {
                    check(self.failed, || format!("refused by a healthy store: {it}"))?
                }
                Outcome::Refused(Refusal::StoreTroubled) => return Err(TestCaseError::fail("the store lacks nothing")),
                Outcome::Refused(Refusal::OtherPayload) => return Err(TestCaseError::fail("nothing has an id")),
                Outcome::Refused(Refusal::DiskFull) => return Err(TestCaseError::fail("the disk is not full")),
                Outcome::Refused(Refusal::MemoryFull) => return Err(TestCaseError::fail("there is no budget")),
            }
            self.sent[ticket as usize].outcome = Some(outcome);
        }
        Ok(())
    }

    /// Nothing waits.
    pub(in super::super) fn settled(&self, store: &MemoryStore) -> Result<(), TestCaseError> {
        self.all_have_outcomes()?;
        for (ticket, sent) in self.stored().filter(|(_, sent)| sent.here && sent.written.is_none()) {
            let is_there = sent.seq.is_some_and(|seq| self.holds(store, sent.inbox, seq));
            let should = sent.is_present();
            check(is_there == should, || {
                format!("stored is {is_there}: message {ticket}: {sent:?}")
            })?;
        }
        for inbox in 0..self.inboxes.len() {
            let (messages, bytes) = self.count(inbox, |sent| sent.is_present() && sent.written.is_none());
            let (found_messages, found_bytes) = self.found[inbox];
            let size = self.size(inbox);
            let fits = messages <= size.messages_max.max(found_messages) && bytes <= size.bytes_max.max(found_bytes);
            let drops = self.limits.when_full == WhenFull::DropOldest;
            check(fits || !drops, || {
                format!("{messages} messages, {bytes} bytes are over the limits")
            })?;
            self.nobody_has_more(inbox)?;
        }
        Ok(())
    }

    pub(in super::super) fn all_have_outcomes(&self) -> Result<(), TestCaseError> {
        for (ticket, sent) in self.stored().filter(|(_, sent)| sent.here) {
            check(sent.outcome.is_some(), || {
                format!("no outcome: message {ticket}: {sent:?}")
            })?;
        }
        Ok(())
    }

    /// Rule 6: one seq per message, for ever, and in the order of the publishes to an inbox.
    pub(in super::super) fn has_seq(&mut self, ticket: u64, seq: Seq) -> Result<(), TestCaseError> {
        let sent = &mut self.sent[ticket as usize];
        let known = sent.seq.replace(seq).unwrap_or(seq);
        check(known == seq, || {
            format!("message {ticket} had seq {known} and has {seq}")
        })?;
        let other = *self.seqs.entry(seq).or_insert(ticket);
        check(other == ticket, || {
            format!("seq {seq} was given to message {other} and to {ticket}")
        })?;
        let before = self.seqs.range(..seq).next_back().map_or(0, |(_, ticket)| *ticket);
        let after = self
            .seqs
            .range(Seq(seq.0 + 1)..)
            .next()
            .map_or(u64::MAX, |(_, ticket)| *ticket);
        check(before <= ticket && ticket < after, || {
            format!("message {ticket} has seq {seq}, between {before} and {after}")
        })
    }
}
