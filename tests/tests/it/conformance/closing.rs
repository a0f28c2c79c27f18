//! What ends a connection, and with which word: malformed packets and protocol errors after CONNECT.

mod properties;

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, packet, property, string, subscribe};

use super::{BAD_STRINGS, ODD_STRINGS, last_word};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const BOTH: &[Version] = &Version::BOTH;
const V5: &[Version] = &[Version::V5];
const V311: &[Version] = &[Version::V311];

/// Sends each row over a connection of its own: MQTT 5 is told the reason, MQTT 3.1.1 sees the close, and somebody else is served.
fn check(rows: &[(&str, &[Version], Vec<u8>, u8)]) {
    let broker = Broker::start();
    let mut witness = RawClient::clean(&broker, Version::V5, "witness");
    for (what, versions, bytes, reason) in rows {
        for &version in *versions {
            let expected = (version == Version::V5).then_some(*reason);
            assert_eq!(
                last_word(&broker, version, bytes),
                expected,
                "{what}, {version:?}: {bytes:02x?}"
            );
            witness.ping();
        }
    }
}

/// A SUBSCRIBE of MQTT 5 with these properties and this payload.
fn subscribe_5(props: &Props, payload: &[u8]) -> Vec<u8> {
    packet(0x82, &[&[0, 1][..], &props.encode(), payload].concat())
}

fn publish_5(topic: &str, props: Props) -> Vec<u8> {
    PublishPacket::new(topic, "x", 1, 1).props(props).encode(Version::V5)
}

/// An acknowledgement of MQTT 5 with a reason.
fn ack_5(first: u8, reason: u8) -> Vec<u8> {
    packet(first, &[0, 1, reason])
}

#[test]
fn reserved_types_and_flags_are_malformed() {
    // Goal: MQTT-2.1.3-1, MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1, MQTT-3.14.1-1, MQTT-3.15.1-1, MQTT-3.3.1-2,
    // MQTT-3.3.1-4, MQTT-4.3.1-1, MQTT-2.2.2-1 of 3.1.1, MQTT-2.2.2-2 of 3.1.1, MQTT-3.6.1-1 of 3.1.1,
    // MQTT-3.8.1-1 of 3.1.1, MQTT-3.10.1-1 of 3.1.1, MQTT-3.14.1-1 of 3.1.1, MQTT-3.3.1-2 of 3.1.1,
    // MQTT-3.3.1-4 of 3.1.1, MQTT-4.8.0-1 of 3.1.1: each wrong flag of each packet type.
    let mut rows = vec![
        ("type 0", BOTH, vec![0x00, 0], MALFORMED),
        ("type 15", V311, vec![0xf0, 0], MALFORMED),
    ];
    for flag in [1, 2, 4, 8] {
        for first in [0x40, 0x50, 0x70] {
            rows.push(("acknowledgement", BOTH, vec![first | flag, 2, 0, 1], MALFORMED));
        }
        for first in [0x62_u8, 0x82, 0xa2] {
            let body = if first == 0x62 {
                vec![0, 1]
            } else {
                [&[0, 1][..], &string("a/b")].concat()
            };
            rows.push((
                "PUBREL, SUBSCRIBE, UNSUBSCRIBE",
                BOTH,
                packet(first ^ flag, &body),
                MALFORMED,
            ));
        }
        rows.push(("PINGREQ", BOTH, vec![0xc0 | flag, 0], MALFORMED));
        rows.push(("DISCONNECT", BOTH, vec![0xe0 | flag, 0], MALFORMED));
        rows.push(("AUTH", V5, vec![0xf0 | flag, 0], MALFORMED));
    }
    for &version in BOTH {
        let versions = if version == Version::V5 { V5 } else { V311 };
        let qos_3 = PublishPacket::new("a/b", "x", 3, 1);
        rows.push(("QoS 3", versions, qos_3.encode(version), MALFORMED));
        rows.push(("QoS 3 with DUP", versions, qos_3.dup().encode(version), MALFORMED));
        let dup = PublishPacket::new("a/b", "x", 0, 0).dup();
        rows.push(("DUP with QoS 0", versions, dup.encode(version), MALFORMED));
    }
    check(&rows);
}

