//! Publishers: both versions, QoS 1 and 2, first a burst and then slowly.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::ledger::{self, ABSENT, HEARTBEAT, Key, READERS};
use super::life::Life;
use super::wire::{Next, Wire};
use crate::DEADLINE;
use crate::build::{self, Connect, PublishPacket, Version};
use crate::parse::{Ack, AckKind, Packet};

/// Between two messages after the burst.
const SLOW: Duration = Duration::from_millis(15);

/// Publishes until the life is over.
pub(super) fn publish(life: &Life, publisher: usize) {
    let mut rng = life.rng(publisher as u64);
    let mut burst = if publisher == HEARTBEAT { 0 } else { life.burst };
    let version = Version::BOTH[publisher % 2];
    let connect = Connect::new(version, &format!("publisher-{publisher}"));
    let mut was_connected = false;
    while !life.is_over() {
        let Some((wire, _)) = Wire::connect(life.port, &connect) else {
            life.pause(Duration::from_millis(5));
            continue;
        };
        // MQTT 3.1.1 has no other way to say no (contract rule 3).
        let may_be_closed = life.may_refuse && version == Version::V311 || life.is_shutting_down();
        if was_connected && !may_be_closed {
            life.ledger
                .violation(format!("publisher {publisher} was disconnected without a reason"));
        }
        was_connected = true;
        let mut publisher = Publisher {
            life,
            number: publisher,
            wire,
            in_flight: HashMap::new(),
            slow_at: Instant::now(),
        };
        publisher.run(&mut rng, &mut burst);
    }
}

struct Publisher<'a> {
    life: &'a Life,
    number: usize,
    wire: Wire,
    /// Not acknowledged to the end: the message (`None` when accepted, and only PUBCOMP is due), and when it was sent.
    in_flight: HashMap<u16, (Option<Key>, Instant)>,
    slow_at: Instant,
}

impl Publisher<'_> {
    /// Until the connection ends.
    fn run(&mut self, rng: &mut StdRng, burst: &mut u64) {
        let window = rng.random_range(1..=48);
        let mut heard = Instant::now();
        loop {
            while *burst > 0 && self.in_flight.len() < window {
                *burst -= 1;
                self.send(rng);
            }
            if self.slow_at <= Instant::now() && self.in_flight.len() < window {
                self.slow_at = Instant::now() + SLOW;
                self.send(rng);
            }
            match self.wire.next(self.slow_at.saturating_duration_since(Instant::now())) {
                Next::Packet(Packet::Ack(ack)) => self.ack(&ack),
                Next::Packet(Packet::Disconnect(reason, _)) if self.life.is_shutting_down() => {
                    assert_eq!(reason, 0x8b, "a shutdown is said to be one");
                    return;
                }
                Next::Packet(other) => {
                    self.life
                        .ledger
                        .violation(format!("publisher {} got {other:?}", self.number));
                    return;
                }
                Next::Nothing => {
                    if self.in_flight.is_empty() || self.life.is_over() {
                        heard = Instant::now();
                    }
                    if heard.elapsed() > DEADLINE {
                        self.life
                            .ledger
                            .violation(format!("publisher {} is not answered any more", self.number));
                        return;
                    }
                    continue;
                }
                Next::Closed => return,
            }
            heard = Instant::now();
        }
    }

    fn send(&mut self, rng: &mut StdRng) {
        let inbox = if self.number == HEARTBEAT {
            ABSENT
        } else {
            rng.random_range(0..READERS)
        };
        let key = self.life.ledger.next(self.number, inbox);
        let qos = if rng.random_bool(0.3) { 2 } else { 1 };
        let id = self.wire.packet_id();
        self.in_flight.insert(id, (Some(key), Instant::now()));
        let payload = ledger::payload(key, self.life.number);
        let packet = PublishPacket::new(ledger::name(inbox), payload, qos, id).encode(self.wire.version);
        self.wire.send(&packet);
    }

    fn ack(&mut self, ack: &Ack) {
        let Some((key, sent)) = self.in_flight.remove(&ack.packet_id) else {
            self.life
                .ledger
                .violation(format!("publisher {} got {ack:?} for nothing", self.number));
            return;
        };
        if ack.reason >= 0x80 {
            if ack.reason != 0x97 || !self.life.may_refuse {
                self.life
                    .ledger
                    .violation(format!("publisher {} was refused: {ack:?}", self.number));
            }
            self.life.count_refused();
            return;
        }
        if let (AckKind::PubAck | AckKind::PubRec, Some(key)) = (ack.kind, key) {
            self.life.ledger.accepted(key, sent);
        }
        if ack.kind == AckKind::PubRec {
            self.in_flight.insert(ack.packet_id, (None, sent));
            self.wire.send(&build::pubrel(ack.packet_id));
        }
    }
}
