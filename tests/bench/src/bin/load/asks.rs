//! What MQTT 5 adds here: messages that ask the broker for something, what it tells their senders then, and how readers say what they read.
//!
//! The properties of all messages of a publisher are alike but for the `id`, so they are made once.

use clap::ValueEnum;
use serde::Serialize;

use crate::packet::{read_u16, remaining_length, string};

/// Digits of an `id`.
const ID_DIGITS: usize = 8;
const USER: u8 = 0x26;
const RESPONSE_TOPIC: u8 = 0x08;
/// Where applications say what they read (docs/protocol.md).
const READ_TOPIC: &str = "$inbox/read";

/// What every message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asks {
    /// Nothing
    Nothing,
    /// To be known again by its `id`
    Id,
    /// That, and a receipt when it is delivered; senders receive and acknowledge these
    Delivered,
    /// That, and another one when it is read; readers say so of all that they have, one request at a time
    Read,
}

/// The properties of a publisher's messages, with their length before them.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the `id` is.
    id_at: Option<usize>,
}

impl Asks {
    /// How many receipts there are for a message.
    pub(crate) fn receipts(self) -> u64 {
        match self {
            Asks::Nothing | Asks::Id => 0,
            Asks::Delivered => 1,
            Asks::Read => 2,
        }
    }
}

impl Template {
    /// Of the messages of client `own`.
    pub(crate) fn new(asks: Asks, own: &str) -> Self {
        let mut properties = Vec::new();
        let mut user = |name: &str, value: &str| {
            properties.push(USER);
            string(&mut properties, name);
            string(&mut properties, value);
            properties.len()
        };
        let id_ends = (asks != Asks::Nothing).then(|| user("id", &"0".repeat(ID_DIGITS)));
        match asks {
            Asks::Nothing | Asks::Id => {}
            Asks::Delivered => _ = user("receipt", "delivered"),
            Asks::Read => _ = user("receipt", "delivered,read"),
        }
        if asks.receipts() > 0 {
            properties.push(RESPONSE_TOPIC);
            string(&mut properties, own);
        }
        let mut bytes = Vec::new();
        remaining_length(&mut bytes, properties.len());
        let id_at = id_ends.map(|end| bytes.len() + end - ID_DIGITS);
        bytes.append(&mut properties);
        Template { bytes, id_at }
    }

    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the properties of message `number`.
    pub(crate) fn put(&self, out: &mut Vec<u8>, number: u32) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        let id = self
            .id_at
            .and_then(|at| out.get_mut(begin + at..)?.first_chunk_mut::<ID_DIGITS>());
        for (at, digit) in id.into_iter().flatten().rev().enumerate() {
            let value = (number >> (4 * at) & 15) as u8;
            *digit = if value < 10 { b'0' + value } else { b'a' - 10 + value };
        }
    }
}

/// The payload, and the seq if there is one, of a PUBLISH whose properties were not looked at yet. `None` if they are broken.
pub(crate) fn split(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let (mut properties, payload) = cut(bytes)?;
    let mut seq = None;
    while let Some((&kind, rest)) = properties.split_first() {
        properties = match kind {
            USER => {
                let (name, rest) = text(rest)?;
                let (value, rest) = text(rest)?;
                if name == b"seq" {
                    seq = str::from_utf8(value).ok()?.parse().ok();
                }
                rest
            }
            0x01 => rest.get(1..)?,
            0x23 => rest.get(2..)?,
            0x02 => rest.get(4..)?,
            // A variable byte integer.
            0x0B => rest.get(rest.iter().position(|byte| byte & 0x80 == 0)? + 1..)?,
            _ => text(rest)?.1,
        };
    }
    Some((seq, payload))
}

/// How many receipts a message from the broker tells: each is an object, in one object. No name here has a brace.
pub(crate) fn receipts_in(payload: &[u8]) -> u64 {
    let ends = payload.iter().filter(|byte| **byte == b'}').count() as u64;
    ends.saturating_sub(1)
}

/// Appends what says that all messages up to this seq were read.
pub(crate) fn say_read(out: &mut Vec<u8>, up_to: u64) {
    let payload = format!("{{\"up_to\":{up_to}}}");
    out.push(0x32);
    remaining_length(out, 2 + READ_TOPIC.len() + 2 + 1 + payload.len());
    string(out, READ_TOPIC);
    // One at a time, so its packet id is always 1; and no properties.
    out.extend_from_slice(&[0, 1, 0]);
    out.extend_from_slice(payload.as_bytes());
}

/// Properties, and what follows them.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    let (length, rest) = bytes.split_at(digits);
    let length = length
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    rest.split_at_checked(length)
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = read_u16(bytes)?;
    rest.split_at_checked(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the properties say what was asked for, each message with its own id, and are read as they are written.
    #[test]
    fn properties_are_written_and_passed_over() {
        for (asks, properties) in [
            (Asks::Nothing, String::new()),
            (Asks::Id, "&\0\x02id\0\x0800000abc".to_owned()),
            (
                Asks::Read,
                "&\0\x02id\0\x0800000abc&\0\x07receipt\0\x0edelivered,read\x08\0\x05alice".to_owned(),
            ),
        ] {
            let template = Template::new(asks, "alice");
            let mut out = b"before".to_vec();
            template.put(&mut out, 0xABC);
            assert_eq!(out.len(), 6 + template.len());
            assert_eq!(usize::from(out[6]), properties.len());
            assert_eq!(&out[7..], properties.as_bytes());
            out.extend_from_slice(b"payload");
            assert_eq!(split(&out[6..]), Some((None, &b"payload"[..])));
        }
    }

    /// Goal: a reader finds the seq among what the broker says, and broken properties are no payload.
    #[test]
    fn the_seq_is_found() {
        let properties = b"\x02\0\0\0\x09\x0B\x81\x01&\0\x02id\0\x01a&\0\x03seq\0\x0217\x03\0\x01t";
        let mut bytes = vec![properties.len() as u8];
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(b"xy");
        assert_eq!(split(&bytes), Some((Some(17), &b"xy"[..])));
        assert_eq!(split(&bytes[..9]), None);
        assert_eq!(split(&[]), None);
    }

    /// Goal: receipts are counted, however many are in one message.
    #[test]
    fn receipts_are_counted() {
        assert_eq!(
            receipts_in(br#"{"notice":"receipt","receipts":[{"id":"a"},{"id":"b"}]}"#),
            2
        );
        assert_eq!(receipts_in(b""), 0);
        let mut out = Vec::new();
        say_read(&mut out, 42);
        assert_eq!(out, *b"2\x1c\0\x0b$inbox/read\0\x01\0{\"up_to\":42}");
    }
}