#[test]
fn packets_that_a_client_must_not_send_break_the_protocol() {
    // Goal: MQTT-3.1.0-2, MQTT-4.12.0-7, MQTT-3.1.0-2 of 3.1.1: a second CONNECT, what only servers send, and AUTH
    // that nobody began.
    let mut rows = vec![
        (
            "CONNECT again",
            V311,
            Connect::new(Version::V311, "rude").encode(),
            PROTOCOL,
        ),
        (
            "CONNECT again",
            V5,
            Connect::new(Version::V5, "rude").encode(),
            PROTOCOL,
        ),
        ("AUTH", V5, vec![0xf0, 0], PROTOCOL),
    ];
    let method = Props::new().bytes(property::AUTHENTICATION_METHOD, "x").encode();
    rows.push((
        "AUTH again",
        V5,
        packet(0xf0, &[&[0x19][..], &method].concat()),
        PROTOCOL,
    ));
    for first in [0x20, 0x90, 0xb0, 0xd0] {
        rows.push(("a server's packet", BOTH, packet(first, &[0, 1, 0]), PROTOCOL));
    }
    check(&rows);
}

#[test]
fn lengths_and_integers_must_be_true() {
    // Goal: MQTT-1.5.5-1, MQTT-2.2.2-1, MQTT-4.13.1-1: integers of more bytes than needed or than there may be,
    // fields beyond their packet, and bytes behind the last field.
    let v5 = |body: &[u8]| packet(0x30, body);
    check(&[
        ("PINGREQ in two bytes", BOTH, vec![0xc0, 0x80, 0], MALFORMED),
        (
            "a length of five bytes",
            BOTH,
            vec![0x30, 0xff, 0xff, 0xff, 0xff, 1],
            MALFORMED,
        ),
        ("PINGREQ with a body", BOTH, vec![0xc0, 1, 0], MALFORMED),
        ("DISCONNECT with a body", V311, vec![0xe0, 1, 0], MALFORMED),
        ("PUBACK with a body", V311, packet(0x40, &[0, 1, 0]), MALFORMED),
        ("PUBACK of one byte", BOTH, packet(0x40, &[0]), MALFORMED),
        ("a topic beyond the packet", BOTH, v5(b"\0\x09a/b"), MALFORMED),
        ("no packet identifier", BOTH, packet(0x32, b"\0\x03a/b"), MALFORMED),
        ("no property length", V5, v5(b"\0\x03a/b"), MALFORMED),
        ("properties beyond the packet", V5, v5(b"\0\x03a/b\x09"), MALFORMED),
        (
            "a property beyond the properties",
            V5,
            v5(b"\0\x03a/b\x02\x02\0\0\0\0x"),
            MALFORMED,
        ),
        ("a property length in two bytes", V5, v5(b"\0\x03a/b\x80\0x"), MALFORMED),
        (
            "a subscription identifier in two bytes",
            V5,
            packet(0x82, b"\0\x01\x03\x0b\x81\0\0\x03a/b\0"),
            MALFORMED,
        ),
        (
            "a filter without options",
            BOTH,
            packet(0x82, b"\0\x01\0\x03a/b"),
            MALFORMED,
        ),
    ]);
}

#[test]
fn packet_identifiers_are_not_0() {
    // Goal: MQTT-2.2.1-2, MQTT-2.2.1-3, MQTT-2.2.1-5, MQTT-2.3.1-1 of 3.1.1, MQTT-2.3.1-5 of 3.1.1.
    let mut rows = Vec::new();
    for (version, versions) in [(Version::V311, V311), (Version::V5, V5)] {
        for qos in [1, 2] {
            rows.push((
                "PUBLISH",
                versions,
                PublishPacket::new("a/b", "x", qos, 0).encode(version),
                PROTOCOL,
            ));
        }
        rows.push((
            "SUBSCRIBE",
            versions,
            subscribe(version, 0, "a/b", 0, &Props::new()),
            PROTOCOL,
        ));
        rows.push((
            "UNSUBSCRIBE",
            versions,
            inbox_tests::unsubscribe(version, 0, "a/b"),
            PROTOCOL,
        ));
    }
    for first in [0x40, 0x50, 0x62, 0x70] {
        rows.push(("acknowledgement", BOTH, packet(first, &[0, 0]), PROTOCOL));
    }
    check(&rows);
}

