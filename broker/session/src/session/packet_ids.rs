//! Which packet identifiers a kept session may use with QoS 2.
//!
//! A client remembers the identifier of a message that it answered with PUBREC until it gets PUBREL, and takes what comes with that identifier meanwhile for
//! the same message (MQTT-4.3.3-10). So over a crash a message must keep its identifier, and no other one may have it.
//!
//! **An ordinary message** has the identifier that follows from its place in the session's journal: [`of_place`]. Nothing else has these.
//!
//! **Mail** has no such place, and shares the other identifiers with QoS 1. They are given out in turn, and before one is used it is durable that it may be, some
//! hundred at a time. After a crash PUBREL is sent for each that may be in use: the client lets go of it and answers PUBCOMP, also where there was none (section 4.3.3).
//! What it had not acknowledged comes again with an identifier that is free.

use std::num::NonZeroU64;

use inbox_types::Ticket;
use mqtt_codec::PacketId;

use crate::keeping::PLACES;

/// Identifiers that follow from places: the highest ones.
const OF_PLACES: u16 = PLACES as u16;
/// The others are up to this one.
const SHARED_LAST: u16 = u16::MAX - OF_PLACES;
/// Identifiers that are reserved at a time.
const RESERVED: u16 = 256;
/// More are reserved when so many are left.
const FEW: u16 = 128;

/// The identifier of the message at this place of a session's journal, if it is sent with QoS 2.
pub(super) fn of_place(place: NonZeroU64) -> PacketId {
    // It is one of the highest ones: so many from the end on.
    let from_end = (place.get() % PLACES) as u16;
    PacketId::new(u16::MAX - from_end).unwrap_or(PacketId::MIN)
}

/// Identifiers that are given out in turn: from 1 to the last one, and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring {
    last: u16,
}

impl Ring {
    /// All identifiers.
    pub(super) const WHOLE: Ring = Ring { last: u16::MAX };
    /// Without those of places.
    const SHARED: Ring = Ring { last: SHARED_LAST };

    pub(super) fn has(self, id: PacketId) -> bool {
        id.get() <= self.last
    }

    /// How many there are.
    pub(super) fn len(self) -> u16 {
        self.last
    }

    pub(super) fn next(self, id: PacketId) -> PacketId {
        match id.get() < self.last {
            true => id.next(),
            false => PacketId::MIN,
        }
    }

