//! What each session is subscribed to: for the writer, who alone changes the table.

use std::sync::Arc;

use hashbrown::HashMap;

use super::member::{Member, Subscriber};
use super::table::Table;
use super::trie::{LEVELS_MAX, TooManyLevels};
use crate::{Place, SessionKey, Sink, SubscribeError, Wanted};

/// Every session that has subscriptions.
pub(super) struct Sessions {
    by_key: HashMap<SessionKey, Entry>,
    /// Distinct filters of all of them.
    filters: usize,
    filters_max: usize,
}

struct Entry {
    subscriber: Arc<Subscriber>,
    /// In the order of their numbers.
    subscriptions: Vec<(u32, Place)>,
}

impl Sessions {
    pub(super) fn new(filters_max: usize) -> Self {
        Sessions {
            by_key: HashMap::new(),
            filters: 0,
            filters_max,
        }
    }

    /// Distinct filters that somebody is subscribed to.
    pub(super) fn filters(&self) -> usize {
        self.filters
    }

    /// Adds a subscription, or replaces what the session has under this filter and share, or under this number. All subscriptions of a session
    /// have the sink of its first one.
    pub(super) fn add(&mut self, table: &Table, wanted: Wanted) -> Result<(), SubscribeError> {
        let Wanted {
            session,
            sink,
            subscription,
            filter,
            share,
            ..
        } = wanted;
        if self.filters >= self.filters_max && !table.has(&filter) {
            return Err(SubscribeError::FiltersFull(self.filters_max));
        }
        let entry = self.by_key.entry(session).or_insert_with(|| Entry::new(session, sink));
        let member = Member {
            subscriber: Arc::clone(&entry.subscriber),
            subscription,
        };
        let joined = match table.join(&filter, member, share.as_deref()) {
            Ok(joined) => joined,
            Err(TooManyLevels) => {
                if entry.subscriptions.is_empty() {
                    self.by_key.remove(&session);
                }
                return Err(SubscribeError::TooManyLevels(LEVELS_MAX));
            }
        };
        self.filters += usize::from(joined.is_first);
        if let Some(number) = joined.replaced {
            entry.take(number);
        }
        let moved = entry.take(subscription);
        entry.put(subscription, Place::new(filter, share.as_deref()));
        if let Some(place) = moved {
            self.leave(table, session, &place);
        }
        Ok(())
    }

    /// Ends one subscription; the session goes with its last one.
    pub(super) fn remove(&mut self, table: &Table, session: SessionKey, subscription: u32) {
        let Some(entry) = self.by_key.get_mut(&session) else {
            return;
        };
        let place = entry.take(subscription);
        let is_last = entry.subscriptions.is_empty();
        if let Some(place) = place {
            self.leave(table, session, &place);
        }
        if is_last {
            self.close(table, session);
        }
    }

    /// Ends all subscriptions of a session.
    pub(super) fn close(&mut self, table: &Table, session: SessionKey) {
        let Some(entry) = self.by_key.remove(&session) else {
            return;
        };
        for (_, place) in &entry.subscriptions {
            self.leave(table, session, place);
        }
        entry.subscriber.end();
    }

    fn leave(&mut self, table: &Table, session: SessionKey, place: &Place) {
        self.filters -= usize::from(table.part(place.filter(), session, place.share()));
    }
}

impl Entry {
    fn new(key: SessionKey, sink: Arc<dyn Sink>) -> Self {
        Entry {
            subscriber: Arc::new(Subscriber::new(key, sink)),
            subscriptions: Vec::new(),
        }
    }

    fn put(&mut self, subscription: u32, place: Place) {
        let at = self.subscriptions.partition_point(|(number, _)| *number < subscription);
        if self.subscriptions.len() == self.subscriptions.capacity() {
            // By a quarter: most have few, and there are very many such lists.
            self.subscriptions.reserve_exact(1 + self.subscriptions.len() / 4);
        }
        self.subscriptions.insert(at, (subscription, place));
    }

    fn take(&mut self, subscription: u32) -> Option<Place> {
        let at = self
            .subscriptions
            .binary_search_by_key(&subscription, |(number, _)| *number);
        at.ok().map(|at| self.subscriptions.remove(at).1)
    }
}
