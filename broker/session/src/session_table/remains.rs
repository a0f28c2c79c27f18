//! What a session leaves when it ends.

use std::future::pending;
use std::sync::Arc;

use access::Identity;
use inbox_types::{AttachmentId, ClientId, Delivery, Outcome, Port, Room, Ticket};
use parking_lot::Mutex;
use pubsub::{Publisher, SessionKey};
use tokio::sync::oneshot;

use super::{Kept, SessionTable};
use crate::keeping::Journal;
use crate::keeping::PendingWill;
use crate::refusals::Cause;
use crate::session::Session;
use crate::will;

/// What is left to do when a session has ended; it needs the router, and so cannot be done under the lock.
#[derive(Default)]
pub(crate) struct Remains {
    pub(super) session: Option<Ended>,
    /// What must be published, and from whom.
    pub(crate) will: Option<(Identity, Arc<PendingWill>)>,
}

/// A session that is no more.
pub(super) struct Ended {
    pub(super) key: SessionKey,
    pub(super) uses_router: bool,
    /// With shared subscriptions: its messages go to others.
    pub(super) shares: Option<Box<Session>>,
    /// Where it was kept.
    pub(super) journal: Option<Arc<Journal>>,
}

impl Remains {
    /// Nothing but a will, if there is one.
    pub(crate) fn of_will(will: Option<(Identity, Arc<PendingWill>)>) -> Self {
        Remains { session: None, will }
    }

    pub(super) fn of(mut kept: Kept) -> Self {
        let will = kept.take_will();
        Remains {
            session: Some(Ended {
                key: kept.session.key(),
                uses_router: kept.session.uses_router(),
                journal: kept.session.outbox().journal().cloned(),
                shares: kept.session.has_shares().then(|| kept.session.wake()),
            }),
            will,
        }
    }

    /// What the store has of the session goes. It is the last thing to do.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        if let Some(journal) = self.journal() {
            journal.end(None);
        }
    }

    fn journal(&self) -> Option<&Arc<Journal>> {
        self.session.as_ref()?.journal.as_ref()
    }
}

impl SessionTable {
    /// Does what is left to do.
    pub(super) async fn bury(&self, remains: Remains) {
        let journal = self.bury_but_for_journal(remains).await;
        if let Some(journal) = journal {
            journal.end(None);
        }
    }

    /// The same, and waits until nothing can bring the session back.
    pub(super) async fn bury_for_good(&self, remains: Remains) {
        let journal = self.bury_but_for_journal(remains).await;
        if let Some(journal) = journal {
            let (port, told) = Told::channel();
            journal.end(Some((port, Ticket(0))));
            if told.await != Ok(true) {
                // Nothing is durable any more, and the broker ends: its client is not let in, or it would be told that this session is gone.
                pending::<()>().await;
            }
        }
    }

    async fn bury_but_for_journal(&self, remains: Remains) -> Option<Arc<Journal>> {
        let journal = remains.journal().cloned();
        if let Some((who, will)) = remains.will {
            will::publish(&self.shared, &self.router, &self.put_off, &who, will).await;
        }
        match remains.session {
            Some(Ended {
                key,
                shares: Some(mut session),
                ..
            }) => {
                self.router.close_and_wait(key).await;
                let (mut orphans, begun) = session.take_orphans();
                self.router.lose_orphans(begun);
                self.tell_lost(
                    session.id(),
                    begun,
                    "their exchange with QoS 2 had begun (MQTT-4.8.2-5)",
                );
                // What the store has here is forgotten when others have it there.
                let (port, told) = Told::channel();
                let safe = Publisher::new(&port, Ticket(0));
                safe.awaits(&mut orphans);
                drop(safe);
                let lost = self.router.hand_over(orphans).await;
                let _ = told.await;
                self.tell_lost(session.id(), lost, "nobody else is subscribed to it");
            }
            Some(ended) if ended.uses_router => self.router.close(ended.key).await,
            _ => {}
        }
        journal
    }

    /// Messages of shared subscriptions were lost with the session of `id`.
    fn tell_lost(&self, id: &ClientId, messages: u64, why: &str) {
        if messages > 0 {
            let now = self.shared.node.now().mono;
            let why = format_args!("{messages}, because {why}");
            let refusals = &self.shared.metrics.refusals;
            refusals.note(Cause::SharedLost, id, "", &why, now);
        }
    }
}

/// Tells whoever awaits it that something is durable.
pub(super) struct Told(Mutex<Option<oneshot::Sender<bool>>>);

impl Told {
    /// What is received says whether it is.
    pub(super) fn channel() -> (Arc<dyn Port>, oneshot::Receiver<bool>) {
        let (tell, told) = oneshot::channel();
        (Arc::new(Told(Mutex::new(Some(tell)))), told)
    }
}

impl Port for Told {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, outcome: Outcome) {
        if let Some(tell) = self.0.lock().take() {
            // Who awaited it may have gone.
            let _ = tell.send(matches!(outcome, Outcome::Accepted(_)));
        }
    }
}

impl Ended {
    pub(super) fn of(session: Box<Session>) -> Self {
        Ended {
            key: session.key(),
            uses_router: session.uses_router(),
            journal: session.outbox().journal().cloned(),
            shares: session.has_shares().then_some(session),
        }
    }
}
