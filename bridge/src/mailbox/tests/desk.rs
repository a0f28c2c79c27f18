//! One inbox on a desk, with everything that a hub does for it done by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::tests::kit::{FAR, SIZES, START, TestPort, age, id, message, message_from, small};
use crate::mailbox::{Amends, Context, Effects, Gathered, Mailbox, Origin};
use crate::tables::read_number;
use inbox_store::{Batch, MemoryStore, Page, PageLimit, Store, Table, TableKey};
use inbox_types::{
    Age, AttachmentId, ClientId, Counters, Entry, Events, Left, Limits, Message, Now, Outcome, Qos, Seq, Ticket,
};

/// Size of a message where it does not matter.
pub(super) const SIZE: usize = 8;

pub(super) struct Desk {
    pub(super) mailbox: Mailbox,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    events: Events,
    pub(super) now: Now,
    pub(super) store: MemoryStore,
    pub(super) port: Arc<TestPort>,
    /// The page that the reader asked for.
    pub(super) wanted: Option<(AttachmentId, Seq)>,
    /// It asked how many left unread.
    pub(super) wants_unread: bool,
    /// When the committer was asked for last.
    pub(super) commit_by: Option<Duration>,
    pub(super) left: Vec<(u64, Left)>,
    pub(super) is_short_of_memory: bool,
    inbox: ClientId,
    last: u64,
    attachments: u64,
}

impl Default for Desk {
    fn default() -> Self {
        Desk::new(small())
    }
}

impl Desk {
    pub(super) fn new(limits: Limits) -> Self {
        Desk {
            mailbox: Mailbox::new(Seq::ZERO, limits.inbox_size()),
            limits,
            counters: Counters::default(),
            events: Events::default(),
            now: START,
            store: MemoryStore::new(),
            port: Arc::default(),
            wanted: None,
            wants_unread: false,
            commit_by: None,
            left: Vec::new(),
            is_short_of_memory: false,
            inbox: id("bob"),
            last: 0,
            attachments: 0,
        }
    }

    /// The inbox leaves memory, and comes back.
    pub(super) fn forget(&mut self) {
        self.mailbox = Mailbox::new(self.mailbox.sent_mark(), self.mailbox.size);
    }

    pub(super) fn step<R>(&mut self, step: impl FnOnce(&mut Mailbox, Context, &mut Effects) -> R) -> R {
        let mut fx = Effects::default();
        let cx = Context {
            now: self.now,
            age: age(self.now),
            limits: &self.limits,
            size: self.mailbox.size,
            counters: &self.counters,
            events: &self.events,
            inbox: &self.inbox,
            sent_floor: Seq::ZERO,
            keeps_ids: true,
            is_short_of_memory: self.is_short_of_memory,
        };
        let result = step(&mut self.mailbox, cx, &mut fx);
        self.wanted = fx.page.or(self.wanted);
        self.wants_unread |= fx.unread.is_some();
        self.commit_by = fx.commit_by;
        self.mailbox.list_for(fx.commit_by);
        self.left.extend(fx.left.into_iter().map(|(seq, _, why)| (seq.0, why)));
        result
    }

    /// Publishes as seq 1, 2, 3…, which is the ticket too.
    pub(super) fn publish(&mut self) -> u64 {
        self.publish_sized(SIZE, FAR)
    }

    pub(super) fn publish_sized(&mut self, size: usize, expires_at: Age) -> u64 {
        self.publish_from("alice", size, expires_at)
    }

    pub(super) fn publish_from(&mut self, from: &str, size: usize, expires_at: Age) -> u64 {
        let message = message_from(from, self.last + 1, size, Qos::AtLeastOnce, expires_at);
        self.publish_message(message, None)
    }

    /// Publishes this one, which may be about an earlier one.
    pub(super) fn publish_message(&mut self, message: Arc<Message>, amends: Option<Amends>) -> u64 {
        self.last += 1;
        let seq = Seq(self.last);
        let origin = Some(Origin {
            port: self.port.clone(),
            ticket: Ticket(self.last),
        });
        self.step(|mailbox, cx, fx| match amends {
            Some(amends) => mailbox.publish_amending(seq, message, amends, origin, cx, fx),
            None => drop(mailbox.publish(seq, message, origin, cx, fx)),
        });
        self.last
    }

    pub(super) fn publish_qos0(&mut self) -> u64 {
        self.publish_qos0_sized(SIZE)
    }

