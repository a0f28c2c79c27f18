//! The sending side of one connection: PUBLISH packets from a template, and the window of those in flight.

use crate::asks::{Asks, Template};
use crate::packet;

/// Bytes of a [`Stamp`], and so the smallest payload.
pub(crate) const STAMP_BYTES: usize = 16;
/// Bytes of a stamp's time: more than three days in nanoseconds.
const DUE_BYTES: usize = 6;
/// Digits of the number that ends every client ID.
const NAME_DIGITS: usize = 6;

/// Before and after a client ID, in the ordinary topics of this program.
const ORDINARY: (&str, &str) = ("devices/", "/cmd");

/// The client IDs of a run, and the topics of the clients. They all have its prefix, so that runs do not mix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    /// What a topic has before and after the client ID: nothing, if it is an inbox.
    around: (&'static str, &'static str),
}

/// What begins every payload, little-endian: the run's tag (2 bytes), stream (4), number (4), time (6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The stream (see [`crate::ledger`]).
    pub(crate) stream: u32,
    /// The place in its stream, from 0. No run sends 2^32 messages in one stream.
    pub(crate) number: u32,
    /// When it should have been sent, in nanoseconds of the run's clock: latencies count from here, so that a broker
    /// that stalls is charged for the messages that it kept from being sent (coordinated omission).
    pub(crate) due_ns: u64,
}

/// Publishes at QoS 1, with a bounded number of messages in flight.
#[derive(Debug)]
pub(crate) struct Publisher {
    tag: u16,
    head: Vec<u8>,
    /// What a topic has behind its number.
    topic_end: &'static str,
    /// Of MQTT 5.
    properties: Option<Template>,
    filler: Vec<u8>,
    /// What is in flight, by packet id less 1.
    in_flight: Vec<Option<Stamp>>,
    free: Vec<u16>,
}

impl Names {
    /// Names under `prefix`, which must be valid in a topic.
    pub(crate) fn new(prefix: &str) -> Self {
        Names {
            prefix: prefix.to_owned(),
            around: ("", ""),
        }
    }

    /// The same clients, with ordinary topics in the place of inboxes.
    pub(crate) fn ordinary(self) -> Self {
        Names {
            around: ORDINARY,
            ..self
        }
    }

    /// What a client subscribes to.
    pub(crate) fn topic(&self, client_id: &str) -> String {
        let (before, after) = self.around;
        [before, client_id, after].concat()
    }

    /// The client ID, and so the inbox topic, of a reader.
    pub(crate) fn reader(&self, index: usize) -> String {
        format!("{}r{index:0NAME_DIGITS$}", self.prefix)
    }

    /// The client ID of a publisher.
    pub(crate) fn publisher(&self, index: usize) -> String {
        format!("{}w{index:0NAME_DIGITS$}", self.prefix)
    }

    /// What tells payloads of this run from others (FNV-1a of the prefix, folded). Client IDs do so too; this is for a
    /// broker that mixes up topics.
    pub(crate) fn tag(&self) -> u16 {
        let hash = self.prefix.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        (hash ^ (hash >> 16)) as u16
    }
}

impl Stamp {
    /// Reads the stamp of a payload; `None` if it is not one of the run with this tag.
    pub(crate) fn decode(tag: u16, payload: &[u8]) -> Option<Self> {
        let (their_tag, rest) = payload.split_first_chunk()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (due, _) = rest.split_first_chunk::<DUE_BYTES>()?;
        let mut due_ns = [0; 8];
        due_ns.iter_mut().zip(due).for_each(|(to, from)| *to = *from);
        (u16::from_le_bytes(*their_tag) == tag).then_some(Stamp {
            stream: u32::from_le_bytes(*stream),
            number: u32::from_le_bytes(*number),
            due_ns: u64::from_le_bytes(due_ns),
        })
    }

    fn encode(self, tag: u16) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let fields = tag
            .to_le_bytes()
            .into_iter()
            .chain(self.stream.to_le_bytes())
            .chain(self.number.to_le_bytes())
            .chain(self.due_ns.to_le_bytes().into_iter().take(DUE_BYTES));
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }
}

impl Publisher {
    /// A publisher of payloads of `payload_bytes` bytes (at least [`STAMP_BYTES`]) with at most `window` in flight.
    pub(crate) fn new(names: &Names, payload_bytes: usize, window: u16) -> Self {
        let payload_bytes = payload_bytes.max(STAMP_BYTES);
        // Not all alike, so that a store that compresses is not flattered.
        let noise = std::iter::successors(Some(0x9E37_79B9_u32), |&x| {
            Some(x.wrapping_mul(1_664_525) ^ (x >> 7) ^ 0x55)
        });
        Publisher {
            tag: names.tag(),
            head: head(names, payload_bytes),
            topic_end: names.around.1,
            properties: None,
            filler: noise
                .map(|x| (x >> 16) as u8)
                .take(payload_bytes - STAMP_BYTES)
                .collect(),
            in_flight: vec![None; usize::from(window)],
            free: (1..=window).rev().collect(),
        }
    }

    /// The same with MQTT 5, for the publisher of this index, if its messages ask for something.
    pub(crate) fn asking(self, names: &Names, index: usize, asks: Option<Asks>) -> Self {
        let Some(asks) = asks else { return self };
        let properties = Template::new(asks, &names.publisher(index));
        Publisher {
            head: head(names, properties.len() + STAMP_BYTES + self.filler.len()),
            properties: Some(properties),
            ..self
        }
    }

