//! QoS 2 to a session that is kept: exactly once, over crashes too (contract rule 13).
//!
//! ```text
//!  waits ──durable──▶ sent ──PUBREC──▶ taken ──durable──▶ released ──PUBCOMP──▶ nothing
//!            ▲          │                                    │
//!            └──crash───┘ with its identifier, and DUP       └──crash──▶ PUBREL again
//! ```
//!
//! The packet identifier of an ordinary message follows from its place in the journal, so it is the same after a crash, and a client that remembers it knows the
//! message again. Retained messages have a place, too. Mail has none: see `packet_ids.rs`.

use std::cell::Cell;
use std::num::NonZeroU64;

use inbox_types::Qos;
use mqtt_codec::{AckKind, PacketId, encode, reason};
use pubsub::OrdinaryDelivery;

use super::Session;
use super::packet_ids::of_place;
use super::subscriptions::sent_with;
use crate::keeping::PLACES;

impl Session {
    /// A subscription with QoS 2 is granted. That to the own `inbox` has it durable, before SUBACK, which packet identifiers may be in use.
    pub(super) fn delivers_exactly_once(&mut self, inbox: bool) {
        if self.outbox.journal().is_none() {
            return;
        }
        self.keeping.ids.leave_places();
        self.outgoing.give_from(self.keeping.ids.in_turn());
        if inbox && self.keeping.ids.keep() {
            self.keep_head(None);
        }
    }

    /// Whether an ordinary message of a publish with QoS 2 may be sent now: if it is to be sent with QoS 2, it is durable, and its identifier is free. `first` is
    /// the first of those that are sent together.
    pub(super) fn may_be_sent(&self, delivery: &OrdinaryDelivery, first: &Cell<Option<NonZeroU64>>) -> bool {
        let (Some(place), Some(journal)) = (delivery.kept, self.outbox.journal()) else {
            return true;
        };
        let subscription = self.subscriptions.get(delivery.subscription);
        let is_exactly_once = sent_with(delivery) == Qos::ExactlyOnce
            || subscription.is_some_and(|subscription| subscription.options().qos == Qos::ExactlyOnce);
        let first = first.replace(first.get().or(Some(place))).unwrap_or(place);
        let is_free = || place.get() - first.get() < PLACES && !self.outgoing.is_in_use(of_place(place));
        !is_exactly_once || (is_free() && journal.may_be_sent(place))
    }

    /// A message is not sent, or not again. A client that may have it is told to release it: it would take another message for it.
    pub(super) fn give_up(&mut self, kept: Option<NonZeroU64>, qos: Qos, was_sent: bool) {
        match kept.filter(|_| qos == Qos::ExactlyOnce && was_sent) {
            Some(place) => {
                self.outgoing.push_taken(place);
                self.note_taken(place);
            }
            None => self.kept_no_more(kept),
        }
    }

    /// The client has the message at this place, and is told to release it when that is durable.
    pub(super) fn note_taken(&self, place: NonZeroU64) {
        if let Some(journal) = self.outbox.journal() {
            journal.take(place);
        }
    }

    /// That is durable.
    pub(super) fn taken_are_kept(&mut self, places: &[NonZeroU64]) {
        for place in places {
            if let Some(packet_id) = self.outgoing.taken_is_kept(*place) {
                self.write_pubrel(packet_id, reason::SUCCESS);
            }
        }
    }

    pub(super) fn write_pubrel(&mut self, packet_id: PacketId, reason: u8) {
        let version = self.link.version;
        encode::ack(&mut self.out, version, AckKind::PubRel, packet_id, reason, None, &[]);
    }
}
