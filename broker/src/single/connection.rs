//! A connection of a broker on one thread.

use std::sync::Arc;
use std::task::Poll;

use access::Identity;
use inbox_bridge::Now;
use mqtt_session::{Conversation, PendingWill, Place, Session, SessionTable};

use super::waiting::Waiting;

pub(super) struct Connection {
    pub(super) conversation: Conversation,
    /// Of a client that has sent CONNECT, until its session is open.
    pub(super) wanted: Option<Wanted>,
    /// From then on, until it is put away.
    pub(super) place: Option<Place>,
    pub(super) had_session: bool,
}

/// A session that waits until another connection has ended, or until nothing can bring back the one before.
pub(super) struct Wanted {
    opening: Waiting<Opened>,
    /// There as soon as it is.
    pub(super) opened: Option<Opened>,
    /// Of its CONNECT, which counts as received when the session is opened.
    pub(super) bytes: usize,
}

/// A session, its place in the table, and whether it has a past.
type Opened = (Place, Box<Session>, bool);

impl Connection {
    /// Wants a session, and opens it if it is there at once.
    pub(super) fn want(
        &mut self,
        table: &Arc<SessionTable>,
        identity: Identity,
        clean_start: bool,
        will: Option<Arc<PendingWill>>,
        now: Now,
    ) {
        let table = table.clone();
        let mut wanted = Wanted {
            opening: Waiting::new(async move { table.open(identity, clean_start, will).await }),
            opened: None,
            bytes: 0,
        };
        wanted.look();
        match wanted.opened.take() {
            Some(opened) => self.open(opened, now),
            None => self.wanted = Some(wanted),
        }
    }

    pub(super) fn open(&mut self, (place, session, present): Opened, now: Now) {
        (self.wanted, self.place, self.had_session) = (None, Some(place), true);
        self.conversation.opened(session, present, now);
    }
}

impl Wanted {
    pub(super) fn look(&mut self) {
        if self.opened.is_none()
            && let Poll::Ready(opened) = self.opening.poll()
        {
            self.opened = Some(opened);
        }
    }
}
