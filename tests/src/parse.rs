//! Reading what the broker sends. Anything that a server must not send fails the test.

use crate::build::{Version, property};

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// One, two or four bytes, or a variable byte integer.
    Number(u32),
    /// A string.
    Text(String),
    /// Binary data.
    Binary(Vec<u8>),
    /// A user property.
    Pair(String, String),
}

/// The properties of a packet, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(pub Vec<(u8, Value)>);

impl Properties {
    /// The number under `id`.
    pub fn number(&self, id: u8) -> Option<u32> {
        self.numbers(id).first().copied()
    }

    /// Every number under `id`: subscription identifiers may be several.
    pub fn numbers(&self, id: u8) -> Vec<u32> {
        let number = |(i, value): &(u8, Value)| match value {
            Value::Number(n) if *i == id => Some(*n),
            _ => None,
        };
        self.0.iter().filter_map(number).collect()
    }

    /// The string under `id`.
    pub fn text(&self, id: u8) -> Option<&str> {
        self.0.iter().find_map(|(i, value)| match value {
            Value::Text(text) if *i == id => Some(text.as_str()),
            _ => None,
        })
    }

    /// The binary data under `id`.
    pub fn binary(&self, id: u8) -> Option<&[u8]> {
        self.0.iter().find_map(|(i, value)| match value {
            Value::Binary(bytes) if *i == id => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Every user property, in order.
    pub fn users(&self) -> Vec<(&str, &str)> {
        let mut out = Vec::new();
        for (_, value) in &self.0 {
            if let Value::Pair(name, content) = value {
                out.push((name.as_str(), content.as_str()));
            }
        }
        out
    }

    /// The user property `name`; more than one of that name fails the test.
    pub fn user(&self, name: &str) -> Option<&str> {
        let all: Vec<_> = self.users().into_iter().filter(|(n, _)| *n == name).collect();
        assert!(
            all.len() <= 1,
            "user property {name:?} came {} times: {all:?}",
            all.len()
        );
        all.first().map(|(_, content)| *content)
    }

    /// The reason string.
    pub fn reason_string(&self) -> Option<&str> {
        self.text(property::REASON_STRING)
    }
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// Session present.
    pub session_present: bool,
    /// Reason code, or the return code of 3.1.1.
    pub code: u8,
    /// MQTT 5 properties.
    pub props: Properties,
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// DUP.
    pub dup: bool,
    /// QoS.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// Topic name; empty with a topic alias.
    pub topic: String,
    /// 0 for QoS 0.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub props: Properties,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Publish {
    /// The payload as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("the payload is text")
    }

    /// The user property `seq` as a number (contract rule 6).
    pub fn seq(&self) -> u64 {
        let seq = self
            .props
            .user("seq")
            .expect("a message from an inbox has user property seq");
        seq.parse().expect("seq is a decimal number")
    }
}

/// Which acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckKind {
    /// PUBACK.
    PubAck,
    /// PUBREC.
    PubRec,
    /// PUBREL.
    PubRel,
    /// PUBCOMP.
    PubComp,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Which.
    pub kind: AckKind,
    /// Packet identifier.
    pub packet_id: u16,
    /// Reason code; 0 where none was sent.
    pub reason: u8,
    /// MQTT 5 properties.
    pub props: Properties,
}

/// SUBACK and UNSUBACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Packet identifier.
    pub packet_id: u16,
    /// One code per filter; empty for a 3.1.1 UNSUBACK.
    pub codes: Vec<u8>,
    /// MQTT 5 properties.
    pub props: Properties,
}

/// What a server may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK.
    ConnAck(ConnAck),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    Ack(Ack),
    /// SUBACK.
    SubAck(SubAck),
    /// UNSUBACK.
    UnsubAck(SubAck),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT with its reason code.
    Disconnect(u8, Properties),
    /// AUTH with its reason code.
    Auth(u8, Properties),
}

impl Packet {
    /// Takes the first packet off `buf`, with its number of bytes; `None` when it is not complete.
    pub fn take(version: Version, buf: &[u8]) -> Option<(Packet, usize)> {
        let first = *buf.first()?;
        let (mut length, mut shift, mut at) = (0usize, 0, 1);
        loop {
            let byte = *buf.get(at)?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
            assert!(at <= 4, "the broker sent a remaining length of more than four bytes");
        }
        let body = buf.get(at..at + length)?;
        Some((parse(version, first, body), at + length))
    }
}

