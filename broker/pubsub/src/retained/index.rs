//! The list of retained messages: every topic, and of each the message itself or that the store has it.
//!
//! A message is in memory until the store has it, and then as long as the cache has room: those go first that came, or were read, first. Without a
//! store all of them stay. Each has a *stamp*, which counts up: by it a message is told from the one that took its place.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use inbox_types::Age;

use crate::topic::{has_wildcard, matches, router_name};
use crate::{OrdinaryMessage, PublishError};

/// What a topic in the list takes of memory beside its name, in bytes, roughly.
const SLOT_BYTES: usize = 120;
/// What a message in memory takes beside its [`OrdinaryMessage::size`], in bytes, roughly.
const MESSAGE_BYTES: usize = 250;
/// Messages found at once.
const PAGE_MESSAGES_MAX: usize = 1_024;
/// Bytes of messages found at once; the first one is found whatever its size.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Topics looked at at once: others wait meanwhile.
const PAGE_LOOKS_MAX: usize = 16 * 1024;
/// How often all are looked at for expired ones because there is no room.
const MAKE_ROOM_EVERY: Duration = Duration::from_secs(1);

/// How much it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Messages of clients.
    pub(super) messages_max: usize,
    /// The sum of their sizes.
    pub(super) bytes_max: u64,
    /// Bytes of messages in memory that the store has.
    pub(super) cache_bytes_max: usize,
}

/// At most one message per topic. Ordered by topic, so that a subscriber gets them in an order that means something. Topics that begin with a $ are
/// the broker's own: they take nobody's room, and are in memory only.
#[derive(Debug)]
pub(super) struct Index {
    /// By [`router_name`], which is what filters are matched with.
    slots: BTreeMap<Box<str>, Slot>,
    room: Room,
    /// Those of clients, to which the limits apply.
    counted: usize,
    /// The sum of their sizes.
    bytes: u64,
    /// Bytes of all names.
    names: usize,
    /// The last stamp that was given.
    last: u64,
    /// What may leave memory: topics, in the order in which that is to be.
    cached: BTreeMap<u64, Arc<str>>,
    /// The last place in that order.
    last_cached: u64,
    cached_bytes: usize,
    /// Those that have an end.
    ending: usize,
    /// Up to where expired ones were looked for.
    swept: Option<Box<str>>,
    made_room: Option<Age>,
}

/// A topic.
#[derive(Debug)]
struct Slot {
    stamp: u64,
    /// Beyond this age it is expired.
    ends: u64,
    size: u32,
    /// There unless the store has it.
    message: Option<Arc<OrdinaryMessage>>,
    /// Its place among what may leave memory; 0 if it has none.
    cached: u64,
}

/// A message that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) topic: Box<str>,
    pub(super) stamp: u64,
    /// Not there if it is to be read.
    pub(super) message: Option<Arc<OrdinaryMessage>>,
}

/// Some of the messages that a filter matches.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// In the order of their topics.
    pub(super) found: Vec<Found>,
    /// The name after which there may be more.
    pub(super) more_after: Option<Box<str>>,
}

/// Topics that have no message any more, because its time was over. The store is to be told.
pub(super) type Expired = Vec<Box<str>>;

impl Index {
    pub(super) fn new(room: Room) -> Self {
        Index {
            slots: BTreeMap::new(),
            room,
            counted: 0,
            bytes: 0,
            names: 0,
            last: 0,
            cached: BTreeMap::new(),
            last_cached: 0,
            cached_bytes: 0,
            ending: 0,
            swept: None,
            made_room: None,
        }
    }

    /// How many there are, of clients.
    pub(super) fn len(&self) -> usize {
        self.counted
    }

