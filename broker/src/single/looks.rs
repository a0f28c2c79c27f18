//! Looks inside that only tests take.

use std::sync::Arc;

use bytes::Bytes;
use inbox_bridge::{ClientId, Events, InboxRecord};

use super::{ConnId, Single};

impl Single {
    /// Mail that waits for this client's session to send it: messages, and bytes.
    pub fn mail_waiting(&self, conn: ConnId) -> (usize, usize) {
        let connection = self.connections.get(&conn);
        let session = connection.and_then(|connection| connection.conversation.session());
        session.map_or((0, 0), |session| session.outbox().mail_waiting())
    }

    /// Whether the session that this client was given has a past; `None`: it has none yet.
    pub fn is_resumed(&self, conn: ConnId) -> Option<bool> {
        let connection = self.connections.get(&conn)?;
        connection.had_session.then_some(connection.is_resumed)
    }

    /// Where the broker tells what happens.
    pub fn events(&self) -> &Arc<Events> {
        &self.shared.node.events
    }

    /// The payloads of wills that are due, and wait until something new is taken.
    pub fn wills_put_off(&self) -> Vec<Bytes> {
        self.table.wills_put_off()
    }

    /// See [`Hub::totals`].
    pub fn totals(&self, inbox: &ClientId) -> Option<InboxRecord> {
        self.hub.totals(inbox)
    }
}
