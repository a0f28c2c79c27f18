//! Those who publish on ordinary topics: to kept sessions, and what is retained.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::plan::{Key, SOURCES, Source};
use super::retained::{self, Retained, SLOTS};
use super::sessions::Sessions;
use super::{During, connect, pause};
use crate::build::{self, Connect, PublishPacket, Version};
use crate::crash::wire::{Next, Wire};
use crate::parse::{Ack, AckKind, Packet};

/// As fast as it can at the beginning of a life; then it goes on slowly.
const BURST: u32 = 60;
const SLOW: Duration = Duration::from_millis(8);
/// After a connection ended: a refusal of MQTT 3.1.1 closes it, and will again.
const RETRY: Duration = Duration::from_millis(5);

/// A message that is not through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    packet_id: u16,
    /// PUBREC came, and PUBCOMP is due.
    is_received: bool,
}

/// What a publisher that sends again remembers over its connections, by number.
pub(super) type Unanswered = Mutex<BTreeMap<u64, Open>>;

/// Publishes to kept sessions until the life is over.
pub(super) fn publish(
    books: &Mutex<Sessions>,
    unanswered: &Unanswered,
    number: usize,
    during: During,
    rng: &mut StdRng,
) {
    let source = SOURCES[number];
    let id = format!("ordinary/publisher-{number}");
    let hello = match source.resends {
        true => Connect::persistent(source.version, &id),
        false => Connect::new(source.version, &id),
    };
    let mut burst = rng.random_range(0..BURST);
    while !(during.is_over)() {
        let Some((wire, is_present)) = connect(during, &hello) else {
            continue;
        };
        let mut publisher = Publisher {
            books,
            number,
            source,
            wire,
            during,
            open: BTreeMap::new(),
            keys: HashMap::new(),
        };
        if source.resends {
            publisher.send_again(std::mem::take(&mut unanswered.lock().unwrap()), is_present);
        }
        publisher.run(&mut burst);
        if source.resends {
            *unanswered.lock().unwrap() = publisher.open;
        }
        pause(during, RETRY);
    }
}

struct Publisher<'a> {
    books: &'a Mutex<Sessions>,
    number: usize,
    source: Source,
    wire: Wire,
    during: During<'a>,
    open: BTreeMap<u64, Open>,
    keys: HashMap<u16, u64>,
}

impl Publisher<'_> {
    /// MQTT-4.4.0-1: in the order of before, and with the identifiers of before where the session went on. Where it did not, a QoS 2 message that PUBREC answered
    /// is the broker's, and the others are published as if for the first time.
    fn send_again(&mut self, before: BTreeMap<u64, Open>, is_present: bool) {
        if !is_present && before.values().any(|open| open.is_received) {
            let what = format!(
                "the session of publisher {} is not present, and its exchanges go on",
                self.number
            );
            self.books.lock().unwrap().violation(what);
        }
        for (number, open) in before {
            match (is_present, open.is_received) {
                (true, true) => {
                    self.opens(number, open);
                    self.wire.send(&build::pubrel(open.packet_id));
                }
                (true, false) => {
                    self.opens(number, open);
                    let packet = self.packet(number, open.packet_id).dup();
                    self.wire.send(&packet.encode(self.source.version));
                }
                (false, true) => {}
                (false, false) => self.send(number),
            }
        }
    }

    fn opens(&mut self, number: u64, open: Open) {
        self.keys.insert(open.packet_id, number);
        self.open.insert(number, open);
    }

    fn packet(&self, number: u64, packet_id: u16) -> PublishPacket {
        let key = self.key(number);
        PublishPacket::new(key.topic(), key.payload(), self.source.qos, packet_id)
    }

    fn key(&self, number: u64) -> Key {
        Key {
            publisher: self.number,
            number,
        }
    }

    /// Until the connection ends.
    fn run(&mut self, burst: &mut u32) {
        let mut next_at = Instant::now();
        while !(self.during.is_over)() {
            let is_due = *burst > 0 || next_at <= Instant::now();
            if is_due && self.open.len() < self.source.in_flight {
                *burst = burst.saturating_sub(1);
                next_at = Instant::now() + SLOW;
                let key = self.books.lock().unwrap().publishing(self.number);
                self.send(key.number);
                continue;
            }
            match self.wire.next(Duration::from_millis(4)) {
                Next::Packet(Packet::Ack(ack)) => self.ack(&ack),
                Next::Nothing => {}
                Next::Packet(Packet::Disconnect(..)) | Next::Closed => return,
                Next::Packet(other) => {
                    let what = format!("publisher {} got {other:?}", self.number);
                    return self.books.lock().unwrap().violation(what);
                }
            }
        }
    }

    fn send(&mut self, number: u64) {
        let mut packet_id = self.wire.packet_id();
        while self.keys.contains_key(&packet_id) {
            packet_id = self.wire.packet_id();
        }
        let is_received = false;
        self.opens(number, Open { packet_id, is_received });
        let packet = self.packet(number, packet_id);
        self.wire.send(&packet.encode(self.source.version));
    }

    fn ack(&mut self, ack: &Ack) {
        // After a power cut nothing counts: what it says is not done.
        if !(self.during.counts)() {
            return;
        }
        let Some(number) = self.keys.get(&ack.packet_id).copied() else {
            let what = format!("publisher {} got {ack:?} for nothing", self.number);
            return self.books.lock().unwrap().violation(what);
        };
        let key = self.key(number);
        let mut books = self.books.lock().unwrap();
        // A restart may have forgotten the exchange that PUBREL ends (0x92).
        let is_refused = ack.reason >= 0x80 && ack.kind != AckKind::PubComp;
        if is_refused && !self.during.may_refuse {
            books.violation(format!("{key:?} was refused: {ack:?}"));
        }
        if !is_refused && ack.kind != AckKind::PubComp {
            books.accepted(key);
        }
        if is_refused || ack.kind != AckKind::PubRec {
            books.through(key);
            self.keys.remove(&ack.packet_id);
            self.open.remove(&number);
            return;
        }
        drop(books);
        if let Some(open) = self.open.get_mut(&number) {
            open.is_received = true;
        }
        self.wire.send(&build::pubrel(ack.packet_id));
    }
}

