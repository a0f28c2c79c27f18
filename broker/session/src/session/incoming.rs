//! The publishes of a client that are not finished: their answers in line, and both halves of QoS 2.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use inbox_types::{Outcome, PublishState, Seq, Ticket};

use super::subject::Subject;
use crate::not_published::NotPublished;
use crate::session::MqttLimits;
use mqtt_codec::{AckKind, PacketId, reason};
use pubsub::Together;

/// Publishes that are not finished.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// In the order of arrival, and so of answering. The first has `first_ticket`, the next ones count up.
    pending: VecDeque<Pending>,
    first_ticket: u64,
    /// QoS 2 publishes that the client has not released (MQTT-4.3.3-10). There are no more than packet identifiers.
    exactly_once: HashMap<PacketId, ExactlyOnce>,
    /// Publishes over the present connection that count towards the receive maximum: QoS 1 until PUBACK, QoS 2 until PUBCOMP or a
    /// PUBREC that refuses (MQTT 5, section 4.9). A new connection begins with none.
    open: usize,
}

#[derive(Debug)]
struct Pending {
    packet_id: PacketId,
    kind: AckKind,
    answer: Option<Answer>,
    /// It is an ordinary message that nobody is subscribed to.
    is_unheard: bool,
    /// What a refusal would be told about, where it is told by a notice.
    subject: Option<Subject>,
}

#[derive(Debug)]
struct ExactlyOnce {
    /// Under which its outcome comes; `None` when it is accepted: what comes with this packet identifier until PUBREL is the same
    /// message.
    waits_for: Option<Ticket>,
    /// Where its PUBREC stands, or stood, in line: another place than `waits_for` when the client came back and asked again.
    place: Ticket,
    /// It counts in [`Incoming::open`].
    over_this_connection: bool,
    record: Record,
}

/// What the store has of a publish with QoS 2, so that it is known after a crash.
enum Record {
    Nothing,
    /// A record, if anything is kept of it.
    With(Arc<Together>),
    Kept,
    /// It is being removed: PUBREL came, and whether over the present connection.
    Leaving(bool),
}

/// What follows from a PUBREL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    /// PUBCOMP: it was accepted.
    Now,
    /// PUBCOMP which says that nothing is known of it.
    Unknown,
    /// PUBCOMP when the store has forgotten it, which it is to be told.
    Forget,
    /// The same, and it was told.
    Forgetting,
    /// Its outcome is not known.
    Early,
}

/// What a publish is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is accepted.
    Success,
    /// It is in an inbox.
    Kept {
        /// Its place there.
        seq: Seq,
        /// What became of it.
        state: PublishState,
    },
    /// It is accepted, and nobody subscribes to its topic.
    Unheard,
    /// It is not accepted.
    Refused(NotPublished),
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Record::Nothing => "Nothing",
            Record::With(_) => "With",
            Record::Kept => "Kept",
            Record::Leaving(_) => "Leaving",
        })
    }
}

impl Answer {
    /// Whether the publish was not accepted.
    pub(super) fn is_refusal(&self) -> bool {
        self.why().is_some()
    }

    /// Why it was not.
    pub(super) fn why(&self) -> Option<&NotPublished> {
        match self {
            Answer::Success | Answer::Kept { .. } | Answer::Unheard => None,
            Answer::Refused(why) => Some(why),
        }
    }

    /// What MQTT 5 clients are told.
    pub(super) fn reason_code(&self) -> u8 {
        match self {
            Answer::Success | Answer::Kept { .. } => reason::SUCCESS,
            Answer::Unheard => reason::NO_MATCHING_SUBSCRIBERS,
            Answer::Refused(why) => why.reason_code(),
        }
    }
}

impl From<&Outcome> for Answer {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted(proof) => Answer::Kept {
                seq: proof.seq(),
                state: proof.state(),
            },
            Outcome::Refused(refusal) => Answer::Refused((*refusal).into()),
        }
    }
}

impl Incoming {
    /// None, and the first one has this ticket.
    pub(super) fn from(first_ticket: u64) -> Self {
        Incoming {
            first_ticket,
            ..Incoming::default()
        }
    }

    /// The ticket of the next one, if none is open, nor known.
    pub(super) fn finished(&self) -> Option<u64> {
        (self.pending.is_empty() && self.exactly_once.is_empty()).then_some(self.first_ticket)
    }

    /// Whether the client has as many publishes open as it may.
    pub(super) fn is_full(&self, mqtt: &MqttLimits) -> bool {
        self.pending.len() >= usize::from(mqtt.unacknowledged_publishes_max)
    }

