//! Who is subscribed to what: the table by which a match of the router becomes deliveries to sessions.
//!
//! A filter is one subscription in the router, however many sessions and shared subscriptions use it. Filters that
//! nobody uses any more stay in the table, with the router, until [`Subscriptions::compact`].

mod filter;
mod group;

use std::sync::Arc;

use arcstr::ArcStr;
use hashbrown::HashMap;
use inbox_types::Qos;

use super::audience::Audience;
use filter::Filter;

use crate::{OrdinaryDelivery, OrdinaryMessage, Orphan, Place, Publisher, SessionKey, Sink, SubscribeError};

/// Deliveries that one fan-out gathers before it hands them to the sinks: bounds memory when a burst meets very many
/// subscribers.
const GATHERED_MAX: usize = 32 * 1024;
/// Emptied batches kept for the next fan-out.
const SPARE_BATCHES_MAX: usize = 64;
/// Messages that may fit in a batch that is kept.
const SPARE_CAPACITY_MAX: usize = 1024;

/// A place in the list of filters: the n-th filter that the router was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FilterIndex(pub(super) u32);

/// All subscriptions of all sessions.
pub(super) struct Subscriptions {
    filters: Vec<Filter>,
    by_name: HashMap<ArcStr, FilterIndex>,
    /// Filters that somebody uses.
    live: usize,
    live_max: usize,
    /// The names of those that are live.
    audience: Arc<Audience>,
    sessions: Vec<Option<Subscriber>>,
    by_key: HashMap<SessionKey, Slot>,
    free: Vec<Slot>,
    /// Sessions with gathered deliveries, in the order of their first one.
    touched: Vec<Slot>,
    gathered: usize,
    spare: Vec<Vec<OrdinaryDelivery>>,
    unused_matches: u64,
}

/// A place in the list of sessions; reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

struct Subscriber {
    sink: Arc<dyn Sink>,
    subscriptions: HashMap<u32, Place>,
    gathered: Vec<OrdinaryDelivery>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    slot: Slot,
    subscription: u32,
}

impl Subscriptions {
    pub(super) fn new(live_max: usize) -> Self {
        Subscriptions {
            filters: Vec::new(),
            by_name: HashMap::new(),
            live: 0,
            live_max,
            audience: Arc::default(),
            sessions: Vec::new(),
            by_key: HashMap::new(),
            free: Vec::new(),
            touched: Vec::new(),
            gathered: 0,
            spare: Vec::new(),
            unused_matches: 0,
        }
    }

    /// Every filter, used or not, in the order of their indexes.
    pub(super) fn filters(&self) -> impl Iterator<Item = &str> {
        self.filters.iter().map(|filter| &*filter.name)
    }

    /// Filters that nobody uses.
    pub(super) fn dead(&self) -> usize {
        self.filters.len() - self.live
    }

    /// Filters that somebody uses.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// The filters that somebody uses, for publishers.
    pub(super) fn audience(&self) -> &Arc<Audience> {
        &self.audience
    }

    /// Matches of filters that nobody uses, since the last [`Subscriptions::compact`].
    pub(super) fn unused_matches(&self) -> u64 {
        self.unused_matches
    }

    /// Adds a subscription, or replaces what `session` has under this filter and share, or under this number. True when
    /// the filter is new: the router must be told, and its index is the next one.
    pub(super) fn add(
        &mut self,
        session: SessionKey,
        sink: Arc<dyn Sink>,
        subscription: u32,
        filter: &ArcStr,
        share: Option<&str>,
    ) -> Result<bool, SubscribeError> {
        let known = self.by_name.get(filter).copied();
        let is_live = known.and_then(|index| self.filter(index)).is_some_and(Filter::is_live);
        if !is_live && self.live >= self.live_max {
            return Err(SubscribeError::FiltersFull(self.live_max));
        }
        let place = Place::new(filter.clone(), share);
        let slot = self.open(session, sink);
        let before = self
            .session_mut(slot)
            .and_then(|s| s.subscriptions.insert(subscription, place.clone()));
        if let Some(before) = before
            && before != place
        {
            self.leave(slot, &before);
        }
        let index = known.unwrap_or_else(|| self.push_filter(filter));
        let Some(entry) = self.filters.get_mut(index.0 as usize) else {
            return Ok(false);
        };
        let was_live = entry.is_live();
        let replaced = entry.join(Member { slot, subscription }, share);
        if !was_live {
            self.live += 1;
            self.audience.begins(filter);
        }
        if let Some(number) = replaced.filter(|number| *number != subscription)
            && let Some(session) = self.session_mut(slot)
        {
            session.subscriptions.remove(&number);
        }
        Ok(known.is_none())
    }

