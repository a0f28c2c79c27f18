//! Readers: both versions, QoS 1 and 2, clean and kept sessions; some always there, some away, some slow to acknowledge.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::ledger::Reading;
use super::life::Life;
use super::message::{self, Key};
use super::wire::{Next, Wire};
use crate::DEADLINE;
use crate::build::{self, Connect, Props, PublishPacket, Version, property};
use crate::parse::{AckKind, Packet, Publish};

/// How a reader behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Always connected; acknowledges at once.
    Online,
    /// Comes and goes; acknowledges at once.
    Away,
    /// Comes and goes; acknowledges late, out of order, and some messages not at all in this connection.
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    version: Version,
    qos: u8,
    keeps_session: bool,
    habit: Habit,
}

const fn kind(version: Version, qos: u8, keeps_session: bool, habit: Habit) -> Kind {
    Kind {
        version,
        qos,
        keeps_session,
        habit,
    }
}

const KINDS: [Kind; message::READERS] = [
    kind(Version::V5, 1, false, Habit::Online),
    kind(Version::V311, 1, false, Habit::Online),
    kind(Version::V5, 2, false, Habit::Online),
    kind(Version::V311, 2, true, Habit::Away),
    kind(Version::V5, 1, true, Habit::Away),
    kind(Version::V311, 1, false, Habit::Away),
    kind(Version::V5, 2, true, Habit::Late),
    kind(Version::V311, 1, true, Habit::Late),
];

/// Reads until the life is over.
pub(super) fn read(life: &Life, reader: usize) {
    let mut rng = life.rng(100 + reader as u64);
    let kind = KINDS[reader];
    // QoS 2 exchanges of the session that wait for PUBREL.
    let mut received = HashMap::new();
    // Sometimes a connection is not ended but taken over by the next.
    let mut _taken_over = None;
    while !life.is_over() {
        if kind.habit == Habit::Away {
            life.pause(Duration::from_millis(rng.random_range(0..1200)));
        }
        let Some((wire, connack)) = Wire::connect(life.port, &connect(kind, reader, &mut rng)) else {
            life.pause(Duration::from_millis(5));
            continue;
        };
        if !connack.session_present {
            received.clear();
        }
        let reading = life.ledger.reading(reader, kind.version, received.values().copied());
        let mut connection = Reader::new(life, kind, wire, reading, received);
        if connack.session_present || connection.subscribe(reader) {
            connection.stay(&mut rng);
        }
        received = connection.received;
        let mut wire = connection.wire;
        _taken_over = match rng.random_range(0..3) {
            0 => None,
            1 => {
                wire.send(&build::disconnect(kind.version, 0, &Props::new()));
                None
            }
            _ => Some(wire),
        };
    }
}

fn connect(kind: Kind, reader: usize, rng: &mut StdRng) -> Connect {
    let name = message::name(reader);
    let connect = match kind.keeps_session {
        true => Connect::persistent(kind.version, &name),
        false => Connect::new(kind.version, &name),
    };
    match kind.version {
        Version::V5 if rng.random_bool(0.5) => {
            connect.props(Props::new().two(property::RECEIVE_MAXIMUM, rng.random_range(1..40)))
        }
        _ => connect,
    }
}

/// Reads an inbox up to a mark that is sent now, in the last life. Then it is empty.
pub(super) fn drain(life: &Life, inbox: usize) {
    const MARK: &str = "the end";
    let version = Version::BOTH[inbox % 2];
    let marked = Wire::connect(life.port, &Connect::new(version, &format!("marker-{inbox}")));
    let Some((mut marker, _)) = marked else {
        return life.ledger.violation("the last life is not served".into());
    };
    marker.send(&PublishPacket::new(message::name(inbox), MARK, 1, 1).encode(version));
    match marker.next(DEADLINE) {
        Next::Packet(Packet::Ack(ack)) if ack.reason == 0 => {}
        other => {
            return life
                .ledger
                .violation(format!("the last message to inbox {inbox} was answered by {other:?}"));
        }
    }
    let Some((wire, _)) = Wire::connect(life.port, &Connect::new(version, &message::name(inbox))) else {
        return life.ledger.violation("the last life is not served".into());
    };
    let kind = kind(version, 1, false, Habit::Online);
    let reading = life.ledger.reading(inbox, version, std::iter::empty());
    let mut reader = Reader::new(life, kind, wire, reading, HashMap::new());
    if !reader.subscribe(inbox) {
        return life
            .ledger
            .violation(format!("inbox {inbox} cannot be read at the end"));
    }
    loop {
        match reader.wire.next(DEADLINE) {
            Next::Packet(Packet::Publish(publish)) if publish.payload == MARK.as_bytes() => {
                reader.wire.send(&build::ack(0x40, publish.packet_id));
                break;
            }
            Next::Packet(packet) => {
                reader.take(packet, &mut life.rng(200));
                reader.ask();
            }
            other => {
                return life
                    .ledger
                    .violation(format!("inbox {inbox} was read to its end, and got {other:?}"));
            }
        }
    }
    // What was acknowledged has arrived when this is answered, which an earlier PINGREQ's answer is not.
    let mut answers_due = 1 + usize::from(reader.pinged.is_some());
    reader.wire.send(&build::ping());
    while answers_due > 0 {
        match reader.wire.next(DEADLINE) {
            Next::Packet(Packet::PingResp) => answers_due -= 1,
            Next::Packet(_) => {}
            other => {
                return life
                    .ledger
                    .violation(format!("inbox {inbox} was read, and then got {other:?}"));
            }
        }
    }
}