    /// What the list takes of memory without the messages, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.names + self.slots.len() * SLOT_BYTES
    }

    /// The last stamp that was given.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Makes `message` the retained message of its topic, and gives its stamp. Topics that expire for it go to `expired`.
    ///
    /// # Errors
    /// [`PublishError::RetainedFull`]; nothing has changed then but for what is expired.
    pub(super) fn put(
        &mut self,
        message: &Arc<OrdinaryMessage>,
        now: Age,
        expired: &mut Expired,
    ) -> Result<u64, PublishError> {
        let name = router_name(&message.topic);
        if !self.has_room(&name, message) {
            self.make_room(now, expired);
            if !self.has_room(&name, message) {
                return Err(PublishError::RetainedFull);
            }
        }
        self.remove_named(&name);
        Ok(self.insert(name, message, Some(Arc::clone(message))))
    }

    /// What the store has from an earlier run. It stays in memory where the cache has room.
    pub(super) fn restore(&mut self, message: OrdinaryMessage) {
        let name = router_name(&message.topic);
        self.remove_named(&name);
        let message = Arc::new(message);
        let is_cached = self.cached_bytes + cost(&message) <= self.room.cache_bytes_max;
        let stamp = self.insert(name, &message, is_cached.then(|| Arc::clone(&message)));
        if is_cached {
            self.may_leave(&message.topic, stamp);
        }
    }

    /// Takes the message of `topic` out. Tells whether there was one.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        self.remove_named(&router_name(topic))
    }

    /// The store has the message of `topic` with this stamp: it may leave memory.
    pub(super) fn is_kept(&mut self, topic: &str, stamp: u64) {
        self.may_leave(topic, stamp);
        self.evict();
    }

    /// A message was read that is still the one with this stamp: it stays in memory for a while.
    pub(super) fn was_read(&mut self, stamp: u64, message: &Arc<OrdinaryMessage>) {
        let slot = self.slots.get_mut(&*router_name(&message.topic));
        if let Some(slot) = slot.filter(|slot| slot.stamp == stamp && slot.message.is_none()) {
            slot.message = Some(Arc::clone(message));
            self.may_leave(&message.topic, stamp);
            self.evict();
        }
    }

    /// Whether the message of `topic` is the one with this stamp, and not expired.
    pub(super) fn is_current(&self, topic: &str, stamp: u64, now: Age) -> bool {
        let slot = self.slots.get(&*router_name(topic));
        slot.is_some_and(|slot| slot.stamp == stamp && slot.ends >= now.0)
    }

    /// The next messages after the name `after` that `filter` matches, that have not expired and are no newer than `up_to`.
    pub(super) fn matching(&self, filter: &str, after: Option<&str>, up_to: u64, now: Age) -> Matching {
        let wanted = router_name(filter);
        let is_owed = |slot: &Slot| slot.stamp <= up_to && slot.ends >= now.0;
        let mut matching = Matching::default();
        if !has_wildcard(filter) {
            let slot = self.slots.get(&*wanted).filter(|slot| is_owed(slot));
            matching.found.extend(slot.map(|slot| Found::of(&wanted, slot)));
            return matching;
        }
        let prefix = prefix(&wanted);
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let (mut looks, mut bytes) = (0, 0);
        for (name, slot) in self.slots.range::<str, _>((from, Bound::Unbounded)) {
            if !name.starts_with(prefix) {
                break;
            }
            looks += 1;
            if is_owed(slot) && matches(name, &wanted) {
                bytes += slot.size as usize;
                matching.found.push(Found::of(name, slot));
            }
            if looks == PAGE_LOOKS_MAX || matching.found.len() == PAGE_MESSAGES_MAX || bytes >= PAGE_BYTES_MAX {
                matching.more_after = Some(name.clone());
                break;
            }
        }
        matching
    }

    /// Looks at the next `looks` topics for expired messages, which go. The next call goes on where this one ends.
    pub(super) fn sweep(&mut self, looks: usize, now: Age) -> Expired {
        if self.ending == 0 {
            return Vec::new();
        }
        let from = self.swept.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let looked_at = self.slots.range::<str, _>((from, Bound::Unbounded)).take(looks);
        let (mut last, mut seen, mut expired) = (None, 0, Vec::new());
        for (name, slot) in looked_at {
            (last, seen) = (Some(name), seen + 1);
            if slot.ends < now.0 {
                expired.push(name.clone());
            }
        }
        self.swept = last.filter(|_| seen == looks).cloned();
        self.expire(expired)
    }

    /// Takes these names out. Gives the topics of clients among them.
    fn expire(&mut self, names: Vec<Box<str>>) -> Expired {
        let mut expired = Vec::new();
        for name in names {
            self.remove_named(&name);
            expired.extend(topic_of(&name).map(Box::from));
        }
        expired
    }

    fn make_room(&mut self, now: Age, expired: &mut Expired) {
        let is_soon = |last: Age| now.since(last) < MAKE_ROOM_EVERY;
        if self.ending == 0 || self.made_room.is_some_and(is_soon) {
            return;
        }
        self.made_room = Some(now);
        self.swept = None;
        expired.extend(self.sweep(usize::MAX, now));
    }

    fn has_room(&self, name: &str, message: &OrdinaryMessage) -> bool {
        if is_brokers(name) {
            return true;
        }
        let old = self.slots.get(name);
        let (old_messages, old_bytes) = old.map_or((0, 0), |old| (1, u64::from(old.size)));
        self.counted - old_messages < self.room.messages_max
            && self.bytes - old_bytes + u64::from(size_of(message)) <= self.room.bytes_max
    }

    fn insert(&mut self, name: String, message: &OrdinaryMessage, in_memory: Option<Arc<OrdinaryMessage>>) -> u64 {
        self.last += 1;
        let ends = message
            .expiry
            .map_or(u64::MAX, |expiry| expiry.accepted().0.saturating_add(expiry.lives()));
        if !is_brokers(&name) {
            self.counted += 1;
            self.bytes += u64::from(size_of(message));
        }
        self.names += name.len();
        self.ending += usize::from(ends < u64::MAX);
        let slot = Slot {
            stamp: self.last,
            ends,
            size: size_of(message),
            message: in_memory,
            cached: 0,
        };
        self.slots.insert(name.into(), slot);
        self.last
    }

    fn remove_named(&mut self, name: &str) -> bool {
        let Some(old) = self.slots.remove(name) else {
            return false;
        };
        if !is_brokers(name) {
            self.counted -= 1;
            self.bytes -= u64::from(old.size);
        }
        self.names -= name.len();
        self.ending -= usize::from(old.ends < u64::MAX);
        if let (Some(message), Some(_)) = (&old.message, self.cached.remove(&old.cached)) {
            self.cached_bytes -= cost(message);
        }
        true
    }

    /// From now on the message of `topic`, if it is the one with this stamp, is in memory only as long as there is room.
    fn may_leave(&mut self, topic: &str, stamp: u64) {
        let slot = self.slots.get_mut(&*router_name(topic));
        let Some(slot) = slot.filter(|slot| slot.stamp == stamp && slot.cached == 0) else {
            return;
        };
        if let Some(message) = &slot.message {
            self.last_cached += 1;
            slot.cached = self.last_cached;
            self.cached.insert(slot.cached, Arc::clone(&message.topic));
            self.cached_bytes += cost(message);
        }
    }

    fn evict(&mut self) {
        while self.cached_bytes > self.room.cache_bytes_max {
            let Some((_, topic)) = self.cached.pop_first() else {
                return;
            };
            if let Some(slot) = self.slots.get_mut(&*router_name(&topic)) {
                slot.cached = 0;
                self.cached_bytes -= slot.message.take().map_or(0, |message| cost(&message));
            }
        }
    }
}

