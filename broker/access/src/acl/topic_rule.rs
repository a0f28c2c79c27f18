//! Which topics a rule is about: a topic filter, with the names of whoever is asked about filled in.
//!
//! A subscription is to many topics at once. A rule that allows must have all of them; a rule that denies need have only one.

use super::text::{BadPercent, Filled};
use crate::identity::Identity;

/// Why a text is no topic filter of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTopicRule {
    /// It is empty.
    #[error("write a topic or a topic filter, like chat/%c/#")]
    Empty,
    /// A wildcard that is not a level by itself, or `#` that is not the last.
    #[error("+ and # are whole levels, and # is the last one (MQTT 5, section 4.7.1)")]
    Wildcard,
    /// An inbox.
    #[error("it is an inbox, and not an ordinary topic: who may write to it is said by write_to, or by an [[inbox]]")]
    Inbox,
    /// See [`BadPercent`].
    #[error(transparent)]
    Percent(#[from] BadPercent),
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicRule(Box<[Level]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// `+`
    Any,
    /// `#`
    Rest,
    Named(Filled),
}

impl TopicRule {
    /// Inboxes are the topics of one level more than `inbox_prefix`.
    pub(super) fn parse(text: &str, inbox_prefix: &str) -> Result<Self, BadTopicRule> {
        if text.is_empty() {
            return Err(BadTopicRule::Empty);
        }
        let inbox = text.strip_prefix(inbox_prefix);
        if inbox.is_some_and(|name| !name.is_empty() && !name.starts_with('$') && !name.contains(['/', '+', '#'])) {
            return Err(BadTopicRule::Inbox);
        }
        let names: Vec<_> = text.split('/').collect();
        let mut levels = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            levels.push(match *name {
                "+" => Level::Any,
                "#" if at + 1 == names.len() => Level::Rest,
                name if name.contains(['+', '#']) => return Err(BadTopicRule::Wildcard),
                name => Level::Named(Filled::parse(name)?),
            });
        }
        if levels == [Level::Any, Level::Rest] {
            // A topic has one level at least, so this is all of them.
            levels.remove(0);
        }
        Ok(TopicRule(levels.into()))
    }

    /// Whether every topic that `filter` matches is one of this rule. A topic name is a filter that matches itself.
    pub(super) fn covers(&self, filter: &str, who: &Identity) -> bool {
        self.compare(filter, |levels| match levels {
            (Some(Level::Rest), _) | (None, None) => Some(true),
            (Some(Level::Any), Some(name)) if name != "#" => None,
            (Some(Level::Named(rule)), Some(name)) if is_name(name) && rule.is(name, who) => None,
            _ => Some(false),
        })
    }

    /// Whether some topic that `filter` matches is one of this rule.
    pub(super) fn meets(&self, filter: &str, who: &Identity) -> bool {
        self.compare(filter, |levels| match levels {
            (Some(Level::Rest), _) | (_, Some("#")) | (None, None) => Some(true),
            (Some(_), Some("+")) | (Some(Level::Any), Some(_)) => None,
            (Some(Level::Named(rule)), Some(name)) if rule.is(name, who) => None,
            _ => Some(false),
        })
    }

    /// Goes through the levels of both until `decides` does.
    fn compare(&self, filter: &str, decides: impl Fn((Option<&Level>, Option<&str>)) -> Option<bool>) -> bool {
        let (mut rules, mut names) = (self.0.iter(), filter.split('/'));
        let mut levels = std::iter::from_fn(|| Some((rules.next(), names.next()))).peekable();
        // Wildcards do not match the first level of a topic that begins with $ (MQTT-4.7.2-1).
        let hides = match levels.peek() {
            Some((Some(Level::Any | Level::Rest), Some(name))) => name.starts_with('$'),
            Some((Some(Level::Named(rule)), Some("+" | "#"))) => rule.begins_with_dollar(),
            _ => false,
        };
        !hides && levels.find_map(decides).unwrap_or_default()
    }
}

fn is_name(level: &str) -> bool {
    level != "+" && level != "#"
}
