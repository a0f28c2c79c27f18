//! A client changes its mind about a message that it sent (contract rule 12): it publishes to `$inbox/recall` or `$inbox/edit`.
//!
//! Whoever may not write to an inbox may not amend there, either: what is asked for can be a message to its reader.

use std::sync::Arc;

use inbox_types::{Amendment, Message, Now, Port, Qos, Ticket};
use intake::{Destination, Shut, Taken};

use super::nobody::Nobody;
use super::said::said;
use super::{Ending, Session};
use crate::NotPublished;
use crate::amendments::{self, AmendmentRefused, Meant};
use bytes::Bytes;
use mqtt_codec::Publish;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Recall,
    Edit,
}

impl Session {
    /// The client takes a message back, or replaces it.
    pub(super) fn amend(
        &mut self,
        change: Change,
        publish: &Publish<'_>,
        topic: &str,
        ticket: Option<Ticket>,
        now: Now,
    ) -> Result<(), Ending> {
        let (meant, message) = match self.understand(change, publish, now) {
            Ok(understood) => understood,
            Err(why) => return self.refuse_request(publish, topic, ticket, why),
        };
        let (to, id) = meant;
        let amendment = match change {
            Change::Recall => Amendment::Recall(id),
            Change::Edit => Amendment::Edit(id),
        };
        self.note_request(publish, topic, ticket);
        // It is mostly about what was published just now.
        self.hand_in(now);
        let port: Arc<dyn Port> = match ticket {
            Some(_) => self.outbox.clone(),
            None => Arc::new(Nobody),
        };
        let ticket = ticket.unwrap_or(Ticket(0));
        self.shared.node.inboxes.amend(&to, amendment, message, &port, ticket);
        Ok(())
    }

    /// Which message is meant, and what there is to be in its place.
    fn understand(
        &self,
        change: Change,
        publish: &Publish<'_>,
        now: Now,
    ) -> Result<((inbox_types::ClientId, Box<str>), Message), NotPublished> {
        let Meant { to, id } = match change {
            Change::Recall => amendments::recall(publish.payload)?,
            Change::Edit => amendments::edit(publish.properties.user)?,
        };
        let topic = format!("{}{to}", self.shared.names.prefix());
        let destination = self.shared.names.destination(&topic);
        if matches!(destination, Destination::Ordinary | Destination::Reserved) {
            return Err(AmendmentRefused::NoInbox.into());
        }
        let intake = self.shared.intake(now);
        let taken = intake.take_for(&self.identity, destination, &topic, |_| {
            said(publish, Bytes::copy_from_slice(publish.payload))
        });
        match taken.map_err(NotPublished::Shut)? {
            Taken::Inbox(inbox, message) => {
                self.shared.wrote(&self.identity, &inbox);
                Ok(((inbox, id), amended(message)))
            }
            Taken::Ordinary(_) => Err(NotPublished::Shut(Shut::Nowhere("this is no inbox"))),
        }
    }
}

/// The message without what only says which one it is about. It is kept, whatever QoS it came with.
fn amended(message: Arc<Message>) -> Message {
    let mut message = Arc::unwrap_or_clone(message);
    message.qos = message.qos.max(Qos::AtLeastOnce);
    if let Some(properties) = &mut message.properties
        && let Some(at) = properties.user.iter().position(|(name, _)| &**name == "to")
    {
        properties.user.remove(at);
    }
    message
}
