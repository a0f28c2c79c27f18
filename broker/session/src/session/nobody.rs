//! A port for what nobody waits for.

use inbox_types::{AttachmentId, Delivery, Outcome, Port, Room, Ticket};

/// Waits for no outcome.
pub(super) struct Nobody;

impl Port for Nobody {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, _: Outcome) {}
}
