//! The answers to what a client publishes.

use inbox_types::{PublishState, Qos, Seq, Ticket};

use super::incoming::{Answer, Released};
use super::subject::Subject;
use super::{Ending, Session, Shared};
use crate::closed::Closed;
use crate::not_published::NotPublished;
use crate::refusals::Cause;
use mqtt_codec::{Ack, AckKind, PacketId, Version, encode, reason};
use pubsub::{PublishError, Published, Reach};

/// The result of a publish to an ordinary topic.
pub type RouteResult = Result<Published, PublishError>;

impl Session {
    /// The router took an ordinary message, or did not.
    pub fn routed(&mut self, ticket: Ticket, result: RouteResult) -> Result<(), Ending> {
        let answer = match result {
            Ok(Published::Now(Reach::Somebody)) => Answer::Success,
            // It is accepted nevertheless (MQTT 5, section 3.4.2.1).
            Ok(Published::Now(Reach::Nobody)) => Answer::Unheard,
            // Its outcome comes as that of mail does.
            Ok(Published::Later(reach)) => {
                if reach == Reach::Nobody {
                    self.incoming.reaches_nobody(ticket);
                }
                return Ok(());
            }
            Err(error) => Answer::Refused(self.not_routed(error)),
        };
        self.answer(ticket, &answer);
        self.send_notices();
        self.flush_answers()
    }

    /// Refuses a publish of MQTT 3.1.1 that is too large to be looked at: QoS 0 is dropped, the others are told by a notice.
    pub(super) fn refuse_unread(
        &mut self,
        answers: Option<(PacketId, Qos)>,
        subject: Subject,
        why: NotPublished,
    ) -> Result<(), Ending> {
        let Some((packet_id, qos)) = answers else {
            self.refused("", &why);
            return Ok(());
        };
        let kind = match qos {
            Qos::ExactlyOnce => AckKind::PubRec,
            _ => AckKind::PubAck,
        };
        // A QoS 2 publish that comes again and was answered, or will be, is the same message (MQTT-4.3.3-10).
        let ticket = match self.incoming.known(packet_id).filter(|_| kind == AckKind::PubRec) {
            Some(_) => self.incoming.begin_again(packet_id),
            None => Some(self.incoming.begin(packet_id, kind)),
        };
        if let Some(ticket) = ticket {
            self.incoming.note_subject(ticket, subject);
            if self.incoming.waits(ticket) {
                self.answer(ticket, &Answer::Refused(why));
                self.send_notices();
            }
        }
        self.flush_answers()
    }

    /// The router did not take a message with QoS 0, which gets no answer.
    pub fn dropped(&self, topic: &str, error: PublishError) {
        self.refused(topic, &self.not_routed(error));
    }

    /// What the router says, which does not know whether anything is to be retained at all.
    fn not_routed(&self, error: PublishError) -> NotPublished {
        match error {
            PublishError::RetainedFull if !self.shared.retains => NotPublished::RetainOff,
            error => error.into(),
        }
    }

    /// Counts and logs a publish to `topic` that is refused.
    pub(super) fn refused(&self, topic: &str, why: &NotPublished) {
        let metrics = &self.shared.metrics;
        metrics.publishes_refused.add(1);
        let now = self.shared.node.now().mono;
        let cause = Cause::of_publish(why);
        metrics.refusals.note(cause, &self.id, topic, why, now);
    }

    /// Takes the outcomes that came from the inboxes.
    pub(super) fn settle_outcomes(&mut self) -> Result<(), Ending> {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let taken = self.outbox.take_outcomes(&mut outcomes);
        self.taken_are_kept(&taken);
        for (ticket, outcome) in &outcomes {
            if !self.settle_kept(*ticket, outcome)? && !self.settle_notice(*ticket, outcome) {
                let answer = Answer::from(outcome);
                self.answer(*ticket, &answer);
                self.reply_to(*ticket, &answer);
            }
        }
        self.send_notices();
        self.outcomes = outcomes;
        self.flush_answers()
    }

    pub(super) fn pubrel(&mut self, ack: Ack) -> Result<(), Ending> {
        match self.incoming.release(ack.packet_id) {
            Released::Now => self.write_pubcomp(ack.packet_id, reason::SUCCESS),
            Released::Unknown => self.write_pubcomp(ack.packet_id, reason::PACKET_IDENTIFIER_NOT_FOUND),
            Released::Forget => self.forget_exchange(ack.packet_id),
            Released::Forgetting => {}
            // With a PUBCOMP, the client would use the identifier for another message, which would count as this one.
            Released::Early => return Err(Closed::EarlyPubRel.into()),
        }
        Ok(())
    }

    /// A publish has its outcome.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Answer) {
        match answer {
            Answer::Refused(why) => {
                let topic = self.subject_topic(ticket);
                self.refuse(topic.as_deref().unwrap_or_default(), ticket, *why);
            }
            Answer::Success | Answer::Kept { .. } | Answer::Unheard => self.incoming.settle(ticket, answer),
        }
    }

    /// A publish to `topic` is refused: that is told by a notice, or answered.
    pub(super) fn refuse(&mut self, topic: &str, ticket: Ticket, why: NotPublished) {
        self.refused(topic, &why);
        if inbox_types::fault!(DeniedSaysYes) && why.reason_code() == reason::NOT_AUTHORIZED {
            return self.incoming.settle(ticket, &Answer::Success);
        }
        if !self.bounce(ticket, why) {
            self.await_room(ticket, &why);
            self.incoming.settle(ticket, &Answer::Refused(why));
        }
    }

    /// Writes the answers that are due.
    pub(super) fn flush_answers(&mut self) -> Result<(), Ending> {
        while let Some((kind, packet_id, answer)) = self.incoming.next_answer() {
            if let Answer::Refused(why) = answer
                && self.link.version == Version::V311
            {
                // MQTT 3.1.1 has no answer that says no (contract rule 3). Later publishes are not answered either: their answers
                // would be out of order (MQTT-4.6.0-2).
                self.incoming.disconnected();
                return Err(why.into());
            }
            self.write_ack(kind, packet_id, &answer);
        }
        if self.stopwatch.is_timing() {
            let Shared { node, .. } = &*self.shared;
            self.stopwatch
                .answered_before(self.incoming.first_ticket(), node, node.now().mono);
        }
        Ok(())
    }

    fn write_ack(&mut self, kind: AckKind, packet_id: PacketId, answer: &Answer) {
        self.stopwatch.acks_sent += 1;
        if let Answer::Kept { seq, state } = answer {
            return self.write_place(kind, packet_id, *seq, *state);
        }
        let why = answer.why().map(NotPublished::to_string);
        let why = why.as_deref().and_then(|why| self.link.reason_string(why, 0));
        encode::ack(
            &mut self.out,
            self.link.version,
            kind,
            packet_id,
            answer.reason_code(),
            why,
            &[],
        );
    }

    /// Says where a message is, if the client wants user properties in acknowledgements and they fit (MQTT-3.1.2-29, MQTT-3.4.2-3).
    fn write_place(&mut self, kind: AckKind, packet_id: PacketId, seq: Seq, state: PublishState) {
        let seq = seq.0.to_string();
        let place = [("seq", &*seq), ("state", state.as_str())];
        let place = match state {
            // It is nowhere.
            PublishState::Recalled => place.get(1..).unwrap_or_default(),
            _ => &place,
        };
        let user: &[_] = if self.link.fits_user(place) { place } else { &[] };
        let (version, reason) = (self.link.version, reason::SUCCESS);
        encode::ack(&mut self.out, version, kind, packet_id, reason, None, user);
    }
}
