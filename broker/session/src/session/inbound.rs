//! What a client publishes, and the answers to it.

use std::sync::Arc;

use bytes::Bytes;
use inbox_types::{ClientId, Message, Micros, Now, Port, Properties, Qos, Ticket};

use super::incoming::Answer;
use super::link::own_properties;
use super::{Ending, RouterCall, Session};
use crate::address::Destination;
use mqtt_codec::{Ack, AckKind, PacketId, Publish, Version, encode, reason};
use pubsub::{OrdinaryMessage, PublishError, Reach};

/// The result of a publish to an ordinary topic.
pub(super) type RouteResult = Result<Reach, PublishError>;

/// Messages that an inbox is given at a time: it is locked meanwhile.
const HAND_IN_MAX: usize = 64;

/// The user properties of a message from an inbox that the broker sets itself (contract rule 7).
const ID: &str = "id";
const OWN_NAMES: [&str; 4] = [ID, "seq", "from", "at"];

impl Session {
    pub(super) fn publish(&mut self, publish: &Publish<'_>, now: Now) -> Result<(), Ending> {
        if publish.payload.len() > self.shared.mqtt.message_bytes_max {
            return Err(Ending::closed(
                reason::PACKET_TOO_LARGE,
                format!(
                    "a payload of {} bytes came; mqtt.message_bytes_max is {}",
                    publish.payload.len(),
                    self.shared.mqtt.message_bytes_max
                ),
            ));
        }
        if publish.retain && !self.shared.retains && self.link.version == Version::V5 {
            return Err(Ending::closed(
                reason::RETAIN_NOT_SUPPORTED,
                "a message to retain came although CONNACK said that retained messages are not available (MQTT-3.2.2-14)",
            ));
        }
        let Some(packet_id) = publish.packet_id else {
            return self.publish_qos0(publish, now);
        };
        let exactly_once = publish.qos == Qos::ExactlyOnce;
        let known = self.incoming.known(packet_id).filter(|_| exactly_once);
        let counts = known != Some(true);
        if self.link.version == Version::V5 && counts && self.incoming.is_exhausted(&self.shared.mqtt) {
            return Err(Ending::closed(
                reason::RECEIVE_MAXIMUM_EXCEEDED,
                "more publishes are unacknowledged than CONNACK's receive maximum allows (MQTT-3.3.4-9)",
            ));
        }
        if known.is_some() && !inbox_types::fault!(Qos2StoredTwice) {
            // The client repeats itself (MQTT-4.3.3-10). A topic alias that comes with it still counts.
            self.topic(publish)?;
            self.incoming.begin_again(packet_id);
            return self.flush_answers();
        }
        let kind = if exactly_once { AckKind::PubRec } else { AckKind::PubAck };
        let (destination, topic) = self.topic(publish)?;
        let ticket = self.incoming.begin(packet_id, kind);
        match destination {
            Destination::Inbox(inbox) => {
                let message = Arc::new(self.mail(publish, now.wall));
                self.hand_in_later(inbox, message, ticket, now);
            }
            Destination::Ordinary => {
                let message = ordinary(&self.id, topic, publish, now.wall);
                self.calls.push_back(RouterCall::Publish(message, Some(ticket)));
            }
            Destination::Forbidden(why) => {
                self.answer(ticket, &Answer::refused(reason::TOPIC_NAME_INVALID, why));
                self.flush_answers()?;
            }
        }
        Ok(())
    }

    /// Publishes that come together mostly go to one inbox, which then takes them in one step.
    fn hand_in_later(&mut self, inbox: ClientId, message: Arc<Message>, ticket: Ticket, now: Now) {
        let is_other = self.for_inbox.as_ref().is_some_and(|earlier| *earlier != inbox);
        if is_other || self.to_hand_in.len() >= HAND_IN_MAX {
            self.hand_in(now);
        }
        self.for_inbox.get_or_insert(inbox);
        self.to_hand_in.push((message, ticket));
    }

    /// Gives the inbox what waits for it. To be done before anything else that it could notice the order of.
    pub(super) fn hand_in(&mut self, now: Now) {
        if let Some(inbox) = self.for_inbox.take() {
            let port: Arc<dyn Port> = self.outbox.clone();
            self.shared
                .hub
                .publish_all(&inbox, &port, self.to_hand_in.drain(..), now);
        }
    }

