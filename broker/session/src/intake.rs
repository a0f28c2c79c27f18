//! The door for everything that is published by clients and for them: who, and where to; then the access rules; then an inbox or the
//! router.

use access::{Access, Action, Denied, Identity};
use inbox_types::ClientId;
use mqtt_codec::reason;

use crate::address::Destination;

/// Where a message goes that may go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// Somebody's inbox.
    Inbox(ClientId),
    /// Publish/subscribe.
    Ordinary,
}

/// Why a message goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Shut {
    /// Its publisher may not publish there.
    #[error(transparent)]
    Denied(Denied),
    /// Nothing is there.
    #[error("{0}")]
    Nowhere(&'static str),
}

impl Shut {
    /// What MQTT 5 clients are answered.
    pub(crate) fn reason(self) -> u8 {
        match self {
            Shut::Nowhere(_) | Shut::Denied(Denied::Reserved) => reason::TOPIC_NAME_INVALID,
            Shut::Denied(_) => reason::NOT_AUTHORIZED,
        }
    }
}

/// Where a message of `who` on `topic` goes. `destination` is what the topic names.
#[inline]
pub(crate) fn door(access: &Access, who: &Identity, destination: Destination, topic: &str) -> Result<Door, Shut> {
    if let Some(target) = destination.target(topic) {
        let decided = access.decide(who, Action::Publish(target));
        decided.map_err(Shut::Denied)?;
    }
    match destination {
        Destination::Inbox(owner) => Ok(Door::Inbox(owner)),
        Destination::Ordinary => Ok(Door::Ordinary),
        // The broker's own messages for these go straight to the router.
        Destination::Reserved => Err(Shut::Denied(Denied::Reserved)),
        Destination::Forbidden(why) => Err(Shut::Nowhere(why)),
    }
}
