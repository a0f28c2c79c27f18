//! Looks inside that only tests take.

use inbox_bridge::{ClientId, InboxRecord};

use super::{ConnId, Single};

impl Single {
    /// Mail that waits for this client's session to send it: messages, and bytes.
    pub fn mail_waiting(&self, conn: ConnId) -> (usize, usize) {
        let connection = self.connections.get(&conn);
        let session = connection.and_then(|connection| connection.conversation.session());
        session.map_or((0, 0), |session| session.outbox().mail_waiting())
    }

    /// See [`Hub::totals`].
    pub fn totals(&self, inbox: &ClientId) -> Option<InboxRecord> {
        self.hub.totals(inbox)
    }
}
