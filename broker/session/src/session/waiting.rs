//! Who waits for what becomes of a request: the client that published it, or nobody.

use std::sync::Arc;

use inbox_types::{AttachmentId, Delivery, Outcome, Port, Room, Ticket};

use super::Session;

impl Session {
    /// Who is told what becomes of a publish, and under which ticket; with QoS 0 nobody is.
    pub(super) fn who_waits(&self, ticket: Option<Ticket>) -> (Arc<dyn Port>, Ticket) {
        match ticket {
            Some(ticket) => (self.outbox.clone(), ticket),
            None => (Arc::new(Nobody), Ticket(0)),
        }
    }
}

/// Waits for no outcome.
struct Nobody;

impl Port for Nobody {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, _: Outcome) {}
}
