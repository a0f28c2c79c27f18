//! The retained messages (MQTT 5, section 3.3.1.3): the last message of each topic, in memory and in a store.
//!
//! Our own table, because rumqttd's counts expiry down at every read, sends a truncated list, and sends nothing at all
//! when a filter is subscribed to again.
//!
//! **Promise.** With a store, whoever waits for a retained message, or for one that clears a topic, is told when that is durable. Changes of one topic
//! become durable in the order in which they were made, so after a crash there is the last one that was, or a later one. What can be lost: a change that
//! nobody was told of. A message is in memory until the store has it; no thread that serves clients waits for the store.
//!
//! One lock has the list and who is being sent from it ([`Replay`]). Under it, changes go to the store, which only queues them, and pages go to sinks; reading
//! is done without it. An engine sees to it that a page and a live message do not overtake each other: it calls [`Retaining::put`] and delivers in one turn,
//! and [`Retaining::hand`] in another one.

mod index;
mod record;
mod replay;
mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use inbox_types::{AttachmentId, Charge, Delivery, Outcome, Port, Refusal, Room, Ticket};
use parking_lot::Mutex;

use crate::{AgeSource, Counters, OrdinaryMessage, PublishError, Publisher, Router, RouterOptions};
use index::{Expired, Index};
pub use record::Damaged;
use replay::Replays;
pub(crate) use replay::{Page, Replay};
pub use store::{RetainedStore, Unreadable};

/// Topics that one call of [`Router::sweep_retained`] looks at.
const SWEEP_LOOKS: usize = 10_000;

/// See the module's documentation.
pub(crate) struct Retaining {
    state: Mutex<State>,
    store: Option<Arc<dyn RetainedStore>>,
    /// What became durable, and the list was not told of yet. The store tells of it with locks of its own held, so not under that of the list.
    settled: Arc<Mutex<Vec<Settled>>>,
    now: AgeSource,
    counters: Arc<Counters>,
}

struct State {
    index: Index,
    replays: Replays,
    /// What the list takes.
    charge: Option<Charge>,
}

struct Settled {
    topic: Arc<str>,
    stamp: u64,
}

/// Who waits until a message is durable.
struct Awaited {
    topic: Arc<str>,
    publisher: Option<Arc<Publisher>>,
    settled: Arc<Mutex<Vec<Settled>>>,
}

impl Retaining {
    pub(crate) fn new(
        options: &RouterOptions,
        store: Option<Arc<dyn RetainedStore>>,
        now: AgeSource,
        counters: Arc<Counters>,
    ) -> Self {
        let budget = store.as_ref().and_then(|store| store.budget());
        let state = State {
            index: Index::new(index::Room {
                messages_max: options.retained_messages_max,
                bytes_max: options.retained_bytes_max,
                cache_bytes_max: options.retained_cache_bytes,
            }),
            replays: Replays::default(),
            charge: budget.map(Charge::new),
        };
        Retaining {
            state: Mutex::new(state),
            store,
            settled: Arc::default(),
            now,
            counters,
        }
    }

    /// Whether the publisher of `message`, which has the RETAIN flag, is to wait until it is durable.
    pub(crate) fn keeps(&self, message: &OrdinaryMessage) -> bool {
        self.store.is_some() && !message.topic.starts_with('$')
    }