/// Sets, replaces and clears its retained topics until the life is over.
pub(super) fn retain(books: &Mutex<Retained>, setter: usize, during: During, rng: &mut StdRng) {
    let (version, qos, in_flight) = [(Version::V5, 1, 16), (Version::V311, 1, 1), (Version::V5, 2, 6)][setter];
    let hello = Connect::new(version, &format!("ordinary/setter-{setter}"));
    while !(during.is_over)() {
        let Some((mut wire, _)) = connect(during, &hello) else {
            continue;
        };
        let mut open = HashMap::new();
        let mut next_at = Instant::now();
        while !(during.is_over)() {
            if open.len() < in_flight && next_at <= Instant::now() {
                // In threes, so that a topic is often set again before the first was answered.
                next_at += if rng.random_bool(0.3) { 3 * SLOW } else { Duration::ZERO };
                let topic = setter * SLOTS + rng.random_range(0..SLOTS);
                let clears = rng.random_bool(0.25);
                let number = books.lock().unwrap().setting(topic, clears);
                let payload = if clears {
                    String::new()
                } else {
                    retained::payload(topic, number)
                };
                let id = wire.packet_id();
                open.insert(id, Some((topic, number)));
                let packet = PublishPacket::new(retained::name(topic), payload, qos, id).retain();
                wire.send(&packet.encode(version));
                continue;
            }
            let ack = match wire.next(Duration::from_millis(4)) {
                Next::Packet(Packet::Ack(ack)) => ack,
                Next::Nothing => continue,
                Next::Packet(Packet::Disconnect(..)) | Next::Closed => break,
                Next::Packet(other) => {
                    let what = format!("setter {setter} got {other:?}");
                    return books.lock().unwrap().violation(what);
                }
            };
            let set = open.remove(&ack.packet_id).flatten();
            if let Some((topic, number)) = set
                && (during.counts)()
            {
                let mut books = books.lock().unwrap();
                match ack.reason {
                    0..0x80 => books.accepted(topic, number),
                    _ if during.may_refuse => {}
                    _ => books.violation(format!("topic {topic}, {number} was refused: {ack:?}")),
                }
            }
            if ack.kind == AckKind::PubRec && ack.reason < 0x80 {
                open.insert(ack.packet_id, None);
                wire.send(&build::pubrel(ack.packet_id));
            }
        }
        pause(during, RETRY);
    }
}
