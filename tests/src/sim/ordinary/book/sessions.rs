//! Sessions: which there are, and what they are subscribed to (rule 13).

use std::collections::BTreeMap;

use super::super::{TOPICS, matches};
use super::{Book, Fate, Gone, Message, Session, Subscription};
use crate::AckKind;
use crate::sim::Check;

impl Session {
    pub(super) fn new(is_kept: bool) -> Self {
        Session {
            is_kept,
            begun: None,
            is_durable: false,
            may_be_gone: false,
            subscriptions: Vec::new(),
            open: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            fates: BTreeMap::new(),
            latest: BTreeMap::new(),
        }
    }

    /// Nothing can be relied on until CONNACK says more.
    pub(super) fn may_be_gone(&mut self) {
        self.may_be_gone = true;
        self.fates.values_mut().for_each(|fate| fate.must = false);
    }

    /// A clean start is on its way: the broker does not go on with it, and a crash may undo its end.
    pub(super) fn is_being_ended(&mut self) {
        let gone = self.fates.values_mut().filter_map(|fate| fate.gone.as_mut());
        gone.for_each(|gone| gone.due = u64::MAX);
    }

    pub(super) fn crashed(&mut self) {
        // Exchanges with QoS 2 are in memory.
        self.open.clear();
        self.in_flight.clear();
        if !self.is_kept {
            *self = Session::new(false);
        } else if self.begun.is_some() && !self.is_durable {
            self.may_be_gone();
        }
    }

    /// Its client says that it has something, or had.
    pub(super) fn acknowledged(&mut self, kind: AckKind, packet_id: u16, run: u32, tick: u64, due: u64) {
        let message = match kind {
            AckKind::PubRec => self.in_flight.get(&packet_id).and_then(|sent| sent.message),
            _ => self.in_flight.remove(&packet_id).and_then(|sent| sent.message),
        };
        let Some(fate) = message.and_then(|message| self.fates.get_mut(&message)) else {
            return;
        };
        fate.must = false;
        match kind {
            AckKind::PubRec => fate.released = Some(run),
            _ => {
                fate.gone = Some(Gone {
                    run,
                    tick,
                    due,
                    is_durable: false,
                });
            }
        }
    }

    pub(super) fn unsubscribes(&mut self, filter: &str, tick: u64) {
        for subscription in self.subscriptions.iter_mut().filter(|one| one.filter == filter) {
            subscription.unsubscribed.get_or_insert(tick);
        }
    }

    /// Those that a message may be delivered to.
    pub(super) fn takers<'s>(&'s self, message: &'s Message) -> impl Iterator<Item = &'s Subscription> {
        self.subscriptions.iter().filter(|one| one.may_get(message))
    }

    /// Whether a subscription to it leads to this QoS.
    pub(super) fn has_qos(&self, message: &Message, qos: u8) -> bool {
        let mut subscriptions = self.subscriptions.iter();
        subscriptions.any(|one| matches(one.filter, message.topic) && one.qos.min(message.qos) == qos)
    }

    /// Whether it must get a message that is promised.
    pub(super) fn must_get(&self, message: &Message) -> bool {
        self.is_kept && !self.may_be_gone && self.subscriptions.iter().any(|one| one.must_get(message))
    }

    pub(super) fn fate(&mut self, message: usize) -> &mut Fate {
        self.fates.entry(message).or_default()
    }
}

impl Subscription {
    fn may_get(&self, message: &Message) -> bool {
        let Some((taken, _)) = message.taken else { return false };
        matches(self.filter, message.topic)
            && message.through.is_none_or(|through| through > self.asked)
            && self.ended.is_none_or(|ended| taken < ended)
    }

    fn must_get(&self, message: &Message) -> bool {
        let Some((taken, _)) = message.taken else { return false };
        matches(self.filter, message.topic)
            && self.granted.is_some_and(|granted| granted < taken)
            && self.unsubscribed.is_none()
    }
}

impl Book {
    pub(super) fn connack(&mut self, at: usize, present: bool, code: u8) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let client = link.client;
        link.is_open = true;
        if code != 0 {
            return Err(format!("CONNECT was refused with {code:#04x}"));
        }
        if present && link.is_clean {
            return Err("session present although a clean start was asked for (MQTT-3.2.2-2)".into());
        }
        let session = &mut self.sessions[client];
        let is_sure = session.begun.is_some() && session.is_kept && !session.may_be_gone;
        if !present && !link.is_clean && is_sure {
            return Err(format!(
                "rule 13: the session of t/{client}, which is kept for ever, is gone"
            ));
        }
        if !present {
            *session = Session::new(session.is_kept);
            session.begun = Some(self.tick);
        } else if session.begun.is_none() && !session.may_be_gone {
            return Err(format!("session present, and t/{client} never had one"));
        } else if session.may_be_gone {
            // It may be one that began without a word.
            session.subscriptions.iter_mut().for_each(|one| one.granted = None);
            (session.begun, session.is_durable) = (Some(self.tick), false);
        }
        // The broker may have another CONNECT of this client at hand.
        let others = self
            .links
            .values()
            .filter(|link| link.client == client && !link.is_open);
        session.may_be_gone = others.into_iter().any(|link| link.is_clean);
        Ok(())
    }

    pub(super) fn suback(&mut self, at: usize, packet_id: u16, codes: &[u8]) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let Some((filter, qos)) = link.subscribes.remove(&packet_id) else {
            return Err(format!("SUBACK {packet_id} answers no SUBSCRIBE"));
        };
        if codes != [qos] {
            return Err(format!("a subscription to {filter} was answered with {codes:02x?}"));
        }
        let client = link.client;
        let session = &mut self.sessions[client];
        session.is_durable |= session.is_kept;
        let is_new = |one: &&mut Subscription| one.filter == filter && one.granted.is_none() && one.ended.is_none();
        let mut asked = self.tick;
        if let Some(subscription) = session.subscriptions.iter_mut().rfind(is_new) {
            asked = subscription.asked;
            subscription.granted = Some(self.tick);
        }
        let topics = (0..TOPICS.len()).filter(|topic| matches(filter, *topic));
        let owed: Vec<_> = topics.filter(|topic| self.must_be_retained(*topic, asked)).collect();
        let tick = self.tick;
        if let Some(link) = self.links.get_mut(&at) {
            link.owed.extend(owed.into_iter().map(|topic| (topic, tick)));
        }
        Ok(())
    }

    pub(super) fn unsuback(&mut self, at: usize, packet_id: u16) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let Some(filter) = link.unsubscribes.remove(&packet_id) else {
            return Err(format!("UNSUBACK {packet_id} answers no UNSUBSCRIBE"));
        };
        let session = &mut self.sessions[link.client];
        // What was asked for after it has not been looked at.
        for one in session.subscriptions.iter_mut().filter(|one| one.filter == filter) {
            if one.unsubscribed.is_some() {
                one.ended.get_or_insert(self.tick);
            }
        }
        Ok(())
    }

    /// What nobody is subscribed to for certain any more need not come.
    pub(super) fn excuse(&mut self, client: usize) {
        let session = &mut self.sessions[client];
        let excused: Vec<_> = session
            .fates
            .iter()
            .filter(|(message, fate)| fate.must && !session.must_get(&self.messages[**message]))
            .map(|(message, _)| *message)
            .collect();
        for message in excused {
            session.fate(message).must = false;
        }
    }
}
