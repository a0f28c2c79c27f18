//! Who is connected, and which sessions are kept for clients that are away.
//!
//! One lock around one map: it is taken once when a client comes and once when it goes, never across `.await`. A client ID has one
//! connection at most: a new one orders the old one to end, and waits until it has put the session back (MQTT-3.1.4-3).

mod bereft;
mod looking;
mod operating;
mod parted;
mod place;
mod remains;
mod restoring;
mod routing;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use access::Identity;
use bytes::Bytes;
use inbox_types::{ClientId, Node};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use bereft::Bereft;
pub use operating::NotForgotten;
pub(crate) use parted::Parted;
pub use place::Place;
use remains::Ended;
pub(crate) use remains::Remains;
pub use routing::Routed;

use crate::keeping::PendingWill;
use crate::session::{Absent, Order, Outbox, Session, Shared};
use crate::will::PutOff;
use pubsub::{Router, SessionKey};

/// How often it is looked for sessions that expired and wills that are due. Both are given in seconds.
const REAP_EVERY: Duration = Duration::from_millis(200);

/// See the module's documentation.
pub struct SessionTable {
    shared: Arc<Shared>,
    router: Router,
    state: Mutex<Sessions>,
    put_off: Arc<PutOff>,
}

/// The sessions themselves, without a lock and without waiting. Times are the hub's monotonic clock.
#[derive(Default)]
pub(crate) struct Sessions {
    /// In the order of client IDs, so that a page of a long list costs no more than a page.
    slots: BTreeMap<ClientId, Slot>,
    /// When to look at a kept session: its will is due, or it expires.
    due: BTreeSet<(Duration, ClientId)>,
    last_key: u64,
    /// How many slots are kept sessions.
    kept: usize,
    /// What connections left that ended without a word.
    abandoned: Vec<Remains>,
    bereft: Bereft,
}

enum Slot {
    Connected {
        outbox: Arc<Outbox>,
        waiting: Vec<oneshot::Sender<()>>,
    },
    Kept(Kept),
}

struct Kept {
    session: Box<Absent>,
    /// `None` is never.
    expires: Option<Duration>,
    /// With the time when it is due. Few have one.
    will: Option<Box<(Arc<PendingWill>, Duration)>>,
}

impl Kept {
    fn due(&self) -> Option<Duration> {
        let will = self.will.as_ref().map(|will| will.1);
        will.into_iter().chain(self.expires).min()
    }

    /// Its will is to be published, and from whom.
    fn take_will(&mut self) -> Option<(Identity, Arc<PendingWill>)> {
        let (will, _) = *self.will.take()?;
        Some((self.session.identity().clone(), will))
    }

    /// Its will is not to be published, if it `is_void`, which is asked with the time when it is due.
    fn drop_will_if(&mut self, is_void: impl Fn(&PendingWill, Duration) -> bool, node: &Node) {
        if let Some(will) = self.will.take_if(|will| is_void(&will.0, will.1)) {
            will.0.forget(node);
        }
    }
}

impl SessionTable {
    /// An empty table.
    pub fn new(shared: Arc<Shared>, router: Router) -> Self {
        SessionTable {
            shared,
            router,
            state: Mutex::default(),
            put_off: Arc::default(),
        }
    }

    /// The session for a client that connects, its place, and whether it has a past. Ends the connection that has it now, if there
    /// is one. The will is published unless the connection ends with a goodbye.
    pub async fn open(
        self: &Arc<Self>,
        identity: Identity,
        clean_start: bool,
        will: Option<Arc<PendingWill>>,
    ) -> (Place, Box<Session>, bool) {
        loop {
            let now = self.shared.node.now().mono;
            let id = identity.client_id();
            let opened = self.state.lock().open(id, clean_start, &self.shared, now);
            match opened {
                Ok((session, present, remains)) => {
                    let place = Place {
                        table: self.clone(),
                        identity,
                        key: session.key(),
                        outbox: session.outbox().clone(),
                        will,
                        abandoned: None,
                        is_closed: false,
                    };
                    self.bury_for_good(remains).await;
                    return (place, session, present);
                }
                Err(gone) => {
                    self.shared.metrics.takeovers.add(1);
                    // An error means that the connection's task is gone, which is what we wait for.
                    let _gone = gone.await;
                }
            }
        }
    }

