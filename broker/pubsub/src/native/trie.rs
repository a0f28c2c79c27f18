//! Filters with wildcards, level by level.
//!
//! A level leads to a step: most often to a leaf, which is the one audience of the one filter that goes there, and otherwise to a node, with further levels. A node has
//! where `+` leads, and the audiences of the filters that end at it, with `#` and without. Where names lead is in one map for all nodes, so that one with
//! a million names costs no more to change than one with two. Readers need no lock. There are as many leaves as filters: so a leaf is in the map itself.
//!
//! Writers add from the root to the leaf, and take away from the leaf to the root, one at a time.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use papaya::{Equivalent, Guard};

use super::Hasher;
use super::audience::{Audience, Joined};
use super::member::Member;
use super::name::Name;
use crate::SessionKey;

/// Levels of a filter. Each has a step, and topics of as many levels have been used to exhaust brokers. Readers go down by recursion.
pub(super) const LEVELS_MAX: usize = 128;

const ANY: &str = "+";
const REST: &str = "#";

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Trie {
    root: Arc<Node>,
    names: papaya::HashMap<Edge, Step, Hasher>,
    /// The number of the latest node.
    latest: AtomicU64,
}

/// There are more than [`LEVELS_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyLevels;

/// Where a level leads.
#[derive(Clone)]
enum Step {
    /// One filter goes here, and ends so.
    Leaf(Ending, Audience),
    Node(Arc<Node>),
}

