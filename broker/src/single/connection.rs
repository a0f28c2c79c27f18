//! A connection of a broker on one thread.

use std::sync::Arc;
use std::task::Poll;

use access::Identity;
use inbox_bridge::{Hub, Now};
use mqtt_session::{Conversation, PendingWill, Place, Session, SessionTable, Step};

use super::waiting::Waiting;

pub(super) struct Connection {
    pub(super) conversation: Conversation,
    /// Of a client that has sent CONNECT, until its session is open.
    pub(super) wanted: Option<Wanted>,
    /// From then on, until it is put away.
    pub(super) place: Option<Place>,
    pub(super) had_session: bool,
    /// That session has a past.
    pub(super) is_resumed: bool,
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

    /// Gets its session, whose client is not there any more.
    pub(super) async fn open_for_nobody(mut self, hub: Arc<Hub>) {
        let Some(mut wanted) = self.wanted.take() else { return };
        let opened = match wanted.opened.take() {
            Some(opened) => opened,
            None => wanted.opening.outcome().await,
        };
        self.open(opened, hub.now());
        self.conversation.lost(hub.now());
        while let Some(step) = self.conversation.next_step(hub.now()) {
            if let (Step::Close(session, ending), Some(place)) = (step, self.place.take()) {
                place.close(session, &ending).await;
            }
        }
    }

    pub(super) fn open(&mut self, (place, session, present): Opened, now: Now) {
        (self.wanted, self.place, self.had_session) = (None, Some(place), true);
        self.is_resumed = present;
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