    pub(super) fn publish_qos0_sized(&mut self, size: usize) -> u64 {
        self.last += 1;
        let seq = self.last;
        let message = message(seq, size, Qos::AtMostOnce, FAR);
        self.step(|mailbox, cx, fx| mailbox.publish_qos0(Seq(seq), message, cx, fx));
        seq
    }

    /// Publishes `count` messages and makes them durable.
    pub(super) fn store(&mut self, count: usize) {
        for _ in 0..count {
            self.publish();
        }
        self.commit();
    }

    pub(super) fn attach(&mut self, window: u16) -> AttachmentId {
        self.attachments += 1;
        let (attachment, port, last) = (AttachmentId(self.attachments), self.port.clone(), Seq(self.last));
        self.wanted = None;
        self.step(|mailbox, cx, fx| mailbox.attach(attachment, port, window, &[], last, cx, fx));
        attachment
    }

    /// Attaches with what the same connection has in flight already.
    pub(super) fn attach_again(&mut self, window: u16, in_flight: &[u64]) -> AttachmentId {
        self.attachments += 1;
        let (attachment, port, last) = (AttachmentId(self.attachments), self.port.clone(), Seq(self.last));
        let in_flight: Vec<_> = in_flight.iter().copied().map(Seq).collect();
        self.wanted = None;
        self.step(|mailbox, cx, fx| mailbox.attach(attachment, port, window, &in_flight, last, cx, fx));
        attachment
    }

    pub(super) fn written(&mut self, seq: u64) {
        self.step(|mailbox, cx, fx| mailbox.written(Seq(seq), cx, fx));
    }

    pub(super) fn detach(&mut self, attachment: AttachmentId) {
        self.step(|mailbox, cx, fx| mailbox.detach(attachment, cx, fx));
    }

    pub(super) fn page_out(&mut self) -> bool {
        self.step(|mailbox, _, _| mailbox.page_out())
    }

    pub(super) fn resume(&mut self, attachment: AttachmentId) {
        self.step(|mailbox, cx, fx| mailbox.resume(attachment, cx, fx));
    }

    pub(super) fn acknowledge(&mut self, seq: u64) {
        self.step(|mailbox, cx, fx| mailbox.acknowledge(Seq(seq), cx, fx));
    }

    pub(super) fn skip(&mut self, seq: u64) {
        self.step(|mailbox, cx, fx| mailbox.skip(Seq(seq), cx, fx));
    }

    /// What is due goes into a batch; questions are answered from the store.
    pub(super) fn begin(&mut self, all: bool) -> Batch {
        let (inbox, mut batch, mut bytes) = (self.inbox.clone(), Batch::default(), 0);
        for _ in 0..100 {
            self.mailbox.visit_at = None;
            let gathered = self.step(|mailbox, cx, fx| {
                let gathered = mailbox.gather(&inbox, all, &mut batch, &mut bytes, cx, fx);
                mailbox.take_unwritten().for_each(drop);
                if let Gathered::Later(deadline) = gathered {
                    fx.commit_by(deadline);
                }
                gathered
            });
            match gathered {
                Gathered::NeedsTotals => {
                    let record = self.store.inbox(&inbox).unwrap().unwrap_or_default();
                    self.step(|mailbox, cx, fx| mailbox.loaded(record, cx, fx));
                }
                Gathered::NeedsSenders(after) => {
                    let page = self.store.read(&inbox, after, PAGE).unwrap();
                    self.step(|mailbox, cx, fx| mailbox.senders_read(&page, cx, fx));
                }
                Gathered::NeedsNames(after) => {
                    let page = self.store.read(&inbox, after, PAGE).unwrap();
                    self.step(|mailbox, _, _| mailbox.names_read(&page));
                }
                Gathered::NeedsEarlier(seqs) => {
                    for seq in seqs {
                        let found = self.find(seq);
                        self.step(|mailbox, _, _| mailbox.earlier_read(seq, found));
                    }
                }
                Gathered::NeedsMessage(seq) => {
                    let found = self.find(seq);
                    self.step(|mailbox, cx, fx| mailbox.message_read(seq, found.as_ref(), cx, fx));
                }
                Gathered::NeedsOldest => {
                    let oldest = self.store.read(&inbox, Seq::ZERO, PAGE).unwrap().entries;
                    self.step(|mailbox, cx, fx| mailbox.drop_oldest(&oldest, cx, fx));
                }
                Gathered::NeedsUnread => {
                    let stored = self.counted();
                    self.step(|mailbox, cx, fx| mailbox.unread_read(stored, cx, fx));
                }
                Gathered::Later(_) | Gathered::Nothing => return batch,
            }
        }
        panic!("the inbox asks and asks");
    }

