//! Tests of envelopes.

use inbox_types::{PayloadFormat, Properties};
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
        expiry: Expiry::of(Age(2), 3, None),
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
            expiry: Expiry::of(Age(accepted), lives, interval),
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
    timed.expiry = Expiry::of(timed.expiry.accepted(), timed.expiry.lives(), Some(0));
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
        message.expiry = Expiry::of(Age(0), 1_500_000, interval);
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
