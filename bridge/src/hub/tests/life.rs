//! One broker's random life: a hub on a memory store, driven step by step, with commits, reads and sweeps cut into their parts so that
//! anything can happen in between, and looked at after every step.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::kit::{FAR, SIZES, TestClock, TestObserver, TestPort, age, id, message, message_from};
use super::model::{Model, check};
use super::ops::{INBOXES, Op, SETTLE, sender_of, size_of};
use crate::hub::reading::Wanted;
use crate::hub::unread::stored_unread;
use crate::hub::{Fetched, Hub, PendingCommit, ReadRequest};
use crate::mailbox::Place;
use inbox_store::{FaultPlan, MemoryStore, PageLimit, Store, StoreError};
use inbox_types::{
    Age, AttachmentId, ClientId, Clock, Entry, InboxSize, InboxSizes, Limits, PAGE_BYTES_MAX, Port, Qos, Seq, Ticket,
};

const ALL: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

/// A hub, what surrounds it, and what should be true of it.
pub(super) struct Life {
    store: MemoryStore,
    hub: Hub,
    requests: flume::Receiver<ReadRequest>,
    limits: Limits,
    clock: Arc<TestClock>,
    observer: Arc<TestObserver>,
    port: Arc<TestPort>,
    inboxes: Vec<ClientId>,
    /// A commit that began, and what came of writing it.
    pending: Option<(PendingCommit, Option<Result<(), StoreError>>)>,
    /// Pages that were read and not handed over.
    pages: Vec<(ReadRequest, Fetched)>,
    /// Expired messages that a sweep found and did not report.
    swept: Option<(usize, Vec<Entry>)>,
    model: Model,
}

/// What [`size_of`] says, for the hub.
struct Sizes(Vec<ClientId>, Limits);

impl InboxSizes for Sizes {
    fn size_of(&self, inbox: &ClientId, _: InboxSize) -> InboxSize {
        let at = self.0.iter().position(|known| known == inbox).unwrap_or_default();
        size_of(at, &self.1)
    }
}

impl Life {
    pub(super) fn new(limits: Limits) -> Self {
        let store = MemoryStore::new();
        let (clock, observer) = (Arc::new(TestClock::default()), Arc::new(TestObserver::default()));
        let (hub, requests) = Hub::open(&store, limits.clone(), clock.clone(), observer.clone()).unwrap();
        let inboxes: Vec<_> = ["ann", "bob", "cyd"].map(id).into();
        hub.resize(Some(Arc::new(Sizes(inboxes.clone(), limits.clone()))));
        Life {
            store,
            hub,
            requests,
            model: Model::new(inboxes.clone(), limits.clone()),
            limits,
            clock,
            observer,
            port: Arc::default(),
            inboxes,
            pending: None,
            pages: Vec::new(),
            swept: None,
        }
    }

