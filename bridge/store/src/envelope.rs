//! A message as bytes: what every engine on disk stores as a value.
//!
//! An envelope is one version byte, the message's size as four bytes, and a MessagePack array; `docs/storage-format.md` has it
//! to the byte. The size comes first so that an inbox can be counted without decoding its messages. Decoding is
//! strict: bytes that [`encode_into`] would not have written are an error, never a guess.
//!
//! Version 1, of storage formats 1 and 2, said by the system clock when a message expires. Such a message waits anew from the
//! beginning of the store that it is converted into: nobody knows how far the clock was right.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use inbox_types::{Age, ClientId, ClientIdError, Expiry, Message, Micros, PayloadFormat, Properties, Qos};

/// The version byte of what [`encode_into`] writes.
pub(crate) const ENVELOPE_VERSION: u8 = 2;
/// What formats 1 and 2 wrote.
const ENVELOPE_VERSION_1: u8 = 1;
/// The version byte and the size.
const HEADER_BYTES: usize = 5;
/// How the MessagePack of a [`Wire`] begins: an array of its nine fields.
const WIRE_MARKER: u8 = 0x99;
/// How that of a [`Wire1`] does: it has eight.
const WIRE_MARKER_1: u8 = 0x98;

/// Why bytes are not an envelope.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// There is not even a header.
    #[error("it has {0} bytes, and an envelope has more than {HEADER_BYTES}; it was cut off")]
    Short(usize),
    /// The version byte is not ours.
    #[error("its version byte is {0}, and this build reads {ENVELOPE_VERSION}; a newer build may read it")]
    Version(u8),
    /// The MessagePack is cut off or holds something else.
    #[error("its MessagePack is not a message of its version ({0})")]
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
    /// The size in front is not the size of the message.
    #[error("it says that its message counts {stated} bytes, and it counts {actual}")]
    Size {
        /// What the header says.
        stated: usize,
        /// What the message has.
        actual: usize,
    },
}

/// Appends the envelope of `message` to `out`.
pub(crate) fn encode_into(message: &Message, out: &mut Vec<u8>) {
    let size = u32::try_from(message.size());
    let Ok(size) = size else {
        unreachable!("an MQTT packet has at most 256 MiB (MQTT 5, section 2.1.4)")
    };
    out.push(ENVELOPE_VERSION);
    out.extend_from_slice(&size.to_be_bytes());
    let written = rmp_serde::encode::write(out, &Wire::from(message));
    assert!(
        written.is_ok(),
        "a message is made of types that MessagePack has, and a Vec takes every write"
    );
}

/// The [`Message::size`] of the message in `bytes`, which may be only the beginning of an envelope.
pub(crate) fn size(bytes: &[u8]) -> Result<usize, EnvelopeError> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(EnvelopeError::Short(bytes.len()));
    };
    let [version, a, b, c, d] = *header;
    match version {
        ENVELOPE_VERSION | ENVELOPE_VERSION_1 => Ok(u32::from_be_bytes([a, b, c, d]) as usize),
        _ => Err(EnvelopeError::Version(version)),
    }
}

/// Reads an envelope. The message owns its bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Message, EnvelopeError> {
    let stated = size(bytes)?;
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let is_first_version = bytes.first() == Some(&ENVELOPE_VERSION_1);
    let wire: Wire<'_> = match body.first() {
        Some(&WIRE_MARKER) if !is_first_version => rmp_serde::from_slice(body)?,
        Some(&WIRE_MARKER_1) if is_first_version => rmp_serde::from_slice::<Wire1<'_>>(body)?.into(),
        Some(&marker) => return Err(EnvelopeError::Marker(marker)),
        None => return Err(EnvelopeError::Short(bytes.len())),
    };
    // The payload is the last field and borrows from `body`, so what follows it is what follows the message.
    let trailing = body.as_ptr_range().end as usize - wire.payload.0.as_ptr_range().end as usize;
    if trailing != 0 {
        return Err(EnvelopeError::Trailing(trailing));
    }
    let message = Message::try_from(wire)?;
    match message.size() {
        actual if actual == stated => Ok(message),
        actual => Err(EnvelopeError::Size { stated, actual }),
    }
}

/// The fields of version 2, in their order. A change of any kind is a new version.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    from: &'a str,
    id: Option<&'a str>,
    at: u64,
    accepted: u64,
    lives: u64,
    interval: Option<u32>,
    qos: u8,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    payload: Bin<'a>,
}

/// The fields of version 1.
#[derive(Deserialize)]
struct Wire1<'a> {
    from: &'a str,
    id: Option<&'a str>,
    at: u64,
    expires_at: u64,
    expiry_is_publishers: bool,
    qos: u8,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    payload: Bin<'a>,
}