    /// Ends one subscription; the session goes with its last one.
    pub(super) fn remove(&mut self, session: SessionKey, subscription: u32) {
        let Some(&slot) = self.by_key.get(&session) else { return };
        let Some(entry) = self.session_mut(slot) else { return };
        let place = entry.subscriptions.remove(&subscription);
        let is_last = entry.subscriptions.is_empty();
        if let Some(place) = place {
            self.leave(slot, &place);
        }
        if is_last {
            self.close(session);
        }
    }

    /// Ends all subscriptions of a session.
    pub(super) fn close(&mut self, session: SessionKey) {
        let Some(slot) = self.by_key.remove(&session) else {
            return;
        };
        let Some(entry) = self.sessions.get_mut(slot.0 as usize).and_then(Option::take) else {
            return;
        };
        for place in entry.subscriptions.values() {
            self.leave(slot, place);
        }
        self.free.push(slot);
    }

    /// Gathers the deliveries of one message that matched `filter`; [`Subscriptions::flush`] hands them over.
    /// What a session keeps it is given at once, with who is told when it has it.
    pub(super) fn gather(
        &mut self,
        filter: FilterIndex,
        message: &Arc<OrdinaryMessage>,
        publisher: Option<&Arc<Publisher>>,
    ) {
        let Some(entry) = self.filters.get_mut(filter.0 as usize) else {
            return;
        };
        if !entry.is_live() {
            self.unused_matches += 1;
            return;
        }
        let chosen: Vec<_> = entry
            .groups
            .iter_mut()
            .filter_map(|group| group.choose(&self.sessions))
            .collect();
        for &member in entry.members.iter().chain(&chosen) {
            if let Some(Some(session)) = self.sessions.get_mut(member.slot.0 as usize) {
                if message.qos != Qos::AtMostOnce && session.sink.keeps() {
                    session.sink.keep(member.delivery(message), publisher.cloned());
                    continue;
                }
                session.gather(member, message, &mut self.touched, &mut self.spare);
                self.gathered += 1;
            }
        }
        if self.gathered >= GATHERED_MAX {
            self.flush();
        }
    }

    /// Gathers the delivery of a message that lost its reader, for another member of its shared subscription. Tells whether there is one.
    pub(super) fn hand_over(&mut self, orphan: &Orphan) -> bool {
        let Some(entry) = self
            .by_name
            .get(&*orphan.filter)
            .and_then(|index| self.filters.get_mut(index.0 as usize))
        else {
            return false;
        };
        let group = entry.groups.iter_mut().find(|group| group.share == orphan.share);
        let Some(member) = group.and_then(|group| group.choose(&self.sessions)) else {
            return false;
        };
        if let Some(Some(session)) = self.sessions.get_mut(member.slot.0 as usize) {
            if session.sink.keeps() {
                session
                    .sink
                    .keep(member.delivery(&orphan.message), orphan.publisher.clone());
                return true;
            }
            session.gather(member, &orphan.message, &mut self.touched, &mut self.spare);
            self.gathered += 1;
        }
        true
    }