    /// A message that the store holds.
    fn find(&self, seq: Seq) -> Option<Arc<Message>> {
        let one = PageLimit { messages: 1, ..PAGE };
        let page = self.store.read(&self.inbox, Seq(seq.0 - 1), one).unwrap();
        let found = page.entries.into_iter().find(|entry| entry.seq == seq);
        found.map(|entry| entry.message)
    }

    /// What the store holds.
    pub(super) fn store_entries(&self) -> Vec<Entry> {
        self.store.read(&self.inbox, Seq::ZERO, PAGE).unwrap().entries
    }

    /// How many left unread, as the store counts them.
    pub(super) fn counted(&self) -> u64 {
        let count = self.store.get(Table::UNREAD, &TableKey::of(&self.inbox)).unwrap();
        count.as_deref().and_then(read_number).unwrap_or_default()
    }

    pub(super) fn finish(&mut self, batch: &Batch) {
        if !batch.is_empty() {
            self.store.commit(batch).unwrap();
        }
        self.step(|mailbox, cx, fx| mailbox.committed(cx, fx));
        self.audit();
    }

    /// Everything that waits becomes durable, removals too.
    pub(super) fn commit(&mut self) {
        loop {
            let batch = self.begin(true);
            // Something may have left without anything to write.
            self.finish(&batch);
            if batch.is_empty() {
                return;
            }
        }
    }

    /// Reads the page that the reader wants, and does not hand it over.
    pub(super) fn read(&mut self) -> Option<(AttachmentId, Page)> {
        let (attachment, after) = self.wanted.take()?;
        Some((attachment, self.store.read(&self.inbox, after, PAGE).unwrap()))
    }

    pub(super) fn give(&mut self, attachment: AttachmentId, page: Page) {
        self.step(|mailbox, cx, fx| mailbox.page(attachment, page, cx, fx));
    }

    /// Reads and hands over, until the reader wants no more.
    pub(super) fn turn_pages(&mut self) {
        while let Some((attachment, page)) = self.read() {
            self.give(attachment, page);
            self.audit();
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now.mono += by;
        self.now.wall.0 += by.as_micros() as u64;
    }

    /// Seqs delivered since the last call.
    pub(super) fn delivered(&self) -> Vec<u64> {
        self.port
            .take_delivered()
            .iter()
            .map(|(_, delivery)| delivery.seq.0)
            .collect()
    }

    /// The same, with their DUP flags.
    pub(super) fn delivered_with_dup(&self) -> Vec<(u64, bool)> {
        self.port
            .take_delivered()
            .iter()
            .map(|(_, delivery)| (delivery.seq.0, delivery.dup))
            .collect()
    }

    /// Tickets accepted since the last call; none was refused.
    pub(super) fn accepted(&self) -> Vec<u64> {
        let is_accepted = |(Ticket(ticket), outcome)| match outcome {
            Outcome::Accepted(proof) if proof.seq().0 == ticket => ticket,
            other => panic!("{ticket}: {other:?}"),
        };
        self.port.take_settled().into_iter().map(is_accepted).collect()
    }

    /// Seqs in the store.
    pub(super) fn stored(&self) -> Vec<u64> {
        self.store
            .seqs(&self.inbox, Seq::ZERO, 1_000)
            .unwrap()
            .iter()
            .map(|seq| seq.0)
            .collect()
    }

    pub(super) fn audit(&self) {
        let stored = self.store.inbox(&self.inbox).unwrap().unwrap_or_default();
        self.mailbox.audit(Some(stored), self.now.mono).unwrap();
        let all = PageLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let entries = self.store.read(&self.inbox, Seq::ZERO, all).unwrap().entries;
        self.mailbox.audit_shares(&entries).unwrap();
        self.mailbox.audit_names(&entries).unwrap();
    }
}

pub(super) const PAGE: PageLimit = PageLimit {
    messages: SIZES.page_messages_max,
    bytes: inbox_types::PAGE_BYTES_MAX,
};
