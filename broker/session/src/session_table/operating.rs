//! What an operator does to sessions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inbox_types::{ClientId, Kept as Keeps, Ticket};
use tokio::time::{Instant, sleep, timeout};

use super::remains::Told;
use super::{Remains, SessionTable, Sessions, Slot};
use crate::session::{Order, Outbox};

/// How long an operator waits for a connection to end, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why it cannot be said of a session that it has ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotForgotten {
    /// Its connection has been told to end, and has not.
    StillThere,
    /// It has ended, and the store still has it.
    NotDurable,
}

impl SessionTable {
    /// Has the connection of this client end (MQTT 5: 0x98). Tells whether there is one.
    pub fn disconnect(&self, client: &ClientId) -> bool {
        match self.state.lock().slots.get(client) {
            Some(Slot::Connected { outbox, .. }) => {
                outbox.order(Order::Disconnect);
                true
            }
            _ => false,
        }
    }

    /// Sessions that are kept for clients that are away.
    pub fn kept(&self) -> usize {
        self.state.lock().kept
    }

    /// Whether a session is kept for this client, which is away.
    pub fn is_kept(&self, client: &ClientId) -> bool {
        matches!(self.state.lock().slots.get(client), Some(Slot::Kept(_)))
    }

    /// Ends the session of this client, whether it is connected or away, with everything that belongs to it. Tells whether there was one, when no crash brings it
    /// back. A client that connects again at once begins anew.
    ///
    /// # Errors
    /// See [`NotForgotten`]: for five seconds each. The session ends when its connection does.
    pub async fn forget(&self, client: &ClientId) -> Result<bool, NotForgotten> {
        let (mut ending, until) = (None, Instant::now() + PATIENCE);
        while !self.is_over(client, &mut ending).await {
            if Instant::now() >= until {
                return Err(NotForgotten::StillThere);
            }
            sleep(LOOK_EVERY).await;
        }
        match timeout(PATIENCE, self.is_gone_for_good(client)).await {
            Ok(true) => Ok(ending.is_some()),
            _ => Err(NotForgotten::NotDurable),
        }
    }

    /// Looks at a session that is to end: whether it has, and others have what it owed them.
    async fn is_over(&self, client: &ClientId, ending: &mut Option<Arc<Outbox>>) -> bool {
        let looked = self.state.lock().forget(client, ending);
        let Some(remains) = looked else { return false };
        self.bury(remains).await;
        // A connection that has ended may be about to do the same.
        let journal = ending.as_ref().and_then(|ending| ending.journal());
        journal.is_none_or(|journal| journal.is_over())
    }

    /// Whether it is, once everything that was to be forgotten of a client is.
    async fn is_gone_for_good(&self, client: &ClientId) -> bool {
        if !self.shared.mqtt.durable_sessions {
            return true;
        }
        // Nothing has this key, so nothing changes; but it comes after what was to be forgotten before.
        let key = Bytes::copy_from_slice(client.as_str().as_bytes());
        let (port, told) = Told::channel();
        let waits = Some((port, Ticket(0)));
        self.shared.node.inboxes.keep(Keeps::Session, key, None, waits);
        told.await.unwrap_or(false)
    }
}

impl Sessions {
    /// Looks at a session that is to end, which `ending` knows from the first look on. Gives what is left of it, or `None` as long as it has a
    /// connection.
    fn forget(&mut self, id: &ClientId, ending: &mut Option<Arc<Outbox>>) -> Option<Remains> {
        let (outbox, is_connected) = match self.slots.get(id) {
            Some(Slot::Connected { outbox, .. }) => (outbox, true),
            Some(Slot::Kept(kept)) => (kept.session.outbox(), false),
            None => return Some(Remains::of_will(self.bereft.take(id))),
        };
        let is_meant = Arc::ptr_eq(ending.get_or_insert_with(|| outbox.clone()), outbox);
        if is_meant && is_connected {
            // At each look: a connection that was about to end as it is did not see it, and the next one may have the session already.
            outbox.order(Order::Forget);
            return None;
        }
        Some(match is_meant {
            true => self.end(id),
            false => Remains::default(),
        })
    }
}
