//! The rules about inboxes, and which of them is about an inbox: asked for each message, so the number of rules must not matter.

use std::collections::{BTreeSet, HashMap};

use super::inbox_rule::InboxRule;
use crate::identity::Identity;

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub(super) struct InboxRules {
    /// The first that fits counts.
    rules: Vec<InboxRule>,
    /// Places in `rules`, by how the client IDs that they are about begin.
    by_beginning: HashMap<Box<str>, Vec<usize>>,
    /// How long these beginnings are, in bytes: mostly a few lengths.
    lengths: BTreeSet<usize>,
}

impl InboxRules {
    pub(super) fn new(rules: Vec<InboxRule>) -> Self {
        let mut by_beginning = HashMap::<Box<str>, Vec<usize>>::new();
        for (at, rule) in rules.iter().enumerate() {
            by_beginning.entry(rule.of.beginning().into()).or_default().push(at);
        }
        InboxRules {
            lengths: by_beginning.keys().map(|beginning| beginning.len()).collect(),
            by_beginning,
            rules,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule about the inbox of `owner`, when it is asked about `who`.
    pub(super) fn first(&self, owner: &str, who: &Identity) -> Option<&InboxRule> {
        let places = self.lengths.iter().filter_map(|length| {
            let alike = self.by_beginning.get(owner.get(..*length)?)?;
            alike
                .iter()
                .copied()
                .find(|at| self.rules.get(*at).is_some_and(|rule| rule.of.has(owner, who)))
        });
        places.min().and_then(|at| self.rules.get(at))
    }
}
