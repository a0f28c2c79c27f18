//! A store in memory, which has what was committed and forgets the rest in a crash.

use std::collections::BTreeMap;

use inbox_types::{AttachmentId, Delivery, Outcome, Port, Proof, Refusal, Room, Seq, Ticket};

use super::*;

type Waits = Option<(Arc<dyn Port>, Ticket)>;

#[derive(Default)]
pub(super) struct MemoryStore {
    durable: Mutex<BTreeMap<Bytes, Bytes>>,
    waiting: Mutex<Vec<(Bytes, Option<Bytes>, Waits)>>,
    refuses: Mutex<Option<Refusal>>,
    is_broken: AtomicBool,
    pub(super) reads: AtomicUsize,
}

impl RetainedStore for MemoryStore {
    fn keep(&self, key: Bytes, value: Option<Bytes>, waits: Waits) {
        self.waiting.lock().push((key, value, waits));
    }

    fn refuses(&self) -> Option<Refusal> {
        *self.refuses.lock()
    }

    fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Unreadable> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Unreadable("it is broken".into()));
        }
        self.reads.fetch_add(keys.len(), Ordering::Relaxed);
        let durable = self.durable.lock();
        Ok(keys.iter().map(|key| durable.get(key).cloned()).collect())
    }
}

impl MemoryStore {
    /// What waits is durable. Gives how many changes that were.
    #[allow(clippy::disallowed_methods, reason = "it stands for the inboxes")]
    pub(super) fn commit(&self) -> usize {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let changes = waiting.len();
        let mut told = Vec::new();
        for (key, value, waits) in waiting {
            let mut durable = self.durable.lock();
            match value {
                Some(value) => durable.insert(key, value),
                None => durable.remove(&key),
            };
            told.extend(waits);
        }
        for (port, ticket) in told {
            port.settle(ticket, Outcome::Accepted(Proof::of(Seq::ZERO)));
        }
        changes
    }

    /// What waits is never durable.
    pub(super) fn fail(&self) {
        for (_, _, waits) in std::mem::take(&mut *self.waiting.lock()) {
            if let Some((port, ticket)) = waits {
                port.settle(ticket, Outcome::Refused(Refusal::StoreFailed));
            }
        }
    }

    /// The process ends: what waits is lost.
    pub(super) fn crash(&self) {
        self.waiting.lock().clear();
    }

    pub(super) fn refuse(&self, why: Option<Refusal>) {
        *self.refuses.lock() = why;
    }

    pub(super) fn break_reading(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// What it has, under the keys.
    pub(super) fn records(&self) -> BTreeMap<Bytes, Bytes> {
        self.durable.lock().clone()
    }

    pub(super) fn put(&self, key: &[u8], value: &[u8]) {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.durable.lock().insert(key, value);
    }
}

/// A publisher's port.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<(Ticket, Result<(), Refusal>)>>);

impl Port for Told {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }
    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Accepted(_) => Ok(()),
            Outcome::Refused(why) => Err(why),
        };
        self.0.lock().push((ticket, outcome));
    }
}

impl Told {
    pub(super) fn take(&self) -> Vec<(Ticket, Result<(), Refusal>)> {
        std::mem::take(&mut *self.0.lock())
    }
}

pub(super) fn port() -> (Arc<Told>, Arc<dyn Port>) {
    let told = Arc::new(Told::default());
    (told.clone(), told)
}

impl Setup {
    /// A router that begins with what `store` has. Gives how many records could not be read.
    pub(super) fn on(store: &Arc<MemoryStore>, now: &Arc<AtomicU64>, options: RouterOptions) -> (Self, usize) {
        let now = Arc::clone(now);
        let age: AgeSource = Arc::new(move || Age(now.load(Ordering::Relaxed)));
        let router = Router::start_keeping(options, age, store.clone()).unwrap();
        let records = store.records().into_iter();
        let damaged = records
            .filter(|(key, record)| router.restore(key, record).is_err())
            .count();
        (Setup { router }, damaged)
    }

    /// Everything that is retained: what a new subscription to `filter` is sent.
    pub(super) async fn retained(&self, filter: &str) -> Vec<OrdinaryMessage> {
        const LATE: SessionKey = SessionKey(u64::MAX - 1);
        let late = recorder();
        self.subscribe(LATE.0, &late, 1, filter).await;
        self.router.close_and_wait(LATE).await;
        let all = late.take();
        assert!(all.iter().all(|delivery| delivery.retained));
        all.iter().map(|delivery| (*delivery.message).clone()).collect()
    }
}
