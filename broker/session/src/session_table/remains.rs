//! What a session leaves when it ends.

use access::Identity;
use pubsub::SessionKey;

use super::Kept;
use crate::session::{Session, Will};

/// What is left to do when a session has ended; it needs the router, and so cannot be done under the lock.
#[derive(Default)]
pub struct Remains {
    pub(super) session: Option<Ended>,
    /// What must be published, and from whom.
    pub will: Option<(Identity, Box<Will>)>,
}

/// A session that is no more.
pub(super) struct Ended {
    pub(super) key: SessionKey,
    pub(super) uses_router: bool,
    /// With shared subscriptions: its messages go to others.
    pub(super) shares: Option<Box<Session>>,
}

impl Remains {
    /// Nothing but a will, if there is one.
    pub fn of_will(will: Option<(Identity, Box<Will>)>) -> Self {
        Remains { session: None, will }
    }

    pub(super) fn of(kept: Kept) -> Self {
        let will = kept.will.map(|(will, _)| (kept.session.identity().clone(), will));
        Remains {
            session: Some(Ended::of(kept.session)),
            will,
        }
    }
}

impl Ended {
    pub(super) fn of(session: Box<Session>) -> Self {
        Ended {
            key: session.key(),
            uses_router: session.uses_router(),
            shares: session.has_shares().then_some(session),
        }
    }
}
