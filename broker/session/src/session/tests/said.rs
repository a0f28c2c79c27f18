//! What a session said, read back by rules of its own: the codec under test decodes only what clients send.

use super::{V5, Version};

/// A packet of the broker. Reason strings are there when they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    ConnAck {
        present: bool,
        reason: u8,
    },
    Publish(Published),
    /// The first byte tells which acknowledgement.
    Ack {
        first: u8,
        id: u16,
        reason: u8,
        why: Option<String>,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
        why: Option<String>,
    },
    UnsubAck {
        id: u16,
        codes: Vec<u8>,
    },
    PingResp,
    Disconnect {
        reason: u8,
        why: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Published {
    pub(super) dup: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) topic: String,
    /// 0 with QoS 0.
    pub(super) id: u16,
    pub(super) expiry: Option<u32>,
    pub(super) alias: Option<u16>,
    pub(super) subscription_ids: Vec<u8>,
    pub(super) user: Vec<(String, String)>,
    pub(super) text: String,
}

impl Said {
    /// A bare acknowledgement of success.
    pub(super) fn ack(first: u8, id: u16) -> Said {
        Said::Ack {
            first,
            id,
            reason: 0,
            why: None,
        }
    }
}

/// The messages in `said`.
pub(super) fn messages(said: &[Said]) -> Vec<Published> {
    let publish = |said: &Said| {
        if let Said::Publish(publish) = said {
            Some(publish.clone())
        } else {
            None
        }
    };
    said.iter().filter_map(publish).collect()
}

/// The payloads of the messages in `said`.
pub(super) fn texts(said: &[Said]) -> Vec<String> {
    messages(said).into_iter().map(|message| message.text).collect()
}

/// Reads all packets in `out`.
pub(super) fn said(version: Version, out: &[u8]) -> Vec<Said> {
    let mut reader = Reader(out);
    let mut all = Vec::new();
    while !reader.0.is_empty() {
        let first = reader.u8();
        let length = reader.variable();
        let body = Reader(reader.take(length));
        all.push(one(version, first, body));
    }
    all
}

fn one(version: Version, first: u8, mut body: Reader<'_>) -> Said {
    let is_v5 = version == V5;
    match first >> 4 {
        2 => Said::ConnAck {
            present: body.u8() == 1,
            reason: body.u8(),
        },
        3 => publish(is_v5, first, body),
        4..=7 => {
            let id = body.u16();
            let reason = if body.0.is_empty() { 0 } else { body.u8() };
            let why = if body.0.is_empty() { None } else { body.properties().why };
            assert!(is_v5 || (reason, &why) == (0, &None), "MQTT 3.1.1 has no reasons");
            Said::Ack { first, id, reason, why }
        }
        9 => {
            let id = body.u16();
            let why = if is_v5 { body.properties().why } else { None };
            Said::SubAck {
                id,
                codes: body.0.to_vec(),
                why,
            }
        }
        11 => {
            let id = body.u16();
            if is_v5 {
                body.properties();
            }
            Said::UnsubAck {
                id,
                codes: body.0.to_vec(),
            }
        }
        13 => Said::PingResp,
        14 => {
            let reason = if body.0.is_empty() { 0 } else { body.u8() };
            let why = if body.0.is_empty() { None } else { body.properties().why };
            Said::Disconnect { reason, why }
        }
        other => panic!("a broker does not send packets of type {other}"),
    }
}

fn publish(is_v5: bool, first: u8, mut body: Reader<'_>) -> Said {
    let qos = (first >> 1) & 3;
    let topic = body.string();
    let id = if qos > 0 { body.u16() } else { 0 };
    let properties = if is_v5 {
        body.properties()
    } else {
        Properties::default()
    };
    Said::Publish(Published {
        dup: first & 8 != 0,
        qos,
        retain: first & 1 != 0,
        topic,
        id,
        expiry: properties.expiry,
        alias: properties.alias,
        subscription_ids: properties.subscription_ids,
        user: properties.user,
        text: String::from_utf8_lossy(body.0).into_owned(),
    })
}

#[derive(Default)]
struct Properties {
    why: Option<String>,
    expiry: Option<u32>,
    alias: Option<u16>,
    subscription_ids: Vec<u8>,
    user: Vec<(String, String)>,
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn string(&mut self) -> String {
        let length = self.u16();
        String::from_utf8(self.take(usize::from(length)).to_vec()).unwrap()
    }

    fn variable(&mut self) -> usize {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8();
            value |= usize::from(byte & 127) << shift;
            if byte < 128 {
                return value;
            }
        }
        panic!("a variable byte integer has at most four bytes")
    }

    fn properties(&mut self) -> Properties {
        let length = self.variable();
        let mut block = Reader(self.take(length));
        let mut read = Properties::default();
        while !block.0.is_empty() {
            match block.u8() {
                0x01 => drop(block.u8()),
                0x02 => read.expiry = Some(u32::from_be_bytes(block.take(4).try_into().unwrap())),
                0x0B => read.subscription_ids.push(block.u8()),
                0x03 | 0x08 | 0x09 => drop(block.string()),
                0x1F => read.why = Some(block.string()),
                0x23 => read.alias = Some(block.u16()),
                0x26 => read.user.push((block.string(), block.string())),
                other => panic!("property {other:#04x} is not expected here"),
            }
        }
        read
    }
}
