//! The access rules: roles, who has them, and what clients that have them may do; who may write to which inbox, and how large that is.
//!
//! | Action | Who may |
//! |---|---|
//! | publish to ordinary topics, subscribe to them | whom a role allows that it has, and none denies; without a file, everybody |
//! | write to an inbox | whom the role or the inbox allows, and neither denies; by default, every client of a user |
//! | read `$SYS` | the role `ops`, and whom a role's `subscribe` allows |
//! | ask as an operator (`$SYS/inboxd/api/…`) | the role `ops`; where nobody is known and only this machine is served, everybody |
//! | read an inbox | its owner, whatever the rules say (contract rule 2) |
//!
//! Where nobody is known, because no authentication is configured, and there is no file, everybody may do all of it.

mod client_pattern;
mod file;
mod inbox_rule;
mod inbox_size;
mod inboxes;
mod roles;
#[cfg(test)]
mod tests;
mod text;
mod topic_rule;

use std::collections::HashMap;
use std::sync::Arc;

pub use client_pattern::BadPattern;
pub use file::{RuleError, RulesError};
pub use inbox_rule::BadSender;
pub use inbox_size::BadSize;
pub use text::BadPercent;
pub use topic_rule::BadTopicRule;

use crate::denied::Denied;
use crate::identity::Identity;
use client_pattern::ClientPattern;
use inbox_rule::{InboxRule, Said};
use inbox_size::OwnSize;
use inbox_types::InboxSizes;
use inboxes::InboxRules;
use roles::{ANONYMOUS, AUTHENTICATED, EVERYONE, OPS, Role, Ruled, SERVICE};
use topic_rule::TopicRule;

/// Why somebody may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// This line of the file says so, from 1 on.
    Line(u32),
    /// It is so unless a file says otherwise.
    BuiltIn,
}