    /// Hands what was gathered to the sinks: one call each.
    pub(super) fn flush(&mut self) {
        self.gathered = 0;
        for slot in self.touched.drain(..) {
            let Some(Some(session)) = self.sessions.get_mut(slot.0 as usize) else {
                continue;
            };
            let mut batch = std::mem::take(&mut session.gathered);
            session.sink.deliver(&mut batch);
            batch.clear();
            if self.spare.len() < SPARE_BATCHES_MAX && batch.capacity() <= SPARE_CAPACITY_MAX {
                self.spare.push(batch);
            }
        }
    }

    /// Tells everyone who might have got them that the router lost `messages` of `filter`.
    pub(super) fn lost(&self, filter: FilterIndex, messages: u64) {
        let Some(entry) = self.filter(filter) else { return };
        let shared = entry.groups.iter().flat_map(|group| &group.members);
        for member in entry.members.iter().chain(shared) {
            if let Some(Some(session)) = self.sessions.get(member.slot.0 as usize) {
                session.sink.lost(messages);
            }
        }
    }

    /// Forgets unused filters, so indexes change: a new router must be told all [`Subscriptions::filters`].
    pub(super) fn compact(&mut self) {
        self.filters.retain(Filter::is_live);
        self.by_name.clear();
        for (index, filter) in (0..).zip(&self.filters) {
            self.by_name.insert(filter.name.clone(), FilterIndex(index));
        }
        self.unused_matches = 0;
    }

    fn filter(&self, index: FilterIndex) -> Option<&Filter> {
        self.filters.get(index.0 as usize)
    }

    fn session_mut(&mut self, slot: Slot) -> Option<&mut Subscriber> {
        self.sessions.get_mut(slot.0 as usize).and_then(Option::as_mut)
    }

    fn push_filter(&mut self, name: &ArcStr) -> FilterIndex {
        let index = FilterIndex(u32::try_from(self.filters.len()).unwrap_or(u32::MAX));
        self.filters.push(Filter {
            name: name.clone(),
            members: Vec::new(),
            groups: Vec::new(),
        });
        self.by_name.insert(name.clone(), index);
        index
    }

    /// The slot of `session`, whose sink is `sink` from now on.
    fn open(&mut self, session: SessionKey, sink: Arc<dyn Sink>) -> Slot {
        if let Some(&slot) = self.by_key.get(&session) {
            if let Some(entry) = self.session_mut(slot) {
                entry.sink = sink;
            }
            return slot;
        }
        let entry = Some(Subscriber {
            sink,
            subscriptions: HashMap::new(),
            gathered: Vec::new(),
        });
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.sessions.push(None);
                Slot(u32::try_from(self.sessions.len() - 1).unwrap_or(u32::MAX))
            }
        };
        if let Some(vacant) = self.sessions.get_mut(slot.0 as usize) {
            debug_assert!(vacant.is_none(), "a free slot must not hold a session");
            *vacant = entry;
        }
        self.by_key.insert(session, slot);
        slot
    }

    fn leave(&mut self, slot: Slot, place: &Place) {
        let Some(index) = self.by_name.get(place.filter()).copied() else {
            return;
        };
        let Some(entry) = self.filters.get_mut(index.0 as usize) else {
            return;
        };
        let was_live = entry.is_live();
        entry.part(slot, place.share());
        if was_live && !entry.is_live() {
            self.live -= 1;
            self.audience.ends(place.filter());
        }
    }
}

impl Subscriber {
    /// Gathers a message for `member`, which is of this session.
    fn gather(
        &mut self,
        member: Member,
        message: &Arc<OrdinaryMessage>,
        touched: &mut Vec<Slot>,
        spare: &mut Vec<Vec<OrdinaryDelivery>>,
    ) {
        if self.gathered.is_empty() {
            touched.push(member.slot);
            self.gathered = spare.pop().unwrap_or_default();
        }
        self.gathered.push(member.delivery(message));
    }
}

impl Member {
    fn delivery(self, message: &Arc<OrdinaryMessage>) -> OrdinaryDelivery {
        OrdinaryDelivery {
            subscription: self.subscription,
            message: Arc::clone(message),
            retained: false,
            kept: None,
        }
    }
}
