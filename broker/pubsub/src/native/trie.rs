//! Filters with wildcards, level by level.
//!
//! A node has where `+` leads, and the audiences of the filters that end at it, with `#` and without. Where names lead is in one map for all nodes, so that one with
//! a million names costs no more to change than one with two. Readers need no lock. A node that a name leads to is in that map itself.
//!
//! Writers add from the root to the leaf, and take away from the leaf to the root, one at a time.

use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use papaya::{Equivalent, Guard};

use super::Hasher;
use super::audience::{Audience, Joined};
use super::member::Member;
use super::name::Name;
use crate::SessionKey;

/// Levels of a filter. Each has a node, and topics of as many levels have been used to exhaust brokers. Readers go down by recursion.
pub(super) const LEVELS_MAX: usize = 128;

const ANY: &str = "+";
const REST: &str = "#";

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Trie {
    root: Node,
    names: papaya::HashMap<Edge, Node, Hasher>,
    /// The number of the latest node.
    latest: AtomicU64,
}

/// There are more than [`LEVELS_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyLevels;

#[derive(Default)]
struct Node {
    /// 0 is the root. No number is used twice.
    number: u64,
    /// Names that lead on.
    names: AtomicU32,
    /// Where `+` leads.
    any: ArcSwapOption<Node>,
    /// Of the filter that ends with `#` below this node.
    rest: ArcSwapOption<Audience>,
    /// Of the filter that ends here.
    here: ArcSwapOption<Audience>,
}

/// A node that a writer looks at.
enum Held<'t> {
    /// Which is where it is as long as the trie, or a guard of it.
    There(&'t Node),
    Any(Arc<Node>),
}

impl Deref for Held<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        match self {
            Held::There(node) => node,
            Held::Any(node) => node,
        }
    }
}

/// From a node, by a name.
#[derive(PartialEq, Eq)]
struct Edge {
    from: u64,
    name: Name,
}

/// An [`Edge`] to look for.
#[derive(Clone, Copy)]
struct EdgeRef<'a> {
    from: u64,
    name: &'a str,
}

impl Trie {
    /// Shows the audience of every filter that matches `topic` (MQTT 5, section 4.7).
    pub(super) fn each_match(&self, topic: &str, visit: &mut impl FnMut(&Audience)) {
        let guard = self.names.guard();
        if !topic.starts_with('$') {
            return self.walk(&self.root, Some(topic), visit, &guard);
        }
        // Wildcards at the first level do not match names that begin with $ (MQTT-4.7.2-1).
        let (name, left) = first_level(topic);
        if let Some(node) = self.named(&self.root, name, &guard) {
            self.walk(node, left, visit, &guard);
        }
    }

    /// From a node, with what is left of the topic behind it.
    fn walk(&self, node: &Node, left: Option<&str>, visit: &mut impl FnMut(&Audience), guard: &impl Guard) {
        // "a/#" matches "a", too.
        if let Some(rest) = &*node.rest.load() {
            visit(rest);
        }
        let Some(left) = left else {
            if let Some(here) = &*node.here.load() {
                visit(here);
            }
            return;
        };
        let (any, has_names) = (node.any.load(), node.names.load(Ordering::Acquire) > 0);
        if any.is_none() && !has_names {
            return;
        }
        let (name, left) = first_level(left);
        if let Some(any) = &*any {
            self.walk(any, left, visit, guard);
        }
        if has_names && let Some(named) = self.named(node, name, guard) {
            self.walk(named, left, visit, guard);
        }
    }

    /// The audience of this very filter.
    pub(super) fn get(&self, filter: &str) -> Option<Arc<Audience>> {
        let (levels, ending) = levels(filter);
        let guard = self.names.guard();
        let mut at = Held::There(&self.root);
        for level in levels {
            at = self.next(&at, level, &guard)?;
        }
        at.slot(ending).load_full()
    }

    /// Adds a member to the audience of `filter`.
    pub(super) fn join(&self, filter: &str, member: Member, share: Option<&str>) -> Result<Joined, TooManyLevels> {
        if filter.split('/').count() > LEVELS_MAX {
            return Err(TooManyLevels);
        }
        let (levels, ending) = levels(filter);
        let guard = self.names.guard();
        let mut at = Held::There(&self.root);
        for level in levels {
            let next = self.next(&at, level, &guard);
            at = next.unwrap_or_else(|| self.grow(&at, level, &guard));
        }
        let slot = at.slot(ending);
        let (audience, joined) = match &*slot.load() {
            Some(there) => there.join(member, share),
            None => {
                let (alone, joined) = Audience::alone(member, share);
                (Some(alone), joined)
            }
        };
        if let Some(audience) = audience {
            slot.store(Some(Arc::new(audience)));
        }
        Ok(joined)
    }