impl<'a> From<Wire1<'a>> for Wire<'a> {
    fn from(first: Wire1<'a>) -> Self {
        let lives = first.expires_at.saturating_sub(first.at);
        let seconds = u32::try_from(lives.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Wire {
            from: first.from,
            id: first.id,
            at: first.at,
            accepted: 0,
            lives,
            interval: first.expiry_is_publishers.then_some(seconds),
            qos: first.qos,
            properties: first.properties,
            payload: first.payload,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct WireProperties<'a> {
    #[serde(with = "payload_format")]
    payload_format: Option<PayloadFormat>,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    #[serde(borrow)]
    correlation_data: Option<Bin<'a>>,
    user: Vec<(&'a str, &'a str)>,
}

/// The payload format: `false` for none and `true` for UTF-8, as builds that knew only these wrote it, and the integer 0 for
/// the indicator 0.
mod payload_format {
    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    use inbox_types::PayloadFormat;

    pub(super) fn serialize<S: Serializer>(format: &Option<PayloadFormat>, serializer: S) -> Result<S::Ok, S::Error> {
        match format {
            None => serializer.serialize_bool(false),
            Some(PayloadFormat::Utf8) => serializer.serialize_bool(true),
            Some(PayloadFormat::Bytes) => serializer.serialize_u8(0),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PayloadFormat>, D::Error> {
        deserializer.deserialize_any(Said)
    }

    struct Said;

    impl Visitor<'_> for Said {
        type Value = Option<PayloadFormat>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("false, true or 0")
        }

        fn visit_bool<E: Error>(self, is_utf8: bool) -> Result<Self::Value, E> {
            Ok(is_utf8.then_some(PayloadFormat::Utf8))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            match value {
                0 => Ok(Some(PayloadFormat::Bytes)),
                _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
            }
        }
    }
}

/// Bytes as MessagePack's `bin`; serde alone would write an array of integers.
struct Bin<'a>(&'a [u8]);

impl Serialize for Bin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bin<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Bin)
    }
}

impl<'a> From<&'a Message> for Wire<'a> {
    fn from(message: &'a Message) -> Self {
        Wire {
            from: message.from.as_str(),
            id: message.id.as_deref(),
            at: message.at.0,
            accepted: message.expiry.accepted.0,
            lives: message.expiry.lives,
            interval: message.expiry.interval,
            qos: message.qos as u8,
            properties: message.properties.as_deref().map(|p| WireProperties {
                payload_format: p.payload_format,
                content_type: p.content_type.as_deref(),
                response_topic: p.response_topic.as_deref(),
                correlation_data: p.correlation_data.as_deref().map(Bin),
                user: p.user.iter().map(|(name, value)| (&**name, &**value)).collect(),
            }),
            payload: Bin(&message.payload),
        }
    }
}