    /// How often [`Ring::next`] leads from one to another.
    pub(super) fn steps(self, from: PacketId, to: PacketId) -> u16 {
        let (from, to) = (from.get(), to.get());
        match to.checked_sub(from) {
            Some(steps) => steps,
            None => self.last.saturating_sub(from - to),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct PacketIds {
    /// There is a subscription with QoS 2, or was: some identifiers are those of places.
    has_places: bool,
    /// The inbox is read with QoS 2, or was.
    is_kept: bool,
    /// So many may be used, from the next one on.
    left: u16,
    /// What was asked to be durable, and how many may be used then.
    asked: Option<(Ticket, u16)>,
}

/// From the first identifier up to the other one, which is not meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: PacketId,
    pub(super) end: PacketId,
}

impl PacketIds {
    /// Of a session that goes on after a restart: all of its identifiers may be in use.
    pub(super) fn restored() -> Self {
        PacketIds {
            has_places: true,
            is_kept: true,
            ..PacketIds::default()
        }
    }

    /// Some are those of places from now on.
    pub(super) fn leave_places(&mut self) {
        self.has_places = true;
    }

    /// Those that are given out in turn.
    pub(super) fn in_turn(&self) -> Ring {
        match self.has_places {
            true => Ring::SHARED,
            false => Ring::WHOLE,
        }
    }

    /// From now on it must be durable which of those that are given out in turn are in use. True if it had not to be before.
    pub(super) fn keep(&mut self) -> bool {
        self.has_places = true;
        !std::mem::replace(&mut self.is_kept, true)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// How many may be used now.
    pub(super) fn left(&self) -> usize {
        match self.is_kept {
            true => self.left.into(),
            false => usize::MAX,
        }
    }

    /// Whether more should be reserved.
    pub(super) fn are_few(&self) -> bool {
        self.is_kept && self.left < FEW && self.asked.is_none()
    }

    /// So many were used up.
    pub(super) fn used(&mut self, ids: u16) {
        self.left = self.left.saturating_sub(ids);
        if let Some((_, granted)) = &mut self.asked {
            *granted = granted.saturating_sub(ids);
        }
    }

    /// What is to be durable under `ticket`, where `oldest` is the first that is in use, and `next` the one that is given out next.
    pub(super) fn ask(&mut self, oldest: Option<PacketId>, next: PacketId, ticket: Ticket) -> Span {
        // Not round to what is in use: who leaves one open for that long waits.
        let granted = oldest.map_or(RESERVED, |oldest| match oldest == next {
            true => RESERVED,
            false => self.in_turn().steps(next, oldest).min(RESERVED),
        });
        self.asked = Some((ticket, granted));
        let end = (0..granted).fold(next, |id, _| self.in_turn().next(id));
        Span {
            first: oldest.unwrap_or(next),
            end,
        }
    }

    /// Takes the word that something is durable, if it is about this.
    pub(super) fn told(&mut self, ticket: Ticket) -> bool {
        let granted = self.asked.take_if(|(asked, _)| *asked == ticket);
        if let Some((_, granted)) = granted {
            self.left = granted;
        }
        granted.is_some()
    }

    /// The connection has ended: no more are used. Those of `oldest` up to `next` are.
    pub(super) fn rest(&mut self, oldest: Option<PacketId>, next: PacketId) -> Span {
        (self.left, self.asked) = (0, None);
        Span {
            first: oldest.unwrap_or(next),
            end: next,
        }
    }
}

impl Span {
    /// All of them, in turn.
    pub(super) fn all(self) -> impl Iterator<Item = PacketId> {
        // Builds that knew no places gave out all identifiers in turn.
        let ring = match Ring::SHARED.has(self.first) && Ring::SHARED.has(self.end) {
            true => Ring::SHARED,
            false => Ring::WHOLE,
        };
        let ids = std::iter::successors(Some(self.first), move |id| Some(ring.next(*id)));
        ids.take(ring.steps(self.first, self.end).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).unwrap()
    }

    #[test]
    fn places_have_identifiers_of_their_own() {
        // Goal: so many places that follow each other have different identifiers, none of which is given out in turn; then they repeat.
        let of = |place| of_place(NonZeroU64::new(place).unwrap());
        let all: std::collections::BTreeSet<_> = (1..=PLACES).map(|place| of(place).get()).collect();
        assert_eq!(all.len() as u64, PLACES);
        assert!((1..=PLACES).all(|place| !Ring::SHARED.has(of(place)) && of(place) == of(place + PLACES)));
        assert_eq!(all.first(), Some(&(Ring::SHARED.len() + 1)));
    }

    proptest! {
        #[test]
        fn what_is_used_was_reserved(start in 1..=SHARED_LAST, steps in prop::collection::vec((0..2_u8, 1..300_u16), 1..60)) {
            // Goal: whatever is used when: it is within what is durable, also over the end of the identifiers.
            let mut ids = PacketIds::default();
            prop_assert!(ids.keep() && !ids.keep());
            let (mut next, mut durable, mut asked) = (id(start), None::<Span>, None::<(Ticket, Span)>);
            for (n, (what, most)) in steps.into_iter().enumerate() {
                match what {
                    0 if ids.are_few() => {
                        let ticket = Ticket(n as u64);
                        asked = Some((ticket, ids.ask(None, next, ticket)));
                    }
                    0 => {}
                    _ => if let Some((ticket, span)) = asked.take() {
                        prop_assert!(ids.told(ticket));
                        durable = Some(span);
                    },
                }
                for _ in 0..ids.left().min(most.into()) {
                    prop_assert!(durable.unwrap().all().any(|reserved| reserved == next), "{next:?} of {durable:?}");
                    ids.used(1);
                    next = Ring::SHARED.next(next);
                }
            }
        }
    }

    #[test]
    fn a_rest_is_what_is_open() {
        // Goal: without anything open nothing is to be released; the span goes over the end of the identifiers, in builds that knew no places over that of all.
        let mut ids = PacketIds::restored();
        assert_eq!(ids.rest(None, id(7)).all().count(), 0);
        for (first, last) in [(SHARED_LAST - 1, SHARED_LAST), (65_534, 65_535)] {
            let span = ids.rest(Some(id(first)), id(3));
            assert_eq!(span.all().map(PacketId::get).collect::<Vec<_>>(), [first, last, 1, 2]);
        }
        assert_eq!(ids.left(), 0);
    }
}
