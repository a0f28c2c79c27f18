//! A session whose connection has ended, on its way back into the table.

use std::sync::Arc;

use super::Remains;
use crate::keeping::PendingWill;
use crate::session::{Ending, Session};

/// See the module's documentation.
#[must_use = "a session that is not put away keeps its client out"]
pub(crate) struct Parted {
    pub(super) session: Box<Session>,
    /// What is due later (MQTT 5, section 3.1.2.5).
    pub(super) will: Option<Arc<PendingWill>>,
}

impl Parted {
    /// Takes `session` off its connection. Gives also the will that is due at once: it is to be published before the session is put
    /// away, because what the next connection of this client publishes comes after it.
    pub(crate) fn new(mut session: Box<Session>, will: Option<Arc<PendingWill>>, ending: &Ending) -> (Self, Remains) {
        session.disconnected();
        let (due, will) = match will {
            Some(will) if *ending == (Ending::Left { with_will: false }) => {
                session.will_is_void(&will);
                (None, None)
            }
            Some(will) if will.will.delay > 0 && session.link().session_expiry > 0 => (None, Some(will)),
            will => (will, None),
        };
        let due = Remains::of_will(due.map(|will| (session.identity().clone(), will)));
        (Parted { session, will }, due)
    }
}
