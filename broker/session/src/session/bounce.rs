//! Refusals for clients whose version has no answer that says no (contract rule 3): a notice goes into the sender's own inbox, and the publish
//! is acknowledged when that is durable. So an acknowledgement in MQTT 3.1.1 means: in the recipient's inbox, or the refusal is in yours.
//!
//! A client that has no inbox of its own, or a full one, is closed instead, as every client is with `mqtt.v311_refusals = "close"`.

use std::sync::Arc;

use inbox_types::{ClientId, Outcome, Port, RefusedPublishes, Ticket};
use mqtt_codec::{Publish, Version};

use super::incoming::Answer;
use super::limits::V311Refusals;
use super::subject::{Subject, hash};
use super::{Ending, Session};
use crate::not_published::NotPublished;

/// Tickets of notices have this bit, those of publishes do not: these count up from zero.
const NOTICE: u64 = 1 << 63;

/// Refused publishes on their way to being told.
#[derive(Debug, Default)]
pub(super) struct Bounces {
    /// Refused since the last notices were sent.
    fresh: Vec<Bounce>,
    /// Their notices are not durable yet.
    sent: Vec<(Ticket, Bounce)>,
    last: u64,
}

#[derive(Debug)]
struct Bounce {
    refused: RefusedPublishes,
    /// The publishes that are answered when the notice is durable, and what they are answered if it is refused.
    tickets: Vec<Ticket>,
    why: NotPublished,
}

impl Bounces {
    /// None yet: they are counted on from here.
    pub(super) fn after(last: u64) -> Self {
        Bounces {
            last,
            ..Bounces::default()
        }
    }

    /// Where they are counted on from, if none is under way.
    pub(super) fn finished(&self) -> Option<u64> {
        (self.fresh.is_empty() && self.sent.is_empty()).then_some(self.last)
    }

    pub(super) fn shrink(&mut self) {
        self.fresh.shrink_to_fit();
        self.sent.shrink_to_fit();
    }
}

impl Session {
    /// Whether a refusal is told by a notice.
    pub(super) fn bounces(&self) -> bool {
        self.link.version == Version::V311
            && self.shared.mqtt.v311_refusals == V311Refusals::Bounce
            && self.inbox_topic.is_some()
            && !self.id_is_assigned
    }

    /// Notes what a refusal of this publish would be about.
    pub(super) fn note_subject(&mut self, ticket: Ticket, subject: impl FnOnce() -> Subject) {
        if self.bounces() {
            self.incoming.note_subject(ticket, subject());
        }
    }

    /// A publish was refused. Takes it up if that is to be told by a notice; [`Session::send_notices`] is to be called soon.
    pub(super) fn bounce(&mut self, ticket: Ticket, why: NotPublished) -> bool {
        if !self.bounces() {
            return false;
        }
        // None: the client is not waiting for this any more. It will publish again.
        let Some(subject) = self.incoming.take_subject(ticket) else {
            return false;
        };
        let (topic, payload) = match subject {
            Subject::Mail(inbox, message) => (self.topic_of(&inbox), hash(&message.payload)),
            Subject::Ordinary(message) => (message.topic.clone(), hash(&message.payload)),
            Subject::Hashed(said) => *said,
        };
        let fits = |bounce: &&mut Bounce| bounce.refused.topic == topic && bounce.why == why;
        match self.bouncing.fresh.iter_mut().find(fits) {
            Some(bounce) => {
                bounce.refused.payloads.push(payload);
                bounce.tickets.push(ticket);
            }
            None => self.bouncing.fresh.push(Bounce {
                refused: RefusedPublishes {
                    topic,
                    reason: why.reason_code(),
                    why: why.to_string().into(),
                    payloads: vec![payload],
                },
                tickets: vec![ticket],
                why,
            }),
        }
        true
    }

    /// Sends a notice for each topic and reason.
    pub(super) fn send_notices(&mut self) {
        for bounce in std::mem::take(&mut self.bouncing.fresh) {
            self.shared.metrics.publishes_bounced.add(bounce.tickets.len() as u64);
            let port: Arc<dyn Port> = self.outbox.clone();
            self.bouncing.last += 1;
            let ticket = Ticket(self.bouncing.last | NOTICE);
            if inbox_types::fault!(AckBeforeNotice) {
                bounce
                    .tickets
                    .iter()
                    .for_each(|ticket| self.incoming.settle(*ticket, &Answer::Success));
            }
            self.shared
                .node
                .inboxes
                .notify(&self.id, &bounce.refused, &port, ticket);
            self.bouncing.sent.push((ticket, bounce));
        }
    }

    /// Takes the outcome of a notice, if it is one.
    pub(super) fn settle_notice(&mut self, ticket: Ticket, outcome: &Outcome) -> bool {
        if ticket.0 & NOTICE == 0 {
            return false;
        }
        let Some(at) = self.bouncing.sent.iter().position(|(theirs, _)| *theirs == ticket) else {
            return true;
        };
        let (_, bounce) = self.bouncing.sent.remove(at);
        let answer = match outcome {
            Outcome::Accepted(_) => Answer::Success,
            Outcome::Refused(_) => {
                self.shared.node.inboxes.forget_notice(&self.id, &bounce.refused);
                Answer::Refused(bounce.why)
            }
        };
        for ticket in bounce.tickets {
            self.incoming.settle(ticket, &answer);
        }
        true
    }

    /// The topic of a publish that is not answered yet, if that is known.
    pub(super) fn subject_topic(&self, ticket: Ticket) -> Option<Arc<str>> {
        Some(match self.incoming.subject(ticket)? {
            Subject::Mail(inbox, _) => self.topic_of(inbox),
            Subject::Ordinary(message) => message.topic.clone(),
            Subject::Hashed(said) => said.0.clone(),
        })
    }

    /// A payload over the limit came in a packet that could be read: told like any other refusal, where that is possible.
    pub(super) fn too_large(&mut self, publish: &Publish<'_>) -> Result<(), Ending> {
        let why = NotPublished::TooLarge {
            bytes: publish.payload.len(),
            max: self.shared.mqtt.message_bytes_max,
        };
        if !self.bounces() {
            return Err(why.into());
        }
        let subject = Subject::hashed(publish.topic, publish.payload);
        self.refuse_unread(publish.packet_id.map(|id| (id, publish.qos)), subject, why)
    }

    pub(super) fn topic_of(&self, inbox: &ClientId) -> Arc<str> {
        match self.shared.names.topic_of(inbox) {
            Some(topic) => Arc::from(topic),
            None => Arc::from(inbox.as_str()),
        }
    }
}
