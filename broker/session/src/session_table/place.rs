//! A client's place in the table.

use std::sync::Arc;

use access::Identity;
use pubsub::SessionKey;

use super::remains::Ended;
use super::{Parted, Remains, SessionTable};
use crate::keeping::PendingWill;
use crate::session::{Ending, Outbox, Session};

/// A client's place in the table, which its connection holds. Dropped without [`Place::close`], because the connection's task
/// panicked or was given up, it is free again, and the rest is seen to like that of a network connection that is gone.
pub struct Place {
    pub(super) table: Arc<SessionTable>,
    pub(super) identity: Identity,
    pub(super) key: SessionKey,
    pub(super) outbox: Arc<Outbox>,
    pub(super) will: Option<Arc<PendingWill>>,
    /// What was abandoned, for what it owes to other members of its shared subscriptions.
    pub(super) abandoned: Option<Box<Session>>,
    pub(super) is_closed: bool,
}

impl Place {
    /// The name by which the router knows the session.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// What waits for the session.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The connection has ended: keeps its session as long as was agreed, and sees to its will (MQTT 5, sections 3.1.2.5 and 4.1).
    pub async fn close(mut self, session: Box<Session>, ending: &Ending) {
        let table = self.table.clone();
        let (parted, due) = Parted::new(session, self.will.take(), ending);
        table.bury(due).await;
        let remains = table.state.lock().close(parted, table.shared.node.now().mono);
        self.is_closed = true;
        table.bury(remains).await;
        table.make_room().await;
    }

    /// The connection is given up half-way, and with it its session, which may be broken: it serves nobody any more. Messages of its
    /// shared subscriptions go to others (MQTT 5, section 4.8.2).
    pub fn abandon(mut self, mut session: Option<Box<Session>>) {
        if let Some(session) = &mut session {
            session.leave();
        }
        self.abandoned = session.filter(|session| session.has_shares());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let remains = Remains {
            session: Some(Ended {
                key: self.key,
                uses_router: true,
                shares: self.abandoned.take(),
                journal: self.outbox.journal().cloned(),
            }),
            will: self.will.take().map(|will| (self.identity.clone(), will)),
        };
        self.table
            .state
            .lock()
            .abandon(self.identity.client_id(), &self.outbox, remains);
    }
}