    /// Every connection is to do this.
    pub fn order_all(&self, order: Order) {
        self.state.lock().order_all(order);
    }

    /// Ends sessions that expire and publishes wills that are due, for ever.
    pub async fn reap(&self) {
        let mut ticks = tokio::time::interval(REAP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.reap_due().await;
        }
    }

    /// Sees to everything that is due now.
    pub async fn reap_due(&self) {
        self.publish_put_off().await;
        let now = self.shared.node.now().mono;
        loop {
            let Some(remains) = self.state.lock().reap_one(now) else {
                return;
            };
            self.bury(remains).await;
        }
    }

    /// The payloads of wills that have to wait.
    pub fn wills_put_off(&self) -> Vec<Bytes> {
        self.put_off.look()
    }

    /// Publishes wills that had to wait, if something new is taken again.
    async fn publish_put_off(&self) {
        if self.shared.node.inboxes.refuses().is_some() {
            return;
        }
        for (who, will) in self.put_off.take() {
            self.bury(Remains::of_will(Some((who, will)))).await;
        }
    }

    /// Sessions that are kept, and their limit is in the configuration: the one that would expire first goes first.
    async fn make_room(&self) {
        loop {
            let Some(remains) = self.state.lock().end_beyond(self.shared.mqtt.sessions_max) else {
                return;
            };
            tracing::warn!(
                "a kept session was ended early: more clients are away than mqtt.sessions_max; their mail is safe"
            );
            self.bury(remains).await;
        }
    }
}

impl Sessions {
    /// Gives the session for `id`, whether it has a past, and what is left of that past; or, if it has a connection, orders that to
    /// end, and gives what tells when it has.
    pub(crate) fn open(
        &mut self,
        id: &ClientId,
        clean_start: bool,
        shared: &Arc<Shared>,
        now: Duration,
    ) -> Result<(Box<Session>, bool, Remains), oneshot::Receiver<()>> {
        if let Some(Slot::Connected { outbox, waiting }) = self.slots.get_mut(id) {
            outbox.order(Order::TakenOver);
            let (tell, gone) = oneshot::channel();
            waiting.push(tell);
            return Err(gone);
        }
        if !inbox_types::fault!(KeepWillOfReturned)
            && let Some((_, will)) = self.bereft.take(id)
        {
            will.forget(&shared.node);
        }
        let (session, present, remains) = match self.take_back(id, &shared.node) {
            Some(kept) if inbox_types::fault!(KeepEnded) => (kept.session.wake(), !clean_start, Remains::default()),
            Some(mut kept) if !clean_start && kept.expires.is_none_or(|expires| expires > now) => {
                // A will that was not due yet is not published: the session goes on (MQTT-3.1.3-9).
                kept.drop_will_if(|_, due| due > now, &shared.node);
                let will = kept.take_will();
                (kept.session.wake(), true, Remains::of_will(will))
            }
            old => {
                self.last_key += 1;
                let session = Session::new(id.clone(), SessionKey(self.last_key), shared.clone());
                (session, false, old.map_or_else(Remains::default, Remains::of))
            }
        };
        session.outbox().forget_order();
        let connected = Slot::Connected {
            outbox: session.outbox().clone(),
            waiting: Vec::new(),
        };
        self.slots.insert(id.clone(), connected);
        Ok((session, present, remains))
    }

    /// Every connection is to do this.
    pub(crate) fn order_all(&self, order: Order) {
        for slot in self.slots.values() {
            if let Slot::Connected { outbox, .. } = slot {
                outbox.order(order);
            }
        }
    }

