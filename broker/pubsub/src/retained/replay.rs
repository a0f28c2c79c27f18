//! Sending a new subscription the retained messages that it matches, a page at a time, as its sink has room.
//!
//! ```text
//! begin ──▶ page: found in the list ──▶ read: what is not in memory ──▶ hand: what is still current, to the sink ──▶ over
//!              ▲                                                            │
//!              └──────────── the sink has room (or is waited for) ──────────┘
//! ```
//!
//! A replay sends no message that is newer than itself: that was delivered to its subscription as a live one. And it sends none that has been replaced
//! or cleared since its page was found. So the last message that a subscriber gets of a topic is the one that is retained.

use std::sync::Arc;

use arcstr::ArcStr;
use hashbrown::HashMap;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tracing::{error, warn};

use super::index::{Found, Matching};
use super::{Retaining, record};
use crate::topic::has_wildcard;
use crate::{OrdinaryDelivery, OrdinaryMessage, Router, SessionKey, Sink};

/// What a subscription is still owed. It ends with the subscription.
pub(crate) struct Replay {
    session: SessionKey,
    subscription: u32,
    filter: ArcStr,
    sink: Arc<dyn Sink>,
    id: u64,
    /// The last stamp when it began.
    up_to: u64,
    /// The name after which it goes on.
    after: Option<Box<str>>,
    /// Notified when the sink has room, or the replay has ended.
    wake: Arc<Notify>,
}

/// What a replay sends at once.
pub(crate) struct Page {
    session: SessionKey,
    subscription: u32,
    id: u64,
    sink: Arc<dyn Sink>,
    found: Vec<Found>,
    is_last: bool,
}

/// All replays that have not ended.
#[derive(Default)]
pub(super) struct Replays {
    by_session: HashMap<SessionKey, Vec<Running>>,
    last: u64,
}

struct Running {
    subscription: u32,
    filter: ArcStr,
    id: u64,
    wake: Arc<Notify>,
}

impl Replays {
    /// Ends those of `session` that are `over`.
    fn end(&mut self, session: SessionKey, over: impl Fn(&Running) -> bool) {
        let Some(running) = self.by_session.get_mut(&session) else {
            return;
        };
        for replay in running.extract_if(.., |replay| over(replay)) {
            replay.wake.notify_one();
        }
        if running.is_empty() {
            self.by_session.remove(&session);
        }
    }

    fn is_running(&self, session: SessionKey, id: u64) -> bool {
        let running = self.by_session.get(&session);
        running.is_some_and(|running| running.iter().any(|replay| replay.id == id))
    }
}

impl Retaining {
    /// Begins to send a subscription that has just been made what it is owed. One that it replaces is sent nothing more. To be called in the turn of
    /// the engine in which it was made.
    pub(crate) fn begin(
        &self,
        session: SessionKey,
        subscription: u32,
        filter: &ArcStr,
        sink: &Arc<dyn Sink>,
    ) -> Replay {
        self.supersede(session, subscription, filter);
        let mut state = self.state.lock();
        let up_to = state.index.last();
        let replays = &mut state.replays;
        replays.last += 1;
        let (id, wake) = (replays.last, Arc::new(Notify::new()));
        replays.by_session.entry(session).or_default().push(Running {
            subscription,
            filter: filter.clone(),
            id,
            wake: Arc::clone(&wake),
        });
        Replay {
            session,
            subscription,
            filter: filter.clone(),
            sink: Arc::clone(sink),
            id,
            up_to,
            after: None,
            wake,
        }
    }

    /// A subscription takes the place of those with its number or its filter: they are sent nothing more.
    pub(crate) fn supersede(&self, session: SessionKey, subscription: u32, filter: &str) {
        let is_over = |replay: &Running| replay.subscription == subscription || *replay.filter == *filter;
        self.state.lock().replays.end(session, is_over);
    }

    /// A subscription has ended.
    pub(crate) fn unsubscribed(&self, session: SessionKey, subscription: u32) {
        let is_over = |replay: &Running| replay.subscription == subscription;
        self.state.lock().replays.end(session, is_over);
    }

    /// All subscriptions of a session have ended.
    pub(crate) fn closed(&self, session: SessionKey) {
        self.state.lock().replays.end(session, |_| true);
    }

    /// The router ends.
    pub(crate) fn end_all(&self) {
        let replays = std::mem::take(&mut self.state.lock().replays.by_session);
        replays.values().flatten().for_each(|replay| replay.wake.notify_one());
    }

