//! Messages that the client has not finished with.

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;

use inbox_types::{AttachmentId, Delivery, Qos, Seq};

use super::packet_ids::{Ring, Span, of_place};
use mqtt_codec::{AckKind, PacketId};
use pubsub::OrdinaryMessage;

/// QoS 1 and 2 messages that the client has not finished with.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// In the order of first sending.
    pub(super) in_flight: VecDeque<Sent>,
    next_id: PacketId,
    /// So many identifiers from `next_id` on are not in use.
    free_from_next: u16,
    /// Those of `in_flight` that count towards the receive maximum: sent, or sent again, over the present connection.
    pub(super) outstanding: usize,
    /// The sum of the sizes of the ordinary messages in `in_flight`.
    ordinary_bytes: usize,
    /// Those of `in_flight` to be sent again before anything else (MQTT-4.4.0-1), mail excepted: the inbox starts over itself.
    pub(super) resend: VecDeque<PacketId>,
    /// There may be mail in `in_flight` that the inbox delivers again.
    pub(super) mail_repeats: bool,
    /// Ordinary messages go first this time: neither they nor mail can keep the other waiting for ever.
    pub(super) ordinary_first: bool,
    pub(super) mail: Vec<(AttachmentId, Delivery)>,
    pub(super) ordinary: Vec<pubsub::OrdinaryDelivery>,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) packet_id: PacketId,
    pub(super) what: What,
    pub(super) awaits: AckKind,
    pub(super) over_this_connection: bool,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Mail(Seq),
    Ordinary(Ordinary),
    /// An ordinary message that the client has. It is told to release it when that is durable at this place of the session's journal.
    Taken(NonZeroU64),
    /// What the client has, and is to release; and where the session's journal has that, until it is released.
    Released(Option<NonZeroU64>),
}

/// An ordinary message as it is sent to this client.
#[derive(Debug, Clone)]
pub(super) struct Ordinary {
    pub(super) message: Arc<OrdinaryMessage>,
    /// The number of the subscription that it was sent for.
    pub(super) subscription: u32,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) subscription_id: Option<u32>,
    /// Where the session's journal has it.
    pub(super) kept: Option<NonZeroU64>,
}

impl What {
    /// Whether its identifier follows from its place in the session's journal.
    fn has_place(&self) -> bool {
        match self {
            What::Ordinary(ordinary) => ordinary.qos == Qos::ExactlyOnce && ordinary.kept.is_some(),
            What::Taken(_) => true,
            What::Released(kept) => kept.is_some(),
            What::Mail(_) => false,
        }
    }

    /// What is kept of it counts so many bytes.
    fn bytes(&self) -> usize {
        match self {
            What::Ordinary(ordinary) => ordinary.message.size(),
            What::Mail(_) | What::Taken(_) | What::Released(_) => 0,
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing {
            in_flight: VecDeque::new(),
            next_id: PacketId::MIN,
            free_from_next: 0,
            outstanding: 0,
            ordinary_bytes: 0,
            resend: VecDeque::new(),
            mail_repeats: false,
            ordinary_first: false,
            mail: Vec::new(),
            ordinary: Vec::new(),
        }
    }
}

impl Outgoing {
    /// None, and the first one has this identifier.
    pub(super) fn from(next_id: PacketId) -> Self {
        Outgoing {
            next_id,
            ..Outgoing::default()
        }
    }

    /// The next identifier, if none is in use.
    pub(super) fn finished(&self) -> Option<PacketId> {
        self.in_flight.is_empty().then_some(self.next_id)
    }

    /// A connection begins: what is in flight is to be sent again. Mail that is not even started over is no longer the
    /// session's.
    pub(super) fn resume(&mut self, reads_inbox: bool) {
        self.outstanding = 0;
        self.mail_repeats = true;
        self.in_flight
            .retain(|sent| reads_inbox || sent.awaits == AckKind::PubComp || matches!(sent.what, What::Ordinary(_)));
        self.resend = self
            .in_flight
            .iter_mut()
            .filter_map(|sent| {
                sent.over_this_connection = false;
                let by_inbox = matches!(sent.what, What::Mail(_)) && sent.awaits != AckKind::PubComp;
                (!by_inbox).then_some(sent.packet_id)
            })
            .collect();
    }

    /// The inbox delivers again what is unacknowledged.
    pub(super) fn mail_starts_over(&mut self) {
        self.mail_repeats = true;
    }

