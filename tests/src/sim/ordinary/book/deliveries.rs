//! What comes to subscribers: which message, when, and in which order.

use super::super::TOPICS;
use super::{Book, InFlight};
use crate::Publish;
use crate::sim::Check;
use crate::sim::payload::mail_of;

impl Book {
    pub(super) fn publish(&mut self, at: usize, publish: &Publish) -> Check {
        let Some(link) = self.links.get(&at) else {
            return Ok(());
        };
        let client = link.client;
        if !link.is_open {
            return Err(format!("t/{client} is sent a message before CONNACK"));
        }
        let Some(topic) = TOPICS.iter().position(|topic| *topic == publish.topic) else {
            return Err(format!(
                "t/{client} got a message on {:?}, to which nobody published",
                publish.topic
            ));
        };
        self.deliveries += 1;
        let message = mail_of(&publish.payload);
        let known = message.and_then(|message| self.messages.get(message));
        if known.is_some_and(|known| known.topic != topic || known.taken.is_none())
            || message.is_some() != known.is_some()
        {
            return Err(format!(
                "a message came on {:?} that was never published there",
                publish.topic
            ));
        }
        match message {
            Some(message) if publish.retain => self.retained_comes(at, message)?,
            Some(message) => self.comes(at, message, publish)?,
            None => self.clearing_comes(at, topic, publish)?,
        }
        if publish.qos == 0 {
            return Err(format!(
                "t/{client} subscribes with QoS 1 and 2, and got a message with QoS 0"
            ));
        }
        let is_live = !publish.retain && message.is_some();
        let sent = InFlight {
            message: message.filter(|_| is_live),
            link: at,
        };
        let session = &mut self.sessions[client];
        let earlier = session.in_flight.insert(publish.packet_id, sent);
        if earlier.is_some_and(|earlier| earlier.link == at) {
            return Err(format!(
                "packet identifier {} is in use (MQTT-2.2.1-3)",
                publish.packet_id
            ));
        }
        let open = session.in_flight.values().filter(|sent| sent.link == at).count();
        match open <= self.links[&at].window {
            true => Ok(()),
            false => Err(format!("{open} messages are unacknowledged (section 4.9)")),
        }
    }

    /// One that is published to the subscriptions that there are.
    fn comes(&mut self, at: usize, message: usize, publish: &Publish) -> Check {
        let run = self.run;
        let (known, client) = (&self.messages[message], self.links[&at].client);
        let (from, again, Some((taken, taken_in))) = (known.from, known.again, known.taken) else {
            return Ok(());
        };
        let session = &mut self.sessions[client];
        if session.takers(known).next().is_none() {
            return Err(format!("t/{client} got o{message}, to which it was not subscribed"));
        }
        // What waits is sent with the QoS of now.
        if !session.has_qos(known, publish.qos) {
            return Err(format!("o{message} came with QoS {} (MQTT-3.8.4-8)", publish.qos));
        }
        let latest = session.latest.get(&from).copied().unwrap_or_default();
        let fate = session.fate(message);
        let is_first = fate.sent == 0;
        self.repeats += u64::from(!is_first);
        if let Some(gone) = &fate.gone {
            if gone.is_durable || gone.run == run {
                return Err(format!(
                    "rule 13: t/{client} has acknowledged o{message}, and gets it again"
                ));
            }
            // The crash undid it.
            fate.gone = None;
        }
        if fate.released == Some(run) {
            return Err(format!("t/{client} gets o{message} again after PUBREC (MQTT-4.3.3-8)"));
        }
        if !is_first && fate.link == at {
            return Err(format!("o{message} came twice over one connection (MQTT-4.4.0-1)"));
        }
        let may_have_been_sent = !is_first || taken_in < run;
        if publish.dup != may_have_been_sent && !again {
            return Err(format!("rule 13: o{message} came with DUP = {}", u8::from(publish.dup)));
        }
        fate.sent += 1;
        fate.link = at;
        if again {
            return Ok(());
        }
        if is_first {
            if taken < latest {
                return Err(format!("rule 13: o{message} came for the first time after later ones"));
            }
            session.latest.insert(from, taken);
        }
        self.check_skipped(at, from, taken)?;
        if is_first {
            self.check_was_sent_retained(at, taken)?;
        }
        if self.messages[message].retain {
            self.is_replaced(at, self.messages[message].topic);
        }
        let last = self.links.get_mut(&at).map(|link| link.last.insert(from, taken));
        match last.flatten().is_none_or(|last| last < taken) {
            true => Ok(()),
            false => Err(format!("rule 13: o{message} came out of order (MQTT-4.6.0-6)")),
        }
    }

    /// One that clears what is retained, which comes to subscribers as any other.
    fn clearing_comes(&mut self, at: usize, topic: usize, publish: &Publish) -> Check {
        let client = self.links[&at].client;
        let clearing = self.messages.iter().filter(|one| one.clears && one.topic == topic);
        let session = &self.sessions[client];
        if publish.retain || !clearing.into_iter().any(|one| session.takers(one).next().is_some()) {
            return Err(format!(
                "t/{client} got nothing on {}, and nobody published that",
                TOPICS[topic]
            ));
        }
        self.is_replaced(at, topic);
        Ok(())
    }
}