    /// A connection has ended: keeps its session as long as was agreed, and lets in who waits for it.
    pub(crate) fn close(&mut self, parted: Parted, now: Duration) -> Remains {
        let Parted { session, will } = parted;
        let id = session.id().clone();
        let expiry = session.link().session_expiry;
        let waiting = match self.slots.remove(&id) {
            Some(Slot::Connected { waiting, .. }) => waiting,
            _ => Vec::new(),
        };
        let remains = if expiry == 0 {
            let will = will.map(|will| (session.identity().clone(), will));
            Remains {
                session: Some(Ended::of(session)),
                will,
            }
        } else {
            self.keep(id, session, expiry, will, now);
            Remains::default()
        };
        for tell in waiting {
            // The one who waited may have given up.
            let _gave_up = tell.send(());
        }
        remains
    }

    /// The connection with `outbox` ended without giving its session back. The session is lost; its mail is in the inbox. What
    /// `remains` is given to whoever reaps.
    fn abandon(&mut self, id: &ClientId, outbox: &Arc<Outbox>, remains: Remains) {
        if matches!(self.slots.get(id), Some(Slot::Connected { outbox: theirs, .. }) if Arc::ptr_eq(theirs, outbox)) {
            // Whoever waits for it is let in when its end of the line is dropped.
            self.slots.remove(id);
        }
        self.abandoned.push(remains);
    }

    /// Keeps a session for `expiry` seconds.
    fn keep(
        &mut self,
        id: ClientId,
        mut session: Box<Session>,
        expiry: u32,
        will: Option<Arc<PendingWill>>,
        now: Duration,
    ) {
        session.is_left();
        let will = will.map(|will| {
            let delay = Duration::from_secs(u64::from(will.will.delay.min(expiry)));
            session.will_is_due_in(&will, delay);
            Box::new((will, now + delay))
        });
        let expires = (expiry != u32::MAX).then(|| now + Duration::from_secs(u64::from(expiry)));
        let session = session.rest();
        self.put(id, Kept { session, expires, will });
    }

    fn put(&mut self, id: ClientId, kept: Kept) {
        if let Some(due) = kept.due() {
            self.due.insert((due, id.clone()));
        }
        self.slots.insert(id, Slot::Kept(kept));
        self.kept += 1;
    }

    /// What an abandoned connection left, or else the next session that is due: its will is taken, and when it has expired, it ends.
    pub(crate) fn reap_one(&mut self, now: Duration) -> Option<Remains> {
        if let Some(remains) = self.abandoned.pop() {
            return Some(remains);
        }
        if let Some(will) = self.bereft.pop_due(now) {
            return Some(Remains::of_will(Some(will)));
        }
        let (due, id) = self.due.first().filter(|(due, _)| *due <= now)?.clone();
        self.due.remove(&(due, id.clone()));
        let Some(Slot::Kept(kept)) = self.slots.get_mut(&id) else {
            return Some(Remains::default());
        };
        if kept.expires.is_some_and(|expires| expires <= now) {
            return Some(self.end(&id));
        }
        let will = kept.take_will();
        if let Some(due) = kept.due() {
            self.due.insert((due, id));
        }
        Some(Remains::of_will(will))
    }

    /// Ends the kept session that is due first, if more than `most` are due some time.
    fn end_beyond(&mut self, most: usize) -> Option<Remains> {
        if self.due.len() <= most {
            return None;
        }
        let (_, id) = self.due.first().cloned()?;
        Some(self.end(&id))
    }

    /// Ends a kept session.
    fn end(&mut self, id: &ClientId) -> Remains {
        self.take_kept(id).map_or_else(Remains::default, Remains::of)
    }

    /// Takes a kept session out, whose client is back. If it had a connection when the broker crashed, it has not disappeared.
    fn take_back(&mut self, id: &ClientId, node: &Node) -> Option<Kept> {
        let mut kept = self.take_kept(id)?;
        kept.drop_will_if(|will, _| will.is_of_before, node);
        Some(kept)
    }

    /// Takes a kept session out, and what was to be looked at.
    fn take_kept(&mut self, id: &ClientId) -> Option<Kept> {
        if !matches!(self.slots.get(id), Some(Slot::Kept(_))) {
            return None;
        }
        let Some(Slot::Kept(kept)) = self.slots.remove(id) else {
            return None;
        };
        self.kept -= 1;
        if let Some(due) = kept.due() {
            self.due.remove(&(due, id.clone()));
        }
        Some(kept)
    }
}