impl TryFrom<Wire<'_>> for Message {
    type Error = EnvelopeError;

    fn try_from(wire: Wire<'_>) -> Result<Self, EnvelopeError> {
        Ok(Message {
            from: ClientId::new(wire.from)?,
            id: wire.id.map(Into::into),
            at: Micros(wire.at),
            expiry: Expiry {
                accepted: Age(wire.accepted),
                lives: wire.lives,
                interval: wire.interval,
            },
            qos: Qos::from_u8(wire.qos).ok_or(EnvelopeError::Qos(wire.qos))?,
            payload: Bytes::copy_from_slice(wire.payload.0),
            properties: wire.properties.map(|p| {
                Box::new(Properties {
                    payload_format: p.payload_format,
                    content_type: p.content_type.map(Into::into),
                    response_topic: p.response_topic.map(Into::into),
                    correlation_data: p.correlation_data.map(|data| Bytes::copy_from_slice(data.0)),
                    user: p
                        .user
                        .into_iter()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                })
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        encode_into(message, &mut out);
        out
    }

    fn plain(payload: &'static [u8]) -> Message {
        Message {
            from: ClientId::new("alice").unwrap(),
            id: None,
            at: Micros(1),
            expiry: Expiry {
                accepted: Age(2),
                lives: 3,
                interval: None,
            },
            qos: Qos::AtLeastOnce,
            payload: Bytes::from_static(payload),
            properties: None,
        }
    }

    prop_compose! {
        fn any_properties()(
            payload_format in proptest::option::of(prop_oneof![Just(PayloadFormat::Bytes), Just(PayloadFormat::Utf8)]),
            content_type in proptest::option::of("[a-zä]{0,20}"),
            response_topic in proptest::option::of("[a-z/]{0,20}"),
            correlation_data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            user in proptest::collection::vec((".{0,20}", ".{0,300}"), 0..20),
        ) -> Properties {
            Properties {
                payload_format,
                content_type: content_type.map(Into::into),
                response_topic: response_topic.map(Into::into),
                correlation_data: correlation_data.map(Into::into),
                user: user.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            }
        }
    }

    prop_compose! {
        fn any_message()(
            from in "[a-zA-Z0-9ß]{1,40}",
            id in proptest::option::of(".{0,40}"),
            at: u64,
            accepted: u64,
            lives: u64,
            interval: Option<u32>,
            qos in 0u8..3,
            payload in proptest::collection::vec(any::<u8>(), 0..600),
            properties in proptest::option::of(any_properties()),
        ) -> Message {
            Message {
                from: ClientId::new(&from).unwrap(),
                id: id.map(Into::into),
                at: Micros(at),
                expiry: Expiry {
                    accepted: Age(accepted),
                    lives,
                    interval,
                },
                qos: Qos::from_u8(qos).unwrap(),
                payload: payload.into(),
                properties: properties.map(Box::new),
            }
        }
    }

    proptest! {
        /// Goal: what goes in comes out, and nothing shorter, longer or of another version is taken for it.
        #[test]
        fn an_envelope_is_read_back_whole_or_not_at_all(message in any_message()) {
            let bytes = bytes_of(&message);
            prop_assert_eq!(size(&bytes).unwrap(), message.size());
            prop_assert_eq!(&decode(&bytes).unwrap(), &message);
            for cut in 0..bytes.len() {
                prop_assert!(decode(&bytes[..cut]).is_err(), "cut at {}", cut);
            }
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert!(matches!(decode(&longer), Err(EnvelopeError::Trailing(1))));
        }

        /// Goal: foreign bytes are an error, not a panic.
        #[test]
        fn foreign_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), near in any::<bool>()) {
            if near && bytes.len() > 6 {
                bytes[0] = ENVELOPE_VERSION;
                bytes[5] = WIRE_MARKER;
            }
            prop_assert!(decode(&bytes).is_err());
        }
    }

    /// Goal: version 2 is these bytes and no others; a build that writes different ones must say a different version.
    #[test]
    fn version_2_is_these_bytes() {
        let mut expected = vec![2, 0, 0, 0, 2, 0x99, 0xa5];
        expected.extend_from_slice(b"alice");
        expected.extend_from_slice(&[0xc0, 1, 2, 3, 0xc0, 1, 0xc0, 0xc4, 2, b'h', b'i']);
        assert_eq!(bytes_of(&plain(b"hi")), expected);
        let mut timed = plain(b"hi");
        timed.expiry.interval = Some(0);
        expected[16] = 0;
        assert_eq!(bytes_of(&timed), expected);
    }

    /// Goal: what formats 1 and 2 hold is read, and waits anew for as long as it was to wait in all; what a publisher asked for is
    /// told again.
    #[test]
    fn version_1_is_read_and_waits_anew() {
        for (asked, interval) in [(0xc2, None), (0xc3, Some(2))] {
            let mut bytes = vec![1, 0, 0, 0, 2, 0x98, 0xa5];
            bytes.extend_from_slice(b"alice");
            // Accepted at 1, expiring at 1,500,001.
            bytes.extend_from_slice(&[
                0xc0, 1, 0xce, 0x00, 0x16, 0xe3, 0x61, asked, 1, 0xc0, 0xc4, 2, b'h', b'i',
            ]);
            let mut message = plain(b"hi");
            message.expiry = Expiry {
                accepted: Age(0),
                lives: 1_500_000,
                interval,
            };
            assert_eq!(decode(&bytes).unwrap(), message);
            // Neither version is read as the other.
            bytes[0] = 2;
            assert!(matches!(decode(&bytes), Err(EnvelopeError::Marker(0x98))));
        }
    }

    /// Goal: a payload format indicator of 0 is kept apart from none (MQTT-3.3.2-4), and what earlier builds wrote is read as
    /// they meant it.
    #[test]
    fn each_payload_format_has_its_byte() {
        for (payload_format, byte) in [
            (None, 0xc2),
            (Some(PayloadFormat::Utf8), 0xc3),
            (Some(PayloadFormat::Bytes), 0),
        ] {
            let message = Message {
                properties: Some(Box::new(Properties {
                    payload_format,
                    ..Properties::default()
                })),
                ..plain(b"hi")
            };
            let mut expected = vec![2, 0, 0, 0, 2, 0x99, 0xa5];
            expected.extend_from_slice(b"alice");
            expected.extend_from_slice(&[
                0xc0, 1, 2, 3, 0xc0, 1, 0x95, byte, 0xc0, 0xc0, 0xc0, 0x90, 0xc4, 2, b'h', b'i',
            ]);
            assert_eq!(bytes_of(&message), expected);
            assert_eq!(decode(&expected).unwrap(), message);
        }
    }

    /// Goal: each kind of damage is named.
    #[test]
    fn damage_is_named() {
        let good = bytes_of(&plain(b"hi"));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decode(&bytes).unwrap_err()
        };
        assert!(matches!(with(0, 3), EnvelopeError::Version(3)));
        assert!(matches!(with(4, 3), EnvelopeError::Size { stated: 3, actual: 2 }));
        assert!(matches!(with(5, 0x88), EnvelopeError::Marker(0x88)));
        assert!(matches!(with(7, 0), EnvelopeError::From(ClientIdError::Nul)));
        assert!(matches!(with(7, 0xff), EnvelopeError::Encoding(_)));
        assert!(matches!(with(17, 3), EnvelopeError::Qos(3)));
        assert!(matches!(decode(&[2, 0]), Err(EnvelopeError::Short(2))));
        assert!(matches!(decode(&good[..5]), Err(EnvelopeError::Short(5))));
    }

    /// Goal: an empty payload is a message like any other (contract rule 1).
    #[test]
    fn an_empty_payload_is_kept() {
        let message = plain(b"");
        assert_eq!(decode(&bytes_of(&message)).unwrap(), message);
    }
}
