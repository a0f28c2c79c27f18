//! What a client publishes, and the answers to it.

use std::sync::Arc;

use access::Denied;
use bytes::Bytes;
use inbox_types::{ClientId, Message, Now, Port, Qos, Refusal, Ticket};

use super::incoming::Answer;
use super::said::said;
use super::subject::Subject;
use super::{Ending, RouterCall, Session, request};
use crate::closed::Closed;
use crate::refusals::Cause;
use intake::Destination;
use intake::{Shut, Taken};
use mqtt_codec::{AckKind, Publish, Version};

/// Messages that an inbox is given at a time: it is locked meanwhile.
const HAND_IN_MAX: usize = 64;

impl Session {
    pub(super) fn publish(&mut self, publish: &Publish<'_>, now: Now) -> Result<(), Ending> {
        self.publishes = true;
        self.stopwatch.publishes_received += 1;
        self.stopwatch.publish_bytes_received += publish.payload.len() as u64;
        if let Some(pace) = &mut self.pace {
            pace.published(publish.payload.len(), now.mono);
        }
        if publish.payload.len() > self.shared.mqtt.message_bytes_max {
            return self.too_large(publish);
        }
        if publish.retain && !self.shared.retains && self.link.version == Version::V5 {
            return Err(Closed::RetainUnavailable.into());
        }
        let Some(packet_id) = publish.packet_id else {
            return self.publish_qos0(publish, now);
        };
        let exactly_once = publish.qos == Qos::ExactlyOnce;
        let known = self.incoming.known(packet_id).filter(|_| exactly_once);
        let counts = known != Some(true);
        if self.link.version == Version::V5 && counts && self.incoming.is_exhausted(&self.shared.mqtt) {
            return Err(Closed::ReceiveMaximum.into());
        }
        if known.is_some() && !inbox_types::fault!(Qos2StoredTwice) {
            // The client repeats itself (MQTT-4.3.3-10). A topic alias that comes with it still counts.
            let (_, topic) = self.topic(publish)?;
            if let Some(place) = self.incoming.begin_again(packet_id) {
                self.note_subject(place, || Subject::hashed(&topic, publish.payload));
            }
            return self.flush_answers();
        }
        let kind = if exactly_once { AckKind::PubRec } else { AckKind::PubAck };
        let (destination, topic) = self.topic(publish)?;
        let ticket = self.incoming.begin(packet_id, kind);
        self.stopwatch.begins(ticket, &self.shared.node, now.mono);
        if let Some(asked) = request::asked(&destination, &topic) {
            return self.request(asked, publish, &topic, Some(ticket), now);
        }
        match self.take(destination, &topic, publish, now) {
            Ok(Taken::Inbox(inbox, message)) => {
                self.shared.wrote(&self.identity, &inbox);
                self.incoming
                    .note_subject(ticket, Subject::Mail(inbox.clone(), message.clone()));
                self.hand_in_later(inbox, message, ticket, now);
            }
            Ok(Taken::Ordinary(message)) => {
                // Others the router takes, unless it has stopped.
                if message.retain || self.bounces() {
                    self.incoming.note_subject(ticket, Subject::Ordinary(message.clone()));
                }
                // What is retained is kept by itself.
                let together = (exactly_once && !message.retain).then(|| self.exchange(packet_id));
                self.calls.push_back(match together.flatten() {
                    Some(together) => RouterCall::PublishOnce(message, ticket, together),
                    None => RouterCall::Publish(message, Some(ticket)),
                });
            }
            Err(shut @ Shut::Denied(Denied::Reserved)) if self.link.version == Version::V311 => {
                // As other brokers do: a client that does not know that it may not would send it again and again.
                self.drop_reserved(publish.topic, &shut);
                self.incoming.settle(ticket, &Answer::Success);
                self.flush_answers()?;
            }
            Err(shut) => {
                self.note_subject(ticket, || Subject::hashed(&topic, publish.payload));
                self.refuse(&topic, ticket, shut.into());
                self.send_notices();
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
                .node
                .inboxes
                .publish(&inbox, &port, &mut self.to_hand_in, now);
        }
    }

    fn publish_qos0(&mut self, publish: &Publish<'_>, now: Now) -> Result<(), Ending> {
        let (destination, topic) = self.topic(publish)?;
        if let Some(asked) = request::asked(&destination, &topic) {
            return self.request(asked, publish, &topic, None, now);
        }
        match self.take(destination, &topic, publish, now) {
            Ok(Taken::Inbox(inbox, message)) => {
                self.shared.wrote(&self.identity, &inbox);
                self.hand_in(now);
                self.shared.node.inboxes.publish_qos0(&inbox, message);
            }
            Ok(Taken::Ordinary(message)) => self.calls.push_back(RouterCall::Publish(message, None)),
            Err(shut @ Shut::Denied(Denied::Reserved)) => self.drop_reserved(publish.topic, &shut),
            // It is counted, and no record is written for each of what may be very many.
            Err(Shut::Full(_)) => {}
            Err(shut) => self.refused(publish.topic, &shut.into()),
        }
        Ok(())
    }

    fn take(&self, destination: Destination, topic: &str, publish: &Publish<'_>, now: Now) -> Result<Taken, Shut> {
        if matches!(destination, Destination::Ordinary) && !self.has_memory_for(publish) {
            self.shared.node.counters.refused_memory_full.add(1);
            return Err(Shut::Full(Refusal::MemoryFull));
        }
        let intake = self.shared.intake(now);
        intake.take_for(&self.identity, destination, topic, |to| {
            said(
                publish,
                match to {
                    Destination::Inbox(_) => Bytes::copy_from_slice(publish.payload),
                    // Many sessions share it, so it counts by itself, and once.
                    _ => self.shared.node.budgets.all.payload(publish.payload),
                },
            )
        })
    }

    /// Whether an ordinary message is taken: what clears a retained one takes no memory.
    fn has_memory_for(&self, publish: &Publish<'_>) -> bool {
        publish.payload.is_empty() || !self.shared.node.budgets.are_used_up()
    }

    /// A publish to a topic that is the broker's own leads nowhere.
    fn drop_reserved(&self, topic: &str, why: &Shut) {
        let metrics = &self.shared.metrics;
        metrics.reserved_topics_dropped.add(1);
        let now = self.shared.node.now().mono;
        metrics.refusals.note(Cause::TopicInvalid, &self.id, topic, why, now);
    }

    /// The topic of a publish, by name or alias, and where it leads.
    fn topic<'p>(&mut self, publish: &Publish<'p>) -> Result<(Destination, std::borrow::Cow<'p, str>), Ending> {
        let Some(alias) = publish.topic_alias else {
            return Ok((self.destination(publish.topic), publish.topic.into()));
        };
        if alias.get() > self.shared.mqtt.topic_alias_max {
            return Err(Closed::AliasTooHigh.into());
        }
        if !publish.topic.is_empty() {
            self.link.aliases.set(alias.get(), publish.topic);
            return Ok((self.shared.names.destination(publish.topic), publish.topic.into()));
        }
        match self.link.aliases.get(alias.get()) {
            Some(topic) => Ok((self.shared.names.destination(topic), String::from(topic).into())),
            None => Err(Closed::UnknownAlias.into()),
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
}
