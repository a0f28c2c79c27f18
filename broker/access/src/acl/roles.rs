//! Roles, and what clients that have them may do.

use super::client_pattern::ClientPattern;
use super::topic_rule::TopicRule;
use crate::identity::Identity;

/// Every client has this role.
pub(super) const EVERYONE: &str = "everyone";
/// Every client of a user.
pub(super) const AUTHENTICATED: &str = "authenticated";
/// Every client without a user.
pub(super) const ANONYMOUS: &str = "anonymous";
/// What writes to everybody: gateways, back ends.
pub(super) const SERVICE: &str = "service";
/// Who watches over the broker.
pub(super) const OPS: &str = "ops";
/// Those that the broker gives by itself.
pub(super) const GIVEN: [&str; 3] = [EVERYONE, AUTHENTICATED, ANONYMOUS];

/// One rule, and its line in the file, from 1 on; 0 for what is built in.
#[derive(Debug, Clone)]
pub(super) struct Ruled<R> {
    pub(super) rule: R,
    pub(super) line: u32,
}

impl<R> Ruled<R> {
    pub(super) fn built_in(rule: R) -> Self {
        Ruled { rule, line: 0 }
    }
}

/// What clients with this role may do, and may not.
#[derive(Debug, Clone, Default)]
pub(super) struct Role {
    pub(super) name: Box<str>,
    /// Users who have it, beside those of whom an authenticator says so.
    pub(super) members: Vec<Box<str>>,
    /// Client IDs that its users may use beside their own.
    pub(super) client_ids: Vec<Ruled<ClientPattern>>,
    pub(super) publish: Topics,
    pub(super) subscribe: Topics,
    /// Whose inboxes it may write to, or not.
    pub(super) write_to: Inboxes,
}

/// Ordinary topics.
#[derive(Debug, Clone, Default)]
pub(super) struct Topics {
    pub(super) allow: Vec<Ruled<TopicRule>>,
    pub(super) deny: Vec<Ruled<TopicRule>>,
}

/// Inboxes.
#[derive(Debug, Clone, Default)]
pub(super) struct Inboxes {
    pub(super) allow: Vec<Ruled<ClientPattern>>,
    pub(super) deny: Vec<Ruled<ClientPattern>>,
}

impl Topics {
    pub(super) fn allowing(&self, filter: &str, who: &Identity) -> Option<u32> {
        line_of(&self.allow, |rule| rule.covers(filter, who))
    }

    pub(super) fn denying(&self, filter: &str, who: &Identity) -> Option<u32> {
        line_of(&self.deny, |rule| rule.meets(filter, who))
    }
}

impl Inboxes {
    pub(super) fn allowing(&self, owner: &str, who: &Identity) -> Option<u32> {
        line_of(&self.allow, |rule| rule.has(owner, who))
    }

    pub(super) fn denying(&self, owner: &str, who: &Identity) -> Option<u32> {
        line_of(&self.deny, |rule| rule.has(owner, who))
    }
}

/// The line of the first rule that holds.
pub(super) fn line_of<R>(rules: &[Ruled<R>], holds: impl Fn(&R) -> bool) -> Option<u32> {
    rules.iter().find(|ruled| holds(&ruled.rule)).map(|ruled| ruled.line)
}
