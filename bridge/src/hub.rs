//! All inboxes that are in memory: those with a reader, and those recently written to. An offline inbox costs nothing.
//!
//! The table is cut into shards by client ID, each behind one lock. A lock is held for one step of one inbox (or a run of steps
//! in the same shard), never across I/O; a plain lock is simpler than a task per inbox and costs an idle inbox nothing. Ports are
//! called with the lock held, so that two publishers' messages reach a reader in seq order.

mod absence;
mod accepting;
mod amending;
mod commit;
mod door;
mod keeping;
mod looking;
mod memory;
mod notify;
mod purging;
mod reading;
mod receipts;
mod rooms;
mod sizing;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod unread;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

pub use absence::Absences;
pub use commit::{PendingCommit, Round};
pub use keeping::kept;
pub use purging::Purge;
pub use reading::{Fetched, ReadRequest};
use table::{Shard, ShardHasher};
pub use unread::count_unread;

use crate::age_clock::AgeClock;
use crate::alarm::Alarm;
use crate::dedupe::Dedupe;
use crate::mailbox::{Context, Effects, Mailbox, Origin};
use crate::notices::Notices;
use crate::observer::Observer;
use crate::rooms::Rooms;
use crate::seq_clock::SeqClock;
use inbox_store::{Poison, Store, StoreError, epoch_of};
use inbox_types::{
    Age, Budgets, ClientId, Clock, Counters, Epoch, Events, Left, Limits, Message, Now, Port, Pressure, Seq, Ticket,
    Timings,
};

const SHARDS: usize = 64;

/// The inboxes of one broker. It has no threads of its own: [`crate::Bridge`] runs one, and so can a simulator.
pub struct Hub {
    shards: Box<[Mutex<Shard>]>,
    hasher: ShardHasher,
    clock: Arc<dyn Clock>,
    seqs: SeqClock,
    age: AgeClock,
    limits: Limits,
    epoch: Option<Epoch>,
    sizes: sizing::OwnSizes,
    counters: Arc<Counters>,
    events: Arc<Events>,
    timings: Arc<Timings>,
    observer: Arc<dyn Observer>,
    /// When the committer is wanted.
    pub(crate) alarm: Alarm,
    reads: flume::Sender<ReadRequest>,
    attachments: AtomicU64,
    /// Bytes accepted and not yet durable, nor acknowledged.
    uncommitted_bytes: AtomicUsize,
    budgets: Arc<Budgets>,
    /// What the observer was told last of how scarce memory is.
    told_pressure: AtomicU8,
    disk_is_full: AtomicBool,
    /// Not even notices are accepted.
    disk_is_scarce: AtomicBool,
    /// Taken with an inbox locked, and for a moment.
    notices: Mutex<Notices>,
    rooms: Rooms,
    dedupe: Dedupe,
    receipts: receipts::Receipts,
    /// Taken for a moment, and with no inbox locked.
    kept: Mutex<keeping::Waiting>,
    /// Taken for a moment, and with anything else locked.
    keeping: Mutex<keeping::Sources>,
    came: absence::Came,
    poison: Poison,
    /// Whether the store counts messages that left unread, or is about to: else no inbox need ask it.
    counts_unread: AtomicBool,
    store_is_troubled: AtomicBool,
    /// The shard that the next batch begins with.
    gather_from: AtomicUsize,
}

