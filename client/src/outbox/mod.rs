//! The order of what is sent. No I/O: times and chance come in as arguments.
//!
//! **Promise:** of two messages to one destination, the later one is not published before the earlier one was acknowledged or has ended for good,
//! or was published before on the same connection. A refusal that passes holds the destination back, and no other.
//!
//! ```text
//! reserve ─▶ Saving ──saved──▶ Queued ◀──────lost, refused for now────── InFlight
//!              │                  │  └────────────next────────────────────▶ │
//!              └─remove           └─remove                                  ├─accepted ─▶ awaiting receipts ─remove▶
//!                                                                           └─remove
//! ```

mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::backoff::Pauses;
pub(crate) use record::{Destination, Order, Record, Stage, hash_of};

/// What may be in the outbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxLimits {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) awaiting_max: usize,
    /// Publishes in flight to one destination.
    pub(crate) depth: usize,
    pub(crate) retry: Pauses,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// For this message, whatever else there is.
    TooLarge,
    /// For now.
    Full,
    /// There is one with the same id to the same destination.
    SameId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Saving,
    Queued,
    InFlight,
    /// Out of its queue: only receipts are awaited.
    Awaiting,
}

#[derive(Debug)]
struct Entry {
    record: Arc<Record>,
    payload: Bytes,
    place: Place,
    /// Whether it was published, perhaps: over a connection that ended before the answer, or by an earlier life of the program.
    may_be_out: bool,
}

