//! The plain model: what the contract says of a few inboxes, with maps and without cleverness. It is told what was done, checks what
//! the hub said, and knows what must be there.

#![allow(clippy::disallowed_methods, reason = "the model says what the mailbox must prove")]

mod answers;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::test_runner::TestCaseError;

use super::kit::{age, ticket_of};
use super::ops::{sender_of, size_of};
use inbox_store::{MemoryStore, PageLimit, Store};
use inbox_types::{
    Age, AttachmentId, ClientId, Delivery, InboxSize, Left, Limits, Now, Outcome, Qos, Refusal, Seq, Ticket, WhenFull,
};

/// One publish.
#[derive(Debug)]
struct Sent {
    inbox: usize,
    /// Its sender, with all of its clients.
    party: &'static str,
    size: u64,
    qos: Qos,
    expires_at: Age,
    outcome: Option<Outcome>,
    seq: Option<Seq>,
    /// Times that it was delivered, in all runs.
    deliveries: u64,
    /// Its client has it, or somebody was told that it left.
    gone: bool,
    /// It was written with QoS 0 then, and may leave when it has settled: until it comes again, it is there or not.
    written: Option<Duration>,
    /// Its removal is durable.
    removed: bool,
    /// It was published by this run, or found in the store when it began.
    here: bool,
    /// It was found in the store.
    found: bool,
}

/// The reader of one inbox.
#[derive(Debug)]
struct Attached {
    id: AttachmentId,
    window: usize,
    last: Seq,
    unacknowledged: BTreeSet<Seq>,
    delivered: BTreeSet<Seq>,
    /// On its connection already when it began.
    carried: BTreeSet<Seq>,
}

pub(super) struct Model {
    inboxes: Vec<ClientId>,
    limits: Limits,
    sent: Vec<Sent>,
    /// Which publish has a seq: for ever, in every run.
    seqs: BTreeMap<Seq, u64>,
    readers: Vec<Option<Attached>>,
    /// Per inbox, what its client got in this run.
    ever: Vec<BTreeSet<Seq>>,
    /// Per inbox, what this run found in it: a crash can leave more than the limits, when the batch that made room was cut short.
    found: Vec<(u64, u64)>,
    qos0: Qos0,
    /// The hub failed: it promises no more, but that nobody waits.
    pub(super) failed: bool,
    /// In the batch that is being written.
    pub(super) committing: BTreeSet<Seq>,
    /// What left unread in the step that is looked at.
    just_left: BTreeSet<Seq>,
    /// A sweep reports what it found some time ago.
    pub(super) sweeping: bool,
}

/// Messages with QoS 0 in this run.
#[derive(Default)]
struct Qos0 {
    published: u64,
    delivered: u64,
}

pub(super) fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), TestCaseError> {
    if holds { Ok(()) } else { Err(TestCaseError::fail(why())) }
}

impl Model {
    pub(super) fn new(inboxes: Vec<ClientId>, limits: Limits) -> Self {
        Model {
            readers: inboxes.iter().map(|_| None).collect(),
            ever: inboxes.iter().map(|_| BTreeSet::new()).collect(),
            found: vec![(0, 0); inboxes.len()],
            inboxes,
            limits,
            sent: Vec::new(),
            seqs: BTreeMap::new(),
            qos0: Qos0::default(),
            failed: false,
            committing: BTreeSet::new(),
            just_left: BTreeSet::new(),
            sweeping: false,
        }
    }

    /// Gives the ticket.
    pub(super) fn published(&mut self, inbox: usize, size: usize, qos: Qos, expires_at: Age) -> u64 {
        self.qos0.published += u64::from(qos == Qos::AtMostOnce);
        self.sent.push(Sent {
            inbox,
            party: sender_of(size).split('~').next().unwrap_or_default(),
            size: size as u64,
            qos,
            expires_at,
            outcome: None,
            seq: None,
            deliveries: 0,
            gone: false,
            written: None,
            removed: false,
            here: true,
            found: false,
        });
        self.sent.len() as u64 - 1
    }

    /// A reader that has `in_flight` over the same connection.
    pub(super) fn attached(&mut self, inbox: usize, id: AttachmentId, window: u16, in_flight: &[Seq]) {
        self.readers[inbox] = Some(Attached {
            id,
            window: window.into(),
            last: Seq::ZERO,
            unacknowledged: in_flight.iter().copied().collect(),
            delivered: in_flight.iter().copied().collect(),
            carried: in_flight.iter().copied().collect(),
        });
    }

    /// That of the present reader.
    pub(super) fn window(&self, inbox: usize) -> Option<u16> {
        let reader = self.readers[inbox].as_ref()?;
        u16::try_from(reader.window).ok()
    }

    /// What was written and has not settled stays, and comes again (rule 5).
    pub(super) fn detached(&mut self, inbox: usize, now: Duration) -> Option<AttachmentId> {
        let stays = |written: &Duration| !self.may_settle(inbox, *written, now);
        let staying: Vec<_> = (0..self.sent.len())
            .filter(|at| self.sent[*at].inbox == inbox && self.sent[*at].written.as_ref().is_some_and(stays))
            .collect();
        for at in staying {
            self.sent[at].written = None;
        }
        self.readers[inbox].take().map(|reader| reader.id)
    }

