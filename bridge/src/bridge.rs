//! The threads that drive the inboxes: one commits, some read pages, one sweeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::hub::{Absences, Hub, ReadRequest};
use crate::observer::Observer;
use inbox_store::{Batch, Failure, PageLimit, Pauses, Store, StoreError};
use inbox_types::{ClientId, Clock, Limits, PAGE_BYTES_MAX, Seq};

const READERS: usize = 2;
/// How long an inbox stays in memory after its last use.
const IDLE: Duration = Duration::from_secs(5);
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// A look through all inboxes for expired messages starts this long after the previous one ended.
const SWEEP_PAUSE: Duration = Duration::from_secs(600);
const SWEEP_INBOXES: usize = 64;
/// How often a trouble that goes on is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// A running [`Hub`].
pub struct Bridge {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    closing: Arc<Closing>,
    beats: Arc<AtomicU64>,
    committer: Option<JoinHandle<Result<(), StoreError>>>,
    readers: Vec<JoinHandle<()>>,
    housekeeper: Option<JoinHandle<()>>,
}

/// Whether the thread that commits goes on, for those who watch over the process.
#[derive(Clone)]
pub struct Pulse {
    hub: Arc<Hub>,
    beats: Arc<AtomicU64>,
}

impl Pulse {
    /// How often the committer has begun something, up to now; and wakes it, so that it is more often soon. It is not while a write hangs. A
    /// write that is tried again, because there is no space, is begun each time.
    pub fn feel(&self) -> u64 {
        self.hub.alarm.want(Duration::ZERO);
        self.beats.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Closing {
    asked: AtomicBool,
    lock: Mutex<()>,
    told: Condvar,
}

impl Closing {
    /// Waits so long, or until closing is asked for. Tells whether it is.
    fn wait(&self, pause: Duration) -> bool {
        let mut guard = self.lock.lock();
        if !self.asked.load(Ordering::Acquire) {
            self.told.wait_for(&mut guard, pause);
        }
        self.asked.load(Ordering::Acquire)
    }
}

/// Why the inboxes could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed at once.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine gave no thread.
    #[error("cannot start a thread ({0}); raise the limit on processes of this user")]
    Thread(#[from] std::io::Error),
}

impl Bridge {
    /// Starts the inboxes in `store`.
    pub fn start(
        store: Arc<dyn Store>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Bridge, StartError> {
        let (hub, requests) = Hub::open(&*store, limits, clock, observer)?;
        let hub = Arc::new(hub);
        let closing = Arc::new(Closing::default());
        store.on_failure(Box::new({
            let hub = hub.clone();
            move |error| hub.fail(error)
        }));
        let mut bridge = Bridge {
            hub,
            store,
            closing,
            beats: Arc::default(),
            committer: None,
            readers: Vec::new(),
            housekeeper: None,
        };
        let beats = bridge.beats.clone();
        bridge.committer = Some(bridge.spawn("commit", move |hub, store, closing| {
            commit_loop(hub, store, closing, &beats)
        })?);
        for _ in 0..READERS {
            let requests = requests.clone();
            bridge.readers.push(bridge.spawn("read", move |hub, store, closing| {
                read_loop(hub, store, closing, &requests)
            })?);
        }
        bridge.housekeeper = Some(bridge.spawn("housekeeping", housekeeping_loop)?);
        Ok(bridge)
    }

    /// The inboxes.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// For those who watch over the process.
    pub fn pulse(&self) -> Pulse {
        let (hub, beats) = (self.hub.clone(), self.beats.clone());
        Pulse { hub, beats }
    }

    /// Where the inboxes are kept.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The same, for a thread that reads it for long, as a backup does. Once it is closed, every call of it fails.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Writes everything that waits, ends the threads and closes the store. Readers must have been detached and publishers stopped.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.closing.asked.store(true, Ordering::Release);
        drop(self.closing.lock.lock());
        self.closing.told.notify_all();
        self.hub.alarm.want(Duration::ZERO);
        let committed = self.committer.take().map(JoinHandle::join);
        for reader in self.readers.drain(..).chain(self.housekeeper.take()) {
            // A panic there was printed by the hook; what is durable is durable.
            let _panicked = reader.join();
        }
        match committed {
            Some(Ok(result)) => result?,
            _ => return Err(Failure::InboxesPanicked.into()),
        }
        self.store.close()
    }

    fn spawn<R: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce(&Hub, &dyn Store, &Closing) -> R + Send + 'static,
    ) -> std::io::Result<JoinHandle<R>> {
        let (hub, store, closing) = (self.hub.clone(), self.store.clone(), self.closing.clone());
        Builder::new()
            .name(name.into())
            .spawn(move || run(&hub, &*store, &closing))
    }
}

/// Ends a hub one of whose threads panics: without it publishers or readers would wait for ever, and nobody would know.
struct PanicWatch<'a>(&'a Hub);

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&Failure::InboxesPanicked.into());
        }
    }
}

fn commit_loop(hub: &Hub, store: &dyn Store, closing: &Closing, beats: &AtomicU64) -> Result<(), StoreError> {
    let _watch = PanicWatch(hub);
    loop {
        beats.fetch_add(1, Ordering::Relaxed);
        let all = closing.asked.load(Ordering::Acquire);
        let pending = hub.begin_commit(store, all);
        let written = write_patiently(hub, store, closing, pending.batch(), beats);
        let round = hub.finish_commit(pending, written)?;
        if all && !round.wrote && round.next.is_none() {
            return Ok(());
        }
        if hub.has_failed() {
            return Ok(());
        }
        if !all {
            hub.alarm.sleep(round.next, || hub.now().mono);
        }
    }
}

