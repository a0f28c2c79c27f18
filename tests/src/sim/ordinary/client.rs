//! A client of ordinary topics. It keeps the rules of MQTT, but it is slow, comes and goes, and does not always acknowledge.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Book, TOPICS};
use crate::sim::client::Sent;
use crate::sim::oracle::{Said, Word};
use crate::sim::payload::{mail_of, payload};
use crate::sim::random::Random;
use crate::{AckKind, Packet, Props, PublishPacket, Version, ack, disconnect, ping, property, pubrel};
use crate::{Connect, subscribe, unsubscribe};

/// Identifiers below this one are for publishes with QoS 2.
const AGAIN: u16 = 1_000;

/// See the module's documentation.
pub(in crate::sim) struct Client {
    at: usize,
    name: String,
    /// Its session is kept for ever; else it ends with its connection.
    pub(in crate::sim) is_kept: bool,
    pub(in crate::sim) version: Version,
    pub(in crate::sim) is_up: bool,
    /// Acknowledges at once, late, or never.
    haste: Haste,
    /// It subscribes to all topics with one filter, and not to some by their names.
    has_wildcard: bool,
    /// With which it subscribes at most.
    qos_max: u8,
    subscribed: Vec<&'static str>,
    /// It has asked for a clean start, and forgotten what was before; and no CONNACK came.
    begins_anew: bool,
    /// Publishes that are not finished: the message, its QoS, and whether PUBREC came.
    open: BTreeMap<u16, Open>,
    next_id: u16,
    window: usize,
    /// Of its own.
    receive_maximum: u16,
    /// What it was sent with QoS 2 and has not released.
    unreleased: BTreeMap<u16, Vec<u8>>,
    /// Messages that came to its application with QoS 2, but for retained ones: these come with each new subscription.
    had: BTreeSet<usize>,
    owed: Vec<(AckKind, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    AtOnce,
    Late,
    Never,
}

struct Open {
    /// The number of its last transmission, and its payload.
    message: usize,
    body: Vec<u8>,
    topic: usize,
    qos: u8,
    retain: bool,
    released: bool,
}

impl Client {
    pub(in crate::sim) fn new(at: usize, is_kept: bool, random: &mut Random) -> Self {
        Client {
            at,
            // With a slash it has no inbox: a refusal is not told there.
            name: format!("t/{at}"),
            is_kept,
            version: Version::V5,
            is_up: false,
            haste: Haste::AtOnce,
            has_wildcard: random.percent(40),
            qos_max: random.pick(&[1, 2]),
            subscribed: Vec::new(),
            begins_anew: false,
            open: BTreeMap::new(),
            next_id: AGAIN,
            window: 1,
            receive_maximum: 65_535,
            unreleased: BTreeMap::new(),
            had: BTreeSet::new(),
            owed: Vec::new(),
        }
    }

    /// CONNECT, and whether it is a clean start. With `plain`, as one that acknowledges everything at once.
    pub(in crate::sim) fn connect(&mut self, random: &mut Random, plain: bool) -> (Sent, bool) {
        self.haste = match random.below(6) {
            _ if plain => Haste::AtOnce,
            0..3 => Haste::AtOnce,
            3 | 4 => Haste::Late,
            _ => Haste::Never,
        };
        // A publish that was begun without a receive maximum could not be resumed under one.
        if self.open.is_empty() || !self.is_kept {
            self.version = random.pick(&[Version::V5, Version::V5, Version::V311]);
        }
        if self.begins_anew {
            // What it has forgotten it cannot go on with (MQTT-3.2.2-4).
            self.version = Version::V5;
        }
        // A clean session of MQTT 3.1.1 is not kept.
        let anew = self.version == Version::V5 && !plain && random.percent(12);
        let is_clean = !self.is_kept || anew || self.begins_anew;
        if is_clean {
            self.begins_anew = self.is_kept;
            self.forget();
        }
        let mut connect = Connect::new(self.version, &self.name);
        connect.clean = is_clean;
        if self.version == Version::V5 {
            let expiry = if self.is_kept { u32::MAX } else { 0 };
            self.receive_maximum = random.pick(&[1, 2, 8, 65_535]);
            let props = Props::new().four(property::SESSION_EXPIRY, expiry);
            connect = connect.props(props.two(property::RECEIVE_MAXIMUM, self.receive_maximum));
        } else {
            self.receive_maximum = 65_535;
        }
        ((connect.encode(), Said::Ordinary(Word::Connect)), is_clean)
    }

    /// The network connection is gone, as this client sees it.
    pub(in crate::sim) fn down(&mut self) {
        self.is_up = false;
        self.owed.clear();
    }