/// One connection.
struct Reader<'a> {
    life: &'a Life,
    kind: Kind,
    wire: Wire,
    reading: Reading,
    received: HashMap<u16, Key>,
    /// To be acknowledged when their time comes.
    held: VecDeque<(Instant, Publish, Key)>,
    /// Acknowledged since the last PINGREQ, and before it.
    since_ping: Vec<Key>,
    pinged: Option<Vec<Key>>,
}

impl<'a> Reader<'a> {
    fn new(life: &'a Life, kind: Kind, wire: Wire, reading: Reading, received: HashMap<u16, Key>) -> Self {
        let (held, since_ping) = (VecDeque::new(), Vec::new());
        Reader {
            life,
            kind,
            wire,
            reading,
            received,
            held,
            since_ping,
            pinged: None,
        }
    }

    /// SUBACK comes before the first message (contract rule 4).
    fn subscribe(&mut self, inbox: usize) -> bool {
        let id = self.wire.packet_id();
        let subscribe = build::subscribe(
            self.kind.version,
            id,
            message::name(inbox),
            self.kind.qos,
            &Props::new(),
        );
        self.wire.send(&subscribe);
        match self.wire.next(DEADLINE) {
            Next::Packet(Packet::SubAck(suback)) if suback.codes == [self.kind.qos] => true,
            Next::Packet(Packet::Disconnect(0x8b, _)) | Next::Closed => false,
            other => {
                self.life
                    .ledger
                    .violation(format!("SUBSCRIBE of inbox {inbox} was answered by {other:?}"));
                false
            }
        }
    }

    fn stay(&mut self, rng: &mut StdRng) {
        let stay = match self.kind.habit {
            Habit::Online => Duration::from_secs(3600),
            Habit::Away => Duration::from_millis(rng.random_range(20..900)),
            Habit::Late => Duration::from_millis(rng.random_range(100..1500)),
        };
        let until = Instant::now() + stay;
        while Instant::now() < until {
            let wake = self.held.front().map_or(until, |(due, ..)| until.min(*due));
            match self.wire.next(
                wake.saturating_duration_since(Instant::now())
                    .min(Duration::from_millis(500)),
            ) {
                Next::Packet(Packet::Disconnect(..)) | Next::Closed => return,
                Next::Packet(packet) => self.take(packet, rng),
                Next::Nothing => {}
            }
            while self.held.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
                // The middle one: acknowledgements may come in any order.
                if let Some((_, publish, key)) = self.held.remove(self.held.len() / 2) {
                    self.acknowledge(&publish, key);
                }
            }
            self.ask();
        }
    }

    fn take(&mut self, packet: Packet, rng: &mut StdRng) {
        match packet {
            Packet::Publish(publish) => {
                let Some(key) = self.life.ledger.delivered(&mut self.reading, &publish) else {
                    return;
                };
                if self.kind.habit != Habit::Late {
                    self.acknowledge(&publish, key);
                } else if rng.random_bool(0.98) {
                    let due = Instant::now() + Duration::from_millis(rng.random_range(0..120));
                    self.held.push_back((due, publish, key));
                }
            }
            Packet::Ack(ack) if ack.kind == AckKind::PubRel => {
                if let Some(key) = self.received.remove(&ack.packet_id) {
                    self.life.ledger.acknowledged(key);
                    self.since_ping.push(key);
                }
                self.wire.send(&build::ack(0x70, ack.packet_id));
            }
            Packet::PingResp => self.life.ledger.arrived(&self.pinged.take().unwrap_or_default()),
            other => self.life.ledger.violation(format!("a reader got {other:?}")),
        }
    }

    fn acknowledge(&mut self, publish: &Publish, key: Key) {
        match publish.qos {
            1 => {
                self.life.ledger.acknowledged(key);
                self.since_ping.push(key);
                self.wire.send(&build::ack(0x40, publish.packet_id));
            }
            2 => {
                self.received.insert(publish.packet_id, key);
                self.wire.send(&build::ack(0x50, publish.packet_id));
            }
            _ => self
                .life
                .ledger
                .violation(format!("{key:?} came with QoS {}", publish.qos)),
        }
    }

    /// Asks whether the broker has read the acknowledgements up to here: it answers what it is sent in order.
    fn ask(&mut self) {
        if self.pinged.is_none() && !self.since_ping.is_empty() {
            self.pinged = Some(std::mem::take(&mut self.since_ping));
            self.wire.send(&build::ping());
        }
    }
}