/// What waits for one destination, in order.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Order>,
    in_flight: usize,
    held_until: Option<Instant>,
    refusals: u32,
    /// What may be published next; it is in [`Outbox::ready`] then.
    candidate: Option<Order>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: OutboxLimits,
    entries: BTreeMap<Order, Entry>,
    ids: HashMap<(Destination, String), Order>,
    queues: HashMap<Destination, Queue>,
    ready: BTreeSet<Order>,
    holds: BTreeSet<(Instant, Destination)>,
    awaiting: BTreeSet<Order>,
    /// When those end that wait for the broker, in microseconds since 1970.
    ends: BTreeSet<(u64, Order)>,
    last: Order,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        Outbox {
            limits,
            entries: BTreeMap::new(),
            ids: HashMap::new(),
            queues: HashMap::new(),
            ready: BTreeSet::new(),
            holds: BTreeSet::new(),
            awaiting: BTreeSet::new(),
            ends: BTreeSet::new(),
            last: 0,
            bytes: 0,
        }
    }

    /// Messages that the broker has not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.entries.len() - self.awaiting.len()
    }

    /// Bytes of the payloads of these.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was kept in an earlier life, in the order of the outbox. Limits are for what is new.
    pub(crate) fn restore(&mut self, order: Order, record: Arc<Record>, payload: Bytes) {
        let place = match record.stage {
            Stage::Waiting => Place::Queued,
            Stage::Stored { .. } | Stage::Delivered { .. } => Place::Awaiting,
        };
        self.insert(order, record, payload, place);
    }

    /// Takes a place for a message, which nothing to its destination overtakes from now on.
    pub(crate) fn reserve(&mut self, record: Arc<Record>, payload: Bytes) -> Result<Order, NoRoom> {
        if payload.len() > self.limits.bytes_max {
            return Err(NoRoom::TooLarge);
        }
        if self.waiting() >= self.limits.messages_max || self.bytes + payload.len() > self.limits.bytes_max {
            return Err(NoRoom::Full);
        }
        if self.find(&record.to, &record.id).is_some() {
            return Err(NoRoom::SameId);
        }
        let order = self.last + 1;
        self.insert(order, record, payload, Place::Saving);
        Ok(order)
    }

    fn insert(&mut self, order: Order, record: Arc<Record>, payload: Bytes, place: Place) {
        self.last = self.last.max(order);
        self.ids.insert((record.to.clone(), record.id.clone()), order);
        let to = record.to.queue();
        if place == Place::Awaiting {
            self.awaiting.insert(order);
        } else {
            self.bytes += payload.len();
            self.ends.extend(record.expires_at_us.map(|end| (end, order)));
            self.queues.entry(to.clone()).or_default().waiting.push_back(order);
        }
        let entry = Entry {
            record,
            payload,
            place,
            may_be_out: place != Place::Saving,
        };
        self.entries.insert(order, entry);
        self.refresh(&to);
    }

    /// A message is durable, and may go.
    pub(crate) fn saved(&mut self, order: Order) {
        self.set_place(order, Place::Saving, Place::Queued);
    }

    /// The next message to publish, which is in flight from now on.
    pub(crate) fn next(&mut self) -> Option<(Order, Arc<Record>, Bytes)> {
        let order = self.ready.first().copied()?;
        let entry = self.entries.get_mut(&order)?;
        entry.may_be_out = true;
        let found = (order, entry.record.clone(), entry.payload.clone());
        self.set_place(order, Place::Queued, Place::InFlight);
        Some(found)
    }

    /// The message was not published after all.
    pub(crate) fn put_back(&mut self, order: Order) {
        self.set_place(order, Place::InFlight, Place::Queued);
    }

    /// The broker has a message. With `keep`, it waits for receipts from now on, without its payload; otherwise it is out of the outbox. Gives what is
    /// kept of it, and what had to be forgotten for it.
    pub(crate) fn accepted(&mut self, order: Order, stage: Stage, keep: bool) -> Option<(Arc<Record>, Option<Order>)> {
        let entry = self.entries.get_mut(&order)?;
        let mut record = Record::clone(&entry.record);
        record.stage = stage;
        let record = Arc::new(record);
        let to = record.to.queue();
        let was = std::mem::replace(&mut entry.place, Place::Awaiting);
        entry.record = record.clone();
        let payload = std::mem::take(&mut entry.payload);
        if was != Place::Awaiting {
            self.bytes -= payload.len();
            self.awaiting.insert(order);
            self.leave_queue(order, &to, was);
            if let Some(queue) = self.queues.get_mut(&to) {
                queue.refusals = 0;
            }
        }
        if !keep {
            self.remove(order);
        }
        let too_many = self.awaiting.len() > self.limits.awaiting_max;
        let forgotten = self.awaiting.first().copied().filter(|_| too_many);
        if let Some(oldest) = forgotten {
            self.remove(oldest);
        }
        Some((record, forgotten))
    }

    /// The broker refused it for now: its destination is held back. `chance` is from 0 to 1. Gives until when.
    pub(crate) fn refused_for_now(&mut self, order: Order, now: Instant, chance: f64) -> Option<Instant> {
        let to = self.entries.get(&order)?.record.to.queue();
        let queue = self.queues.get_mut(&to)?;
        // Half of a pause is sure: without any, refusals would follow each other at once.
        let until = now + self.limits.retry.after(queue.refusals, 0.5 + chance / 2.0);
        queue.refusals = queue.refusals.saturating_add(1);
        if let Some(earlier) = queue.held_until.replace(until) {
            self.holds.remove(&(earlier, to.clone()));
        }
        self.holds.insert((until, to));
        self.put_back(order);
        Some(until)
    }

    /// There is room at a destination, it is said.
    pub(crate) fn room(&mut self, to: &Destination) {
        let Some(queue) = self.queues.get_mut(to) else { return };
        if let Some(until) = queue.held_until.take() {
            self.holds.remove(&(until, to.clone()));
        }
        self.refresh(to);
    }

    /// Lets those go that were held back until now, and says when the next one may.
    pub(crate) fn release(&mut self, now: Instant) -> Option<Instant> {
        while let Some((until, to)) = self.holds.first().cloned() {
            if until > now {
                return Some(until);
            }
            self.room(&to);
        }
        None
    }

    /// The connection is lost: what was in flight is sent again, in order.
    pub(crate) fn lost(&mut self) {
        let in_flight: Vec<Order> = self.in_flight().collect();
        for order in in_flight {
            self.put_back(order);
        }
    }

    /// What was published, and is not answered.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = Order> {
        let entries = self.entries.iter();
        entries.filter_map(|(order, entry)| (entry.place == Place::InFlight).then_some(*order))
    }

    /// Those that ended while nobody had them: not published and over at this time, in microseconds since 1970.
    pub(crate) fn expired(&self, now_us: u64) -> Vec<Order> {
        let over = self.ends.range(..=(now_us, Order::MAX)).map(|(_, order)| *order);
        over.filter(|order| self.is_queued(*order)).collect()
    }

    /// When the next one ends, in microseconds since 1970.
    pub(crate) fn next_end(&self, now_us: u64) -> Option<u64> {
        let later = self.ends.range((now_us + 1, 0)..).next();
        later.map(|(end, _)| *end)
    }

    fn is_queued(&self, order: Order) -> bool {
        self.entries
            .get(&order)
            .is_some_and(|entry| entry.place == Place::Queued)
    }

    /// Takes a message out, wherever it is. Gives what it was.
    pub(crate) fn remove(&mut self, order: Order) -> Option<Arc<Record>> {
        let entry = self.entries.remove(&order)?;
        let record = entry.record;
        self.ids.remove(&(record.to.clone(), record.id.clone()));
        if !self.awaiting.remove(&order) {
            self.bytes -= entry.payload.len();
            self.ends.remove(&(record.expires_at_us.unwrap_or_default(), order));
            self.leave_queue(order, &record.to.queue(), entry.place);
        }
        Some(record)
    }

    /// Takes a message out that was never published. Gives whether it was there, and was not.
    pub(crate) fn take_back(&mut self, order: Order) -> bool {
        let may_be_out = self.entries.get(&order).is_none_or(|entry| entry.may_be_out);
        !may_be_out && self.is_queued(order) && self.remove(order).is_some()
    }

    /// The message of this id to this destination.
    pub(crate) fn find(&self, to: &Destination, id: &str) -> Option<Order> {
        self.ids.get(&(to.clone(), id.to_owned())).copied()
    }

    /// Whether a message is durable, and this is its payload.
    pub(crate) fn is_the_same(&self, order: Order, payload: &Bytes) -> bool {
        let entry = self.entries.get(&order);
        entry.is_some_and(|entry| match entry.place {
            Place::Saving => false,
            Place::Awaiting => entry.record.has_payload(payload),
            Place::Queued | Place::InFlight => entry.payload == payload,
        })
    }

    /// What is known of a message.
    pub(crate) fn record(&self, order: Order) -> Option<&Arc<Record>> {
        self.entries.get(&order).map(|entry| &entry.record)
    }

    /// Whether something to this destination was refused for now, since something was accepted.
    pub(crate) fn was_refused(&self, to: &Destination) -> bool {
        self.queues.get(to).is_some_and(|queue| queue.refusals > 0)
    }

    fn leave_queue(&mut self, order: Order, to: &Destination, was: Place) {
        let end = self.entries.get(&order).and_then(|entry| entry.record.expires_at_us);
        self.ends.remove(&(end.unwrap_or_default(), order));
        if let Some(queue) = self.queues.get_mut(to) {
            // Nearly always the oldest one leaves.
            match queue.waiting.front() == Some(&order) {
                true => drop(queue.waiting.pop_front()),
                false => queue.waiting.retain(|other| *other != order),
            }
            queue.in_flight -= usize::from(was == Place::InFlight);
        }
        self.refresh(to);
    }

    fn set_place(&mut self, order: Order, from: Place, to: Place) {
        let Some(entry) = self.entries.get_mut(&order).filter(|entry| entry.place == from) else {
            return;
        };
        entry.place = to;
        let destination = entry.record.to.queue();
        if let Some(queue) = self.queues.get_mut(&destination) {
            queue.in_flight += usize::from(to == Place::InFlight);
            queue.in_flight -= usize::from(from == Place::InFlight);
        }
        self.refresh(&destination);
    }

    /// Finds out what may be published next to a destination.
    fn refresh(&mut self, to: &Destination) {
        let Some(queue) = self.queues.get_mut(to) else { return };
        if let Some(before) = queue.candidate.take() {
            self.ready.remove(&before);
        }
        if queue.waiting.is_empty() {
            if let Some(until) = queue.held_until {
                self.holds.remove(&(until, to.clone()));
            }
            self.queues.remove(to);
            return;
        }
        if queue.held_until.is_some() || queue.in_flight >= self.limits.depth {
            return;
        }
        let place = |order: &Order| self.entries.get(order).map(|entry| entry.place);
        let next = queue.waiting.iter().find(|order| place(order) != Some(Place::InFlight));
        queue.candidate = next.copied().filter(|order| place(order) == Some(Place::Queued));
        self.ready.extend(queue.candidate);
    }
}

#[cfg(test)]
mod tests;
