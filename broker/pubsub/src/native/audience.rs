//! Who is subscribed with one filter. Nearly always it is one session, which costs no table of its own.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;

use super::groups::Groups;
use super::member::Member;
use super::{AT_ONCE_MAX, FanOut};
use crate::{Orphan, SessionKey};

/// Never empty while a table has it. Of writers there is one at a time.
#[derive(Clone)]
pub(super) enum Audience {
    One(Member),
    Many(Arc<Crowd>),
}

/// Several sessions, or shared subscriptions. It has a lock, which publishers share: a concurrent map for each would take more memory than
/// thousands of members.
#[derive(Default)]
pub(super) struct Crowd(RwLock<Everyone>);

#[derive(Default)]
struct Everyone {
    members: HashMap<SessionKey, Member>,
    groups: Groups,
}

/// What a new member changed.
pub(super) struct Joined {
    /// It is the only one.
    pub(super) is_first: bool,
    /// The number of the subscription of this session that it takes the place of.
    pub(super) replaced: Option<u32>,
}

impl Audience {
    /// `member` is the first one, in the shared subscription `share` if that is named.
    pub(super) fn alone(member: Member, share: Option<&str>) -> (Self, Joined) {
        let audience = match share {
            None => Audience::One(member),
            Some(_) => Audience::of_several([(member, share)]),
        };
        let (is_first, replaced) = (true, None);
        (audience, Joined { is_first, replaced })
    }

    /// Adds `member` to who is there. Gives what takes the place of that; nothing, if it has changed in itself.
    pub(super) fn join(&self, member: Member, share: Option<&str>) -> (Option<Self>, Joined) {
        let is_first = false;
        let joined = |replaced| Joined { is_first, replaced };
        match (self, share) {
            (Audience::Many(crowd), _) => (None, joined(crowd.join(member, share))),
            (Audience::One(one), None) if one.subscriber.key == member.subscriber.key => {
                (Some(Audience::One(member)), joined(Some(one.subscription)))
            }
            (Audience::One(one), _) => {
                let both = Audience::of_several([(one.clone(), None), (member, share)]);
                (Some(both), joined(None))
            }
        }
    }

    fn of_several<const N: usize>(members: [(Member, Option<&str>); N]) -> Self {
        let crowd = Crowd::default();
        for (member, share) in members {
            crowd.join(member, share);
        }
        Audience::Many(Arc::new(crowd))
    }

    /// Takes the subscription of `session` out. True if nobody is left: then it is to be taken away.
    pub(super) fn part(&self, session: SessionKey, share: Option<&str>) -> bool {
        match self {
            Audience::One(one) => one.subscriber.key == session && share.is_none(),
            Audience::Many(crowd) => {
                let mut everyone = crowd.0.write();
                everyone.part(session, share);
                everyone.members.is_empty() && everyone.groups.is_empty()
            }
        }
    }

    /// Delivers to everyone here, and to one of each shared subscription.
    pub(super) fn give(&self, fan_out: &mut FanOut<'_>) {
        match self {
            Audience::One(member) => fan_out.give(member),
            Audience::Many(crowd) => crowd.give(fan_out),
        }
    }
}

impl Crowd {
    fn join(&self, member: Member, share: Option<&str>) -> Option<u32> {
        let everyone = &mut *self.0.write();
        match share {
            Some(share) => everyone.groups.join(member, share),
            None => {
                let before = everyone.members.insert(member.subscriber.key, member);
                before.map(|before| before.subscription)
            }
        }
    }

    fn give(&self, fan_out: &mut FanOut<'_>) {
        let everyone = self.0.read();
        match everyone.members.len() {
            0..=AT_ONCE_MAX => everyone.members.values().for_each(|member| fan_out.give(member)),
            _ => fan_out.later.extend(everyone.members.values().cloned()),
        }
        everyone.groups.give(fan_out);
    }

    /// Delivers to one member of this shared subscription. False if there is nobody.
    pub(super) fn give_to(&self, orphan: &Orphan) -> bool {
        self.0.read().groups.give_to(orphan)
    }
}

impl Everyone {
    fn part(&mut self, session: SessionKey, share: Option<&str>) {
        match share {
            Some(share) => self.groups.part(session, share),
            None => drop(self.members.remove(&session)),
        }
    }
}
