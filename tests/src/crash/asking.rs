//! One sender that wants to be told, and changes its mind, and its reader, while the broker dies (contract rules 11 and 12).
//!
//! The sender asks for receipts of all that it sends, replaces some of it by a key, and takes back or edits some. What it was told is kept outside of the
//! broker, and what the reader saw:
//! * Rule 11: a receipt says `delivered` only of what the reader acknowledged, and never that it was dropped as well. In the end there is a receipt of each
//!   message whose PUBACK was seen.
//! * Rule 12: what the sender was told is `recalled` or `edited` was not seen by the reader, and is not seen later as it was. Of what it was `told` comes a
//!   notice in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::wire::{Next, Wire};
use crate::DEADLINE;
use crate::build::{self, Connect, Props, PublishPacket, Version, property};
use crate::parse::{Ack, AckKind, Packet, Publish};

const SENDER: &str = "asker";
const READER: &str = "asked";
const IN_FLIGHT: usize = 16;
/// Behind it nothing is in the reader's inbox.
const MARK: &str = "the end";

/// What is known of one message.
#[derive(Debug, Default)]
struct Message {
    is_accepted: bool,
    /// Its sender has asked to change it: once.
    is_changed: bool,
    is_seen: bool,
    is_acknowledged: bool,
    /// What the PUBACK of the change said.
    changed: Option<Changed>,
    /// The reader was told of that.
    is_told: bool,
    /// What became of it, by the receipts.
    end: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Recalled,
    Edited,
    Told,
}

/// What one publish was.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Message(u64),
    Change(u64),
}

#[derive(Debug, Default)]
struct Books {
    last: u64,
    messages: BTreeMap<u64, Message>,
    violations: Vec<String>,
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Messages whose receipts came.
    pub receipts: u64,
    /// Messages that were taken back, edited or replaced in time.
    pub in_time: u64,
    /// Messages whose reader was told, because it was too late.
    pub told: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Asking(Mutex<Books>);

/// One life of the broker.
#[derive(Clone, Copy)]
pub struct During<'a> {
    /// Where it listens.
    pub port: u16,
    /// Whether it is over.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
    /// Whether what it just said counts: after a power cut nothing does.
    pub counts: &'a (dyn Fn() -> bool + Sync),
    /// The disk is nearly full: it may refuse.
    pub may_refuse: bool,
}

impl Asking {
    /// What was wrong.
    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    /// How much was checked.
    pub fn checked(&self) -> Checked {
        let books = self.0.lock().unwrap();
        let count = |is_so: &dyn Fn(&Message) -> bool| books.messages.values().filter(|one| is_so(one)).count() as u64;
        Checked {
            receipts: count(&|one| one.end.is_some()),
            in_time: count(&|one| {
                matches!(one.changed, Some(Changed::Recalled | Changed::Edited))
                    || one.end.as_deref() == Some("collapsed")
            }),
            told: count(&|one| one.changed == Some(Changed::Told)),
        }
    }

    /// Sends, and reads its receipts, until the life is over.
    pub fn send(&self, during: During, rng: &mut StdRng) {
        while !(during.is_over)() {
            let Some(mut wire) = connect(during.port, SENDER) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let mut sent = HashMap::new();
            while !(during.is_over)() {
                while sent.len() < IN_FLIGHT {
                    let id = wire.packet_id();
                    let (what, packet) = self.next(id, rng);
                    sent.insert(id, what);
                    wire.send(&packet.encode(Version::V5));
                }
                match wire.next(Duration::from_millis(2)) {
                    Next::Packet(Packet::Ack(ack)) if ack.kind == AckKind::PubAck => {
                        if let Some(what) = sent.remove(&ack.packet_id)
                            && (during.counts)()
                        {
                            self.answered(what, &ack);
                        }
                        // Others have work to do, too.
                        std::thread::sleep(Duration::from_micros(500));
                    }
                    Next::Packet(Packet::Publish(receipt)) => self.receipt(during, &mut wire, &receipt),
                    Next::Nothing | Next::Packet(Packet::SubAck(_)) => {}
                    Next::Packet(_) | Next::Closed => break,
                }
            }
        }
    }