    /// With everything delivered: nothing is left open that was begun with QoS 2.
    pub(in crate::sim) fn check_released(&self) -> Result<(), String> {
        match self.unreleased.first_key_value() {
            Some((packet_id, _)) => Err(format!(
                "rule 10: packet identifier {packet_id} is never released to c{}",
                self.at
            )),
            None => Ok(()),
        }
    }

    pub(in crate::sim) fn receive_maximum(&self) -> usize {
        self.receive_maximum.into()
    }

    /// Its session is gone.
    fn forget(&mut self) {
        self.subscribed.clear();
        self.open.clear();
        self.unreleased.clear();
        self.had.clear();
    }

    /// Something to do, by chance.
    pub(in crate::sim) fn act(&mut self, random: &mut Random, book: &mut Book) -> Vec<Sent> {
        match random.below(100) {
            0..45 => {
                let most = random.between(1, 4);
                (0..most).filter_map(|_| self.publish(random, book)).collect()
            }
            45..70 if self.haste != Haste::Never => self.acknowledge(random.pick(&[1, 2, usize::MAX])),
            70..82 => {
                let filter = self.filter(random);
                if self.subscribed.contains(&filter) && random.percent(60) {
                    return Vec::new();
                }
                let qos = self.qos(random);
                vec![self.subscribe(filter, qos)]
            }
            82..90 => self.unsubscribe(random).into_iter().collect(),
            90..92 => vec![(ping(), Said::Ordinary(Word::Other))],
            _ => Vec::new(),
        }
    }

    /// Everything that is owed, for the end of a run.
    pub(in crate::sim) fn settle(&mut self) -> Vec<Sent> {
        self.haste = Haste::AtOnce;
        self.acknowledge(usize::MAX)
    }

    /// DISCONNECT.
    pub(in crate::sim) fn leave(&self) -> Sent {
        let bytes = disconnect(self.version, 0, &Props::new());
        (bytes, Said::Ordinary(Word::Other))
    }

    fn qos(&self, random: &mut Random) -> u8 {
        self.qos_max.min(random.pick(&[1, 2, 2]))
    }

    fn filter(&self, random: &mut Random) -> &'static str {
        match self.has_wildcard {
            true => ALL,
            false => random.pick(&TOPICS),
        }
    }

    /// Subscribes to everything, as who has no subscription yet.
    pub(in crate::sim) fn look_at_all(&mut self) -> Sent {
        self.has_wildcard = true;
        self.subscribe(ALL, 1)
    }

    fn subscribe(&mut self, filter: &'static str, qos: u8) -> Sent {
        if !self.subscribed.contains(&filter) {
            self.subscribed.push(filter);
        }
        let packet_id = self.free_id();
        let word = Word::Subscribe { filter, qos, packet_id };
        let bytes = subscribe(self.version, packet_id, filter, qos, &Props::new());
        (bytes, Said::Ordinary(word))
    }

    fn unsubscribe(&mut self, random: &mut Random) -> Option<Sent> {
        if self.subscribed.is_empty() {
            return None;
        }
        let filter = self.subscribed.remove(random.below(self.subscribed.len()));
        let packet_id = self.free_id();
        let bytes = unsubscribe(self.version, packet_id, filter);
        Some((bytes, Said::Ordinary(Word::Unsubscribe { filter, packet_id })))
    }

    fn publish(&mut self, random: &mut Random, book: &mut Book) -> Option<Sent> {
        if self.open.len() >= self.window {
            return None;
        }
        let mut open = Open {
            message: 0,
            body: Vec::new(),
            topic: random.below(TOPICS.len()),
            qos: random.pick(&[1, 1, 2]),
            retain: random.percent(25),
            released: false,
        };
        let clears = open.retain && random.percent(25);
        let packet_id = match open.qos {
            2 => self.free_again(),
            _ => self.free_id(),
        };
        let sent = self.transmit(&mut open, clears, packet_id, false, random, book);
        self.open.insert(packet_id, open);
        Some(sent)
    }

    /// One transmission. It is a message of its own, because nobody knows what became of the one before; but for QoS 2, of which the broker has to know that, unless
    /// it is to be retained.
    fn transmit(
        &self,
        open: &mut Open,
        clears: bool,
        packet_id: u16,
        again: bool,
        random: &mut Random,
        book: &mut Book,
    ) -> Sent {
        let &mut Open { topic, qos, retain, .. } = open;
        if !again || qos < 2 || retain {
            open.message = book.sending(self.at, topic, qos, retain, clears);
            open.body = match clears {
                true => Vec::new(),
                false => payload(open.message, random.below(60)),
            };
            if let Some(first) = open.body.first_mut() {
                *first = b'o';
            }
        }
        let mut packet = PublishPacket::new(TOPICS[topic], &open.body, qos, packet_id);
        (packet.retain, packet.dup) = (retain, again);
        let word = Word::Publish {
            message: open.message,
            qos,
            packet_id,
        };
        (packet.encode(self.version), Said::Ordinary(word))
    }

