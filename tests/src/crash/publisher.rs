//! Publishers: both versions, QoS 1 and 2, first a burst and then slowly. Those of MQTT 3.1.1 publish at times what must be refused, and
//! read in every other connection the notices about it. Those of MQTT 5 give their QoS 1 messages an `id`, and repeat some of what was acknowledged, also
//! in earlier lives.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::life::Life;
use super::message::{self, ABSENT, HEARTBEAT, Key, READERS};
use super::notices::{self, Refusable};
use super::repeating::Safe;
use super::wire::{Next, Wire};
use crate::DEADLINE;
use crate::build::{self, Connect, Props, PublishPacket, Version};
use crate::parse::{Ack, AckKind, Packet};

/// Behind everything else in an inbox.
const MARK: &str = "the end";
/// Between two messages after the burst.
const SLOW: Duration = Duration::from_millis(15);

/// Publishes until the life is over.
pub(super) fn publish(life: &Life, publisher: usize) {
    let mut rng = life.rng(publisher as u64);
    let mut burst = if publisher == HEARTBEAT { 0 } else { life.burst };
    let version = notices::version(publisher);
    let connect = Connect::new(version, &notices::client_id(publisher));
    let mut was_connected = false;
    while !life.is_over() {
        let Some((wire, _)) = Wire::connect(life.port, &connect) else {
            life.pause(Duration::from_millis(5));
            continue;
        };
        // A refusal is no reason in MQTT 3.1.1 either: it is told by a notice (contract rule 3).
        if was_connected && !life.is_shutting_down() {
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
        publisher.read_notices(&mut rng);
        publisher.run(&mut rng, &mut burst);
    }
}

/// Reads the own inbox of a publisher to its end, in the last life.
pub(super) fn drain(life: &Life, publisher: usize) {
    let id = notices::client_id(publisher);
    let Some((mut wire, _)) = Wire::connect(life.port, &Connect::new(Version::V311, &id)) else {
        return life.ledger.violation("the last life is not served".into());
    };
    wire.send(&PublishPacket::new(&id, MARK, 1, 1).encode(Version::V311));
    wire.send(&build::subscribe(Version::V311, 2, &id, 1, &Props::new()));
    let mut is_read = false;
    loop {
        match wire.next(DEADLINE) {
            Next::Packet(Packet::Publish(publish)) => {
                wire.send(&build::ack(0x40, publish.packet_id));
                if publish.payload == MARK.as_bytes() {
                    is_read = true;
                    // Its answer says that the acknowledgements have arrived.
                    wire.send(&build::ping());
                } else {
                    life.told(publisher, &publish);
                }
            }
            Next::Packet(Packet::PingResp) if is_read => return,
            Next::Packet(Packet::Ack(_) | Packet::SubAck(_)) => {}
            other => {
                let what = format!("publisher {publisher} read its notices, and got {other:?}");
                return life.ledger.violation(what);
            }
        }
    }
}

struct Publisher<'a> {
    life: &'a Life,
    number: usize,
    wire: Wire,
    /// Not acknowledged to the end: what it is (`None` when accepted, and only PUBCOMP is due), and when it was sent.
    in_flight: HashMap<u16, (Option<What>, Instant)>,
    slow_at: Instant,
}

#[derive(Debug, Clone)]
enum What {
    Message(Key),
    /// One with an `id`, and its payload.
    Named(Key, String),
    Repeated(Safe),
    Refusable(Refusable),
}

impl Publisher<'_> {
    /// Half of the connections do not: there notices are joined. The heartbeat's never do, because a notice that its reader has read at
    /// once is acknowledged without a commit.
    fn read_notices(&mut self, rng: &mut StdRng) {
        let reads = rng.random_bool(0.5);
        if reads && self.wire.version == Version::V311 && self.number != HEARTBEAT {
            let id = self.wire.packet_id();
            let inbox = notices::client_id(self.number);
            self.wire
                .send(&build::subscribe(Version::V311, id, inbox, 1, &Props::new()));
        }
    }

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
                Next::Packet(Packet::SubAck(suback)) if suback.codes == [1] => {}
                Next::Packet(Packet::Publish(notice)) if self.wire.version == Version::V311 => {
                    self.life.told(self.number, &notice);
                    self.wire.send(&build::ack(0x40, notice.packet_id));
                }
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
        if self.wire.version == Version::V5
            && rng.random_bool(0.05)
            && let Some(safe) = self.life.ledger.safe.any(self.number, rng.random())
        {
            let payload = safe.payload.clone();
            return self.send_named(safe.key, payload, What::Repeated(safe));
        }
        let key = self.life.ledger.next(self.number, inbox);
        let is_bounced = notices::is_bounced(self.number) && self.number != HEARTBEAT;
        let refusable = (is_bounced && rng.random_bool(0.05))
            .then(|| Refusable::new(self.number, key.number, rng.random_bool(0.1)));
        let qos = if rng.random_bool(0.3) { 2 } else { 1 };
        let id = self.wire.packet_id();
        let (topic, payload, what) = match refusable {
            Some(refusable) => {
                let (topic, payload) = (refusable.topic.clone(), refusable.payload.clone());
                (topic, payload, What::Refusable(refusable))
            }
            None => {
                let payload = message::payload(key, self.life.number);
                if self.wire.version == Version::V5 && qos == 1 {
                    let what = What::Named(key, payload.clone());
                    return self.send_named(key, payload, what);
                }
                (message::name(inbox), payload, What::Message(key))
            }
        };
        self.in_flight.insert(id, (Some(what), Instant::now()));
        self.wire
            .send(&PublishPacket::new(topic, payload, qos, id).encode(self.wire.version));
    }

    /// A message with an `id`, or one again.
    fn send_named(&mut self, key: Key, payload: String, what: What) {
        let id = self.wire.packet_id();
        let props = Props::new().user("id", &format!("m{}", key.number));
        self.in_flight.insert(id, (Some(what), Instant::now()));
        let packet = PublishPacket::new(message::name(key.inbox), payload, 1, id).props(props);
        self.wire.send(&packet.encode(self.wire.version));
    }

    fn check(&self, checked: Result<(), String>) {
        if let Err(what) = checked {
            self.life.ledger.violation(what);
        }
    }

    fn ack(&mut self, ack: &Ack) {
        let Some((what, sent)) = self.in_flight.remove(&ack.packet_id) else {
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
        if matches!(ack.kind, AckKind::PubAck | AckKind::PubRec) {
            match what {
                Some(What::Message(key)) => self.life.ledger.accepted(key, sent, self.life.may_refuse),
                Some(What::Named(key, payload)) => {
                    self.life.ledger.accepted(key, sent, self.life.may_refuse);
                    let seq = told_seq(ack);
                    let noted = self.life.ledger.safe.add(self.number, Safe { key, payload, seq });
                    self.check(noted);
                }
                Some(What::Repeated(safe)) => {
                    self.check(self.life.ledger.safe.answered(&safe, told_seq(ack)));
                }
                Some(What::Refusable(refusable)) => self.life.ledger.notices.due(self.number, &refusable),
                None => {}
            }
        }
        if ack.kind == AckKind::PubRec {
            self.in_flight.insert(ack.packet_id, (None, sent));
            self.wire.send(&build::pubrel(ack.packet_id));
        }
    }
}

fn told_seq(ack: &Ack) -> Option<u64> {
    ack.props.user("seq")?.parse().ok()
}