    /// Reads, and acknowledges most of it, until the life is over.
    pub fn read(&self, during: During, rng: &mut StdRng) {
        while !(during.is_over)() {
            std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
            let Some(mut wire) = connect(during.port, READER) else {
                continue;
            };
            let until = Instant::now() + Duration::from_millis(rng.random_range(5..150));
            while Instant::now() < until && !(during.is_over)() {
                match wire.next(Duration::from_millis(5)) {
                    Next::Packet(Packet::Publish(publish)) => {
                        let is_taken = rng.random_bool(0.9);
                        self.seen(&publish, is_taken);
                        if is_taken {
                            wire.send(&build::ack(0x40, publish.packet_id));
                        }
                    }
                    Next::Nothing | Next::Packet(Packet::SubAck(_)) => {}
                    Next::Packet(_) | Next::Closed => break,
                }
            }
        }
    }

    /// The last life: both inboxes are read to their ends, and everything must add up.
    pub fn finish(&self, port: u16) {
        let during = During {
            port,
            is_over: &|| false,
            counts: &|| true,
            may_refuse: false,
        };
        let Some(mut sender) = connect(port, SENDER) else {
            return self.violation("the last life is not served".into());
        };
        // Its receipt comes last: there may be others of messages whose PUBACK was never seen, and which nobody misses.
        let id = sender.packet_id();
        sender.send(&self.mark(id).encode(Version::V5));
        let Some(mut reader) = connect(port, READER) else {
            return self.violation("the last life is not served".into());
        };
        loop {
            match reader.next(DEADLINE) {
                Next::Packet(Packet::Publish(publish)) => {
                    self.seen(&publish, true);
                    reader.send(&build::ack(0x40, publish.packet_id));
                    if publish.payload == MARK.as_bytes() {
                        break;
                    }
                }
                Next::Packet(Packet::SubAck(_)) => {}
                other => return self.violation(format!("{READER} was read to its end, and got {other:?}")),
            }
        }
        let until = Instant::now() + DEADLINE;
        while self.missing().is_some() && Instant::now() < until {
            if let Next::Packet(Packet::Publish(receipt)) = sender.next(Duration::from_millis(100)) {
                self.receipt(during, &mut sender, &receipt);
            }
        }
        if let Some(missing) = self.missing() {
            self.violation(missing);
        }
        // What both acknowledged has arrived when this is answered.
        for wire in [&mut reader, &mut sender] {
            wire.send(&build::ping());
            while let Next::Packet(Packet::Publish(_) | Packet::Ack(_) | Packet::SubAck(_)) = wire.next(DEADLINE) {}
        }
    }

    /// Something that the sender or the reader should have been told in the end.
    fn missing(&self) -> Option<String> {
        let books = self.0.lock().unwrap();
        books.messages.iter().find_map(|(number, one)| {
            let unheard = one.is_accepted && one.end.is_none();
            let untold = one.changed == Some(Changed::Told) && !one.is_told;
            match (unheard, untold) {
                (true, _) => Some(format!("there is no receipt of message {number}: {one:?}")),
                (_, true) => Some(format!(
                    "{READER} was not told of the change of message {number}: {one:?}"
                )),
                _ => None,
            }
        })
    }

    fn violation(&self, what: String) {
        eprintln!("VIOLATION of rule 11 or 12: {what}");
        self.0.lock().unwrap().violations.push(what);
    }

    /// The next thing to send: a message, or a change of one of the last.
    fn next(&self, packet_id: u16, rng: &mut StdRng) -> (Sent, PublishPacket) {
        let mut books = self.0.lock().unwrap();
        if rng.random_bool(0.3) {
            let number = books.last.saturating_sub(rng.random_range(0..8));
            if let Some(message) = books.messages.get_mut(&number).filter(|message| !message.is_changed) {
                message.is_changed = true;
                let (topic, text, props) = match rng.random_bool(0.5) {
                    true => {
                        let request = serde_json::json!({ "to": READER, "id": id(number) });
                        ("$inbox/recall", request.to_string(), Props::new())
                    }
                    false => {
                        let props = Props::new().user("to", READER).user("id", &id(number));
                        ("$inbox/edit", edited(number), props)
                    }
                };
                let packet = PublishPacket::new(topic, text, 1, packet_id).props(props);
                return (Sent::Change(number), packet);
            }
        }
        books.last += 1;
        let number = books.last;
        books.messages.insert(number, Message::default());
        let mut props = with_receipt(number);
        if rng.random_bool(0.3) {
            props = props.user("collapse", &format!("k{}", rng.random_range(0..3)));
        }
        let packet = PublishPacket::new(READER, number.to_string(), 1, packet_id).props(props);
        (Sent::Message(number), packet)
    }

    /// The last message of all.
    fn mark(&self, packet_id: u16) -> PublishPacket {
        let mut books = self.0.lock().unwrap();
        books.last += 1;
        let number = books.last;
        books.messages.entry(number).or_default().is_accepted = true;
        PublishPacket::new(READER, MARK, 1, packet_id).props(with_receipt(number))
    }