    /// A packet of the broker has arrived. Gives what is to be sent at once.
    pub(in crate::sim) fn receive(
        &mut self,
        packet: Packet,
        random: &mut Random,
        book: &mut Book,
    ) -> Result<Vec<Sent>, String> {
        match packet {
            Packet::ConnAck(connack) => {
                self.is_up = true;
                self.begins_anew = false;
                let window = connack.props.number(property::RECEIVE_MAXIMUM);
                self.window = window.map_or(50, |max| max as usize);
                if !connack.session_present {
                    self.forget();
                    // Most clients subscribe then.
                    let filter = self.filter(random);
                    let qos = self.qos(random);
                    return Ok(match random.percent(70) {
                        true => vec![self.subscribe(filter, qos)],
                        false => Vec::new(),
                    });
                }
                Ok(self.resume(random, book))
            }
            Packet::Publish(publish) => {
                match publish.qos {
                    1 => self.owed.push((AckKind::PubAck, publish.packet_id)),
                    2 => {
                        let earlier = self.unreleased.insert(publish.packet_id, publish.payload.clone());
                        let is_live = earlier.is_none() && !publish.retain;
                        if let Some(message) = mail_of(&publish.payload).filter(|_| is_live)
                            && !self.had.insert(message)
                        {
                            return Err(format!("rule 10: o{message} came to c{} twice, with QoS 2", self.at));
                        }
                        if earlier.is_some_and(|earlier| mail_of(&earlier) != mail_of(&publish.payload)) {
                            return Err(format!(
                                "QoS 2: packet identifier {} is used again before it is released, so c{} loses a message (MQTT-4.3.3-10)",
                                publish.packet_id, self.at
                            ));
                        }
                        self.owed.push((AckKind::PubRec, publish.packet_id));
                    }
                    _ => {}
                }
                Ok(self.prompt())
            }
            Packet::Ack(ack) => {
                match ack.kind {
                    AckKind::PubRec if ack.reason < 0x80 => {
                        if let Some(open) = self.open.get_mut(&ack.packet_id) {
                            open.released = true;
                        }
                        self.owed.push((AckKind::PubRel, ack.packet_id));
                    }
                    AckKind::PubAck | AckKind::PubRec | AckKind::PubComp => drop(self.open.remove(&ack.packet_id)),
                    AckKind::PubRel => {
                        self.unreleased.remove(&ack.packet_id);
                        self.owed.push((AckKind::PubComp, ack.packet_id));
                    }
                }
                Ok(self.prompt())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What this client answers without being pushed.
    fn prompt(&mut self) -> Vec<Sent> {
        match self.haste {
            Haste::AtOnce => self.acknowledge(usize::MAX),
            Haste::Late | Haste::Never => Vec::new(),
        }
    }

    fn acknowledge(&mut self, most: usize) -> Vec<Sent> {
        let some = most.min(self.owed.len());
        let said = |(kind, packet_id)| {
            let bytes = match kind {
                AckKind::PubAck => ack(0x40, packet_id),
                AckKind::PubRec => ack(0x50, packet_id),
                AckKind::PubRel => pubrel(packet_id),
                AckKind::PubComp => ack(0x70, packet_id),
            };
            (bytes, Said::Ordinary(Word::Ack { kind, packet_id }))
        };
        self.owed.drain(..some).map(said).collect()
    }

    /// Sends again what is not finished (MQTT-4.4.0-1).
    fn resume(&mut self, random: &mut Random, book: &mut Book) -> Vec<Sent> {
        let mut before = std::mem::take(&mut self.open);
        let resume = |(packet_id, open): (&u16, &mut Open)| match open.released {
            true => {
                let (kind, packet_id) = (AckKind::PubRel, *packet_id);
                (pubrel(packet_id), Said::Ordinary(Word::Ack { kind, packet_id }))
            }
            false => self.transmit(open, false, *packet_id, true, random, book),
        };
        let sent = before.iter_mut().map(resume).collect();
        self.open = before;
        sent
    }

    /// An identifier that was in use not long ago, for QoS 2: whoever lets go of it too late, or too soon, is to be found out.
    fn free_again(&self) -> u16 {
        (1..).find(|id| !self.open.contains_key(id)).unwrap_or(1)
    }

    fn free_id(&mut self) -> u16 {
        while self.next_id < AGAIN || self.open.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}