    pub(super) fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let inbox_of = |inbox: usize| self.inboxes[inbox].clone();
        match op {
            Op::Publish { inbox, size, ttl } => self.publish(*inbox, *size, *ttl),
            Op::PublishQos0 { inbox, ttl } => {
                let expires_at = self.expiry(*ttl);
                let ticket = self.model.published(*inbox, 8, Qos::AtMostOnce, expires_at);
                let message = message(ticket, 8, Qos::AtMostOnce, expires_at);
                self.hub.publish_qos0(&inbox_of(*inbox), message);
            }
            Op::Attach { inbox, window } => self.attach(*inbox, *window),
            Op::AttachAgain { inbox } => self.attach_again(*inbox),
            Op::Written { inbox, pick } => {
                let written = pick_of(self.model.unacknowledged(*inbox), pick);
                for seq in &written {
                    self.model.written(*inbox, *seq, self.clock.now().mono);
                }
                self.hub.written(&inbox_of(*inbox), &written);
            }
            Op::Detach { inbox } => {
                if let Some(attachment) = self.model.detached(*inbox, self.clock.now().mono) {
                    self.hub.detach(&inbox_of(*inbox), attachment);
                }
            }
            Op::Ack { inbox, pick } => self.acknowledge(*inbox, pick_of(self.model.unacknowledged(*inbox), pick)),
            Op::AckLate { inbox, pick } => self.acknowledge(*inbox, pick_of(self.model.ever_delivered(*inbox), pick)),
            Op::AckAll { inbox } => self.acknowledge(*inbox, self.model.unacknowledged(*inbox)),
            Op::Skip { inbox, pick } => {
                for seq in pick_of(self.model.unsent(*inbox), pick) {
                    self.model.skipped(*inbox, seq);
                    self.hub.skip(&inbox_of(*inbox), seq);
                }
            }
            Op::CommitBegin { all } => {
                if self.pending.is_none() {
                    self.pending = Some((self.hub.begin_commit(&self.store, *all), None));
                }
            }
            Op::CommitWrite => self.write(),
            Op::CommitFinish => self.finish()?,
            Op::ReadStore => self.read_store(),
            Op::ReadGive { pick } => {
                if !self.pages.is_empty() {
                    let (request, page) = self.pages.remove(pick.index(self.pages.len()));
                    self.hub.hand_over(&request, page);
                }
            }
            Op::SweepRead { inbox } => {
                let mut entries = self.store.read(&inbox_of(*inbox), Seq::ZERO, ALL).unwrap().entries;
                entries.retain(|entry| entry.message.is_expired(age(self.clock.now())));
                self.swept = Some((*inbox, entries));
            }
            Op::SweepGive => {
                if let Some((inbox, entries)) = self.swept.take() {
                    self.model.sweeping = true;
                    self.hub.expire(&inbox_of(inbox), &entries);
                }
            }
            Op::Purge { inbox } => {
                let (id, all) = (inbox_of(*inbox), Seq(u64::MAX));
                self.hub.purge_memory(&id, all);
                let places = self.store.seqs(&id, Seq::ZERO, usize::MAX).unwrap();
                let places: Vec<_> = places.into_iter().map(|seq| Place { seq, message: None }).collect();
                self.hub.purge_places(&id, &places);
                self.model.purged(*inbox);
            }
            Op::Advance { millis } => self.clock.advance(Duration::from_millis(*millis)),
            Op::Jump { millis } => self.clock.jump(*millis * 1_000),
            Op::Evict => self.hub.evict_idle(Duration::from_millis(50)),
            Op::Crash => return self.crash(),
            Op::FailCommit { keeps } => return self.fail_commit(*keeps),
            Op::Settle => self.settle()?,
        }
        self.look()
    }

    /// The end of a life: readers that are there get everything, then everybody gets everything, then nothing is left.
    pub(super) fn end(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        self.drain()?;
        self.model.attached_have_all(self.clock.now())?;
        for inbox in 0..INBOXES {
            self.attach(inbox, 3);
            self.look()?;
        }
        self.drain()?;
        self.model.attached_have_all(self.clock.now())?;
        self.settle()?;
        for inbox in 0..INBOXES {
            self.run(&Op::Detach { inbox })?;
        }
        self.settle()?;
        self.model.qos0_accounted(self.hub.counters().qos0_undelivered.get())?;
        check(self.store.inboxes(None, 10).unwrap().is_empty(), || {
            "all was acknowledged and something is stored".into()
        })?;
        let uncommitted = self.hub.uncommitted_bytes.load(std::sync::atomic::Ordering::Relaxed);
        check(uncommitted == 0, || {
            format!("{uncommitted} bytes count as uncommitted and nothing is")
        })?;
        self.clock.advance(Duration::from_secs(10));
        self.hub.evict_idle(Duration::from_secs(5));
        for shard in &self.hub.shards {
            check(shard.lock().values_mut().next().is_none(), || {
                "a mailbox stays in memory for ever".into()
            })?;
        }
        Ok(())
    }

    fn publish(&mut self, inbox: usize, size: usize, ttl: u64) {
        let expires_at = self.expiry(ttl);
        let ticket = self.model.published(inbox, size, Qos::AtLeastOnce, expires_at);
        let message = message_from(sender_of(size), ticket, size, Qos::AtLeastOnce, expires_at);
        let port: Arc<dyn Port> = self.port.clone();
        self.hub.publish(&self.inboxes[inbox], message, &port, Ticket(ticket));
    }

    fn expiry(&self, ttl: u64) -> Age {
        match ttl {
            0 => FAR,
            millis => Age(age(self.clock.now()).0 + millis * 1_000),
        }
    }

    fn attach(&mut self, inbox: usize, window: u16) {
        self.attach_over(inbox, window, &[]);
    }

    /// With QoS 1 or 2, what is in flight stays in flight. A connection keeps its window.
    fn attach_again(&mut self, inbox: usize) {
        if let Some(window) = self.model.window(inbox) {
            let in_flight = self.model.unacknowledged(inbox);
            self.attach_over(inbox, window, &in_flight);
        }
    }

    fn attach_over(&mut self, inbox: usize, window: u16, in_flight: &[Seq]) {
        // Deliveries come before the number of the attachment is known to the caller.
        let next = AttachmentId(self.hub.attachments.load(std::sync::atomic::Ordering::Relaxed));
        // Over the same port: what was written settles as before.
        self.model.attached(inbox, next, window, in_flight);
        let inbox = &self.inboxes[inbox];
        let attachment = self.hub.attach_again(inbox, self.port.clone(), window, in_flight);
        assert_eq!(attachment, next);
    }

    fn acknowledge(&mut self, inbox: usize, seqs: Vec<Seq>) {
        for seq in &seqs {
            self.model.acknowledged(inbox, *seq);
        }
        if !seqs.is_empty() {
            self.hub.acknowledge(&self.inboxes[inbox], &seqs);
        }
    }

    fn write(&mut self) {
        if let Some((pending, written @ None)) = &mut self.pending {
            let batch = pending.batch();
            *written = Some(if batch.is_empty() {
                Ok(())
            } else {
                self.store.commit(batch)
            });
        }
    }

    fn finish(&mut self) -> Result<(), TestCaseError> {
        self.write();
        if let Some((pending, Some(written))) = self.pending.take() {
            let removals = pending.batch().removals.clone();
            if written.is_ok() {
                self.model.removed(&removals, self.clock.now().mono)?;
            }
            let round = self.hub.finish_commit(pending, written);
            check(round.is_ok(), || "a commit that was written failed".into())?;
        }
        Ok(())
    }

    fn read_store(&mut self) {
        let limit = PageLimit {
            messages: SIZES.page_messages_max,
            bytes: PAGE_BYTES_MAX,
        };
        if let Ok(request) = self.requests.try_recv() {
            let fetched = match request.wanted {
                Wanted::After(after) => Fetched::Page(self.store.read(&request.inbox, after, limit).unwrap()),
                Wanted::Unread => Fetched::Unread(stored_unread(&self.store, &request.inbox).unwrap()),
            };
            self.pages.push((request, fetched));
        }
    }

    /// Everything is written: everybody has an outcome, and the store holds what it should.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.finish()?;
        self.look()?;
        for _ in 0..1_000 {
            self.pending = Some((self.hub.begin_commit(&self.store, true), None));
            let wrote = self
                .pending
                .as_ref()
                .is_some_and(|(pending, _)| !pending.batch().is_empty());
            let listed = |life: &Life| life.hub.shards.iter().any(|shard| !shard.lock().listed.is_empty());
            self.finish()?;
            self.look()?;
            if !wrote && !listed(self) {
                return self.model.settled(&self.store);
            }
            if !wrote && self.model.is_settling() {
                // The committer comes again when it has settled.
                self.clock.advance(SETTLE);
            }
        }
        Err(TestCaseError::fail("there is always more to commit"))
    }

    /// Readers that are there take all that comes.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        loop {
            let mut progress = !self.pages.is_empty() || !self.requests.is_empty();
            self.read_store();
            for (request, page) in std::mem::take(&mut self.pages) {
                self.hub.hand_over(&request, page);
                self.look()?;
            }
            for inbox in 0..INBOXES {
                let unacknowledged = self.model.unacknowledged(inbox);
                progress |= !unacknowledged.is_empty();
                self.acknowledge(inbox, unacknowledged);
                self.look()?;
            }
            if !progress {
                return Ok(());
            }
        }
    }

    fn fail_commit(&mut self, keeps_failed: bool) -> Result<(), TestCaseError> {
        self.finish()?;
        self.look()?;
        let fail_commit = Some(self.store.commits() + 1);
        self.store.set_plan(FaultPlan {
            fail_commit,
            keeps_failed,
            freeze_after: None,
        });
        let failed = self.hub.commit_round(&self.store, true).is_err();
        check(failed == self.hub.has_failed(), || {
            "a failed commit and a healthy hub".into()
        })?;
        if failed {
            self.model.failed = true;
            check(*self.observer.failures.lock() == 1, || {
                "the operator was not told once".into()
            })?;
            self.publish(0, 8, 0);
            self.look()?;
            self.model.all_have_outcomes()?;
            return self.crash();
        }
        self.store.set_plan(FaultPlan::default());
        self.look()
    }

    fn crash(&mut self) -> Result<(), TestCaseError> {
        self.store = self.store.crash_image();
        self.observer = Arc::default();
        self.port = Arc::default();
        (self.pending, self.swept) = (None, None);
        self.pages.clear();
        let (clock, observer) = (self.clock.clone(), self.observer.clone());
        (self.hub, self.requests) = Hub::open(&self.store, self.limits.clone(), clock, observer).unwrap();
        let sizes = Sizes(self.inboxes.clone(), self.limits.clone());
        self.hub.resize(Some(Arc::new(sizes)));
        self.model.crashed(&self.store)?;
        self.look()
    }

    /// Takes in what the hub said, and looks into it.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        let left = std::mem::take(&mut *self.observer.left.lock());
        let settled = self.port.take_settled();
        let pending = self.pending.iter().flat_map(|(pending, _)| &pending.batch().puts);
        self.model.committing = pending.map(|(_, entry)| entry.seq).collect();
        self.model.learn(&settled)?;
        self.model.delivered(self.port.take_delivered(), now)?;
        self.model.left(left, now)?;
        self.model.outcomes(settled, &self.store)?;
        self.model.sweeping = false;
        if self.model.failed {
            return Ok(());
        }
        let between = matches!(self.pending, Some((_, Some(_))));
        for inbox in &self.inboxes {
            let mut shard = self.hub.shard(inbox).lock();
            let listed = shard.listed.clone();
            let Some((_, mailbox)) = shard.get_mut(inbox) else {
                continue;
            };
            let stored = (!between).then(|| self.store.inbox(inbox).unwrap().unwrap_or_default());
            mailbox
                .audit(stored, now.mono)
                .map_err(|why| TestCaseError::fail(format!("inbox {inbox}: {why}")))?;
            if !between {
                let entries = self.store.read(inbox, Seq::ZERO, ALL).unwrap().entries;
                mailbox
                    .audit_shares(&entries)
                    .and_then(|()| mailbox.audit_names(&entries))
                    .map_err(|why| TestCaseError::fail(format!("inbox {inbox}: {why}")))?;
            }
            let is_listed = mailbox.visit_at.is_none_or(|at| listed.contains(&(at, inbox.clone())));
            check(is_listed, || {
                format!("inbox {inbox} thinks that the committer will come, and it will not")
            })?;
        }
        Ok(())
    }
}

fn pick_of(seqs: Vec<Seq>, pick: &prop::sample::Index) -> Vec<Seq> {
    if seqs.is_empty() { seqs } else { vec![*pick.get(&seqs)] }
}
