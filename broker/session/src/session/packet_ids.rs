//! Which packet identifiers may be in use with QoS 2, as the store knows it.
//!
//! A client remembers the identifier of a message that it answered with PUBREC until it gets PUBREL, and takes what comes with that identifier meanwhile for
//! the same message (MQTT-4.3.3-10). So a broker that was started again must not use one that it has forgotten. Identifiers are given out in
//! turn, and before one is used it is durable that it may be, some hundred at a time. After a crash PUBREL is sent for each that may be in use: the client
//! lets go of it and answers PUBCOMP, also where there was none (section 4.3.3). What it had not acknowledged comes again with an identifier that is free.

use inbox_types::Ticket;
use mqtt_codec::PacketId;

/// Identifiers that are reserved at a time.
const RESERVED: u16 = 256;
/// More are reserved when so many are left.
const FEW: u16 = 128;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct PacketIds {
    /// There is a subscription with QoS 2, or was.
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
            is_kept: true,
            ..PacketIds::default()
        }
    }

    /// From now on it must be durable which are in use. True if it had not to be before.
    pub(super) fn keep(&mut self) -> bool {
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
            false => next.steps_to(oldest).min(RESERVED),
        });
        self.asked = Some((ticket, granted));
        let end = (0..granted).fold(next, |id, _| id.next());
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
        let ids = std::iter::successors(Some(self.first), |id| Some(id.next()));
        ids.take(self.first.steps_to(self.end).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_used_was_reserved(start in 1..=u16::MAX, steps in prop::collection::vec((0..2_u8, 1..300_u16), 1..60)) {
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
                    next = next.next();
                }
            }
        }
    }

    #[test]
    fn a_rest_is_what_is_open() {
        // Goal: without anything open nothing is to be released; the span goes over the end of the identifiers.
        let mut ids = PacketIds::restored();
        assert_eq!(ids.rest(None, id(7)).all().count(), 0);
        let span = ids.rest(Some(id(65_534)), id(3));
        assert_eq!(
            span.all().map(PacketId::get).collect::<Vec<_>>(),
            [65_534, 65_535, 1, 2]
        );
        assert_eq!(ids.left(), 0);
    }
}
