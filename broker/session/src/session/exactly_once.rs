//! QoS 2 of a session that is kept, on ordinary topics: exactly once, over crashes too (contract rule 13).
//!
//! What it is sent:
//!
//! ```text
//!  waits ──durable──▶ sent ──PUBREC──▶ taken ──durable──▶ released ──PUBCOMP──▶ nothing
//!            ▲          │                                    │
//!            └──crash───┘ with its identifier, and DUP       └──crash──▶ PUBREL again
//! ```
//!
//! The packet identifier of an ordinary message follows from its place in the journal, so it is the same after a crash, and a client that remembers it knows the
//! message again. Retained messages have a place, too. Mail has none: see `packet_ids.rs`.
//!
//! What it publishes:
//!
//! ```text
//!  PUBLISH ──▶ routed ──durable, with all that it has kept──▶ PUBREC ──PUBREL──▶ being forgotten ──durable──▶ PUBCOMP
//! ```
//!
//! After a crash a publish is either known, with everything that came of it, or nothing came of it.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::Arc;

use inbox_types::{Outcome, Port, Qos, Ticket};
use mqtt_codec::{AckKind, PacketId, encode, reason};
use pubsub::{OrdinaryDelivery, Together};

use super::Session;
use super::packet_ids::of_place;
use super::subscriptions::sent_with;
use crate::keeping::PLACES;

/// Tickets of publishes that the store is to forget have these bits, and the packet identifier.
const EXCHANGE: u64 = 7 << 61;

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
            || self.keeping.may_have_been_sent(Some(place))
            || subscription.is_some_and(|subscription| subscription.options().qos == Qos::ExactlyOnce);
        let first = first.replace(first.get().or(Some(place))).unwrap_or(place);
        let is_free = || place.get() - first.get() < PLACES && !self.outgoing.is_in_use(of_place(place));
        !is_exactly_once || (is_free() && journal.may_be_sent(place))
    }

    /// A message is not sent, or not again. A client that may have begun with it, by QoS 2, is told to release it: it would take another message for it.
    pub(super) fn give_up(&mut self, kept: Option<NonZeroU64>, may_be_begun: bool) {
        match kept.filter(|_| may_be_begun) {
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

    /// What a publish with this packet identifier is to be kept with, if this session is kept.
    pub(super) fn exchange(&mut self, packet_id: PacketId) -> Option<Arc<Together>> {
        let journal = self.outbox.journal().filter(|_| !inbox_types::fault!(ForgetExchange))?;
        let inboxes = self.shared.node.inboxes.clone();
        let together = Together::new(inboxes, journal.exchange(packet_id.get()));
        self.incoming.is_kept_with(packet_id, &together);
        Some(together)
    }

    /// The client has released a publish. PUBCOMP comes when the store has forgotten it: the client uses the identifier for another message then, which would be taken
    /// for this one.
    pub(super) fn forget_exchange(&mut self, packet_id: PacketId) {
        if inbox_types::fault!(CompleteBeforeDurable) {
            return self.exchange_is_over(packet_id);
        }
        let Some(journal) = self.outbox.journal() else { return };
        let port: Arc<dyn Port> = self.outbox.clone();
        journal.forget_exchange(packet_id.get(), (port, Ticket(EXCHANGE | u64::from(packet_id.get()))));
    }

    /// Takes the word that the store has forgotten a publish, if it is that.
    pub(super) fn settle_exchange(&mut self, ticket: Ticket, outcome: &Outcome) -> bool {
        let of_exchange = ticket.0 ^ EXCHANGE;
        let packet_id = u16::try_from(of_exchange).ok().and_then(PacketId::new);
        if let (Some(packet_id), Outcome::Accepted(_)) = (packet_id, outcome) {
            self.exchange_is_over(packet_id);
        }
        packet_id.is_some()
    }

    fn exchange_is_over(&mut self, packet_id: PacketId) {
        if self.incoming.over(packet_id) {
            self.write_pubcomp(packet_id, reason::SUCCESS);
        }
    }

    pub(super) fn write_pubcomp(&mut self, packet_id: PacketId, reason: u8) {
        let version = self.link.version;
        encode::ack(&mut self.out, version, AckKind::PubComp, packet_id, reason, None, &[]);
    }

    pub(super) fn write_pubrel(&mut self, packet_id: PacketId, reason: u8) {
        let version = self.link.version;
        encode::ack(&mut self.out, version, AckKind::PubRel, packet_id, reason, None, &[]);
    }
}