impl Hub {
    /// Opens the inboxes in `store`, and makes the first reservation of seqs durable. Readers' requests for pages come out of the
    /// receiver; whoever takes one calls [`Hub::read`].
    pub fn open(
        store: &dyn Store,
        limits: Limits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Hub, flume::Receiver<ReadRequest>), StoreError> {
        // One request per attached reader at most is under way, so the readers bound it.
        let (reads, requests) = flume::unbounded();
        let seqs = SeqClock::new(store.reserved()?);
        let age = AgeClock::resume(store, clock.now(), clock.boot())?;
        let budgets = Budgets::new(limits.memory_bytes_max);
        let counters = Arc::<Counters>::default();
        let dedupe = Dedupe::new(&limits, &budgets, counters.clone());
        dedupe.load(store, age.age(clock.now()))?;
        let hub = Hub {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: ShardHasher::new(limits.sizes),
            clock,
            seqs,
            age,
            limits,
            epoch: epoch_of(store)?,
            sizes: sizing::OwnSizes::default(),
            counters,
            events: Arc::default(),
            timings: Timings::shared(),
            observer,
            alarm: Alarm::default(),
            reads,
            attachments: AtomicU64::new(1),
            uncommitted_bytes: AtomicUsize::new(0),
            budgets,
            told_pressure: AtomicU8::new(Pressure::None as u8),
            disk_is_full: AtomicBool::new(false),
            disk_is_scarce: AtomicBool::new(false),
            notices: Mutex::default(),
            rooms: Rooms::default(),
            dedupe,
            receipts: receipts::Receipts::default(),
            kept: Mutex::default(),
            keeping: Mutex::default(),
            came: absence::Came::default(),
            poison: Poison::default(),
            counts_unread: AtomicBool::new(unread::counts_unread(store)?),
            store_is_troubled: AtomicBool::new(false),
            gather_from: AtomicUsize::new(0),
        };
        hub.commit_round(store, false)?;
        hub.load_receipts(store)?;
        Ok((hub, requests))
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The limits that it was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The time by this hub's clock.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// How old the store is at `now`: the measure of how long messages wait (contract rule 5).
    pub fn age(&self, now: Now) -> Age {
        self.age.age(now)
    }

    /// Takes a message with QoS 1 or 2 for `inbox`. `port` is told the outcome under `ticket`, perhaps before this returns.
    pub fn publish(&self, inbox: &ClientId, message: Arc<Message>, port: &Arc<dyn Port>, ticket: Ticket) {
        self.publish_all(inbox, port, [(message, ticket)], self.clock.now());
    }

    /// Takes messages for `inbox` that came at `now`, in this order, like [`Hub::publish`]. The inbox is locked once.
    pub fn publish_all(
        &self,
        inbox: &ClientId,
        port: &Arc<dyn Port>,
        messages: impl IntoIterator<Item = (Arc<Message>, Ticket)>,
        now: Now,
    ) {
        let messages = messages.into_iter().map(|(message, ticket)| {
            let port = port.clone();
            (message, Some(Origin { port, ticket }))
        });
        #[cfg(feature = "testing")]
        if inbox_types::fault!(WrongInbox) {
            return messages.for_each(|(message, origin)| self.accept(&message.from.clone(), [(message, origin)], now));
        }
        self.accept(inbox, messages, now);
    }

    /// Passes on a message with QoS 0, if the client of `inbox` is there (contract rule 9).
    pub fn publish_qos0(&self, inbox: &ClientId, message: Arc<Message>) {
        if inbox_types::fault!(KeepQos0) {
            return self.accept(inbox, [(message, None)], self.clock.now());
        }
        if self.budgets.are_used_up() {
            return self.counters.qos0_undelivered.add(1);
        }
        let now = self.clock.now();
        let taken = self.step_existing(inbox, now, |mailbox, cx, fx| {
            let seq = self.next_seq(now)?;
            #[cfg(feature = "testing")]
            inbox_types::given(inbox, seq, &message);
            mailbox.publish_qos0(seq, message, cx, fx);
            Some(())
        });
        if taken.flatten().is_none() {
            self.counters.qos0_undelivered.add(1);
        }
    }

    /// Whether the store failed. Nothing is acknowledged any more.
    pub fn has_failed(&self) -> bool {
        self.poison.is_set()
    }

    /// One step of an inbox, which is brought into memory if need be.
    fn step<R>(&self, inbox: &ClientId, now: Now, step: impl FnOnce(&mut Mailbox, Context, &mut Effects) -> R) -> R {
        let mut shard = self.shard(inbox).lock();
        if !shard.contains(inbox) {
            shard.insert(inbox, self.size_of(inbox), self.knows_unread());
            self.was_awaited(&mut shard, inbox, now);
        }
        let (result, left) = self.step_locked(&mut shard, inbox, now, step);
        drop(shard);
        self.report(inbox, left);
        match result {
            Some(result) => result,
            None => unreachable!("an inbox was in its shard and is not, with the shard locked"),
        }
    }

    /// One step of an inbox, if it is in memory.
    fn step_existing<R>(
        &self,
        inbox: &ClientId,
        now: Now,
        step: impl FnOnce(&mut Mailbox, Context, &mut Effects) -> R,
    ) -> Option<R> {
        let mut shard = self.shard(inbox).lock();
        let (result, left) = self.step_locked(&mut shard, inbox, now, step);
        drop(shard);
        self.report(inbox, left);
        result
    }

    /// One step of an inbox in a locked shard, and what it asked for but the reports, which are made without the lock.
    fn step_locked<R>(
        &self,
        shard: &mut Shard,
        inbox: &ClientId,
        now: Now,
        step: impl FnOnce(&mut Mailbox, Context, &mut Effects) -> R,
    ) -> (Option<R>, Vec<(Seq, ClientId, Left)>) {
        let mut fx = Effects::default();
        let sent_floor = shard.sent_floor.max(self.seqs.floor());
        let Some((inbox, mailbox)) = shard.get_mut(inbox) else {
            return (None, fx.left);
        };
        let cx = Context {
            now,
            age: self.age.age(now),
            limits: &self.limits,
            size: mailbox.size,
            counters: &self.counters,
            events: &self.events,
            inbox,
            sent_floor,
            keeps_ids: self.dedupe.is_on(),
            is_short_of_memory: self.budgets.all.pressure() >= Pressure::PageOut,
        };
        let before = memory::Held::by(mailbox);
        let result = step(mailbox, cx, &mut fx);
        self.account(before, memory::Held::by(mailbox));
        if fx.may_have_room {
            self.offer_room(mailbox, cx);
        }
        if !fx.named.is_empty() {
            self.note_ids(inbox, &fx);
        }
        if !fx.void_notices.is_empty() {
            self.notices.lock().void(inbox, &fx.void_notices);
        }
        if let Some((attachment, after)) = fx.page {
            // The receiver lives as long as the bridge; after it is closed, nobody reads.
            let _closed = self.reads.send(ReadRequest {
                inbox: inbox.clone(),
                attachment,
                wanted: reading::Wanted::After(after),
            });
        }
        if let Some(attachment) = fx.unread {
            let _closed = self.reads.send(ReadRequest {
                inbox: inbox.clone(),
                attachment,
                wanted: reading::Wanted::Unread,
            });
        }
        if mailbox.counts_unread() && self.knows_unread() {
            // With the inbox locked, and before any batch counts it.
            self.counts_unread.store(true, Ordering::Relaxed);
        }
        let visit_at = mailbox.list_for(fx.commit_by);
        let became_idle = mailbox.note_idle(now.mono);
        if visit_at.is_some() || became_idle {
            let inbox = inbox.clone();
            if became_idle {
                shard.idle(now.mono, inbox.clone());
            }
            if let Some(deadline) = visit_at {
                shard.list(deadline, inbox);
                self.alarm.want(deadline);
            }
        }
        (Some(result), fx.left)
    }

    fn report(&self, inbox: &ClientId, left: Vec<(Seq, ClientId, Left)>) {
        for (seq, from, why) in left {
            self.observer.left(inbox, seq, &from, why);
        }
    }

    fn shard(&self, inbox: &ClientId) -> &Mutex<Shard> {
        let at = self.hasher.hash_one(inbox) as usize % SHARDS;
        match self.shards.get(at) {
            Some(shard) => shard,
            None => unreachable!("a remainder is smaller than its divisor"),
        }
    }
}