    /// Its reader was sent this with QoS 0.
    pub(super) fn written(&mut self, inbox: usize, seq: Seq, now: Duration) {
        let sent = &mut self.sent[self.seqs[&seq] as usize];
        if !sent.gone {
            sent.written = Some(now);
        }
        self.skipped(inbox, seq);
    }

    fn size(&self, inbox: usize) -> InboxSize {
        size_of(inbox, &self.limits)
    }

    pub(super) fn is_settling(&self) -> bool {
        self.sent.iter().any(|sent| sent.here && sent.written.is_some())
    }

    /// Whether what was written at that time may leave: when it has settled, or at any time to make room.
    fn may_settle(&self, inbox: usize, written: Duration, now: Duration) -> bool {
        let size = self.size(inbox);
        let is_roomy = size.messages_max >= 100_000 && size.bytes_max >= 1 << 20;
        !is_roomy || now >= written + self.limits.qos0_settle
    }

    /// What the present reader of an inbox has not acknowledged.
    pub(super) fn unacknowledged(&self, inbox: usize) -> Vec<Seq> {
        let reader = self.readers[inbox].iter();
        reader.flat_map(|reader| &reader.unacknowledged).copied().collect()
    }

    /// Of these, those that its session may find too large: they were not sent over its connection before.
    pub(super) fn unsent(&self, inbox: usize) -> Vec<Seq> {
        let reader = self.readers[inbox].iter();
        let unsent = reader.flat_map(|reader| reader.unacknowledged.difference(&reader.carried));
        unsent.copied().collect()
    }

    pub(super) fn ever_delivered(&self, inbox: usize) -> Vec<Seq> {
        let acknowledges = |seq: &Seq| self.sent[self.seqs[seq] as usize].written.is_none();
        self.ever[inbox].iter().copied().filter(acknowledges).collect()
    }

    pub(super) fn acknowledged(&mut self, inbox: usize, seq: Seq) {
        let ticket = self.seqs[&seq];
        self.sent[ticket as usize].gone = true;
        self.skipped(inbox, seq);
    }

    pub(super) fn skipped(&mut self, inbox: usize, seq: Seq) {
        if let Some(reader) = &mut self.readers[inbox] {
            reader.unacknowledged.remove(&seq);
        }
    }

    /// An operator removed everything that was published to this inbox.
    pub(super) fn purged(&mut self, inbox: usize) {
        let is_kept = |sent: &&mut Sent| sent.inbox == inbox && sent.here && sent.qos != Qos::AtMostOnce;
        for sent in self.sent.iter_mut().filter(is_kept) {
            sent.gone = true;
        }
    }

    /// These removals are durable.
    pub(super) fn removed(&mut self, removals: &[(ClientId, Seq)], now: Duration) -> Result<(), TestCaseError> {
        for (_, seq) in removals {
            let ticket = self.seqs[seq] as usize;
            let sent = &self.sent[ticket];
            let may_leave = sent.gone
                || sent
                    .written
                    .is_none_or(|written| self.may_settle(sent.inbox, written, now));
            check(may_leave, || {
                format!("left before it settled: message {ticket}: {sent:?}")
            })?;
            self.sent[ticket].removed = true;
        }
        Ok(())
    }

    /// Rules 4, 6 and 9, and the window.
    pub(super) fn delivered(
        &mut self,
        delivered: Vec<(AttachmentId, Delivery)>,
        now: Now,
    ) -> Result<(), TestCaseError> {
        for (attachment, delivery) in delivered {
            let (ticket, seq) = (ticket_of(&delivery.message), delivery.seq);
            self.has_seq(ticket, seq)?;
            let sent = &mut self.sent[ticket as usize];
            let it = format!("message {ticket} (seq {seq}): {sent:?}");
            let reader = self.readers[sent.inbox]
                .as_mut()
                .filter(|reader| reader.id == attachment);
            let Some(reader) = reader else {
                return Err(TestCaseError::fail(format!(
                    "delivered to somebody who does not read this inbox: {it}"
                )));
            };
            check(seq > reader.last, || {
                format!("out of order, after {}: {it}", reader.last)
            })?;
            check(self.failed || !sent.gone, || {
                format!("delivered although it left: {it}")
            })?;
            check(!sent.removed, || format!("delivered although durably removed: {it}"))?;
            check(
                self.failed || !matches!(sent.outcome, Some(Outcome::Refused(_))),
                || format!("delivered although refused: {it}"),
            )?;
            check(age(now) < sent.expires_at, || {
                format!("delivered although expired: {it}")
            })?;
            check(delivery.dup || sent.deliveries == 0, || {
                format!("delivered again without DUP: {it}")
            })?;
            sent.deliveries += 1;
            sent.written = None;
            reader.last = seq;
            check(reader.delivered.insert(seq), || {
                format!("delivered again over the same connection: {it}")
            })?;
            if sent.qos == Qos::AtMostOnce {
                self.qos0.delivered += 1;
                check(sent.deliveries == 1, || format!("QoS 0 delivered twice: {it}"))?;
                continue;
            }
            self.ever[sent.inbox].insert(seq);
            reader.unacknowledged.insert(seq);
            check(reader.unacknowledged.len() <= reader.window, || {
                format!("more than the window: {reader:?}")
            })?;
        }
        Ok(())
    }

