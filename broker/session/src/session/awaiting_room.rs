//! Senders that ask to be told when there is room again for what was refused: the user property `notify-space` of a publish.

use inbox_types::{Message, Ticket, WantedRoom};

use super::Session;
use super::subject::Subject;
use crate::not_published::NotPublished;

/// The user property, and its value.
const ASKED: (&str, &str) = ("notify-space", "1");

impl Session {
    /// A publish is refused. If that is for want of room, and its sender asked for it, the inboxes will tell the sender, who has an inbox to be
    /// told in. One that the broker made up an ID for comes with another one next time.
    pub(super) fn await_room(&self, ticket: Ticket, why: &NotPublished) {
        let (NotPublished::Inbox(refusal), Some(_), false) = (why, &self.inbox_topic, self.id_is_assigned) else {
            return;
        };
        let Some(Subject::Mail(inbox, message)) = self.incoming.subject(ticket) else {
            return;
        };
        if asks(message) {
            let wanted = WantedRoom {
                inbox: inbox.clone(),
                topic: self.topic_of(inbox),
                bytes: message.size(),
            };
            self.shared.node.inboxes.await_room(&self.id, wanted, *refusal);
        }
    }
}

fn asks(message: &Message) -> bool {
    let properties = message.properties.as_ref();
    properties.is_some_and(|properties| properties.user.iter().any(|(name, value)| (&**name, &**value) == ASKED))
}