#[test]
fn strings_must_be_utf_8_wherever_they_stand() {
    // Goal: MQTT-1.5.4-1, MQTT-1.5.4-2, MQTT-1.5.7-1, MQTT-3.3.2-1, MQTT-3.3.2-13, MQTT-3.3.2-19, MQTT-3.8.3-1,
    // MQTT-3.10.3-1, MQTT-4.7.3-2, MQTT-1.5.3-1 of 3.1.1, MQTT-1.5.3-2 of 3.1.1, MQTT-3.3.2-1 of 3.1.1,
    // MQTT-3.8.3-1 of 3.1.1, MQTT-3.10.3-1 of 3.1.1, MQTT-4.7.3-2 of 3.1.1.
    let mut rows = Vec::new();
    for (why, text) in BAD_STRINGS {
        for (version, versions) in [(Version::V311, V311), (Version::V5, V5)] {
            let unsubscribe = match version {
                Version::V311 => packet(0xa2, &[&[0, 1][..], &string(text)].concat()),
                Version::V5 => packet(0xa2, &[&[0, 1, 0][..], &string(text)].concat()),
            };
            rows.push((
                why,
                versions,
                PublishPacket::new(text, "x", 1, 1).encode(version),
                MALFORMED,
            ));
            rows.push((why, versions, subscribe(version, 1, text, 0, &Props::new()), MALFORMED));
            rows.push((why, versions, unsubscribe, MALFORMED));
        }
        let pair = |name: &[u8], value: &[u8]| {
            // Two strings under one identifier.
            let both = [string(name), string(value)].concat();
            let block = [&[property::USER][..], &both].concat();
            [&[block.len() as u8][..], &block].concat()
        };
        for block in [pair(text, b"v"), pair(b"n", text)] {
            rows.push((
                why,
                V5,
                packet(0x30, &[&string("a/b")[..], &block, b"x"].concat()),
                MALFORMED,
            ));
        }
        for id in [property::CONTENT_TYPE, property::RESPONSE_TOPIC] {
            rows.push((why, V5, publish_5("a/b", Props::new().bytes(id, text)), MALFORMED));
        }
        let why_not = Props::new().bytes(property::REASON_STRING, text).encode();
        rows.push((why, V5, packet(0x40, &[&[0, 1, 0][..], &why_not].concat()), MALFORMED));
        rows.push((why, V5, packet(0xe0, &[&[0][..], &why_not].concat()), MALFORMED));
    }
    check(&rows);
}

#[test]
fn odd_strings_are_taken_as_they_are() {
    // Goal: MQTT-1.5.4-3, MQTT-4.7.3-4, MQTT-1.5.3-3 of 3.1.1, MQTT-4.7.3-4 of 3.1.1: control characters,
    // non-characters and U+FEFF are part of the name, nothing is stripped or normalised, and two spellings of one
    // letter are two topics.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut client = RawClient::clean(&broker, version, "odd");
        let names = ODD_STRINGS.map(|odd| format!("a/{odd}"));
        for name in names.iter().map(String::as_str).chain(["a/\u{e9}"]) {
            assert_eq!(client.subscribe(name, 1).codes, [1], "{name:?}");
        }
        client.publish("a/a", "without U+FEFF", 1);
        client.publish("a/e\u{301}", "decomposed", 1);
        client.expect_nothing();
        for name in &names {
            client.publish(name, name, 1);
            let message = client.receive_and_ack();
            assert_eq!((&message.topic, message.text()), (name, name.as_str()));
        }
    }
}

