//! What an operator does to sessions.

use std::sync::Arc;
use std::time::Duration;

use inbox_types::ClientId;

use super::{SessionTable, Slot};
use crate::session::{Order, Outbox};

/// How long an operator waits for a connection to end, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
    pub async fn forget(&self, client: &ClientId) -> bool {
        let connected = match self.state.lock().slots.get(client) {
            Some(Slot::Connected { outbox, .. }) => Some(outbox.clone()),
            _ => None,
        };
        let is_there = |gone: &Arc<Outbox>| match self.state.lock().slots.get(client) {
            Some(Slot::Connected { outbox, .. }) => Arc::ptr_eq(outbox, gone),
            _ => false,
        };
        if let Some(outbox) = connected {
            outbox.order(Order::Forget);
            let mut waited = Duration::ZERO;
            while is_there(&outbox) && waited < PATIENCE {
                tokio::time::sleep(LOOK_EVERY).await;
                waited += LOOK_EVERY;
            }
            return true;
        }
        let (was_kept, remains) = {
            let mut state = self.state.lock();
            let was_kept = matches!(state.slots.get(client), Some(Slot::Kept(_)));
            (was_kept, state.end(client))
        };
        self.bury(remains).await;
        was_kept
    }
}