impl Grounds {
    fn of(line: u32) -> Self {
        match line {
            0 => Grounds::BuiltIn,
            line => Grounds::Line(line),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct Rules {
    roles: Vec<Role>,
    by_name: HashMap<Box<str>, usize>,
    by_member: HashMap<Box<str>, Vec<usize>>,
    inboxes: InboxRules<InboxRule>,
    sizes: Option<Arc<InboxRules<OwnSize>>>,
    /// Who writes to every inbox, without anything that could say otherwise: mostly nobody need be asked.
    free: Free,
    /// Whoever is served is an operator.
    all_operate: bool,
}

/// Who writes to every inbox; and the line that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Free {
    Nobody,
    Users(u32),
    Everybody(u32),
}

impl Rules {
    /// What holds without a file. Where users are known, clients without one write to no inbox and nobody but `ops` reads `$SYS`.
    pub fn without_file(users_are_known: bool) -> Self {
        let mut roles = built_in();
        for role in roles.iter_mut().filter(|role| *role.name == *EVERYONE) {
            role.publish.allow = topics(&["#"]);
            role.subscribe.allow = topics(&["#"]);
            if !users_are_known {
                role.write_to.allow.push(Ruled::built_in(ClientPattern::all()));
                role.subscribe.allow.extend(topics(&["$SYS/#"]));
            }
        }
        Rules::new(roles, Vec::new(), Vec::new())
    }

    fn new(roles: Vec<Role>, inboxes: Vec<(ClientPattern, InboxRule)>, sizes: Vec<(ClientPattern, OwnSize)>) -> Self {
        let mut rules = Rules {
            by_name: roles
                .iter()
                .enumerate()
                .map(|(at, role)| (role.name.clone(), at))
                .collect(),
            by_member: HashMap::new(),
            free: free(&roles, inboxes.is_empty()),
            all_operate: false,
            roles,
            inboxes: InboxRules::new(inboxes),
            sizes: (!sizes.is_empty()).then(|| Arc::new(InboxRules::new(sizes))),
        };
        for (at, role) in rules.roles.iter().enumerate() {
            for member in &role.members {
                rules.by_member.entry(member.clone()).or_default().push(at);
            }
        }
        rules
    }

    /// With `all`, everybody asks as an operator: for where nobody is known, and nobody comes from another machine.
    #[must_use]
    pub fn operated_by_all(self, all: bool) -> Self {
        Rules {
            all_operate: all,
            ..self
        }
    }

    /// Whether `who` may ask as an operator.
    pub(crate) fn operate(&self, who: &Identity) -> Result<Grounds, Denied> {
        match self.all_operate || self.roles_of(who).has(OPS) {
            true => Ok(Grounds::BuiltIn),
            false => Err(Denied::NoOperator),
        }
    }

    /// Which inboxes have a size of their own, if any have.
    pub fn sizes(&self) -> Option<Arc<dyn InboxSizes>> {
        let sizes = self.sizes.clone()?;
        Some(sizes)
    }

    /// Whether `who` may publish to the ordinary topic `topic`.
    pub(crate) fn publish(&self, who: &Identity, topic: &str) -> Result<Grounds, Denied> {
        let roles = self.roles_of(who);
        let denied = roles.first(|role| role.publish.denying(topic, who));
        decided(denied, || roles.first(|role| role.publish.allowing(topic, who)))
    }

    /// Whether `who` may subscribe to `filter`, which is of ordinary topics or of `$SYS`.
    pub(crate) fn subscribe(&self, who: &Identity, filter: &str) -> Result<Grounds, Denied> {
        let roles = self.roles_of(who);
        let denied = roles.first(|role| role.subscribe.denying(filter, who));
        decided(denied, || roles.first(|role| role.subscribe.allowing(filter, who)))
    }

    /// Whether `who` may write to the inbox of `owner`.
    pub(crate) fn write_to(&self, who: &Identity, owner: &str) -> Result<Grounds, Denied> {
        match self.free {
            Free::Everybody(line) => return Ok(Grounds::of(line)),
            Free::Users(line) if who.user().is_some() => return Ok(Grounds::of(line)),
            Free::Users(_) | Free::Nobody => {}
        }
        let roles = self.roles_of(who);
        if let Some(line) = roles.first(|role| role.write_to.denying(owner, who)) {
            return Err(Denied::Rule(line));
        }
        if !self.inboxes.is_empty() && !roles.has(SERVICE) {
            match self.inbox_says(&roles, who, owner) {
                Said::Yes(line) => return Ok(Grounds::of(line)),
                Said::No(line) => return Err(Denied::Rule(line)),
                Said::Nothing => {}
            }
        }
        match roles.first(|role| role.write_to.allowing(owner, who)) {
            Some(line) => Ok(Grounds::of(line)),
            None if who.user().is_none() => Err(Denied::NoUser),
            None => Err(Denied::NoRule),
        }
    }

    /// Whether a role lets `who` use its client ID.
    pub(crate) fn lets_use_id(&self, who: &Identity) -> Option<Grounds> {
        let id = who.client_id().as_str();
        // Which ones clients without a user have is for their authenticator to say.
        who.user()?;
        let roles = self.roles_of(who);
        let line = roles.first(|role| roles::line_of(&role.client_ids, |of| of.has(id, who)));
        line.map(Grounds::of)
    }

    /// Whether a role lets users have other client IDs than their own.
    pub(crate) fn give_client_ids(&self) -> bool {
        self.roles.iter().any(|role| !role.client_ids.is_empty())
    }

    /// The users that the file names as members of such roles.
    pub(crate) fn members_with_client_ids(&self) -> impl Iterator<Item = &str> {
        let roles = self.roles.iter().filter(|role| !role.client_ids.is_empty());
        roles.flat_map(|role| role.members.iter().map(|member| &**member))
    }

    /// How client IDs begin that a role gives to each user by its name, up to where a name follows.
    pub(crate) fn client_id_beginnings(&self) -> impl Iterator<Item = &str> {
        let patterns = self.roles.iter().flat_map(|role| &role.client_ids);
        let named = patterns.filter(|pattern| !pattern.rule.is_the_same_for_all());
        named.map(|pattern| pattern.rule.beginning())
    }

    /// Whether lists of inboxes are not about `who`.
    pub(crate) fn passes_lists(&self, who: &Identity) -> bool {
        self.roles_of(who).has(SERVICE)
    }

    fn inbox_says(&self, roles: &Held<'_>, who: &Identity, owner: &str) -> Said {
        match self.inboxes.first(owner, |of| of.has(owner, who)) {
            Some(rule) => rule.says(who, &|role| roles.has(role)),
            None => Said::Nothing,
        }
    }

    /// The roles of a client: those that all of its kind have, those that its authenticator says, and those of which its user is a member.
    fn roles_of<'r>(&'r self, who: &'r Identity) -> Held<'r> {
        let kind = match who.user() {
            Some(_) => AUTHENTICATED_AT,
            None => ANONYMOUS_AT,
        };
        let joined = match self.by_member.is_empty() {
            true => None,
            false => who.user().and_then(|user| self.by_member.get(user)),
        };
        Held {
            rules: self,
            given: [EVERYONE_AT, kind],
            said: who.roles(),
            joined: joined.map_or(&[], |joined| joined),
        }
    }
}

/// The roles of one client, which are looked at several times for each of its messages.
struct Held<'r> {
    rules: &'r Rules,
    /// Places in the rules.
    given: [usize; 2],
    /// Names.
    said: &'r [Box<str>],
    joined: &'r [usize],
}

impl Held<'_> {
    /// What the first of these roles says that says anything.
    fn first(&self, says: impl Fn(&Role) -> Option<u32>) -> Option<u32> {
        let said = self.said.iter().filter_map(|name| self.rules.by_name.get(name));
        let places = self.given.iter().chain(said).chain(self.joined);
        places.filter_map(|at| self.rules.roles.get(*at)).find_map(says)
    }

