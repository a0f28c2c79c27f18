//! Which filters somebody is subscribed to, for publishers to ask without waiting for the adapter (MQTT 5, section 3.4.2.1).
//!
//! The answer "nobody" is exact: it is given only while no subscription is being made, so that whatever is published before
//! the question reaches no subscription. The answer "somebody" can mean that it is not known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arcstr::ArcStr;
use hashbrown::HashSet;
use parking_lot::RwLock;

use super::Reach;
use crate::topic::{has_wildcard, matches, router_name};

/// With more filters than this that hold wildcards, a publisher is not made to go through all of them.
const WILDCARDS_ASKED_MAX: usize = 32;

/// The filters in use. The adapter writes; the lock is held for one look-up or change.
#[derive(Debug, Default)]
pub(super) struct Audience {
    filters: RwLock<Filters>,
    /// Subscriptions that wait for the adapter.
    coming: AtomicUsize,
}

#[derive(Debug, Default)]
struct Filters {
    exact: HashSet<ArcStr>,
    /// By [`router_name`].
    wildcards: HashSet<Box<str>>,
}

/// A subscription on its way to the adapter; it has arrived when this is dropped.
#[derive(Debug)]
pub(super) struct Coming(Arc<Audience>);

impl Audience {
    /// Who a message on `topic` that was handed to the adapter before can reach.
    pub(super) fn reach(&self, topic: &str) -> Reach {
        // Before the filters: a subscription that is missing there and here was sent to the adapter after the message.
        if self.coming.load(Ordering::SeqCst) > 0 {
            return Reach::Somebody;
        }
        let filters = self.filters.read();
        let wildcards = &filters.wildcards;
        if filters.exact.contains(topic) || wildcards.len() > WILDCARDS_ASKED_MAX {
            return Reach::Somebody;
        }
        let is_matched = !wildcards.is_empty() && {
            let name = router_name(topic);
            wildcards.iter().any(|filter| matches(&name, filter))
        };
        if is_matched { Reach::Somebody } else { Reach::Nobody }
    }

    /// A subscription is about to be sent to the adapter.
    pub(super) fn coming(self: &Arc<Self>) -> Coming {
        self.coming.fetch_add(1, Ordering::SeqCst);
        Coming(Arc::clone(self))
    }

    /// Somebody is subscribed to `filter`.
    pub(super) fn begins(&self, filter: &ArcStr) {
        let mut filters = self.filters.write();
        if has_wildcard(filter) {
            filters.wildcards.insert(router_name(filter).into());
        } else {
            filters.exact.insert(filter.clone());
        }
    }

    /// Nobody is subscribed to `filter` any more.
    pub(super) fn ends(&self, filter: &str) {
        let mut filters = self.filters.write();
        if has_wildcard(filter) {
            filters.wildcards.remove(&*router_name(filter));
        } else {
            filters.exact.remove(filter);
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_said_only_when_it_is_certain() {
        // Goal: MQTT 5, section 3.4.2.1: filters by name and with wildcards, topics with a $, a subscription under way, and more
        // filters than a publisher goes through.
        let audience = Arc::new(Audience::default());
        assert_eq!(audience.reach("a/b"), Reach::Nobody);
        let coming = audience.coming();
        assert_eq!(audience.reach("a/b"), Reach::Somebody);
        drop(coming);
        for (filter, topic, another) in [
            ("a/b", "a/b", "a/c"),
            ("a/+", "a/b", "a/b/c"),
            ("#", "a", "$SYS/a"),
            ("$SYS/#", "$SYS/a", "a/b"),
        ] {
            audience.begins(&ArcStr::from(filter));
            assert_eq!(audience.reach(topic), Reach::Somebody, "{filter}");
            assert_eq!(audience.reach(another), Reach::Nobody, "{filter}");
            audience.ends(filter);
            assert_eq!(audience.reach(topic), Reach::Nobody, "{filter}");
        }
        for n in 0..=WILDCARDS_ASKED_MAX {
            assert_eq!(audience.reach("a/b"), Reach::Nobody, "{n}");
            audience.begins(&ArcStr::from(format!("{n}/+")));
        }
        assert_eq!(audience.reach("a/b"), Reach::Somebody);
    }
}
