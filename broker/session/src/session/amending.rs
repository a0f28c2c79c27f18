//! A client changes its mind about a message that it sent (contract rule 12): it publishes to `$inbox/recall` or `$inbox/edit`.
//!
//! Whoever may not write to an inbox may not amend there, either: what is asked for can be a message to its reader.

use std::sync::Arc;

use inbox_types::{Amendment, ClientId, Message, Now, Qos, Ticket};
use intake::{Destination, Shut, Taken};

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
        let (to, amendment, message) = match self.understand(change, publish, now) {
            Ok(understood) => understood,
            Err(why) => return self.refuse_request(publish, topic, ticket, why),
        };
        self.note_request(publish, topic, ticket);
        // It is mostly about what was published just now.
        self.hand_in(now);
        let (port, ticket) = self.who_waits(ticket);
        self.shared.node.inboxes.amend(&to, amendment, message, &port, ticket);
        Ok(())
    }

    /// Which message is meant, and what there is to be in its place.
    fn understand(
        &self,
        change: Change,
        publish: &Publish<'_>,
        now: Now,
    ) -> Result<(ClientId, Amendment, Message), NotPublished> {
        let (to, amendment) = match change {
            Change::Recall => {
                let Meant { to, id } = amendments::recall(publish.payload)?;
                (to, Amendment::Recall(id))
            }
            Change::Edit => {
                let Meant { to, id } = amendments::edit(publish.properties.user)?;
                (to, Amendment::Edit(id))
            }
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
                Ok((inbox, amendment, amended(message)))
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