    /// Whether another message may be sent now.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Appends a PUBLISH to the topic of reader `inbox`. False, and nothing done, if the window is full.
    pub(crate) fn publish(&mut self, out: &mut Vec<u8>, inbox: usize, stamp: Stamp) -> bool {
        let Some(packet_id) = self.free.pop() else { return false };
        if let Some(slot) = self.in_flight.get_mut(usize::from(packet_id) - 1) {
            *slot = Some(stamp);
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&digits(inbox));
        out.extend_from_slice(self.topic_end.as_bytes());
        out.extend_from_slice(&packet_id.to_be_bytes());
        if let Some(properties) = &self.properties {
            properties.put(out, stamp.number);
        }
        out.extend_from_slice(&stamp.encode(self.tag));
        out.extend_from_slice(&self.filler);
        true
    }

    /// Takes the PUBACK of `packet_id`: the message it is for, or `None` if there is none in flight with this id.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> Option<Stamp> {
        let stamp = self.in_flight.get_mut(usize::from(packet_id).checked_sub(1)?)?.take()?;
        self.free.push(packet_id);
        Some(stamp)
    }
}

/// A PUBLISH up to the number that ends its topic.
fn head(names: &Names, payload_bytes: usize) -> Vec<u8> {
    let (before, after) = names.around;
    let topic_head = format!("{before}{}r", names.prefix);
    packet::publish_head(&topic_head, NAME_DIGITS + after.len(), payload_bytes)
}

/// `number` in [`NAME_DIGITS`] decimal digits.
fn digits(mut number: usize) -> [u8; NAME_DIGITS] {
    let mut text = [b'0'; NAME_DIGITS];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Incoming, decode};

    /// Goal: with ordinary topics, publishers send to what readers subscribe to.
    #[test]
    fn a_publish_reaches_the_ordinary_topic_of_a_reader() {
        let names = Names::new("run").ordinary();
        let mut publisher = Publisher::new(&names, 64, 4);
        let stamp = Stamp {
            stream: 0,
            number: 0,
            due_ns: 0,
        };
        let mut out = Vec::new();
        assert!(publisher.publish(&mut out, 7, stamp));
        let topic = names.topic(&names.reader(7));
        assert_eq!(topic, "devices/runr000007/cmd");
        assert_eq!(out[4..4 + topic.len()], *topic.as_bytes());
        let (packet, used) = decode(&out).unwrap().unwrap();
        assert!(matches!(packet, Incoming::Publish { payload, .. } if payload.len() == 64));
        assert_eq!(used, out.len());
    }

    /// Goal: what the template writes is a whole PUBLISH to the reader's client ID, with its stamp and size.
    #[test]
    fn a_publish_reaches_the_named_inbox_with_its_stamp() {
        let names = Names::new("run");
        let mut publisher = Publisher::new(&names, 256, 4);
        let stamp = Stamp {
            stream: 7,
            number: 1 << 30,
            due_ns: 1 << 47,
        };
        let mut out = Vec::new();
        assert!(publisher.publish(&mut out, 42, stamp));
        let topic = names.topic(&names.reader(42));
        assert_eq!(topic, "runr000042");
        assert_eq!(out[5..5 + topic.len()], *topic.as_bytes());
        let (packet, used) = decode(&out).unwrap().unwrap();
        assert_eq!(used, out.len());
        let Incoming::Publish { packet_id: 1, payload } = packet else {
            panic!("{packet:?}")
        };
        assert_eq!(payload.len(), 256);
        assert_eq!(Stamp::decode(names.tag(), payload), Some(stamp));
        assert_eq!(Stamp::decode(Names::new("other").tag(), payload), None);
        assert_eq!(Stamp::decode(names.tag(), &payload[..STAMP_BYTES - 1]), None);
    }

    /// Goal: with MQTT 5 a publish is as whole, and its payload follows its properties.
    #[test]
    fn a_publish_that_asks_is_whole() {
        let names = Names::new("run");
        let mut publisher = Publisher::new(&names, 256, 1).asking(&names, 3, Some(Asks::Delivered));
        let (mut out, stamp) = (
            Vec::new(),
            Stamp {
                stream: 3,
                number: 9,
                due_ns: 5,
            },
        );
        assert!(publisher.publish(&mut out, 42, stamp));
        let (packet, used) = decode(&out).unwrap().unwrap();
        assert_eq!(used, out.len());
        let Incoming::Publish { payload, .. } = packet else {
            panic!("{packet:?}")
        };
        let (_, payload) = crate::asks::split(payload).unwrap();
        assert_eq!((payload.len(), Stamp::decode(names.tag(), payload)), (256, Some(stamp)));
    }

    /// Goal: never more than the window in flight, and a packet id is used again only after its PUBACK (MQTT-2.3.1-3).
    #[test]
    fn the_window_holds() {
        let mut publisher = Publisher::new(&Names::new("run"), STAMP_BYTES, 2);
        let stamp = |number| Stamp {
            stream: 0,
            number,
            due_ns: 0,
        };
        let mut out = Vec::new();
        assert!(publisher.publish(&mut out, 0, stamp(0)) && publisher.publish(&mut out, 0, stamp(1)));
        assert!(!publisher.has_room() && !publisher.publish(&mut out, 0, stamp(2)));
        assert_eq!(publisher.acknowledge(2), Some(stamp(1)));
        assert_eq!(
            (
                publisher.acknowledge(2),
                publisher.acknowledge(0),
                publisher.acknowledge(3)
            ),
            (None, None, None)
        );
        assert!(publisher.publish(&mut out, 0, stamp(2)));
        assert_eq!(publisher.acknowledge(1), Some(stamp(0)));
        assert_eq!(publisher.acknowledge(2), Some(stamp(2)));
        assert_eq!(publisher.free.len(), 2);
    }
}
