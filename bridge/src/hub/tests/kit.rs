//! What the tests of the inboxes stand on: a clock that is set, ports and observers that write down what they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::observer::Observer;
use inbox_store::StoreError;
use inbox_types::{
    Age, AttachmentId, BootId, ClientId, Clock, Delivery, Expiry, Left, Limits, Message, Micros, Now, Outcome, Port,
    Qos, Room, Seq, Sizes, Ticket,
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