    /// Whether the role of this name is among them. One that the file does not describe can be had nevertheless.
    fn has(&self, role: &str) -> bool {
        let mut places = self.given.iter().chain(self.joined);
        self.said.iter().any(|said| **said == *role)
            || places.any(|at| self.rules.roles.get(*at).is_some_and(|held| *held.name == *role))
    }
}

/// Who writes to every inbox by a role of all of its kind, when no rule denies anything.
fn free(roles: &[Role], no_inbox_says: bool) -> Free {
    if !no_inbox_says || roles.iter().any(|role| !role.write_to.deny.is_empty()) {
        return Free::Nobody;
    }
    let all = |at: usize| {
        let first = roles.get(at)?.write_to.allow.first()?;
        (first.rule == ClientPattern::all()).then_some(first.line)
    };
    match (all(EVERYONE_AT), all(AUTHENTICATED_AT)) {
        (Some(line), _) => Free::Everybody(line),
        (None, Some(line)) => Free::Users(line),
        (None, None) => Free::Nobody,
    }
}

fn decided(denied: Option<u32>, allowed: impl FnOnce() -> Option<u32>) -> Result<Grounds, Denied> {
    match denied {
        Some(line) => Err(Denied::Rule(line)),
        None => allowed().map(Grounds::of).ok_or(Denied::NoRule),
    }
}

/// Where the roles that the broker gives are among all: none has to be looked for by its name.
const BUILT_IN: [&str; 5] = [EVERYONE, AUTHENTICATED, ANONYMOUS, SERVICE, OPS];
const EVERYONE_AT: usize = 0;
const AUTHENTICATED_AT: usize = 1;
const ANONYMOUS_AT: usize = 2;

/// The roles that are there before a file says more; the file adds its own behind them.
fn built_in() -> Vec<Role> {
    let mut roles: Vec<_> = BUILT_IN
        .into_iter()
        .map(|name| Role {
            name: name.into(),
            ..Role::default()
        })
        .collect();
    for role in &mut roles {
        match &*role.name {
            AUTHENTICATED | SERVICE => role.write_to.allow.push(Ruled::built_in(ClientPattern::all())),
            OPS => role.subscribe.allow = topics(&["$SYS/#"]),
            _ => {}
        }
    }
    roles
}

/// Rules that are built in.
fn topics(filters: &[&str]) -> Vec<Ruled<TopicRule>> {
    let parsed = filters.iter().filter_map(|filter| TopicRule::parse(filter, "/").ok());
    parsed.map(Ruled::built_in).collect()
}