impl Found {
    fn of(name: &str, slot: &Slot) -> Self {
        Found {
            topic: match topic_of(name) {
                Some(topic) => topic.into(),
                None => ["$", name.get(2..).unwrap_or_default()].concat().into(),
            },
            stamp: slot.stamp,
            message: slot.message.clone(),
        }
    }
}

/// Whether this is the [`router_name`] of a topic of the broker's own: one that begins with a $.
fn is_brokers(name: &str) -> bool {
    name.starts_with("s/")
}

/// The topic of this [`router_name`], if it is a client's.
fn topic_of(name: &str) -> Option<&str> {
    name.strip_prefix("t/")
}

/// What all names begin with that the filter with this [`router_name`] matches. `a/#` matches `a`, too.
fn prefix(wanted: &str) -> &str {
    let end = wanted.find(['+', '#']).unwrap_or(wanted.len());
    let prefix = wanted.get(..end).unwrap_or_default();
    match wanted.get(end..) {
        Some("#") => prefix.strip_suffix('/').unwrap_or(prefix),
        _ => prefix,
    }
}

/// Its size, in bytes: an MQTT packet has at most 256 MiB (MQTT 5, section 2.1.4).
fn size_of(message: &OrdinaryMessage) -> u32 {
    u32::try_from(message.size()).unwrap_or(u32::MAX)
}

/// What a message in memory counts for, in bytes.
fn cost(message: &OrdinaryMessage) -> usize {
    message.size() + MESSAGE_BYTES
}

#[cfg(test)]
mod tests;
