//! What the tests of the inboxes stand on: a clock that is set, ports and observers that write down what they are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::hub::{Hub, ReadRequest};
use crate::observer::Observer;
use inbox_store::{FaultyStore, MemoryStore, StoreError};
use inbox_types::{
    Age, AttachmentId, BootId, ClientId, Clock, Delivery, Expiry, Left, Limits, Message, Micros, Now, Outcome, Port,
    Qos, RefusedPublishes, Room, Seq, Sizes, Ticket,
};

/// Where tests begin: some time after the epoch, so that the clock can go back.
pub(crate) const START: Now = Now {
    wall: Micros(1_000_000_000_000),
    mono: Duration::from_secs(100),
};

/// Small, so that short tests turn pages and fill batches too; and shards are the same in every run.
pub(crate) const SIZES: Sizes = Sizes {
    page_messages_max: 4,
    batch_messages_max: 16,
    kept_max: 4,
    shards_are_fixed: true,
};

/// The defaults, with small sizes.
pub(crate) fn small() -> Limits {
    Limits {
        sizes: SIZES,
        ..Limits::default()
    }
}

/// Long after every test.
pub(crate) const FAR: Age = Age(u64::MAX);

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Now>);

impl Default for TestClock {
    fn default() -> Self {
        TestClock(Mutex::new(START))
    }
}

impl TestClock {
    /// Both clocks go on.
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        now.mono += by;
        now.wall.0 += by.as_micros() as u64;
    }

    /// The system clock is set by somebody.
    pub(crate) fn jump(&self, micros: i64) {
        let mut now = self.0.lock();
        now.wall.0 = now.wall.0.saturating_add_signed(micros);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        *self.0.lock()
    }

    /// The machine goes on, whatever happens to the process.
    fn boot(&self) -> BootId {
        BootId(1)
    }
}

/// How old a store is that was new at [`START`].
pub(crate) fn age(now: Now) -> Age {
    Age((now.mono - START.mono).as_micros() as u64)
}

/// A session that only writes down.
#[derive(Default)]
pub(crate) struct TestPort {
    pub(crate) delivered: Mutex<Vec<(AttachmentId, Delivery)>>,
    pub(crate) settled: Mutex<Vec<(Ticket, Outcome)>>,
    /// Its client takes no bytes.
    pub(crate) is_full: AtomicBool,
}

impl TestPort {
    /// What was delivered since the last call.
    pub(crate) fn take_delivered(&self) -> Vec<(AttachmentId, Delivery)> {
        std::mem::take(&mut self.delivered.lock())
    }

    /// What was settled since the last call.
    pub(crate) fn take_settled(&self) -> Vec<(Ticket, Outcome)> {
        std::mem::take(&mut self.settled.lock())
    }
}

impl Port for TestPort {
    fn deliver(&self, attachment: AttachmentId, delivery: Delivery) -> Room {
        self.delivered.lock().push((attachment, delivery));
        match self.is_full.load(Relaxed) {
            true => Room::Full,
            false => Room::Left,
        }
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        self.settled.lock().push((ticket, outcome));
    }
}

/// An operator who writes down.
#[derive(Default)]
pub(crate) struct TestObserver {
    pub(crate) left: Mutex<Vec<(ClientId, Seq, Left)>>,
    pub(crate) failures: Mutex<u64>,
    pub(crate) unreadable: Mutex<Vec<ClientId>>,
}

impl Observer for TestObserver {
    fn left(&self, inbox: &ClientId, seq: Seq, _: &ClientId, why: Left) {
        self.left.lock().push((inbox.clone(), seq, why));
    }

    fn store_failed(&self, _: &StoreError) {
        *self.failures.lock() += 1;
    }

    fn unreadable(&self, inbox: &ClientId, _: &StoreError) {
        self.unreadable.lock().push(inbox.clone());
    }

    fn disk_is_full(&self, _: bool, _: u64) {}
}

/// A hub over a store in memory that can be made to fail, driven step by step.
pub(crate) struct Broker {
    pub(crate) hub: Hub,
    pub(crate) requests: flume::Receiver<ReadRequest>,
    pub(crate) store: FaultyStore,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) observer: Arc<TestObserver>,
    pub(crate) port: Arc<TestPort>,
}

impl Broker {
    pub(crate) fn new(limits: Limits) -> Self {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let (clock, observer) = (Arc::new(TestClock::default()), Arc::new(TestObserver::default()));
        let (hub, requests) = Hub::open(&store, limits, clock.clone(), observer.clone()).unwrap();
        Broker {
            hub,
            requests,
            store,
            clock,
            observer,
            port: Arc::default(),
        }
    }

    pub(crate) fn publish(&self, inbox: &str, ticket: u64) {
        let port: Arc<dyn Port> = self.port.clone();
        self.hub.publish(
            &id(inbox),
            message(ticket, 8, Qos::AtLeastOnce, FAR),
            &port,
            Ticket(ticket),
        );
    }

    /// Bob is told of a publish of his that was refused.
    pub(crate) fn refuse(&self, payload: u8) {
        let refused = RefusedPublishes {
            topic: "carol".into(),
            reason: 0x97,
            why: "the inbox is full".into(),
            payloads: vec![[payload; 32]],
        };
        let port: Arc<dyn Port> = self.port.clone();
        self.hub.notify(&id("bob"), &refused, &port, Ticket(payload.into()));
    }

    pub(crate) fn commit(&self) {
        while self.hub.commit_round(&self.store, true).unwrap().wrote {}
    }

    pub(crate) fn read(&self) {
        self.requests
            .try_iter()
            .for_each(|request| _ = self.hub.read(&self.store, &request));
    }

    /// Nothing happens for so long that inboxes without a reader leave memory.
    pub(crate) fn forget_idle(&self) {
        self.clock.advance(Duration::from_secs(10));
        self.hub.evict_idle(Duration::from_secs(5));
    }

    pub(crate) fn accepted(&self) -> BTreeSet<u64> {
        let settled = self.port.take_settled();
        settled
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Accepted(_)))
            .map(|(ticket, _)| ticket.0)
            .collect()
    }

    pub(crate) fn delivered(&self) -> Vec<(Seq, bool)> {
        self.port
            .take_delivered()
            .into_iter()
            .map(|(_, delivery)| (delivery.seq, delivery.dup))
            .collect()
    }
}

pub(crate) fn id(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

/// A message that begins with its ticket, has `size` bytes, and leaves a store of that age.
pub(crate) fn message(ticket: u64, size: usize, qos: Qos, expires_at: Age) -> Arc<Message> {
    message_from("alice", ticket, size, qos, expires_at)
}

/// The same from somebody else.
pub(crate) fn message_from(from: &str, ticket: u64, size: usize, qos: Qos, expires_at: Age) -> Arc<Message> {
    let mut payload = ticket.to_be_bytes().to_vec();
    payload.resize(size.max(8), b'.');
    Arc::new(Message {
        from: id(from),
        id: None,
        at: START.wall,
        expiry: Expiry::of(Age(0), expires_at.0 - 1, None),
        qos,
        payload: Bytes::from(payload),
        properties: None,
    })
}

/// The ticket in a message that [`message`] made.
pub(crate) fn ticket_of(message: &Message) -> u64 {
    u64::from_be_bytes(message.payload[..8].try_into().unwrap())
}
