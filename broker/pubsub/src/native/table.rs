//! All filters: those without wildcards by their names, others in the trie.

use arcstr::ArcStr;
use papaya::Guard;

use super::Hasher;
use super::audience::{Audience, Joined};
use super::member::Member;
use super::trie::{TooManyLevels, Trie};
use crate::topic::has_wildcard;
use crate::{Orphan, SessionKey};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Table {
    exact: papaya::HashMap<ArcStr, Audience, Hasher>,
    wild: Trie,
}

impl Table {
    /// Shows every audience whose filter matches `topic`.
    pub(super) fn each_match(&self, topic: &str, mut visit: impl FnMut(&Audience)) {
        if let Some(audience) = self.exact.pin().get(topic) {
            visit(audience);
        }
        self.wild.each_match(topic, &mut visit);
    }

    /// Adds a member to the audience of `filter`.
    pub(super) fn join(&self, filter: &ArcStr, member: Member, share: Option<&str>) -> Result<Joined, TooManyLevels> {
        if has_wildcard(filter) {
            return self.wild.join(filter, member, share);
        }
        let exact = self.exact.pin();
        let (alone, joined) = Audience::alone(member.clone(), share);
        // Mostly it is the first one, for whom one search does.
        let Err(there) = exact.try_insert(filter.clone(), alone) else {
            return Ok(joined);
        };
        let (audience, joined) = there.current.join(member, share);
        if let Some(audience) = audience {
            exact.insert(filter.clone(), audience);
        }
        Ok(joined)
    }

    /// Takes the subscription of `session` out. True if nobody has this filter any more.
    pub(super) fn part(&self, filter: &str, session: SessionKey, share: Option<&str>) -> bool {
        if has_wildcard(filter) {
            return self.wild.part(filter, session, share);
        }
        let exact = self.exact.pin();
        let is_over = exact.get(filter).is_some_and(|there| there.part(session, share));
        if is_over {
            exact.remove(filter);
        }
        is_over
    }

    /// Whether somebody has this filter.
    pub(super) fn has(&self, filter: &str) -> bool {
        self.visit(filter, |_| true)
    }

    /// Gives back what the maps were before they grew, as far as this thread made them grow. They do so by themselves, but only when more has gone.
    pub(super) fn trim(&self) {
        self.exact.guard().flush();
        self.wild.trim();
    }

    /// Delivers a message that lost its reader to another member of its shared subscription. Tells whether there is one.
    pub(super) fn hand_over(&self, orphan: &Orphan) -> bool {
        self.visit(&orphan.filter, |audience| match audience {
            Audience::Many(crowd) => crowd.give_to(orphan),
            Audience::One(_) => false,
        })
    }

    /// Shows the audience of this very filter, and tells what was said of it; false without one.
    fn visit(&self, filter: &str, visit: impl FnOnce(&Audience) -> bool) -> bool {
        match has_wildcard(filter) {
            true => self.wild.visit(filter, visit).unwrap_or_default(),
            false => self.exact.pin().get(filter).is_some_and(visit),
        }
    }
}
