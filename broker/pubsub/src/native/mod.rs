//! The engine that matches on the thread of the publisher, and delivers straight to the sinks.
//!
//! ```text
//! publisher ──topic──▶ Table: filters without wildcards by name, others in a trie ──▶ Audience ──▶ Sink of each member
//!                        ▲                                                            (one member, or a crowd with its groups)
//! sessions ──Sessions────┘ one writer at a time
//! ```
//!
//! Publishers read the table without locks: its maps are concurrent, and what a publisher meets there is whole. (Crowds and sessions have locks of their own, which
//! publishers share or hold for the moment of a delivery.) A change is made by one writer
//! at a time, from the root of the trie to the leaf, so that a subscription is there for all when the call returns. One that is being ended
//! may still be given what is being published meanwhile.
//!
//! Retained messages have one lock, which is held while one is put there *and* delivered, and while those that a new subscription is owed are
//! read *and* delivered: so the last message that a subscriber gets of a topic is the one that is retained.

mod audience;
mod groups;
mod member;
mod sessions;
mod table;
mod trie;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inbox_types::{Port, Ticket};
use parking_lot::Mutex;
use tokio::task::yield_now;

use super::retained::Retained;
use super::{
    AgeSource, Counters, OrdinaryDelivery, OrdinaryMessage, Orphan, PublishError, Published, Publisher, Reach,
    RouterOptions, SessionKey, SubscribeError, Wanted,
};
use member::Member;
use sessions::Sessions;
use table::Table;

/// Hashes names that clients choose: with a seed of this process.
type Hasher = foldhash::fast::RandomState;

/// Subscriptions of one filter that are served without letting others have the thread in between.
const AT_ONCE_MAX: usize = 1_024;

/// See the module's documentation.
pub(super) struct Native {
    table: Table,
    sessions: Mutex<Sessions>,
    /// Held across deliveries, which may pause.
    retained: tokio::sync::Mutex<Retained>,
    now: AgeSource,
    is_over: AtomicBool,
    counters: Arc<Counters>,
}

/// A message on its way to everyone who is subscribed.
pub(super) struct FanOut<'a> {
    message: &'a Arc<OrdinaryMessage>,
    /// Who is told when it is safe.
    waits: Option<(&'a Arc<dyn Port>, Ticket)>,
    /// The same, from the first on who has to keep it.
    publisher: Option<Arc<Publisher>>,
    /// Kept, so that there is one allocation for a message.
    batch: Vec<OrdinaryDelivery>,
    reached: Reach,
    /// Of crowds that are large: they wait for their turn.
    later: Vec<Member>,
}

impl Native {
    pub(super) fn new(options: &RouterOptions, now: AgeSource, counters: Arc<Counters>) -> Self {
        Native {
            table: Table::default(),
            sessions: Mutex::new(Sessions::new(options.filters_max)),
            retained: tokio::sync::Mutex::new(Retained::new(options.retained_messages_max, options.retained_bytes_max)),
            now,
            is_over: AtomicBool::new(false),
            counters,
        }
    }

    pub(super) async fn publish_for(
        &self,
        message: OrdinaryMessage,
        waits: Option<(&Arc<dyn Port>, Ticket)>,
    ) -> Result<Published, PublishError> {
        if self.is_over() {
            return Err(PublishError::Stopped);
        }
        let message = Arc::new(message);
        if !message.retain {
            return Ok(self.deliver(&message, waits).await);
        }
        let mut retained = self.retained.lock().await;
        retained.put(&message, (self.now)())?;
        self.counters.retained.store(retained.len() as u64, Ordering::Relaxed);
        Ok(self.deliver(&message, waits).await)
    }

    pub(super) fn reach(&self, topic: &str) -> Reach {
        let mut reach = Reach::Nobody;
        self.table.each_match(topic, |_| reach = Reach::Somebody);
        reach
    }

    async fn deliver(&self, message: &Arc<OrdinaryMessage>, waits: Option<(&Arc<dyn Port>, Ticket)>) -> Published {
        let mut fan_out = FanOut::new(message, waits);
        self.table
            .each_match(&message.topic, |audience| audience.give(&mut fan_out));
        let later = std::mem::take(&mut fan_out.later);
        for members in later.chunks(AT_ONCE_MAX) {
            members.iter().for_each(|member| fan_out.give(member));
            yield_now().await;
        }
        match fan_out.publisher {
            Some(_) => Published::Later(fan_out.reached),
            None => Published::Now(fan_out.reached),
        }
    }

    pub(super) async fn subscribe(&self, wanted: Wanted) -> Result<(), SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Stopped);
        }
        let (filter, sink) = (Arc::clone(&wanted.filter), Arc::clone(&wanted.sink));
        let (subscription, send_retained) = (wanted.subscription, wanted.send_retained);
        self.change(|sessions| sessions.add(&self.table, wanted))?;
        if send_retained {
            let retained = self.retained.lock().await;
            let mut batch = retained.owed(subscription, &filter, (self.now)());
            if !batch.is_empty() {
                sink.deliver(&mut batch);
            }
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&self, session: SessionKey, subscription: u32) {
        self.change(|sessions| sessions.remove(&self.table, session, subscription));
    }

    /// When this returns, its sink gets nothing more.
    pub(super) fn close(&self, session: SessionKey) {
        self.change(|sessions| sessions.close(&self.table, session));
    }

    /// Gives the number of those that nobody else could have.
    pub(super) fn hand_over(&self, orphans: &[Orphan]) -> u64 {
        let without = orphans
            .iter()
            .filter(|orphan| self.is_over() || !self.table.hand_over(orphan));
        without.count() as u64
    }

    /// Waits for whoever publishes what is to be retained; others deliver before their calls return.
    pub(super) async fn shutdown(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _nobody_publishes = self.retained.lock().await;
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Sessions) -> T) -> T {
        let mut sessions = self.sessions.lock();
        let done = change(&mut sessions);
        self.counters
            .filters
            .store(sessions.filters() as u64, Ordering::Relaxed);
        done
    }
}

impl<'a> FanOut<'a> {
    pub(super) fn new(message: &'a Arc<OrdinaryMessage>, waits: Option<(&'a Arc<dyn Port>, Ticket)>) -> Self {
        FanOut {
            message,
            waits,
            publisher: None,
            batch: Vec::new(),
            reached: Reach::Nobody,
            later: Vec::new(),
        }
    }

    /// Delivers to one member.
    fn give(&mut self, member: &Member) {
        if member.take(self) {
            self.reached = Reach::Somebody;
        }
    }

    /// Whom somebody who has to keep the message tells.
    fn publisher(&mut self) -> Option<Arc<Publisher>> {
        if self.publisher.is_none() {
            self.publisher = self.waits.map(|(port, ticket)| Publisher::new(port, ticket));
        }
        self.publisher.clone()
    }
}
