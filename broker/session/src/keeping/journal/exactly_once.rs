//! What a journal does for QoS 2 beside keeping messages: it tells its session when something is durable.
//!
//! A message with QoS 2 has the packet identifier of its place, which may be given to another message after a crash unless the store has it: so it is sent when that
//! is durable. One that the client answered with PUBREC is *taken*: the store has that in the place of the message, durably, before PUBREL is
//! sent, and nothing when PUBCOMP came.

use std::num::NonZeroU64;
use std::sync::Arc;

use inbox_types::{AttachmentId, Delivery, Kept, KeptChange, Outcome, Port, Room, Ticket};
use pubsub::{Keeper, Publisher};

use super::super::records;
use super::{Held, Journal, State, take};

/// Places that are so far apart have the same packet identifier.
pub(crate) const PLACES: u64 = 16_384;

/// The session of a journal, which waits for what the store has.
pub(crate) trait Waits: Send + Sync {
    /// The store has what it was given, and that the client has the messages at these places.
    fn is_kept(&self, taken: &[NonZeroU64]);
}

/// What is in the batch that is being written.
#[derive(Default)]
pub(super) struct Writing {
    held: Vec<(NonZeroU64, Option<Arc<Publisher>>)>,
    taken: Vec<NonZeroU64>,
    /// The oldest place that is to have nothing.
    oldest_gone: Option<u64>,
}

impl Writing {
    pub(super) fn is_nothing(&self) -> bool {
        self.held.is_empty() && self.taken.is_empty() && self.oldest_gone.is_none()
    }

    /// Gives whether somebody has to be told when it is durable: of messages with QoS 1 that is the publisher alone.
    pub(super) fn hold(&mut self, held: &mut Held) -> bool {
        let is_meant = held.message.qos == inbox_types::Qos::ExactlyOnce;
        if is_meant {
            self.held.push((held.place, held.publisher.take()));
        }
        is_meant
    }

    pub(super) fn take(&mut self, place: NonZeroU64) {
        self.taken.push(place);
    }

    pub(super) fn leave(&mut self, oldest: Option<u64>) {
        self.oldest_gone = self.oldest_gone.into_iter().chain(oldest).min();
    }
}

impl Journal {
    /// Whether the message at this place may be sent with QoS 2: the store has it, and of the one that had its identifier before it has nothing any more. If not, the
    /// session is told when it may have become so.
    pub(crate) fn may_be_sent(self: &Arc<Self>, place: NonZeroU64) -> bool {
        let mut state = self.state.lock();
        state.tells_of_gone = true;
        let last_place = state.last_place;
        let Some(tasks) = state.tasks.as_mut() else { return true };
        if inbox_types::fault!(SendBeforeDurable) {
            return true;
        }
        if tasks.held.binary_search_by_key(&place, |held| held.place).is_ok() {
            // With all that waits: others of these are sent soon, too.
            tasks.due_up_to = last_place;
            self.ask_by(state, self.node.mono());
            return false;
        }
        let is_written = tasks.shared.binary_search_by_key(&place, |held| held.place).is_err()
            && tasks.writing.held.iter().all(|(theirs, _)| *theirs != place);
        let gone = [tasks.oldest_gone, tasks.writing.oldest_gone];
        let has_before = gone.into_iter().flatten().any(|gone| gone + PLACES <= place.get());
        is_written && !has_before
    }

    /// The client has the message at this place: the store is to have that instead of it. The session is told when it does.
    pub(crate) fn take(self: &Arc<Self>, place: NonZeroU64) {
        let mut state = self.state.lock();
        if state.is_over {
            return;
        }
        state.tasks().taken.push(place);
        self.ask_by(state, self.node.mono());
    }

    /// What says that a publish with this packet identifier was taken.
    pub(crate) fn exchange(&self, packet_id: u16) -> KeptChange {
        KeptChange {
            kept: Kept::Session,
            key: self.life.exchange(packet_id),
            value: Some(records::write_nil()),
            waits: None,
        }
    }

    /// The publish with this packet identifier is released. Who waits is told when nothing is known of it any more, durably.
    pub(crate) fn forget_exchange(&self, packet_id: u16, waits: (Arc<dyn Port>, Ticket)) {
        self.keep(self.life.exchange(packet_id), None, Some(waits));
    }

    /// So many places are given to nothing.
    #[cfg(test)]
    pub(crate) fn skip(&self, places: u64) {
        self.state.lock().last_place += places;
    }
}

/// Of what is kept together with something else.
impl Keeper for Journal {
    fn give(&self, place: NonZeroU64, into: &mut Vec<KeptChange>) {
        let mut state = self.state.lock();
        let Some(tasks) = state.tasks.as_mut() else { return };
        let Some(shared) = take(&mut tasks.shared, place) else {
            return;
        };
        // With all that waits before it: a crash must not leave it without those, which then came after it.
        let before = tasks.held.partition_point(|held| held.place < place);
        for held in tasks.held.drain(..before).chain([shared]) {
            into.push(self.queued(held, &mut tasks.writing));
        }
    }

    fn keep_apart(&self, place: NonZeroU64) {
        let Some(me) = self.me.upgrade() else { return };
        let now = self.node.mono();
        let mut state = self.state.lock();
        let Some(tasks) = state.tasks.as_mut() else { return };
        if let Some(mut held) = take(&mut tasks.shared, place) {
            held.due = now;
            let at = tasks.held.partition_point(|earlier| earlier.place < place);
            tasks.held.insert(at, held);
            me.ask_by(state, now);
        }
    }
}

impl State {
    /// What was being written.
    fn written(&mut self) -> Option<Writing> {
        let tasks = self.tasks.as_mut()?;
        let writing = std::mem::take(&mut tasks.writing);
        if tasks.is_nothing() {
            self.tasks = None;
        }
        Some(writing)
    }
}

/// The committer says what became of what it was given.
impl Port for Journal {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        // All at once: it is of one batch.
        let Some(writing) = self.state.lock().written() else {
            return;
        };
        if let Outcome::Refused(_) = outcome {
            // Nothing is durable any more, and nothing is sent.
            let publishers = writing.held.iter().filter_map(|(_, publisher)| publisher.as_ref());
            return publishers.for_each(|publisher| publisher.settle(ticket, outcome.clone()));
        }
        if let Some(session) = self.session.upgrade() {
            session.is_kept(&writing.taken);
        }
    }
}
