//! What an operator does to sessions.

use std::sync::Arc;
use std::time::Duration;

use inbox_types::ClientId;

use super::{Remains, SessionTable, Sessions, Slot};
use crate::session::{Order, Outbox};

/// How long an operator waits for a connection to end, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A session that is to end has a connection that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillThere;

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

    /// Ends the session of this client, whether it is connected or away, with everything that belongs to it. Tells whether there was one. A client that
    /// connects again at once begins anew.
    ///
    /// # Errors
    /// [`StillThere`]: its connection has been told to end, and has not for five seconds. The session ends when it does.
    pub async fn forget(&self, client: &ClientId) -> Result<bool, StillThere> {
        let (mut ending, mut waited) = (None, Duration::ZERO);
        loop {
            let looked = self.state.lock().forget(client, &mut ending);
            if let Some(remains) = looked {
                self.bury(remains).await;
                return Ok(ending.is_some());
            }
            if waited >= PATIENCE {
                return Err(StillThere);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }
}

impl Sessions {
    /// Looks at a session that is to end, which `ending` knows from the first look on. Gives what is left of it, or `None` as long as it has a
    /// connection.
    fn forget(&mut self, id: &ClientId, ending: &mut Option<Arc<Outbox>>) -> Option<Remains> {
        let (outbox, is_connected) = match self.slots.get(id) {
            Some(Slot::Connected { outbox, .. }) => (outbox, true),
            Some(Slot::Kept(kept)) => (kept.session.outbox(), false),
            None => return Some(Remains::default()),
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