    fn publish_qos0(&mut self, publish: &Publish<'_>, now: Now) -> Result<(), Ending> {
        let (destination, topic) = self.topic(publish)?;
        match destination {
            Destination::Inbox(inbox) => {
                let message = Arc::new(self.mail(publish, now.wall));
                self.hand_in(now);
                self.shared.hub.publish_qos0(&inbox, message);
            }
            Destination::Ordinary => {
                let message = ordinary(&self.id, topic, publish, now.wall);
                self.calls.push_back(RouterCall::Publish(message, None));
            }
            Destination::Forbidden(why) => {
                self.shared.metrics.publishes_refused.add(1);
                tracing::warn!(client = %self.id, why, "a publish with QoS 0 was dropped");
            }
        }
        Ok(())
    }

    /// The router took an ordinary message, or did not.
    pub fn routed(&mut self, ticket: Ticket, result: RouteResult) -> Result<(), Ending> {
        let answer = match result {
            Ok(Reach::Somebody) => Answer::SUCCESS,
            // It is accepted nevertheless (MQTT 5, section 3.4.2.1).
            Ok(Reach::Nobody) => Answer {
                reason: reason::NO_MATCHING_SUBSCRIBERS,
                why: None,
            },
            Err(error @ PublishError::RetainedFull) => Answer::refused(reason::QUOTA_EXCEEDED, &error.to_string()),
            Err(error @ PublishError::Stopped) => {
                Answer::refused(reason::IMPLEMENTATION_SPECIFIC_ERROR, &error.to_string())
            }
        };
        self.answer(ticket, &answer);
        self.flush_answers()
    }

    /// A publish was refused that gets no answer.
    pub fn count_refused(&self) {
        self.shared.metrics.publishes_refused.add(1);
    }

    /// Takes the outcomes that came from the inboxes.
    pub(super) fn settle_outcomes(&mut self) -> Result<(), Ending> {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        self.outbox.take_outcomes(&mut outcomes);
        for (ticket, outcome) in &outcomes {
            self.answer(*ticket, &Answer::from(outcome));
        }
        self.outcomes = outcomes;
        self.flush_answers()
    }

    pub(super) fn pubrel(&mut self, ack: Ack) -> Result<(), Ending> {
        let reason = match self.incoming.release(ack.packet_id) {
            Some(true) => reason::SUCCESS,
            Some(false) => reason::PACKET_IDENTIFIER_NOT_FOUND,
            // With a PUBCOMP, the client would use the identifier for another message, which would count as this one.
            None => {
                return Err(Ending::closed(
                    reason::PROTOCOL_ERROR,
                    "PUBREL came before PUBREC was sent (MQTT-4.3.3-5)",
                ));
            }
        };
        encode::ack(
            &mut self.out,
            self.link.version,
            AckKind::PubComp,
            ack.packet_id,
            reason,
            None,
            &[],
        );
        Ok(())
    }

    fn answer(&mut self, ticket: Ticket, answer: &Answer) {
        if answer.is_refusal() {
            self.shared.metrics.publishes_refused.add(1);
            tracing::warn!(client = %self.id, reason = answer.reason, why = answer.why.as_deref(), "a publish was refused");
        }
        self.incoming.settle(ticket, answer);
    }

    /// Writes the answers that are due.
    fn flush_answers(&mut self) -> Result<(), Ending> {
        while let Some((kind, packet_id, answer)) = self.incoming.next_answer() {
            if answer.is_refusal() && self.link.version == Version::V311 {
                // MQTT 3.1.1 has no answer that says no (contract rule 3). Later publishes are not answered either: their answers
                // would be out of order (MQTT-4.6.0-2).
                self.incoming.disconnected();
                return Err(Ending::closed(
                    answer.reason,
                    String::from(answer.why.unwrap_or_default()),
                ));
            }
            self.write_ack(kind, packet_id, &answer);
        }
        Ok(())
    }

    fn write_ack(&mut self, kind: AckKind, packet_id: PacketId, answer: &Answer) {
        let why = answer.why.as_deref().and_then(|why| self.link.reason_string(why, 0));
        encode::ack(
            &mut self.out,
            self.link.version,
            kind,
            packet_id,
            answer.reason,
            why,
            &[],
        );
    }