#[test]
fn topic_names_hold_no_wildcards_and_are_not_empty() {
    // Goal: MQTT-3.3.2-2, MQTT-4.7.0-1, MQTT-4.7.3-1, MQTT-3.3.2-2 of 3.1.1, MQTT-4.7.1-1 of 3.1.1,
    // MQTT-4.7.3-1 of 3.1.1, with every QoS.
    let mut rows = Vec::new();
    for (version, versions) in [(Version::V311, V311), (Version::V5, V5)] {
        for qos in 0..3 {
            for topic in ["#", "+", "a/#", "a/+/b", "a#", "+a"] {
                rows.push((
                    "a wildcard",
                    versions,
                    PublishPacket::new(topic, "x", qos, 1).encode(version),
                    0x90,
                ));
            }
        }
    }
    rows.push((
        "nothing",
        V311,
        PublishPacket::new("", "x", 0, 0).encode(Version::V311),
        0x90,
    ));
    check(&rows);
}

#[test]
fn subscription_options_and_payloads_must_be_valid() {
    // Goal: MQTT-3.8.3-2, MQTT-3.8.3-4, MQTT-3.8.3-5, MQTT-3.10.3-2, MQTT-3.8.3-3 of 3.1.1, MQTT-3.8.3-4 of 3.1.1,
    // MQTT-3.10.3-2 of 3.1.1.
    let mut rows = vec![
        ("no filter", V311, packet(0x82, &[0, 1]), PROTOCOL),
        ("no filter", V311, packet(0xa2, &[0, 1]), PROTOCOL),
        ("no filter", V5, packet(0x82, &[0, 1, 0]), PROTOCOL),
        ("no filter", V5, packet(0xa2, &[0, 1, 0]), PROTOCOL),
        ("QoS 3", V5, subscribe_5(&Props::new(), b"\0\x03a/b\x03"), PROTOCOL),
        (
            "retain handling 3",
            V5,
            subscribe_5(&Props::new(), b"\0\x03a/b\x31"),
            PROTOCOL,
        ),
        (
            "no local, shared",
            V5,
            subscribe_5(&Props::new(), b"\0\x0c$share/g/a/b\x05"),
            PROTOCOL,
        ),
    ];
    for bit in [0x40, 0x80] {
        rows.push((
            "a reserved option",
            V5,
            subscribe_5(&Props::new(), &[b"\0\x03a/b", &[bit][..]].concat()),
            MALFORMED,
        ));
    }
    for options in [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] {
        rows.push((
            "a reserved option",
            V311,
            subscribe(Version::V311, 1, "a/b", options, &Props::new()),
            MALFORMED,
        ));
    }
    check(&rows);
}

#[test]
fn nothing_is_sent_after_disconnect() {
    // Goal: MQTT-3.14.4-1, MQTT-3.14.4-2, MQTT-3.14.2-2, MQTT-4.13.2-1: what a client gets after the broker's
    // DISCONNECT is the close, though a message for it comes at the same moment, and that DISCONNECT has no session
    // expiry.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 0);
    bob.subscribe("a/b", 0);
    let mut bytes = PublishPacket::new("bob", "mail", 0, 0).encode(Version::V5);
    bytes.extend(PublishPacket::new("a/b", "ordinary", 0, 0).encode(Version::V5));
    bytes.extend([0x00, 0]);
    bob.send(&bytes);
    let (reason, props) = bob.wait_for_disconnect();
    assert_eq!((reason, props.number(property::SESSION_EXPIRY)), (MALFORMED, None));
    assert_eq!(bob.next_or_close(), None);
}

#[test]
fn a_session_that_ends_with_its_connection_cannot_be_kept_by_disconnect() {
    // Goal: section 3.14.2.2.2: a session expiry in DISCONNECT after none in CONNECT is a protocol error, and so the
    // will is published.
    let expiry = Props::new().four(property::SESSION_EXPIRY, 60).encode();
    check(&[(
        "session expiry",
        V5,
        packet(0xe0, &[&[0][..], &expiry].concat()),
        PROTOCOL,
    )]);
}