#[derive(Default)]
struct Node {
    /// 0 is the root. No number is used twice.
    number: u64,
    /// Names that lead on.
    names: AtomicU32,
    /// Where `+` leads.
    any: ArcSwapOption<Step>,
    /// Of the filter that ends with `#` below this node.
    rest: ArcSwapOption<Audience>,
    /// Of the filter that ends here.
    here: ArcSwapOption<Audience>,
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
        if let Some(step) = self.named(&self.root, name, &guard) {
            self.follow(step, left, visit, &guard);
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
            self.follow(any, left, visit, guard);
        }
        if has_names && let Some(named) = self.named(node, name, guard) {
            self.follow(named, left, visit, guard);
        }
    }

    /// The same, from a step.
    fn follow(&self, step: &Step, left: Option<&str>, visit: &mut impl FnMut(&Audience), guard: &impl Guard) {
        match step {
            Step::Node(node) => self.walk(node, left, visit, guard),
            Step::Leaf(Ending::Here, _) if left.is_some() => {}
            Step::Leaf(_, audience) => visit(audience),
        }
    }

    /// Shows the audience of this very filter, and gives what was said of it.
    pub(super) fn visit<T>(&self, filter: &str, visit: impl FnOnce(&Audience) -> T) -> Option<T> {
        let (levels, ending) = levels(filter);
        let guard = self.names.guard();
        let mut at = Step::Node(Arc::clone(&self.root));
        for level in levels {
            at = self.step(at.node()?, level, &guard)?;
        }
        match &at {
            Step::Leaf(theirs, audience) => (*theirs == ending).then(|| visit(audience)),
            Step::Node(node) => node.slot(ending).load().as_deref().map(visit),
        }
    }

    /// Adds a member to the audience of `filter`.
    pub(super) fn join(&self, filter: &str, member: Member, share: Option<&str>) -> Result<Joined, TooManyLevels> {
        if filter.split('/').count() > LEVELS_MAX {
            return Err(TooManyLevels);
        }
        let (mut levels, ending) = levels(filter);
        let last = levels.next_back();
        let guard = self.names.guard();
        let parent = levels.fold(Arc::clone(&self.root), |at, level| self.node(&at, level, &guard));
        let Some(last) = last else {
            return Ok(parent.join(ending, member, share));
        };
        let (audience, joined) = match self.step(&parent, last, &guard) {
            None => {
                let (alone, joined) = Audience::alone(member, share);
                (Some(alone), joined)
            }
            Some(Step::Leaf(theirs, there)) if theirs == ending => there.join(member, share),
            // It shares its last level with others.
            Some(_) => return Ok(self.node(&parent, last, &guard).join(ending, member, share)),
        };
        if let Some(audience) = audience {
            self.put(&parent, last, Step::Leaf(ending, audience), &guard);
        }
        Ok(joined)
    }

    /// Takes the subscription of `session` out. True if nobody has this filter any more.
    pub(super) fn part(&self, filter: &str, session: SessionKey, share: Option<&str>) -> bool {
        let (levels, ending) = levels(filter);
        let guard = self.names.guard();
        let mut path = Vec::new();
        let mut at = Step::Node(Arc::clone(&self.root));
        for level in levels {
            let Step::Node(parent) = at else { return false };
            let Some(next) = self.step(&parent, level, &guard) else {
                return false;
            };
            path.push((parent, level));
            at = next;
        }
        let is_over = match &at {
            Step::Leaf(theirs, audience) => *theirs == ending && audience.part(session, share),
            Step::Node(node) => node.part(ending, session, share),
        };
        if !is_over {
            return false;
        }
        let mut is_empty = at.node().is_none_or(Node::is_empty);
        while is_empty && let Some((parent, level)) = path.pop() {
            self.wither(&parent, level);
            is_empty = parent.is_empty();
        }
        true
    }

    /// Whether it has no node but the root.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty() && self.names.is_empty()
    }

    /// See [`Table::trim`](super::table::Table::trim).
    pub(super) fn trim(&self) {
        self.names.guard().flush();
    }

    fn named<'g>(&self, from: &Node, name: &str, guard: &'g impl Guard) -> Option<&'g Step> {
        let from = from.number;
        self.names.get(&EdgeRef { from, name }, guard)
    }

    fn step(&self, from: &Node, level: &str, guard: &impl Guard) -> Option<Step> {
        match level {
            ANY => from.any.load().as_deref().cloned(),
            name => self.named(from, name, guard).cloned(),
        }
    }

    fn put(&self, from: &Node, level: &str, step: Step, guard: &impl Guard) {
        if level == ANY {
            return from.any.store(Some(Arc::new(step)));
        }
        let edge = Edge {
            from: from.number,
            name: level.into(),
        };
        if self.names.insert(edge, step, guard).is_none() {
            from.names.fetch_add(1, Ordering::Release);
        }
    }

    /// The node where `level` leads. A leaf that is there becomes one, all at once.
    fn node(&self, parent: &Node, level: &str, guard: &impl Guard) -> Arc<Node> {
        let there = self.step(parent, level, guard);
        if let Some(Step::Node(node)) = there {
            return node;
        }
        let node = Arc::new(Node {
            number: self.latest.fetch_add(1, Ordering::Relaxed) + 1,
            ..Node::default()
        });
        if let Some(Step::Leaf(ending, audience)) = there {
            node.slot(ending).store(Some(Arc::new(audience)));
        }
        self.put(parent, level, Step::Node(Arc::clone(&node)), guard);
        node
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

impl Step {
    fn node(&self) -> Option<&Node> {
        match self {
            Step::Node(node) => Some(node),
            Step::Leaf(..) => None,
        }
    }
}

impl Node {
    /// Whether nothing ends here, and nothing leads on.
    fn is_empty(&self) -> bool {
        let ends = [&self.here, &self.rest].iter().any(|slot| slot.load().is_some());
        !ends && self.names.load(Ordering::Acquire) == 0 && self.any.load().is_none()
    }

    /// Adds a member to the audience of the filter that ends so here.
    fn join(&self, ending: Ending, member: Member, share: Option<&str>) -> Joined {
        let slot = self.slot(ending);
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
        joined
    }

    /// Takes one out. True if nobody has this filter any more.
    fn part(&self, ending: Ending, session: SessionKey, share: Option<&str>) -> bool {
        let slot = self.slot(ending);
        let is_over = slot.load().as_ref().is_some_and(|there| there.part(session, share));
        if is_over {
            slot.store(None);
        }
        is_over
    }

    fn slot(&self, ending: Ending) -> &ArcSwapOption<Audience> {
        match ending {
            Ending::Here => &self.here,
            Ending::Rest => &self.rest,
        }
    }
}

/// How a filter ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Here,
    /// With `#`.
    Rest,
}

/// The levels of a filter, but for a `#` at its end.
fn levels(filter: &str) -> (impl DoubleEndedIterator<Item = &str>, Ending) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_takes_no_more_room_than_its_name_and_its_member() {
        // Goal: there are as many leaves as filters with wildcards; what the map has of each fits into 64 bytes, with the 8 of the allocator.
        assert!(size_of::<(Edge, Step)>() <= 56);
    }
}
