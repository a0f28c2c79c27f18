//! Who is subscribed with one filter. Nearly always it is one session, which costs no table of its own.

use std::sync::Arc;

use super::groups::Groups;
use super::member::Member;
use super::{AT_ONCE_MAX, FanOut, Hasher};
use crate::SessionKey;

/// Never empty while a table has it. Readers need no lock; of writers there is one at a time.
#[derive(Clone)]
pub(super) enum Audience {
    One(Member),
    Many(Arc<Crowd>),
}

/// Several sessions, or shared subscriptions.
#[derive(Default)]
pub(super) struct Crowd {
    members: papaya::HashMap<SessionKey, Member, Hasher>,
    pub(super) groups: Groups,
}

/// What a new member changed.
pub(super) struct Joined {
    /// It is the only one.
    pub(super) is_first: bool,
    /// The number of the subscription of this session that it takes the place of.
    pub(super) replaced: Option<u32>,
}

impl Audience {
    /// Adds `member` to who is there, in the shared subscription `share` if that is named. Gives what takes the place of `there`; nothing, if that has
    /// changed in itself.
    pub(super) fn join(there: Option<&Self>, member: Member, share: Option<&str>) -> (Option<Self>, Joined) {
        let is_first = there.is_none();
        let joined = |replaced| Joined { is_first, replaced };
        match (there, share) {
            (Some(Audience::Many(crowd)), _) => (None, joined(crowd.join(member, share))),
            (Some(Audience::One(one)), None) if one.subscriber.key == member.subscriber.key => {
                (Some(Audience::One(member)), joined(Some(one.subscription)))
            }
            (None, None) => (Some(Audience::One(member)), joined(None)),
            (one, _) => {
                let crowd = Crowd::default();
                if let Some(Audience::One(one)) = one {
                    crowd.join(one.clone(), None);
                }
                crowd.join(member, share);
                (Some(Audience::Many(Arc::new(crowd))), joined(None))
            }
        }
    }

    /// Takes the subscription of `session` out. True if nobody is left: then it is to be taken away.
    pub(super) fn part(&self, session: SessionKey, share: Option<&str>) -> bool {
        match self {
            Audience::One(one) => one.subscriber.key == session && share.is_none(),
            Audience::Many(crowd) => {
                crowd.part(session, share);
                crowd.members.is_empty() && crowd.groups.is_empty()
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
        match share {
            Some(share) => self.groups.join(member, share),
            None => {
                let members = self.members.pin();
                members
                    .insert(member.subscriber.key, member)
                    .map(|before| before.subscription)
            }
        }
    }

    fn part(&self, session: SessionKey, share: Option<&str>) {
        match share {
            Some(share) => self.groups.part(session, share),
            None => drop(self.members.pin().remove(&session)),
        }
    }

    fn give(&self, fan_out: &mut FanOut<'_>) {
        let members = self.members.pin();
        match members.len() {
            0..=AT_ONCE_MAX => members.values().for_each(|member| fan_out.give(member)),
            _ => fan_out.later.extend(members.values().cloned()),
        }
        self.groups.give(fan_out);
    }
}