    pub(super) fn shrink(&mut self) {
        self.in_flight.shrink_to_fit();
        self.resend.shrink_to_fit();
        self.mail = Vec::new();
        self.ordinary = Vec::new();
    }

    pub(super) fn get_mut(&mut self, packet_id: PacketId) -> Option<&mut Sent> {
        self.in_flight.iter_mut().find(|sent| sent.packet_id == packet_id)
    }

    pub(super) fn remove(&mut self, packet_id: PacketId) -> Option<Sent> {
        let at = self.in_flight.iter().position(|sent| sent.packet_id == packet_id)?;
        // Clients mostly answer in order.
        let sent = match at {
            0 => self.in_flight.pop_front(),
            at => self.in_flight.remove(at),
        }?;
        self.outstanding -= usize::from(sent.over_this_connection);
        self.ordinary_bytes -= sent.what.bytes();
        Some(sent)
    }

    /// Keeps something else of a message that is in flight.
    pub(super) fn replace(&mut self, packet_id: PacketId, what: What) {
        if let Some(sent) = self.in_flight.iter_mut().find(|sent| sent.packet_id == packet_id) {
            self.ordinary_bytes = self.ordinary_bytes - sent.what.bytes() + what.bytes();
            sent.what = what;
        }
    }

    /// Bytes of ordinary messages that the client does not have for certain.
    pub(super) fn ordinary_bytes(&self) -> usize {
        self.ordinary_bytes
    }

    /// Of a session that goes on: these may be in use, and are to be released.
    pub(super) fn restore(&mut self, span: Span) {
        self.in_flight.extend(span.all().map(|packet_id| Sent {
            packet_id,
            what: What::Released(None),
            awaits: AckKind::PubComp,
            over_this_connection: false,
        }));
        self.next_id = span.end;
    }

    /// Of a session that goes on: what its client has is to be released.
    pub(super) fn restore_taken(&mut self, places: &[NonZeroU64]) {
        self.in_flight.extend(places.iter().map(|place| Sent {
            packet_id: of_place(*place),
            what: What::Released(Some(*place)),
            awaits: AckKind::PubComp,
            over_this_connection: false,
        }));
    }

    /// The client may have a message that is not sent again.
    pub(super) fn push_taken(&mut self, place: NonZeroU64) {
        self.push(of_place(place), What::Taken(place), Qos::ExactlyOnce);
        if let Some(sent) = self.in_flight.back_mut() {
            sent.awaits = AckKind::PubComp;
        }
    }

    /// What the client has is to be released. Gives the identifier, if the client may be told now.
    pub(super) fn taken_is_kept(&mut self, place: NonZeroU64) -> Option<PacketId> {
        let is_it = |sent: &&mut Sent| matches!(sent.what, What::Taken(theirs) if theirs == place);
        let sent = self.in_flight.iter_mut().find(is_it)?;
        sent.what = What::Released(Some(place));
        sent.over_this_connection.then_some(sent.packet_id)
    }

    /// The oldest identifier in use of those that are given out in turn.
    pub(super) fn oldest_id(&self) -> Option<PacketId> {
        let mut in_turn = self.in_flight.iter().filter(|sent| !sent.what.has_place());
        in_turn.next().map(|sent| sent.packet_id)
    }

    /// The identifier that is given out next, if it is not in use.
    pub(super) fn next_id(&self) -> PacketId {
        self.next_id
    }

    /// Only those of `ring` are given out from now on.
    pub(super) fn give_from(&mut self, ring: Ring) {
        self.free_from_next = 0;
        if !ring.has(self.next_id) {
            self.next_id = PacketId::MIN;
        }
    }

    pub(super) fn is_in_use(&self, packet_id: PacketId) -> bool {
        self.in_flight.iter().any(|sent| sent.packet_id == packet_id)
    }

    /// An identifier of `ring` that is not in use. There is one: fewer messages than identifiers are in flight.
    pub(super) fn free_id(&mut self, ring: Ring) -> PacketId {
        while self.free_from_next == 0 {
            // What is in use is looked through once for very many identifiers, for they are given out one after the other.
            let in_use = self.in_flight.iter().filter(|sent| ring.has(sent.packet_id));
            let steps = in_use.map(|sent| ring.steps(self.next_id, sent.packet_id));
            self.free_from_next = steps.min().unwrap_or(ring.len());
            if self.free_from_next == 0 {
                self.next_id = ring.next(self.next_id);
            }
        }
        let id = self.next_id;
        self.next_id = ring.next(id);
        self.free_from_next -= 1;
        id
    }