    /// The next page of a replay, with all messages. Nothing if it has ended.
    async fn page(self: &Arc<Self>, replay: &mut Replay) -> Option<Page> {
        let Matching { found, more_after } = {
            let mut state = self.state.lock();
            self.settle(&mut state);
            if !state.replays.is_running(replay.session, replay.id) {
                return None;
            }
            let after = replay.after.as_deref();
            state.index.matching(&replay.filter, after, replay.up_to, (self.now)())
        };
        let mut page = Page {
            session: replay.session,
            subscription: replay.subscription,
            id: replay.id,
            sink: Arc::clone(&replay.sink),
            found,
            is_last: more_after.is_none(),
        };
        replay.after = more_after;
        if page.found.iter().any(|found| found.message.is_none()) {
            let (retaining, stays) = (Arc::clone(self), !has_wildcard(&replay.filter));
            let read = spawn_blocking(move || {
                retaining.read(&mut page, stays);
                page
            });
            // A runtime that ends has no threads for it any more.
            page = read.await.ok()?;
        }
        Some(page)
    }

    /// Reads what is not in memory. It `stays` there if it was asked for by its name: others would leave for it.
    fn read(&self, page: &mut Page, stays: bool) {
        let Some(store) = &self.store else { return };
        let wanted = || page.found.iter().filter(|found| found.message.is_none());
        let keys: Vec<_> = wanted().map(|found| record::key(&found.topic)).collect();
        let records = match store.read(&keys) {
            Ok(records) => records,
            Err(why) => {
                error!(error = %why, messages = keys.len(), "retained messages could not be read, and a subscriber does not get them");
                self.unreadable(keys.len() as u64);
                page.sink.lost(keys.len() as u64);
                return;
            }
        };
        let mut records = keys.iter().zip(records);
        for found in page.found.iter_mut().filter(|found| found.message.is_none()) {
            let Some((key, record)) = records.next() else { return };
            // One that is not there was cleared meanwhile.
            let Some(record) = record else { continue };
            match record::decode(key, &record, store.budget()) {
                Ok(message) => found.message = Some(Arc::new(message)),
                Err(why) => {
                    warn!(topic = %found.topic, error = %why, "a retained message is damaged, and a subscriber does not get it; publish it again, or clear it");
                    self.unreadable(1);
                    page.sink.lost(1);
                }
            }
            if let Some(message) = found.message.as_ref().filter(|_| stays) {
                self.state.lock().index.was_read(found.stamp, message);
            }
        }
    }

    /// Delivers what is still to be delivered of a page. To be called in a turn of the engine.
    pub(crate) fn hand(&self, page: Page) {
        let mut state = self.state.lock();
        if !state.replays.is_running(page.session, page.id) {
            return;
        }
        let now = (self.now)();
        let delivery = |message: Arc<OrdinaryMessage>| OrdinaryDelivery {
            subscription: page.subscription,
            message,
            retained: true,
            kept: None,
        };
        let index = &state.index;
        let current = page
            .found
            .into_iter()
            .filter(|found| index.is_current(&found.topic, found.stamp, now));
        let mut batch: Vec<_> = current.filter_map(|found| found.message).map(delivery).collect();
        // Under the lock: whoever ends the subscription knows that nothing comes after.
        if !batch.is_empty() {
            page.sink.deliver(&mut batch);
        }
        if page.is_last {
            state.replays.end(page.session, |replay| replay.id == page.id);
        }
    }
}

impl Router {
    /// Sends what the sink has room for before this returns, and the rest when it has.
    pub(crate) async fn replay(&self, mut replay: Replay) {
        while replay.sink.has_room(&replay.wake) {
            if !self.send_page(&mut replay).await {
                return;
            }
        }
        let router = self.clone();
        tokio::spawn(async move {
            loop {
                while !replay.sink.has_room(&replay.wake) {
                    replay.wake.notified().await;
                    if !router.retaining.is_running(&replay) {
                        return;
                    }
                }
                if !router.send_page(&mut replay).await {
                    return;
                }
            }
        });
    }

    /// False if that was the last one.
    async fn send_page(&self, replay: &mut Replay) -> bool {
        let Some(page) = self.retaining.page(replay).await else {
            return false;
        };
        let is_last = page.is_last;
        match page.found.is_empty() {
            // There is nothing that a live message could overtake.
            true => self.retaining.hand(page),
            false => self.engine.hand(page).await,
        }
        !is_last
    }
}

impl Retaining {
    fn is_running(&self, replay: &Replay) -> bool {
        self.state.lock().replays.is_running(replay.session, replay.id)
    }
}
