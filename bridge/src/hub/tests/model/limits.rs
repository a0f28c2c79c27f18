//! What inboxes hold, and may hold.

use super::*;

impl Model {
    /// A refusal for want of room was due. What is on its way out may count still.
    pub(super) fn is_full(&self, ticket: u64, store: &MemoryStore) -> Result<(), TestCaseError> {
        let new = &self.sent[ticket as usize];
        let (messages, bytes) = self.count(new.inbox, |sent| {
            let leaves = || {
                sent.seq
                    .is_some_and(|seq| self.committing.contains(&seq) || self.holds(store, sent.inbox, seq))
            };
            sent.here && !matches!(sent.outcome, Some(Outcome::Refused(_))) && (!sent.gone || leaves())
        });
        // This one is among them.
        let size = self.size(new.inbox);
        let is_full = messages > size.messages_max || bytes > size.bytes_max;
        check(is_full, || {
            format!("refused with room for it, at {messages} messages and {bytes} bytes: {new:?}")
        })
    }

    /// A refusal for its sender's share was due: with this one it would hold more, and it holds something.
    pub(super) fn has_its_share(&self, ticket: u64) -> Result<(), TestCaseError> {
        let new = &self.sent[ticket as usize];
        let (messages, bytes) = self.count(new.inbox, |sent| {
            // What left in the same step may have left afterwards, to make room.
            let was_there = !sent.gone || sent.seq.is_some_and(|seq| self.just_left.contains(&seq));
            sent.here && sent.party == new.party && was_there && !matches!(sent.outcome, Some(Outcome::Refused(_)))
        });
        let (messages_max, bytes_max) = self
            .limits
            .sender_max(self.size(new.inbox))
            .unwrap_or((u64::MAX, u64::MAX));
        check(messages > 1 && (messages > messages_max || bytes > bytes_max), || {
            format!("refused within its sender's share, at {messages} messages and {bytes} bytes: {new:?}")
        })
    }

    /// No sender holds more than its share, but for what its reader was sent before anybody counted, and what a crash left.
    pub(super) fn nobody_has_more(&self, inbox: usize) -> Result<(), TestCaseError> {
        let Some((messages_max, bytes_max)) = self.limits.sender_max(self.size(inbox)) else {
            return Ok(());
        };
        for party in ["ann", "eve"] {
            let counts = |sent: &Sent| sent.party == party && sent.is_present() && sent.deliveries == 0 && !sent.found;
            let (messages, bytes) = self.count(inbox, counts);
            let fits = messages <= 1 || (messages <= messages_max && bytes <= bytes_max);
            check(fits, || {
                format!("{party} holds {messages} messages and {bytes} bytes in inbox {inbox}")
            })?;
        }
        Ok(())
    }

    pub(super) fn count(&self, inbox: usize, counts: impl Fn(&Sent) -> bool) -> (u64, u64) {
        let here = self.stored().filter(|(_, sent)| sent.inbox == inbox && counts(sent));
        here.fold((0, 0), |(messages, bytes), (_, sent)| (messages + 1, bytes + sent.size))
    }

    pub(super) fn stored(&self) -> impl Iterator<Item = (usize, &Sent)> {
        self.sent
            .iter()
            .enumerate()
            .filter(|(_, sent)| sent.qos != Qos::AtMostOnce)
    }

    pub(super) fn holds(&self, store: &MemoryStore, inbox: usize, seq: Seq) -> bool {
        let one = PageLimit {
            messages: 1,
            bytes: usize::MAX,
        };
        let page = store.read(&self.inboxes[inbox], Seq(seq.0 - 1), one);
        page.is_ok_and(|page| page.entries.first().is_some_and(|first| first.seq == seq))
    }
}