    /// Takes the subscription of `session` out. True if nobody has this filter any more.
    pub(super) fn part(&self, filter: &str, session: SessionKey, share: Option<&str>) -> bool {
        let (levels, ending) = levels(filter);
        let guard = self.names.guard();
        let mut path = Vec::new();
        let mut at = Held::There(&self.root);
        for level in levels {
            let Some(next) = self.next(&at, level, &guard) else {
                return false;
            };
            path.push((std::mem::replace(&mut at, next), level));
        }
        let slot = at.slot(ending);
        if !slot.load().as_ref().is_some_and(|there| there.part(session, share)) {
            return false;
        }
        slot.store(None);
        while at.is_empty()
            && let Some((parent, level)) = path.pop()
        {
            self.wither(&parent, level);
            at = parent;
        }
        true
    }

    /// Whether it has no node but the root.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty() && self.names.is_empty()
    }

    fn named<'g>(&self, from: &Node, name: &str, guard: &'g impl Guard) -> Option<&'g Node> {
        let from = from.number;
        self.names.get(&EdgeRef { from, name }, guard)
    }

    fn next<'g>(&self, from: &Node, level: &str, guard: &'g impl Guard) -> Option<Held<'g>> {
        match level {
            ANY => from.any.load_full().map(Held::Any),
            name => self.named(from, name, guard).map(Held::There),
        }
    }

    fn grow<'g>(&self, parent: &Node, level: &str, guard: &'g impl Guard) -> Held<'g> {
        let node = Node {
            number: self.latest.fetch_add(1, Ordering::Relaxed) + 1,
            ..Node::default()
        };
        if level == ANY {
            let node = Arc::new(node);
            parent.any.store(Some(Arc::clone(&node)));
            return Held::Any(node);
        }
        let edge = Edge {
            from: parent.number,
            name: level.into(),
        };
        let node = self.names.get_or_insert(edge, node, guard);
        parent.names.fetch_add(1, Ordering::Release);
        Held::There(node)
    }

    fn wither(&self, parent: &Node, level: &str) {
        if level == ANY {
            return parent.any.store(None);
        }
        parent.names.fetch_sub(1, Ordering::Release);
        let from = parent.number;
        self.names.pin().remove(&EdgeRef { from, name: level });
    }
}

impl Node {
    /// Whether nothing ends here, and nothing leads on.
    fn is_empty(&self) -> bool {
        let ends = [&self.here, &self.rest].iter().any(|slot| slot.load().is_some());
        !ends && self.names.load(Ordering::Acquire) == 0 && self.any.load().is_none()
    }

    fn slot(&self, ending: Ending) -> &ArcSwapOption<Audience> {
        match ending {
            Ending::Here => &self.here,
            Ending::Rest => &self.rest,
        }
    }
}

/// How a filter ends.
#[derive(Clone, Copy)]
enum Ending {
    Here,
    /// With `#`.
    Rest,
}

/// The levels of a filter, but for a `#` at its end.
fn levels(filter: &str) -> (impl Iterator<Item = &str>, Ending) {
    let (filter, ending) = match filter.strip_suffix(REST) {
        // "a/#", or "#" itself, which has no levels but that.
        Some(before) => (before.strip_suffix('/'), Ending::Rest),
        None => (Some(filter), Ending::Here),
    };
    (filter.into_iter().flat_map(|filter| filter.split('/')), ending)
}

/// The first level of a topic, and the others.
fn first_level(topic: &str) -> (&str, Option<&str>) {
    match topic.split_once('/') {
        Some((level, left)) => (level, Some(left)),
        None => (topic, None),
    }
}

impl Hash for Edge {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Edge { from, name } = self;
        from.hash(state);
        name.as_bytes().hash(state);
    }
}

impl Hash for EdgeRef<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.from.hash(state);
        self.name.as_bytes().hash(state);
    }
}

impl Equivalent<Edge> for EdgeRef<'_> {
    fn equivalent(&self, edge: &Edge) -> bool {
        self.from == edge.from && self.name.as_bytes() == edge.name.as_bytes()
    }
}
