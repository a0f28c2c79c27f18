//! A retained message as a record of a store: what `docs/storage-format.md` says of table 6.
//!
//! One version byte, and a MessagePack array. Decoding is strict: bytes that [`encode`] would not have written are an error, never a guess.

use std::sync::Arc;

use bytes::Bytes;
use inbox_types::wire::{Bin, WireExpiry, WireProperties};
use inbox_types::{ClientId, ClientIdError, Expiry, MemoryBudget, Properties, Qos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::OrdinaryMessage;

/// The version byte of what [`encode`] writes.
const VERSION: u8 = 1;
/// How the MessagePack of a [`Wire`] begins: an array of its six fields.
const MARKER: u8 = 0x96;
/// A topic of so many bytes is its own key. A longer one is known by its hash: keys are short in every store.
const PLAIN_KEY_BYTES_MAX: usize = 512;
/// How the key of a longer topic begins. No topic holds it (MQTT-4.7.3-2).
const HASHED: u8 = 0;

/// Why a record is not a retained message.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// There is not even a version.
    #[error("the record is empty")]
    Empty,
    /// The version byte is not ours.
    #[error("its version byte is {0}, and this build reads {VERSION}; a newer build may read it")]
    Version(u8),
    /// The MessagePack is cut off or holds something else.
    #[error("its MessagePack is not a retained message ({0})")]
    Encoding(#[from] rmp_serde::decode::Error),
    /// It does not begin as its version does.
    #[error("its MessagePack begins with {0:#04x} and not with the array of a message")]
    Marker(u8),
    /// Bytes follow the message.
    #[error("{0} bytes follow the message; it was overwritten or put together wrongly")]
    Trailing(usize),
    /// The sender is not a client ID.
    #[error("its sender is not a client ID ({0})")]
    From(#[from] ClientIdError),
    /// No such QoS.
    #[error("its QoS is {0}, and there are 0, 1 and 2")]
    Qos(u8),
    /// The topic is not one under which anything is retained.
    #[error("its topic is not one of a client's message: it is empty, or has a wildcard or a NUL, or begins with $")]
    Topic,
    /// It is under the key of another topic.
    #[error("its key is not that of its topic")]
    Key,
}

/// The key under which the message of `topic` is kept.
pub(crate) fn key(topic: &str) -> Bytes {
    if topic.len() <= PLAIN_KEY_BYTES_MAX {
        return Bytes::copy_from_slice(topic.as_bytes());
    }
    let mut key = vec![HASHED];
    key.extend_from_slice(&Sha256::digest(topic.as_bytes()));
    key.into()
}

/// The record of `message`.
pub(crate) fn encode(message: &OrdinaryMessage) -> Bytes {
    let mut out = Vec::with_capacity(message.size() + 64);
    out.push(VERSION);
    let wire = Wire {
        topic: &message.topic,
        from: message.from.as_str(),
        expiry: message.expiry.map(WireExpiry::from),
        qos: message.qos as u8,
        properties: message.properties.as_deref().map(WireProperties::from),
        payload: Bin(&message.payload),
    };
    let written = rmp_serde::encode::write(&mut out, &wire);
    assert!(
        written.is_ok(),
        "a message is made of types that MessagePack has, and a Vec takes every write"
    );
    out.into()
}

/// Reads the record that was found under `key`. The message owns its bytes, which count against `budget`.
pub(crate) fn decode(
    key: &[u8],
    record: &[u8],
    budget: Option<&Arc<MemoryBudget>>,
) -> Result<OrdinaryMessage, Damaged> {
    let (version, body) = record.split_first().ok_or(Damaged::Empty)?;
    if *version != VERSION {
        return Err(Damaged::Version(*version));
    }
    match body.first() {
        Some(&MARKER) => {}
        Some(&marker) => return Err(Damaged::Marker(marker)),
        None => return Err(Damaged::Empty),
    }
    let wire: Wire<'_> = rmp_serde::from_slice(body)?;
    // The payload is the last field and borrows from `body`, so what follows it is what follows the message.
    let trailing = body.as_ptr_range().end as usize - wire.payload.0.as_ptr_range().end as usize;
    if trailing != 0 {
        return Err(Damaged::Trailing(trailing));
    }
    if wire.topic.is_empty() || wire.topic.starts_with('$') || wire.topic.contains(['+', '#', '\0']) {
        return Err(Damaged::Topic);
    }
    if self::key(wire.topic) != key {
        return Err(Damaged::Key);
    }
    Ok(OrdinaryMessage {
        topic: wire.topic.into(),
        retain: true,
        qos: Qos::from_u8(wire.qos).ok_or(Damaged::Qos(wire.qos))?,
        from: ClientId::new(wire.from)?,
        expiry: wire.expiry.map(Expiry::from),
        payload: match budget {
            Some(budget) => budget.payload(wire.payload.0),
            None => Bytes::copy_from_slice(wire.payload.0),
        },
        properties: wire.properties.map(|properties| Box::new(Properties::from(properties))),
    })
}

/// The fields of version 1, in their order. A change of any kind is a new version.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    topic: &'a str,
    from: &'a str,
    expiry: Option<WireExpiry>,
    qos: u8,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    payload: Bin<'a>,
}

#[cfg(test)]
mod tests {
    use inbox_types::{Age, PayloadFormat};
    use proptest::prelude::*;

    use super::*;

    fn some_message() -> impl Strategy<Value = OrdinaryMessage> {
        let expiry = prop::option::of((any::<u64>(), any::<u64>(), any::<Option<u32>>()));
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        let said = prop::option::of((any::<Option<bool>>(), any::<Option<Vec<u8>>>(), ".{0,9}", ".{0,9}"));
        ("[a-é/]{1,600}", "[a-z]{1,20}", 0..3_u8, expiry, payload, said).prop_map(
            |(topic, from, qos, expiry, payload, said)| OrdinaryMessage {
                topic: topic.into(),
                retain: true,
                qos: Qos::from_u8(qos).unwrap(),
                from: ClientId::new(from.as_str()).unwrap(),
                expiry: expiry.map(|(accepted, lives, interval)| Expiry::of(Age(accepted), lives, interval)),
                payload: payload.into(),
                properties: said.map(|(utf8, data, name, value)| {
                    let format = |utf8| {
                        if utf8 {
                            PayloadFormat::Utf8
                        } else {
                            PayloadFormat::Bytes
                        }
                    };
                    Box::new(Properties {
                        payload_format: utf8.map(format),
                        correlation_data: data.map(Bytes::from),
                        content_type: Some(value.as_str().into()),
                        user: vec![(name.as_str().into(), value.as_str().into())],
                        ..Properties::default()
                    })
                }),
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(message in some_message()) {
            // Goal: every field comes back, under a key that every store takes; a cut or longer record is an error.
            let (key, record) = (key(&message.topic), encode(&message));
            prop_assert!(key.len() <= PLAIN_KEY_BYTES_MAX);
            prop_assert_eq!(&decode(&key, &record, None).unwrap(), &message);
            prop_assert!(decode(&key, &record[..record.len() - 1], None).is_err());
            prop_assert!(decode(&key, &[&record[..], b"x"].concat(), None).is_err());
            prop_assert!(matches!(decode(b"another", &record, None), Err(Damaged::Key)));
        }

        #[test]
        fn bytes_that_are_no_record_are_an_error(
            message in some_message(), noise in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            // Goal: nothing panics, and what is read after all is what would be written again.
            let _ = decode(&noise, &noise, None);
            let _ = decode(b"a/b", &[&[VERSION, MARKER][..], &noise].concat(), None);
            let (key, mut record) = (key(&message.topic), encode(&message).to_vec());
            let at = at.index(record.len());
            record[at] = byte;
            if let Ok(read) = decode(&key, &record, None) {
                prop_assert_eq!(&decode(&key, &encode(&read), None).unwrap(), &read);
            }
        }
    }

    #[test]
    fn a_long_topic_has_a_key_that_no_topic_is() {
        // Goal: the longest topic of MQTT fits, and two long topics have two keys.
        let long = "x/".repeat(32_000);
        assert_eq!((key(&long).len(), key(&long)[0]), (33, 0));
        assert_ne!(key(&long), key(&long[1..]));
        assert_eq!(key("a/b"), &b"a/b"[..]);
    }

    #[test]
    fn records_of_the_brokers_own_topics_are_no_messages_of_clients() {
        // Goal: what could only have been put there by mistake is not published to anyone.
        for topic in ["$SYS/x", "a/+", "#"] {
            let mut message = crate::tests::message(topic, "x");
            message.retain = true;
            let record = encode(&message);
            assert!(matches!(decode(topic.as_bytes(), &record, None), Err(Damaged::Topic)));
        }
    }
}
