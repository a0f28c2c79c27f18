//! The rules about inboxes that answer one question, and which of them is about an inbox: asked for each message, so the number of rules must not
//! matter.

use std::collections::{BTreeSet, HashMap};

use super::client_pattern::ClientPattern;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct InboxRules<R> {
    /// The first that fits counts.
    rules: Vec<(ClientPattern, R)>,
    /// Places in `rules`, by how the client IDs that they are about begin.
    by_beginning: HashMap<Box<str>, Vec<usize>>,
    /// How long these beginnings are, in bytes: mostly a few lengths.
    lengths: BTreeSet<usize>,
}

impl<R> InboxRules<R> {
    pub(super) fn new(rules: Vec<(ClientPattern, R)>) -> Self {
        let mut by_beginning = HashMap::<Box<str>, Vec<usize>>::new();
        for (at, (of, _)) in rules.iter().enumerate() {
            by_beginning.entry(of.beginning().into()).or_default().push(at);
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

    /// The rule about the inbox of `owner`, which is the first of those about inboxes that begin like it whose pattern `fits`.
    pub(super) fn first(&self, owner: &str, fits: impl Fn(&ClientPattern) -> bool) -> Option<&R> {
        let places = self.lengths.iter().filter_map(|length| {
            let alike = self.by_beginning.get(owner.get(..*length)?)?;
            alike
                .iter()
                .copied()
                .find(|at| self.rules.get(*at).is_some_and(|(of, _)| fits(of)))
        });
        places.min().and_then(|at| self.rules.get(at)).map(|(_, rule)| rule)
    }
}
