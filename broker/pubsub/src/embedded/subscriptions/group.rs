//! Whose turn it is in a shared subscription.

use super::{Member, Slot, Subscriber};
use crate::turns::choose;

/// A shared subscription: each message goes to one member (MQTT 5, section 4.8.2).
pub(super) struct Group {
    pub(super) share: Box<str>,
    pub(super) members: Vec<Member>,
    /// Whose turn it is.
    pub(super) next: usize,
}

impl Group {
    /// Whose turn it is.
    pub(super) fn choose(&mut self, sessions: &[Option<Subscriber>]) -> Option<Member> {
        let waiting = |at: usize| {
            let member = self.members.get(at)?;
            let session = sessions.get(member.slot.0 as usize)?.as_ref()?;
            session.sink.waiting()
        };
        let at = choose(self.members.len(), self.next, waiting)?;
        self.next = (at + 1) % self.members.len();
        self.members.get(at).copied()
    }

    pub(super) fn part(&mut self, slot: Slot) {
        let Some(at) = self.members.iter().position(|m| m.slot == slot) else {
            return;
        };
        self.members.remove(at);
        // The turn stays with the same member.
        self.next -= usize::from(at < self.next);
        if self.next >= self.members.len() {
            self.next = 0;
        }
    }
}
