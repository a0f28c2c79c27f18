//! Whose turn it is in a shared subscription.

use super::{Member, Slot, Subscriber};

/// A shared subscription: each message goes to one member (MQTT 5, section 4.8.2).
pub(super) struct Group {
    pub(super) share: Box<str>,
    pub(super) members: Vec<Member>,
    /// Whose turn it is.
    pub(super) next: usize,
}

impl Group {
    /// The next member whose client is connected, else the next one.
    pub(super) fn choose(&mut self, sessions: &[Option<Subscriber>]) -> Option<Member> {
        let count = self.members.len();
        let is_online = |member: &Member| {
            sessions
                .get(member.slot.0 as usize)
                .and_then(Option::as_ref)
                .is_some_and(|session| session.sink.online())
        };
        let turns = (0..count).map(|turn| (self.next + turn) % count);
        let mut turns = turns.filter_map(|at| self.members.get(at).map(|member| (at, *member)));
        let first = turns.clone().next()?;
        let (at, member) = turns.find(|(_, member)| is_online(member)).unwrap_or(first);
        self.next = (at + 1) % count;
        Some(member)
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