    /// Rule 5: what leaves unread has a reason.
    pub(super) fn left(&mut self, left: Vec<(ClientId, Seq, Left)>, now: Now) -> Result<(), TestCaseError> {
        self.just_left = left.iter().map(|(_, seq, _)| *seq).collect();
        for (_, seq, why) in left {
            let Some(&ticket) = self.seqs.get(&seq) else {
                return Err(TestCaseError::fail(format!("seq {seq} left, and nobody published it")));
            };
            let sent = &mut self.sent[ticket as usize];
            let it = format!("message {ticket} (seq {seq}): {sent:?}");
            // A sweep may find gone what it saw some time ago.
            check(!sent.gone || self.sweeping, || format!("left twice: {it}"))?;
            let has_reason = match why {
                Left::Expired => sent.expires_at <= age(now) || self.sweeping,
                Left::Dropped => self.limits.when_full == WhenFull::DropOldest,
                Left::Idle | Left::Purged | Left::Collapsed | Left::Recalled | Left::Edited => false,
            };
            check(has_reason, || format!("{why:?} without a reason: {it}"))?;
            sent.gone = true;
        }
        Ok(())
    }

    /// Rule 4: who reads gets everything that is there.
    pub(super) fn attached_have_all(&self, now: Now) -> Result<(), TestCaseError> {
        for (ticket, sent) in self
            .stored()
            .filter(|(_, sent)| sent.is_present() && sent.written.is_none() && sent.expires_at > age(now))
        {
            if let Some(reader) = &self.readers[sent.inbox] {
                let has = sent.seq.is_some_and(|seq| reader.delivered.contains(&seq));
                check(has, || {
                    format!("not delivered to its reader: message {ticket}: {sent:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Rule 9: at most once, and counted if not at all.
    pub(super) fn qos0_accounted(&self, undelivered: u64) -> Result<(), TestCaseError> {
        let Qos0 { published, delivered } = self.qos0;
        check(published == delivered + undelivered, || {
            format!("of {published} with QoS 0, {delivered} were delivered and {undelivered} counted as not delivered")
        })
    }

    /// A new run begins with what `store` holds. Whatever was promised is there.
    pub(super) fn crashed(&mut self, store: &MemoryStore) -> Result<(), TestCaseError> {
        let all = PageLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let mut found = BTreeSet::new();
        for inbox in 0..self.inboxes.len() {
            for entry in store
                .read(&self.inboxes[inbox], Seq::ZERO, all)
                .map_err(|why| TestCaseError::fail(why.to_string()))?
                .entries
            {
                let ticket = ticket_of(&entry.message);
                self.has_seq(ticket, entry.seq)?;
                check(self.sent[ticket as usize].inbox == inbox, || {
                    format!("message {ticket} is in the wrong inbox")
                })?;
                found.insert(ticket);
            }
        }
        for (ticket, sent) in self.sent.iter_mut().enumerate() {
            let is_found = found.contains(&(ticket as u64));
            let it = format!("message {ticket}: {sent:?}");
            let promised =
                sent.here && matches!(sent.outcome, Some(Outcome::Accepted(_))) && !sent.gone && sent.written.is_none();
            check(is_found || !promised, || format!("lost in a crash: {it}"))?;
            check(!is_found || !sent.removed, || format!("back after its removal: {it}"))?;
            check(!is_found || sent.here, || format!("back from an earlier run: {it}"))?;
            (sent.here, sent.found) = (is_found, is_found);
            if is_found {
                // Found, it is as good as accepted; an acknowledgement that was not durable is forgotten (rule 7).
                (sent.gone, sent.written) = (false, None);
                if let Some(seq) = sent
                    .seq
                    .filter(|_| sent.outcome.is_none() || matches!(sent.outcome, Some(Outcome::Refused(_))))
                {
                    sent.outcome = Some(Outcome::Accepted(inbox_types::Proof::of(seq)));
                }
            }
        }
        self.found = (0..self.inboxes.len())
            .map(|inbox| self.count(inbox, Sent::is_present))
            .collect();
        self.readers.iter_mut().for_each(|reader| *reader = None);
        self.ever.iter_mut().for_each(BTreeSet::clear);
        self.qos0 = Qos0::default();
        self.failed = false;
        Ok(())
    }
}

impl Sent {
    /// It was accepted and nothing ended it.
    fn is_present(&self) -> bool {
        self.here && !self.gone && matches!(self.outcome, Some(Outcome::Accepted(_)))
    }
}