    pub(super) fn push(&mut self, packet_id: PacketId, what: What, qos: Qos) {
        self.ordinary_bytes += what.bytes();
        self.outstanding += 1;
        self.in_flight.push_back(Sent {
            packet_id,
            what,
            awaits: first_answer(qos),
            over_this_connection: true,
        });
    }

    /// Mail that the inbox delivers again: its identifier, and the answer that it awaits. It goes on as it began, whatever QoS is granted
    /// now. Mail before it that did not come again has left the inbox.
    pub(super) fn repeated(&mut self, seq: Seq) -> Option<(PacketId, AckKind)> {
        if !self.mail_repeats {
            return None;
        }
        let mut gone = 0;
        self.in_flight.retain(|sent| {
            let stale = matches!(sent.what, What::Mail(earlier) if earlier < seq)
                && !sent.over_this_connection
                && sent.awaits != AckKind::PubComp;
            gone += usize::from(stale);
            !stale
        });
        let is_mail = |sent: &Sent| matches!(sent.what, What::Mail(theirs) if theirs == seq);
        let Some(sent) = self.in_flight.iter_mut().find(|sent| is_mail(sent)) else {
            let more = self
                .in_flight
                .iter()
                .any(|sent| matches!(sent.what, What::Mail(later) if later > seq));
            self.mail_repeats = more;
            return None;
        };
        if sent.awaits != AckKind::PubComp && !mem::replace(&mut sent.over_this_connection, true) {
            self.outstanding += 1;
        }
        Some((sent.packet_id, sent.awaits))
    }

    /// Mail that was sent, or sent again, over the present connection.
    pub(super) fn mail_over_this_connection(&self) -> impl Iterator<Item = Seq> {
        self.in_flight.iter().filter_map(|sent| match sent.what {
            What::Mail(seq) if sent.over_this_connection => Some(seq),
            _ => None,
        })
    }

    /// Whether this mail, if it is in flight, is sent over the present connection already, so that sending it again takes no other place
    /// in the window.
    pub(super) fn place(&self, seq: Seq) -> Option<bool> {
        let is_it = |sent: &&Sent| matches!(sent.what, What::Mail(theirs) if theirs == seq);
        self.in_flight.iter().find(is_it).map(|sent| sent.over_this_connection)
    }
}

fn first_answer(qos: Qos) -> AckKind {
    if qos == Qos::ExactlyOnce {
        AckKind::PubRec
    } else {
        AckKind::PubAck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packet_identifiers_are_used_in_turn() {
        // Goal: a client that acknowledges at once sees 1, 2, … 65,535, 1, … and never 0.
        let mut outgoing = Outgoing::default();
        for turn in 0..150_000_u32 {
            let id = outgoing.free_id(Ring::WHOLE);
            assert_eq!(u32::from(id.get()), turn % 65_535 + 1);
            outgoing.push(id, What::Mail(Seq(turn.into())), Qos::AtLeastOnce);
            assert!(outgoing.remove(id).is_some());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_packet_identifier_is_never_given_to_two(
            stay in proptest::collection::vec(0..400_usize, 0..40),
            steps in proptest::collection::vec((1..30_000_usize, any::<proptest::sample::Index>()), 1..8),
        ) {
            // Goal: MQTT-2.2.1-3: an identifier that is in use is passed over, wherever the counter stands, and also if the client
            // acknowledges some messages very late.
            let mut outgoing = Outgoing::default();
            for at in 0..400_usize {
                let id = outgoing.free_id(Ring::WHOLE);
                if stay.contains(&at) {
                    outgoing.push(id, What::Released(None), Qos::AtLeastOnce);
                }
            }
            for (times, gone) in steps {
                for _ in 0..times {
                    let id = outgoing.free_id(Ring::WHOLE);
                    prop_assert!(outgoing.in_flight.iter().all(|sent| sent.packet_id != id));
                }
                let id = outgoing.free_id(Ring::WHOLE);
                outgoing.push(id, What::Released(None), Qos::AtLeastOnce);
                let late = outgoing.in_flight.get(gone.index(outgoing.in_flight.len())).map(|sent| sent.packet_id);
                outgoing.remove(late.unwrap());
            }
        }
    }
}