/// Writes a batch. What the store has too little of something for is tried again with pauses, and stays what it is: its publishers wait, and
/// nobody was told. New messages are refused meanwhile; reading and acknowledging go on. At the end of the process there is one attempt more.
fn write_patiently(
    hub: &Hub,
    store: &dyn Store,
    closing: &Closing,
    batch: &Batch,
    beats: &AtomicU64,
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let (mut pauses, mut told) = (Pauses::default(), None);
    loop {
        let is_last = closing.asked.load(Ordering::Acquire);
        let began = Instant::now();
        let trouble = match store.commit(batch) {
            Err(StoreError::Troubled(trouble)) if !is_last => trouble,
            written => {
                if written.is_ok() {
                    hub.note_commit(batch, began.elapsed(), store.last_sync());
                }
                if told.is_some() && written.is_ok() {
                    tracing::info!("messages are written again");
                    hub.set_trouble(store.trouble());
                }
                return written;
            }
        };
        hub.set_trouble(Some(trouble));
        if is_to_be_told(&mut told, hub.now().mono) {
            tracing::error!(%trouble, "messages cannot be written for now; this is tried again until it works");
        }
        closing.wait(pauses.next());
        beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether a trouble is to be told that was last `told` then: at first, and now and then while it goes on.
fn is_to_be_told(told: &mut Option<Duration>, now: Duration) -> bool {
    let is_due = told.is_none_or(|told| now.saturating_sub(told) >= TOLD_AGAIN);
    if is_due {
        *told = Some(now);
    }
    is_due
}

fn read_loop(hub: &Hub, store: &dyn Store, closing: &Closing, requests: &flume::Receiver<ReadRequest>) {
    let _watch = PanicWatch(hub);
    let mut told = None;
    while !closing.asked.load(Ordering::Acquire) {
        if let Ok(request) = requests.recv_timeout(HOUSEKEEPING) {
            read_patiently(hub, store, closing, &request, &mut told);
        }
    }
}

/// Tries again what the store has too little of something for: the reader must not be left without its mail. Other readers wait, too, for
/// they would meet the same.
fn read_patiently(hub: &Hub, store: &dyn Store, closing: &Closing, request: &ReadRequest, told: &mut Option<Duration>) {
    let mut pauses = Pauses::default();
    while let Some(trouble) = hub.read(store, request) {
        if is_to_be_told(told, hub.now().mono) {
            tracing::error!(%trouble, "stored mail cannot be read for now; this is tried again until it works");
        }
        if closing.wait(pauses.next()) {
            return;
        }
    }
}

/// Every second: what is idle leaves memory, and the disk is looked at. Now and then: expired messages are looked for.
fn housekeeping_loop(hub: &Hub, store: &dyn Store, closing: &Closing) {
    let _watch = PanicWatch(hub);
    let mut swept_to: Option<ClientId> = None;
    let mut next_sweep = hub.now().mono + SWEEP_PAUSE;
    let mut absences = Absences::default();
    loop {
        hub.evict_idle(IDLE);
        hub.keep_age();
        hub.set_trouble(store.trouble());
        hub.relieve();
        hub.set_disk_free(store.disk_free_bytes());
        hub.pass_room_on();
        hub.tell_again();
        hub.fade_unread(store);
        absences.turn(hub, store);
        if hub.now().mono >= next_sweep {
            swept_to = sweep(hub, store, closing, swept_to.as_ref());
            if swept_to.is_none() {
                next_sweep = hub.now().mono + SWEEP_PAUSE;
            }
        }
        if closing.wait(HOUSEKEEPING) {
            return;
        }
    }
}

/// Looks through some inboxes for expired messages. Gives where to go on; `None` after the last one.
fn sweep(hub: &Hub, store: &dyn Store, closing: &Closing, after: Option<&ClientId>) -> Option<ClientId> {
    let inboxes = match store.inboxes(after, SWEEP_INBOXES) {
        Ok(inboxes) => inboxes,
        Err(error) => {
            tracing::error!(%error, "cannot look for expired messages");
            return None;
        }
    };
    for (inbox, _) in &inboxes {
        let mut from = Seq::ZERO;
        loop {
            if closing.asked.load(Ordering::Acquire) {
                return None;
            }
            let limit = PageLimit {
                messages: hub.limits().sizes.page_messages_max,
                bytes: PAGE_BYTES_MAX,
            };
            let page = match store.read(inbox, from, limit) {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "cannot look for expired messages");
                    break;
                }
            };
            let age = hub.age(hub.now());
            let expired: Vec<_> = page
                .entries
                .iter()
                .filter(|entry| entry.message.is_expired(age))
                .cloned()
                .collect();
            if !expired.is_empty() {
                hub.expire(inbox, &expired);
            }
            match page.entries.last() {
                Some(last) if page.more => from = last.seq,
                _ => break,
            }
        }
    }
    inboxes.into_iter().next_back().map(|(inbox, _)| inbox)
}

#[cfg(test)]
mod tests;