    /// The topic of a publish, by name or alias, and where it leads.
    fn topic<'p>(&mut self, publish: &Publish<'p>) -> Result<(Destination, std::borrow::Cow<'p, str>), Ending> {
        let Some(alias) = publish.topic_alias else {
            return Ok((self.destination(publish.topic), publish.topic.into()));
        };
        if alias.get() > self.shared.mqtt.topic_alias_max {
            return Err(Ending::closed(
                reason::TOPIC_ALIAS_INVALID,
                "a topic alias is above CONNACK's topic alias maximum (MQTT-3.3.2-9)",
            ));
        }
        if !publish.topic.is_empty() {
            self.link.aliases.set(alias.get(), publish.topic);
            return Ok((self.shared.names.destination(publish.topic), publish.topic.into()));
        }
        match self.link.aliases.get(alias.get()) {
            Some(topic) => Ok((self.shared.names.destination(topic), String::from(topic).into())),
            None => Err(Ending::closed(
                reason::PROTOCOL_ERROR,
                "a topic alias came that was not set in this connection (section 3.3.4)",
            )),
        }
    }

    /// Where a message on `topic` goes.
    fn destination(&mut self, topic: &str) -> Destination {
        if let Some(inbox) = &self.last_inbox
            && self.shared.names.is_inbox_of(topic, inbox)
        {
            return Destination::Inbox(inbox.clone());
        }
        let destination = self.shared.names.destination(topic);
        if let Destination::Inbox(inbox) = &destination {
            self.last_inbox = Some(inbox.clone());
        }
        destination
    }

    fn mail(&self, publish: &Publish<'_>, at: Micros) -> Message {
        let (expires_at, expiry_is_publishers) = expiry(
            at,
            publish.properties.message_expiry,
            self.shared.hub.limits().time_to_live,
        );
        let (id, properties) = as_mail(own_properties(&publish.properties));
        Message {
            from: self.id.clone(),
            id,
            at,
            expires_at,
            expiry_is_publishers,
            qos: publish.qos,
            payload: Bytes::copy_from_slice(publish.payload),
            properties,
        }
    }
}

/// When a message accepted at `at` expires, and whether its publisher wanted it so.
pub(crate) fn expiry(at: Micros, wanted_seconds: Option<u32>, time_to_live: std::time::Duration) -> (Micros, bool) {
    let longest = u64::try_from(time_to_live.as_micros()).unwrap_or(u64::MAX);
    let wanted = wanted_seconds.map(|seconds| u64::from(seconds) * 1_000_000);
    let lives = wanted.map_or(longest, |wanted| wanted.min(longest));
    (Micros(at.0.saturating_add(lives)), wanted.is_some())
}

/// The sender's `id`, and its other properties without those names that the broker sets itself (contract rule 7).
pub(crate) fn as_mail(properties: Option<Box<Properties>>) -> (Option<Box<str>>, Option<Box<Properties>>) {
    let Some(mut properties) = properties else {
        return (None, None);
    };
    let id = properties
        .user
        .iter()
        .find(|(name, _)| **name == *ID)
        .map(|(_, value)| value.clone());
    properties
        .user
        .retain(|(name, _)| !OWN_NAMES.contains(&&**name) || inbox_types::fault!(ForgedFrom));
    (id, Some(properties).filter(|rest| !rest.is_empty()))
}

fn ordinary(from: &ClientId, topic: std::borrow::Cow<'_, str>, publish: &Publish<'_>, at: Micros) -> OrdinaryMessage {
    let expires_at = publish
        .properties
        .message_expiry
        .map(|seconds| Micros(at.0 + u64::from(seconds) * 1_000_000));
    OrdinaryMessage {
        topic: Arc::from(&*topic),
        retain: publish.retain,
        qos: publish.qos,
        from: from.clone(),
        expires_at,
        payload: Bytes::copy_from_slice(publish.payload),
        properties: own_properties(&publish.properties),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_07_a_will_cannot_name_its_sender() {
        // Goal: contract rule 7 for wills to inboxes: `id` is the sender's, and `seq`, `from` and `at` are the broker's alone.
        let user = [
            ("from", "the-president"),
            ("id", "w1"),
            ("colour", "red"),
            ("seq", "1"),
            ("at", "0"),
            ("id", "w2"),
        ];
        let user = user.map(|(name, value)| (Box::from(name), Box::from(value))).to_vec();
        let (id, kept) = as_mail(Some(Box::new(Properties {
            user,
            ..Properties::default()
        })));
        assert_eq!(id.as_deref(), Some("w1"));
        assert_eq!(kept.unwrap().user, [(Box::from("colour"), Box::from("red"))]);

        let user = vec![(Box::from("from"), Box::from("the-president"))];
        assert_eq!(
            as_mail(Some(Box::new(Properties {
                user,
                ..Properties::default()
            }))),
            (None, None)
        );
        assert_eq!(as_mail(None), (None, None));
    }
}