    /// Makes `message`, which has the RETAIN flag, the retained message of its topic. An empty payload clears the topic
    /// (MQTT-3.3.1-6, MQTT-3.3.1-7), and so does a message that has expired already. `publisher` is held on to until that is durable.
    ///
    /// # Errors
    /// [`PublishError::RetainedFull`], or what the store says; everything is as before, then.
    pub(crate) fn put(
        &self,
        message: &Arc<OrdinaryMessage>,
        publisher: Option<&Arc<Publisher>>,
    ) -> Result<(), PublishError> {
        let now = (self.now)();
        let clears = message.payload.is_empty() || message.is_expired(now);
        let store = self.store.as_ref().filter(|_| self.keeps(message));
        let refuses = store.and_then(|store| store.refuses());
        if let Some(why) = refuses.filter(|why| !clears || !can_be_cleared(*why)) {
            return Err(PublishError::Refused(why));
        }
        // Not under the lock.
        let record = store.filter(|_| !clears).map(|_| record::encode(message));
        let mut state = self.state.lock();
        self.settle(&mut state);
        if clears {
            state.index.remove(&message.topic);
            if let Some(store) = store.filter(|_| !inbox_types::fault!(KeepCleared)) {
                // Also where there was nothing: the store may not have heard of the last removal, or have a record that cannot be read.
                let waits = publisher.map(|publisher| (publisher.clone() as Arc<dyn Port>, Ticket(0)));
                store.keep(record::key(&message.topic), None, waits);
            }
        } else {
            let mut expired = Vec::new();
            let put = state.index.put(message, now, &mut expired);
            self.forget(expired);
            let stamp = put?;
            if let Some(store) = store {
                let awaited = Awaited {
                    topic: Arc::clone(&message.topic),
                    publisher: publisher.cloned(),
                    settled: Arc::clone(&self.settled),
                };
                let waits = Some((Arc::new(awaited) as Arc<dyn Port>, Ticket(stamp)));
                store.keep(record::key(&message.topic), record, waits);
            }
        }
        self.count(&mut state);
        Ok(())
    }

    fn restore(&self, key: &[u8], record: &[u8]) -> Result<(), Damaged> {
        let budget = self.store.as_ref().and_then(|store| store.budget());
        let message = record::decode(key, record, budget).inspect_err(|_| self.unreadable(1))?;
        let mut state = self.state.lock();
        if message.is_expired((self.now)()) || inbox_types::fault!(ForgetRetained) {
            self.forget(vec![(&*message.topic).into()]);
        } else {
            state.index.restore(message);
            self.count(&mut state);
        }
        Ok(())
    }

    fn unreadable(&self, messages: u64) {
        self.counters.retained_unreadable.fetch_add(messages, Ordering::Relaxed);
    }

    fn sweep(&self) {
        let mut state = self.state.lock();
        self.settle(&mut state);
        let expired = state.index.sweep(SWEEP_LOOKS, (self.now)());
        self.forget(expired);
        self.count(&mut state);
    }

    /// The store forgets what is expired. To be called under the lock, so that a message that comes then is put after that.
    fn forget(&self, expired: Expired) {
        if let Some(store) = &self.store {
            for topic in expired {
                store.keep(record::key(&topic), None, None);
            }
        }
    }

    /// What became durable may leave memory.
    fn settle(&self, state: &mut State) {
        let settled = std::mem::take(&mut *self.settled.lock());
        for Settled { topic, stamp } in settled {
            state.index.is_kept(&topic, stamp);
        }
    }

    fn count(&self, state: &mut State) {
        let State { index, charge, .. } = state;
        self.counters.retained.store(index.len() as u64, Ordering::Relaxed);
        if let Some(charge) = charge {
            charge.cover(index.memory());
        }
    }
}

impl Router {
    /// Brings back a retained message of an earlier run, as the [`RetainedStore`] has it. To be called before anybody publishes or subscribes. An expired
    /// one is taken away instead.
    ///
    /// # Errors
    /// The record cannot be read: its topic has no retained message until one is published, which takes its place.
    pub fn restore(&self, key: &[u8], record: &[u8]) -> Result<(), Damaged> {
        self.retaining.restore(key, record)
    }

    /// Looks at some thousands of retained messages, the next ones at each call, and takes those away that are expired. Nobody is sent such one in any
    /// case: this frees what they take.
    pub fn sweep_retained(&self) {
        self.retaining.sweep();
    }
}

/// Whether a topic can be cleared while the store refuses messages for this reason. Removals make room; but what waits for a store that does not go on
/// would have no bound.
fn can_be_cleared(why: Refusal) -> bool {
    matches!(why, Refusal::DiskFull | Refusal::MemoryFull)
}

impl Port for Awaited {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        if let Outcome::Accepted(_) = outcome {
            self.settled.lock().push(Settled {
                topic: Arc::clone(&self.topic),
                stamp: ticket.0,
            });
        }
        if let Some(publisher) = &self.publisher {
            publisher.settle(ticket, outcome);
        }
    }
}
