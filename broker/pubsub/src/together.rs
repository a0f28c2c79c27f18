//! What one publish with QoS 2 has kept: in one commit, all or nothing.
//!
//! A publisher that is not answered sends its message again. Over a crash the broker knows that by a record of the publisher's session; so that record has to become durable
//! with everything that the publish has kept for others: without them the message would be lost, and they without it would have it twice.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inbox_types::{Inboxes, Keeping, KeptChange, Port, Ticket};
use parking_lot::Mutex;

/// What may be kept together, in bytes: one commit has it all. What is more is kept apart.
const TOGETHER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Somebody who keeps a message, and leaves it to a [`Together`] to have that written.
pub trait Keeper: Send + Sync {
    /// Gives the change for the message at this place, unless it is void.
    fn give(&self, place: NonZeroU64, into: &mut Vec<KeptChange>);
    /// It is to be written by itself.
    fn keep_apart(&self, place: NonZeroU64);
}

/// See the module's documentation.
pub struct Together {
    inboxes: Arc<dyn Inboxes>,
    state: Mutex<State>,
    is_kept: AtomicBool,
}

struct State {
    /// That the publish was taken. Nobody waits for it yet.
    record: Option<KeptChange>,
    parts: Vec<(Arc<dyn Keeper>, NonZeroU64)>,
    bytes: usize,
    /// It is on its way to the store, or is kept apart.
    is_over: bool,
    /// Who waits for it, from when it is complete on.
    publisher: Option<Arc<dyn Port>>,
}

impl Together {
    /// Of a publish that `record` is about.
    pub fn new(inboxes: Arc<dyn Inboxes>, record: KeptChange) -> Arc<Self> {
        Arc::new(Together {
            inboxes,
            state: Mutex::new(State {
                record: Some(record),
                parts: Vec::new(),
                bytes: 0,
                is_over: false,
                publisher: None,
            }),
            is_kept: AtomicBool::new(false),
        })
    }

    /// The message has a place at `keeper`, which gives it when it is asked to. It is of so many bytes. False if it is too late for that: it is kept apart.
    pub fn join(&self, keeper: Arc<dyn Keeper>, place: NonZeroU64, bytes: usize) -> bool {
        let mut state = self.state.lock();
        if !state.is_over {
            state.parts.push((keeper, place));
            state.bytes += bytes;
        }
        !state.is_over
    }

    /// Whether the record is kept, or about to be.
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    /// It is complete, and `publisher` is told when it is durable. If the publish `is_refused` nobody is to know it again, and everything is kept apart. Of what
    /// nobody keeps there is no record.
    pub(crate) fn keep(self: &Arc<Self>, publisher: Arc<dyn Port>, is_refused: bool) {
        let mut state = self.state.lock();
        if state.parts.is_empty() {
            return;
        }
        if is_refused || state.bytes > TOGETHER_BYTES_MAX {
            let parts = std::mem::take(&mut state.parts);
            state.is_over = true;
            drop(state);
            return keep_apart(parts);
        }
        state.publisher = Some(publisher);
        drop(state);
        self.is_kept.store(true, Ordering::Release);
        self.inboxes.keep_from(self.clone(), Duration::ZERO);
    }
}

impl Keeping for Together {
    fn gather(&self, now: Duration, _: bool, into: &mut Vec<KeptChange>) -> Option<Duration> {
        let mut state = self.state.lock();
        let publisher = state.publisher.take();
        let waits = publisher.map(|publisher| (publisher, Ticket(0)));
        let is_first = state.record.is_some();
        into.extend(state.record.take().map(|record| KeptChange { waits, ..record }));
        if is_first && inbox_types::fault!(RecordApart) {
            return Some(now);
        }
        let parts = std::mem::take(&mut state.parts);
        state.is_over = true;
        drop(state);
        parts.iter().for_each(|(keeper, place)| keeper.give(*place, into));
        None
    }
}

/// Who publishes has gone before everybody had the message.
impl Drop for Together {
    fn drop(&mut self) {
        keep_apart(std::mem::take(&mut self.state.get_mut().parts));
    }
}

fn keep_apart(parts: Vec<(Arc<dyn Keeper>, NonZeroU64)>) {
    parts.iter().for_each(|(keeper, place)| keeper.keep_apart(*place));
}
