//! Shared subscriptions of one filter: each message goes to one member of each (MQTT 5, section 4.8.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::member::Member;
use super::{FanOut, Hasher};
use crate::turns::choose;
use crate::{OrdinaryDelivery, OrdinaryMessage, Reach, SessionKey};

/// By the name of the share.
#[derive(Default)]
pub(super) struct Groups(papaya::HashMap<Box<str>, Arc<Group>, Hasher>);

/// One shared subscription. Another one takes its place when its members change.
struct Group {
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
    pub(super) fn join(&self, member: Member, share: &str) -> Option<u32> {
        let groups = self.0.pin();
        let (mut members, next) = match groups.get(share) {
            Some(group) => (group.members.clone(), group.turn()),
            None => (Vec::new(), 0),
        };
        let known = members.iter_mut().find(|it| it.subscriber.key == member.subscriber.key);
        let replaced = match known {
            Some(known) => Some(std::mem::replace(known, member).subscription),
            None => {
                members.push(member);
                None
            }
        };
        groups.insert(share.into(), Group::new(members, next));
        replaced
    }

    pub(super) fn part(&self, session: SessionKey, share: &str) {
        let groups = self.0.pin();
        let Some(group) = groups.get(share) else { return };
        let Some(at) = group.members.iter().position(|it| it.subscriber.key == session) else {
            return;
        };
        let mut members = group.members.clone();
        members.remove(at);
        if members.is_empty() {
            groups.remove(share);
            return;
        }
        // The turn stays with the same member.
        let next = group.turn();
        let next = (next - usize::from(at < next)) % members.len();
        groups.insert(share.into(), Group::new(members, next));
    }

    /// Delivers to one of each.
    pub(super) fn give(&self, fan_out: &mut FanOut<'_>) {
        for group in self.0.pin().values() {
            if group.give(fan_out.message) {
                fan_out.reached = Reach::Somebody;
            }
        }
    }

    /// Delivers to one of this share. False if there is nobody.
    pub(super) fn give_to(&self, share: &str, message: &Arc<OrdinaryMessage>) -> bool {
        self.0.pin().get(share).is_some_and(|group| group.give(message))
    }
}

impl Group {
    fn new(members: Vec<Member>, next: usize) -> Arc<Self> {
        Arc::new(Group {
            members,
            next: AtomicUsize::new(next),
        })
    }

    fn turn(&self) -> usize {
        self.next.load(Ordering::Relaxed) % self.members.len().max(1)
    }

    /// Delivers to one member. False if all have ended meanwhile.
    fn give(&self, message: &Arc<OrdinaryMessage>) -> bool {
        let (count, next) = (self.members.len(), self.turn());
        let waiting = |at: usize| self.members.get(at)?.subscriber.waiting();
        let chosen = choose(count, next, waiting);
        // Who was chosen may have ended.
        let others = (0..count).map(|turn| (next + turn) % count);
        let takes = |at: &usize| self.members.get(*at).is_some_and(|member| member.take(message));
        let Some(at) = chosen.into_iter().chain(others).find(takes) else {
            return false;
        };
        self.next.store((at + 1) % count, Ordering::Relaxed);
        true
    }
}

impl Member {
    /// Delivers a message of a shared subscription, unless the session has ended.
    fn take(&self, message: &Arc<OrdinaryMessage>) -> bool {
        self.subscriber.deliver(&mut vec![OrdinaryDelivery {
            subscription: self.subscription,
            message: Arc::clone(message),
            retained: false,
        }])
    }
}
