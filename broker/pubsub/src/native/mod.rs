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
//! Messages to be retained take turns: one is put there *and* delivered in its turn, and so are those that a new subscription is owed, a page in a turn:
//! so the last message that a subscriber gets of a topic is the one that is retained.

mod audience;
mod groups;
mod member;
mod name;
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

use super::retained::{Page, Replay, Retaining};
use super::{
    Counters, OrdinaryMessage, Orphan, PublishError, Published, Publisher, Reach, RouterOptions, SessionKey,
    SubscribeError, Together, Wanted,
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
    retaining: Arc<Retaining>,
    /// Who has the turn to change what is retained, or to deliver it. Held across deliveries, which may pause.
    turn: tokio::sync::Mutex<()>,
    is_over: AtomicBool,
    counters: Arc<Counters>,
}

/// A message on its way to everyone who is subscribed.
pub(super) struct FanOut<'a> {
    message: &'a Arc<OrdinaryMessage>,
    /// Who is told when it is safe.
    waits: Option<(&'a Arc<dyn Port>, Ticket)>,
    /// How it is kept: by everyone for itself, or together.
    together: Option<&'a Arc<Together>>,
    /// Who waits, from the first on who has to keep it.
    publisher: Option<Arc<Publisher>>,
    reached: Reach,
    /// Of crowds that are large: they wait for their turn.
    later: Vec<Member>,
}

impl Native {
    pub(super) fn new(options: &RouterOptions, retaining: Arc<Retaining>, counters: Arc<Counters>) -> Self {
        Native {
            table: Table::default(),
            sessions: Mutex::new(Sessions::new(options.filters_max)),
            retaining,
            turn: tokio::sync::Mutex::default(),
            is_over: AtomicBool::new(false),
            counters,
        }
    }

    pub(super) async fn publish_for(
        &self,
        message: Arc<OrdinaryMessage>,
        waits: Option<(&Arc<dyn Port>, Ticket)>,
        together: Option<&Arc<Together>>,
    ) -> Result<Published, PublishError> {
        if self.is_over() {
            return Err(PublishError::Stopped);
        }
        let mut fan_out = FanOut::new(&message, waits);
        if !message.retain {
            fan_out.together = together;
            return Ok(self.deliver(fan_out).await);
        }
        let _turn = self.turn.lock().await;
        let keeps = self.retaining.keeps(&message) && !inbox_types::fault!(AckRetainedEarly);
        let publisher = fan_out.publisher_if(keeps);
        if let Err(why) = self.retaining.put(&message, publisher.as_ref()) {
            publisher.inspect(|publisher| publisher.is_answered());
            return Err(why);
        }
        Ok(self.deliver(fan_out).await)
    }

    /// Delivers retained messages.
    pub(super) async fn hand(&self, page: Page) {
        let _turn = self.turn.lock().await;
        self.retaining.hand(page);
    }

    pub(super) fn reach(&self, topic: &str) -> Reach {
        let mut reach = Reach::Nobody;
        self.table.each_match(topic, |_| reach = Reach::Somebody);
        reach
    }

    async fn deliver(&self, mut fan_out: FanOut<'_>) -> Published {
        self.table
            .each_match(&fan_out.message.topic, |audience| audience.give(&mut fan_out));
        let later = std::mem::take(&mut fan_out.later);
        for members in later.chunks(AT_ONCE_MAX) {
            members.iter().for_each(|member| fan_out.give(member));
            yield_now().await;
        }
        match fan_out.publisher {
            Some(publisher) => {
                publisher.is_complete();
                Published::Later(fan_out.reached)
            }
            None => Published::Now(fan_out.reached),
        }
    }

    /// Gives what it is owed of the retained messages.
    pub(super) async fn subscribe(&self, wanted: Wanted) -> Result<Option<Replay>, SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Stopped);
        }
        let (filter, sink) = (wanted.filter.clone(), Arc::clone(&wanted.sink));
        let Wanted {
            session,
            subscription,
            send_retained,
            ..
        } = wanted;
        self.change(|sessions| sessions.add(&self.table, wanted))?;
        if !send_retained {
            self.retaining.supersede(session, subscription, &filter);
            return Ok(None);
        }
        let _turn = self.turn.lock().await;
        Ok(Some(self.retaining.begin(session, subscription, &filter, &sink)))
    }

    pub(super) fn unsubscribe(&self, session: SessionKey, subscription: u32) {
        self.change(|sessions| sessions.remove(&self.table, session, subscription));
    }

    /// When this returns, its sink gets nothing more.
    pub(super) fn close(&self, session: SessionKey) {
        self.change(|sessions| sessions.close(&self.table, session));
    }

    pub(super) fn trim(&self) {
        self.table.trim();
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
        let _nobody_publishes = self.turn.lock().await;
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
            together: None,
            publisher: None,
            reached: Reach::Nobody,
            later: Vec::new(),
        }
    }

    /// Of a message that lost its reader.
    fn again(orphan: &'a Orphan) -> Self {
        FanOut {
            publisher: orphan.publisher.clone(),
            ..FanOut::new(&orphan.message, None)
        }
    }

    /// Delivers to one member.
    fn give(&mut self, member: &Member) {
        if member.take(self) {
            self.reached = Reach::Somebody;
        }
    }

    /// The same, where the broker itself keeps the message.
    fn publisher_if(&mut self, keeps: bool) -> Option<Arc<Publisher>> {
        if keeps { self.publisher() } else { None }
    }

    /// Whom somebody who has to keep the message tells.
    fn publisher(&mut self) -> Option<Arc<Publisher>> {
        if inbox_types::fault!(AckAfterFirst) && self.publisher.is_some() {
            return None;
        }
        if self.publisher.is_none() {
            self.publisher = self
                .waits
                .map(|(port, ticket)| Publisher::with(port, ticket, self.together));
        }
        self.publisher.clone()
    }
}
