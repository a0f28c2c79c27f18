//! A client that is not let in: where it comes from, and who it says it is.

use std::net::SocketAddr;
use std::sync::Arc;

use access::Origin;
use inbox_types::Event;

use super::Cause;

/// See the module's documentation.
#[derive(Debug)]
pub struct Caller {
    /// The other end of its network connection.
    pub peer: SocketAddr,
    /// The name of the listener that it came through, where there is one.
    pub listener: Option<Arc<str>>,
    /// The client ID that it asked for, if it came so far.
    pub client: Option<Box<str>>,
    /// The user name that it gave.
    pub user: Option<Box<str>>,
}

impl From<&Origin> for Caller {
    /// One that has not said who it is.
    fn from(origin: &Origin) -> Self {
        Caller {
            peer: origin.peer,
            listener: origin.listener.clone(),
            client: None,
            user: None,
        }
    }
}

impl Caller {
    pub(super) fn turned_away(self, cause: Cause, why: Box<str>) -> Event {
        Event::TurnedAway {
            peer: self.peer,
            listener: self.listener,
            client: self.client,
            user: self.user,
            cause: cause.name(),
            why,
        }
    }
}