    fn answered(&self, sent: Sent, ack: &Ack) {
        // A nearly full disk may refuse: then nothing was promised.
        if ack.reason >= 0x80 {
            return;
        }
        let mut books = self.0.lock().unwrap();
        let (number, changed) = match (sent, ack.props.user("state")) {
            (Sent::Message(number), _) => (number, None),
            (Sent::Change(number), Some("recalled")) => (number, Some(Changed::Recalled)),
            (Sent::Change(number), Some("edited")) => (number, Some(Changed::Edited)),
            (Sent::Change(number), Some("told")) => (number, Some(Changed::Told)),
            (Sent::Change(_), _) => {
                drop(books);
                return self.violation(format!("a change was answered by {ack:?}"));
            }
        };
        let Some(message) = books.messages.get_mut(&number) else {
            return;
        };
        message.is_accepted |= changed.is_none();
        message.changed = changed.or(message.changed);
        if message.is_seen && matches!(changed, Some(Changed::Recalled | Changed::Edited)) {
            let wrong = format!("message {number} was changed in time, and had been seen: {message:?}");
            drop(books);
            self.violation(wrong);
        }
    }

    fn receipt(&self, during: During, wire: &mut Wire, publish: &Publish) {
        let said: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
        for receipt in said["receipts"].as_array().into_iter().flatten() {
            let state = receipt["state"].as_str().unwrap_or_default();
            let end = receipt["why"].as_str().unwrap_or(state).to_owned();
            let mut books = self.0.lock().unwrap();
            let message = number_of(receipt["id"].as_str()).and_then(|number| books.messages.get_mut(&number));
            let Some(message) = message else {
                drop(books);
                self.violation(format!("a receipt of nothing that was sent: {receipt}"));
                continue;
            };
            let is_false = state == "delivered" && !message.is_acknowledged;
            let is_other = message.end.as_ref().is_some_and(|before| *before != end);
            if (during.counts)() {
                message.end = Some(end);
            }
            if is_false || (is_other && (during.counts)()) {
                let wrong = format!("{receipt} is not true: {message:?}");
                drop(books);
                self.violation(wrong);
            }
        }
        if publish.qos > 0 {
            wire.send(&build::ack(0x40, publish.packet_id));
        }
    }

    /// The reader has a message, or a notice, and is about to acknowledge it.
    fn seen(&self, publish: &Publish, is_acknowledged: bool) {
        let kind = publish.props.user("$inboxd");
        let number = match kind {
            Some("recall") => {
                let said: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                number_of(said["id"].as_str())
            }
            Some(_) => number_of(publish.props.user("edit-of")),
            None => number_of(publish.props.user("id")),
        };
        let mut books = self.0.lock().unwrap();
        let Some((number, message)) = number.and_then(|number| Some((number, books.messages.get_mut(&number)?))) else {
            // The mark of an earlier end.
            return;
        };
        if kind.is_some() {
            message.is_told |= is_acknowledged;
            return;
        }
        let is_edited = publish.payload == edited(number).as_bytes();
        let is_wrong = match message.changed {
            Some(Changed::Recalled) => true,
            Some(Changed::Edited) => !is_edited,
            Some(Changed::Told) => is_edited,
            None => false,
        };
        message.is_seen |= !is_edited;
        message.is_acknowledged |= is_acknowledged;
        if is_wrong {
            let text = String::from_utf8_lossy(&publish.payload);
            let wrong = format!("message {number} came as {text:?}, and its sender was told otherwise: {message:?}");
            drop(books);
            self.violation(wrong);
        }
    }
}

fn with_receipt(number: u64) -> Props {
    Props::new()
        .bytes(property::RESPONSE_TOPIC, SENDER)
        .user("receipt", "delivered")
        .user("id", &id(number))
}

fn id(number: u64) -> String {
    format!("m{number}")
}

fn number_of(id: Option<&str>) -> Option<u64> {
    id?.strip_prefix('m')?.parse().ok()
}

fn edited(number: u64) -> String {
    format!("edit of {number}")
}

/// Connects, and subscribes to the client's own inbox.
fn connect(port: u16, name: &str) -> Option<Wire> {
    let (mut wire, _) = Wire::connect(port, &Connect::new(Version::V5, name))?;
    let id = wire.packet_id();
    wire.send(&build::subscribe(Version::V5, id, name, 1, &Props::new()));
    Some(wire)
}
