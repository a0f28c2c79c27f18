//! Shared subscriptions of one filter: each message goes to one member of each (MQTT 5, section 4.8.2).

use std::sync::atomic::{AtomicUsize, Ordering};

use super::FanOut;
use super::member::Member;
use crate::turns::choose;
use crate::{Orphan, Reach, SessionKey};

/// There are few, and nearly always one.
#[derive(Default)]
pub(super) struct Groups(Vec<Group>);

/// One shared subscription.
struct Group {
    share: Box<str>,
    /// Never empty.
    members: Vec<Member>,
    /// Whose turn it is. Two publishers may take the same turn.
    next: AtomicUsize,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `member`, or changes the number of its session's subscription, which is told.
    pub(super) fn join(&mut self, member: Member, share: &str) -> Option<u32> {
        let Some(group) = self.0.iter_mut().find(|group| &*group.share == share) else {
            self.0.push(Group {
                share: share.into(),
                members: vec![member],
                next: AtomicUsize::new(0),
            });
            return None;
        };
        match group
            .place(member.subscriber.key)
            .and_then(|at| group.members.get_mut(at))
        {
            Some(known) => Some(std::mem::replace(known, member).subscription),
            None => {
                group.members.push(member);
                None
            }
        }
    }

    pub(super) fn part(&mut self, session: SessionKey, share: &str) {
        let Some(group) = self.0.iter_mut().find(|group| &*group.share == share) else {
            return;
        };
        let Some(at) = group.place(session) else { return };
        let turn = group.turn();
        group.members.remove(at);
        // The turn stays with the same member.
        *group.next.get_mut() = turn - usize::from(at < turn);
        self.0.retain(|group| !group.members.is_empty());
    }

    /// Delivers to one of each.
    pub(super) fn give(&self, fan_out: &mut FanOut<'_>) {
        for group in &self.0 {
            if group.give(fan_out) {
                fan_out.reached = Reach::Somebody;
            }
        }
    }

    /// Delivers to one of this share. False if there is nobody.
    pub(super) fn give_to(&self, orphan: &Orphan) -> bool {
        let group = self.0.iter().find(|group| group.share == orphan.share);
        group.is_some_and(|group| group.give(&mut FanOut::again(orphan)))
    }
}

impl Group {
    fn place(&self, session: SessionKey) -> Option<usize> {
        self.members.iter().position(|member| member.subscriber.key == session)
    }

    fn turn(&self) -> usize {
        self.next.load(Ordering::Relaxed) % self.members.len().max(1)
    }

    /// Delivers to one member. False if all have ended meanwhile.
    fn give(&self, fan_out: &mut FanOut<'_>) -> bool {
        let (count, next) = (self.members.len(), self.turn());
        let waiting = |at: usize| self.members.get(at)?.subscriber.waiting();
        let chosen = choose(count, next, waiting);
        // Who was chosen may have ended.
        let others = (0..count).map(|turn| (next + turn) % count);
        let mut takes = |at: &usize| self.members.get(*at).is_some_and(|member| member.take(fan_out));
        let Some(at) = chosen.into_iter().chain(others).find(&mut takes) else {
            return false;
        };
        self.next.store((at + 1) % count, Ordering::Relaxed);
        true
    }
}