    /// Answers owed to a connection that is gone are owed no more: the client sends again what it has no answer to.
    pub(super) fn disconnected(&mut self) {
        self.first_ticket += self.pending.len() as u64;
        self.pending = VecDeque::new();
        self.open = 0;
        for known in self.exactly_once.values_mut() {
            known.over_this_connection = false;
            if let Record::Leaving(is_asked) = &mut known.record {
                *is_asked = false;
            }
        }
    }

    pub(super) fn shrink(&mut self) {
        self.pending.shrink_to(4);
        self.exactly_once.shrink_to_fit();
    }

    /// Every publish before this one is answered.
    pub(super) fn first_ticket(&self) -> Ticket {
        Ticket(self.first_ticket)
    }

    fn push(&mut self, packet_id: PacketId, kind: AckKind) -> Ticket {
        let ticket = Ticket(self.first_ticket + self.pending.len() as u64);
        self.pending.push_back(Pending {
            packet_id,
            kind,
            answer: None,
            is_unheard: false,
            subject: None,
        });
        ticket
    }

    fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        let at = ticket.0.checked_sub(self.first_ticket)?;
        self.pending.get_mut(usize::try_from(at).ok()?)
    }

    /// A new publish is open.
    pub(super) fn begin(&mut self, packet_id: PacketId, kind: AckKind) -> Ticket {
        let ticket = self.push(packet_id, kind);
        self.open += 1;
        if kind == AckKind::PubRec {
            let known = ExactlyOnce {
                waits_for: Some(ticket),
                place: ticket,
                over_this_connection: true,
                record: Record::Nothing,
            };
            self.exactly_once.insert(packet_id, known);
        }
        ticket
    }

    /// Nobody is subscribed to the topic of this publish, whose outcome is to come.
    pub(super) fn reaches_nobody(&mut self, ticket: Ticket) {
        if let Some(pending) = self.get_mut(ticket) {
            pending.is_unheard = true;
        }
    }

    /// Notes what a refusal would be told about.
    pub(super) fn note_subject(&mut self, ticket: Ticket, subject: Subject) {
        if let Some(pending) = self.get_mut(ticket) {
            pending.subject = Some(subject);
        }
    }

    /// What a refusal of this publish would be told about.
    pub(super) fn subject(&self, ticket: Ticket) -> Option<&Subject> {
        let at = ticket.0.checked_sub(self.first_ticket)?;
        self.pending.get(usize::try_from(at).ok()?)?.subject.as_ref()
    }

    /// What the refusal of this publish is to be told about; `None` if nobody waits for its answer.
    pub(super) fn take_subject(&mut self, ticket: Ticket) -> Option<Subject> {
        let place = match self.get_mut(ticket) {
            Some(_) => ticket,
            // It came over an earlier connection, and perhaps again over this one.
            None => {
                let known = self.exactly_once.values().find(|known| known.waits_for == Some(ticket));
                known?.place
            }
        };
        self.get_mut(place)?.subject.take()
    }

    /// A QoS 2 publish that is known came again: its PUBREC takes its place in line, unless it stands there already.
    /// Gives that place if it is a new one.
    pub(super) fn begin_again(&mut self, packet_id: PacketId) -> Option<Ticket> {
        let first_ticket = self.first_ticket;
        self.exactly_once
            .get(&packet_id)
            .filter(|known| known.place.0 < first_ticket)?;
        let place = self.push(packet_id, AckKind::PubRec);
        let known = self.exactly_once.get_mut(&packet_id)?;
        if let Some(pending) = self.pending.back_mut().filter(|_| known.waits_for.is_none()) {
            pending.answer = Some(Answer::Success);
        }
        self.open += usize::from(!known.over_this_connection);
        (known.place, known.over_this_connection) = (place, true);
        Some(place)
    }

    /// A QoS 2 publish has its outcome. Gives where its PUBREC stands in line.
    fn resolve(&mut self, packet_id: PacketId, answer: &Answer) -> Option<Ticket> {
        let known = self.exactly_once.get_mut(&packet_id)?;
        known.waits_for = None;
        let place = known.place;
        if answer.is_refusal() {
            self.exactly_once.remove(&packet_id);
        }
        Some(place)
    }

    /// An outcome came. Where nobody is owed it any more, it is forgotten.
    pub(super) fn settle(&mut self, ticket: Ticket, answer: &Answer) {
        let place = match self.get_mut(ticket).map(|pending| (pending.packet_id, pending.kind)) {
            Some((packet_id, AckKind::PubRec)) => self.resolve(packet_id, answer),
            Some(_) => Some(ticket),
            // It was published over an earlier connection of this session.
            None => {
                let waits = |known: &ExactlyOnce| known.waits_for == Some(ticket);
                let found = self
                    .exactly_once
                    .iter()
                    .find_map(|(packet_id, known)| waits(known).then_some(*packet_id));
                found.and_then(|packet_id| self.resolve(packet_id, answer))
            }
        };
        if let Some(pending) = place.and_then(|place| self.get_mut(place)) {
            pending.answer = Some(*answer);
        }
    }

    /// The client releases a QoS 2 publish.
    pub(super) fn release(&mut self, packet_id: PacketId) -> Released {
        let Some(known) = self.exactly_once.get_mut(&packet_id) else {
            return Released::Unknown;
        };
        if known.waits_for.is_some() {
            return Released::Early;
        }
        let is_kept = match &known.record {
            Record::Nothing => false,
            Record::With(together) => together.is_kept(),
            Record::Kept => true,
            Record::Leaving(_) => {
                known.record = Record::Leaving(true);
                return Released::Forgetting;
            }
        };
        if is_kept {
            known.record = Record::Leaving(true);
            return Released::Forget;
        }
        self.over(packet_id);
        Released::Now
    }

    /// Nothing is known of it any more. Tells whether PUBREL came over the present connection.
    pub(super) fn over(&mut self, packet_id: PacketId) -> bool {
        let known = self.exactly_once.remove(&packet_id);
        self.open -= usize::from(known.as_ref().is_some_and(|known| known.over_this_connection));
        known.is_some_and(|known| matches!(known.record, Record::Leaving(true)))
    }

    /// What this publish has kept is kept so.
    pub(super) fn is_kept_with(&mut self, packet_id: PacketId, together: &Arc<Together>) {
        if let Some(known) = self.exactly_once.get_mut(&packet_id) {
            known.record = Record::With(together.clone());
        }
    }

    /// Of a session that goes on: these were accepted, and not released.
    pub(super) fn restored(packet_ids: &[PacketId]) -> Self {
        let known = |packet_id: &PacketId| {
            let known = ExactlyOnce {
                waits_for: None,
                place: Ticket(0),
                over_this_connection: false,
                record: Record::Kept,
            };
            (*packet_id, known)
        };
        Incoming {
            exactly_once: packet_ids.iter().map(known).collect(),
            // Their places in line are gone.
            ..Incoming::from(1)
        }
    }

    /// Whether this publish has no answer yet.
    pub(super) fn waits(&mut self, ticket: Ticket) -> bool {
        self.get_mut(ticket).is_some_and(|pending| pending.answer.is_none())
    }

    /// The next answer that may be written: in the order of the publishes, as soon as it is known (MQTT-4.6.0-2). Where a message is in an inbox,
    /// its place is only told to a sender that asked for something that needs it.
    #[inline]
    pub(super) fn next_answer(&mut self) -> Option<(AckKind, PacketId, Answer)> {
        #[cfg(feature = "testing")]
        if inbox_types::fault!(SwapAnswers) && self.pending.get(1).is_some_and(|second| second.kind == AckKind::PubAck)
        {
            self.pending.swap(0, 1);
        }
        let first = self.pending.front_mut()?;
        let mut answer = first.answer.take()?;
        if let Answer::Kept { state, .. } = answer {
            let is_plain = matches!(state, PublishState::Stored | PublishState::Delivered);
            if is_plain && !first.subject.as_ref().is_some_and(Subject::wants_place) {
                answer = if first.is_unheard {
                    Answer::Unheard
                } else {
                    Answer::Success
                };
            }
        }
        let (packet_id, kind) = (first.packet_id, first.kind);
        self.pending.pop_front();
        self.first_ticket += 1;
        if kind == AckKind::PubAck || answer.is_refusal() {
            self.open -= 1;
        }
        Some((kind, packet_id, answer))
    }

    /// Whether this is a QoS 2 publish that came before, and whether it came over the present connection.
    pub(super) fn known(&self, packet_id: PacketId) -> Option<bool> {
        self.exactly_once
            .get(&packet_id)
            .map(|known| known.over_this_connection)
    }

    /// Whether as many publishes are open as the receive maximum allows.
    pub(super) fn is_exhausted(&self, mqtt: &MqttLimits) -> bool {
        self.open >= usize::from(mqtt.unacknowledged_publishes_max)
    }
}
