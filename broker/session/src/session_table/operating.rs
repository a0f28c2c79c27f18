//! What an operator does to sessions.

use std::time::Duration;

use inbox_types::ClientId;

use super::{SessionTable, Slot};
use crate::session::Order;

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

    /// Ends the session of this client, whether it is connected or away, with everything that belongs to it. Tells whether there was one.
    pub async fn forget(&self, client: &ClientId) -> bool {
        let mut was_there = false;
        let mut waited = Duration::ZERO;
        while self.disconnect(client) && waited < PATIENCE {
            was_there = true;
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        let (was_kept, remains) = {
            let mut state = self.state.lock();
            (state.slots.contains_key(client), state.end(client))
        };
        self.bury(remains).await;
        was_there || was_kept
    }
}