fn parse(version: Version, first: u8, body: &[u8]) -> Packet {
    let mut input = Input { rest: body, version };
    let flags = first & 0x0f;
    let expected_flags = if first >> 4 == 6 { 2 } else { 0 };
    assert!(
        first >> 4 == 3 || flags == expected_flags,
        "the broker sent wrong flags: first byte {first:#04x}"
    );
    let parsed = match first >> 4 {
        2 => Packet::ConnAck(ConnAck {
            session_present: input.byte() == 1,
            code: input.byte(),
            props: input.properties(),
        }),
        3 => publish(first, &mut input),
        kind @ 4..=7 => {
            let kind = match kind {
                4 => AckKind::PubAck,
                5 => AckKind::PubRec,
                6 => AckKind::PubRel,
                _ => AckKind::PubComp,
            };
            let packet_id = input.two();
            let reason = if input.rest.is_empty() { 0 } else { input.byte() };
            let props = if input.rest.is_empty() {
                Properties::default()
            } else {
                input.properties()
            };
            Packet::Ack(Ack {
                kind,
                packet_id,
                reason,
                props,
            })
        }
        9 => Packet::SubAck(codes(&mut input)),
        11 => Packet::UnsubAck(codes(&mut input)),
        13 => Packet::PingResp,
        14 => {
            assert_eq!(version, Version::V5, "an MQTT 3.1.1 server must not send DISCONNECT");
            let reason = if input.rest.is_empty() { 0 } else { input.byte() };
            let props = if input.rest.is_empty() {
                Properties::default()
            } else {
                input.properties()
            };
            Packet::Disconnect(reason, props)
        }
        15 => {
            assert_eq!(version, Version::V5, "MQTT 3.1.1 has no AUTH");
            Packet::Auth(input.byte(), input.properties())
        }
        other => panic!("the broker sent packet type {other}, which a server must not send here"),
    };
    assert!(
        input.rest.is_empty(),
        "{} bytes are left over after {parsed:?}",
        input.rest.len()
    );
    parsed
}

fn publish(first: u8, input: &mut Input<'_>) -> Packet {
    let qos = (first >> 1) & 3;
    assert!(qos < 3, "the broker sent QoS 3");
    let topic = input.text();
    let packet_id = if qos > 0 { input.two() } else { 0 };
    assert!(
        qos == 0 || packet_id != 0,
        "the broker sent packet identifier 0 (MQTT-2.2.1-3)"
    );
    let props = input.properties();
    let payload = std::mem::take(&mut input.rest).to_vec();
    let dup = first & 8 != 0;
    assert!(qos > 0 || !dup, "the broker set DUP on QoS 0 (MQTT-3.3.1-2)");
    Packet::Publish(Publish {
        dup,
        qos,
        retain: first & 1 != 0,
        topic,
        packet_id,
        props,
        payload,
    })
}

fn codes(input: &mut Input<'_>) -> SubAck {
    let packet_id = input.two();
    let props = input.properties();
    SubAck {
        packet_id,
        codes: std::mem::take(&mut input.rest).to_vec(),
        props,
    }
}

/// What is left of a packet's body.
struct Input<'a> {
    rest: &'a [u8],
    version: Version,
}

impl Input<'_> {
    fn take(&mut self, n: usize) -> &[u8] {
        assert!(
            n <= self.rest.len(),
            "the broker sent a packet that ends too early: {n} of {:?}",
            self.rest
        );
        let (head, tail) = self.rest.split_at(n);
        self.rest = tail;
        head
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn var(&mut self) -> u32 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn binary(&mut self) -> Vec<u8> {
        let n = self.two();
        self.take(usize::from(n)).to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.binary()).expect("the broker sends UTF-8 only")
    }

    /// MQTT 3.1.1 has none.
    fn properties(&mut self) -> Properties {
        if self.version == Version::V311 {
            return Properties::default();
        }
        let length = self.var() as usize;
        let mut list = Input {
            rest: self.take(length),
            version: Version::V5,
        };
        let mut out = Vec::new();
        while !list.rest.is_empty() {
            let id = list.byte();
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => Value::Number(u32::from(list.byte())),
                0x13 | 0x21 | 0x22 | 0x23 => Value::Number(u32::from(list.two())),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Number(u32::from_be_bytes(list.take(4).try_into().unwrap())),
                0x0b => Value::Number(list.var()),
                0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Value::Text(list.text()),
                0x09 | 0x16 => Value::Binary(list.binary()),
                0x26 => Value::Pair(list.text(), list.text()),
                other => panic!("the broker sent unknown property {other:#04x}"),
            };
            out.push((id, value));
        }
        Properties(out)
    }
}
