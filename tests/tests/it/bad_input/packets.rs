//! Malformed packets and protocol errors (MQTT 5, section 4.13; MQTT 3.1.1, section 4.8).

use inbox_tests::{Connect, Packet, Props, PublishPacket, RawClient, Version, packet, property, subscribe};

use super::{MALFORMED, Witness, ends, refused};

#[test]
fn unknown_packet_types_end_the_connection() {
    // Goal: type 0 and, in 3.1.1, type 15 are reserved (section 2.1.2); in MQTT 5 type 15 is AUTH, which nobody asked
    // for (MQTT-4.12.0-6). Nothing panics.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        ends(&mut witness, version, "type 0", &[0x00, 0], MALFORMED);
        ends(&mut witness, version, "type 15", &[0xf0, 0], MALFORMED);
        ends(
            &mut witness,
            version,
            "type 15 with a reason",
            &[0xf0, 2, 0x18, 0],
            MALFORMED,
        );
        ends(&mut witness, version, "type 15 with flags", &[0xff, 0], MALFORMED);
    }
    witness.end();
}

#[test]
fn packets_that_only_a_server_sends_end_the_connection() {
    // Goal: CONNACK, SUBACK, UNSUBACK and PINGRESP from a client (section 2.1.2).
    let mut witness = Witness::start();
    for version in Version::BOTH {
        for first in [0x20, 0x90, 0xb0, 0xd0] {
            ends(
                &mut witness,
                version,
                "server's packet",
                &packet(first, &[0, 1, 0]),
                MALFORMED,
            );
        }
    }
    witness.end();
}

#[test]
fn wrong_fixed_header_flags_end_the_connection() {
    // Goal: MQTT-2.1.3-1 (3.1.1: MQTT-2.2.2-2): SUBSCRIBE, UNSUBSCRIBE and PUBREL need 0010, the others 0000; QoS 3
    // (MQTT-3.3.1-4) and DUP on QoS 0 (MQTT-3.3.1-2) are malformed.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        let good = subscribe(version, 1, "a/b", 0, &Props::new());
        let with_first = |first: u8, bytes: &[u8]| [&[first], &bytes[1..]].concat();
        ends(
            &mut witness,
            version,
            "SUBSCRIBE 0000",
            &with_first(0x80, &good),
            MALFORMED,
        );
        ends(&mut witness, version, "PUBREL 0000", &[0x60, 2, 0, 1], MALFORMED);
        ends(&mut witness, version, "PUBACK 0001", &[0x41, 2, 0, 1], MALFORMED);
        ends(&mut witness, version, "PINGREQ 1000", &[0xc8, 0], MALFORMED);
        ends(&mut witness, version, "DISCONNECT 0001", &[0xe1, 0], MALFORMED);
        let qos_3 = PublishPacket::new("a/b", "x", 3, 1).encode(version);
        ends(&mut witness, version, "QoS 3", &qos_3, MALFORMED);
        let dup_0 = PublishPacket::new("a/b", "x", 0, 0).dup().encode(version);
        ends(&mut witness, version, "DUP with QoS 0", &dup_0, MALFORMED);
    }
    witness.end();
}

#[test]
fn packet_identifier_0_ends_the_connection() {
    // Goal: MQTT-2.2.1-3, -4 (3.1.1: MQTT-2.3.1-1) in PUBLISH, SUBSCRIBE, UNSUBSCRIBE and acknowledgements.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        for qos in [1, 2] {
            let publish = PublishPacket::new("bob", "x", qos, 0).encode(version);
            ends(&mut witness, version, "PUBLISH 0", &publish, MALFORMED);
        }
        let bytes = subscribe(version, 0, "a/b", 0, &Props::new());
        ends(&mut witness, version, "SUBSCRIBE 0", &bytes, MALFORMED);
        let bytes = inbox_tests::unsubscribe(version, 0, "a/b");
        ends(&mut witness, version, "UNSUBSCRIBE 0", &bytes, MALFORMED);
        for first in [0x40, 0x50, 0x62, 0x70] {
            ends(
                &mut witness,
                version,
                "acknowledgement 0",
                &packet(first, &[0, 0]),
                MALFORMED,
            );
        }
    }
    witness.end();
}

#[test]
fn remaining_lengths_that_lie_end_the_connection() {
    // Goal: five length bytes (section 1.5.5), overlong encodings (MQTT-1.5.5-1), lengths that end inside a field, and
    // bytes that are left over.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        ends(
            &mut witness,
            version,
            "five bytes",
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f],
            MALFORMED,
        );
        ends(
            &mut witness,
            version,
            "overlong PINGREQ",
            &[0xc0, 0x80, 0x00],
            MALFORMED,
        );
        ends(
            &mut witness,
            version,
            "topic beyond the packet",
            &[0x30, 4, 0, 9, b'a', b'b'],
            MALFORMED,
        );
        ends(
            &mut witness,
            version,
            "no packet identifier",
            &[0x32, 5, 0, 3, b'a', b'/', b'b'],
            MALFORMED,
        );
        ends(&mut witness, version, "PUBACK of one byte", &[0x40, 1, 0], MALFORMED);
        ends(&mut witness, version, "PINGREQ with a body", &[0xc0, 1, 0], MALFORMED);
        ends(&mut witness, version, "empty SUBSCRIBE", &[0x82, 0], MALFORMED);
    }
    ends(
        &mut witness,
        Version::V5,
        "properties beyond the packet",
        &[0x30, 6, 0, 3, b'a', b'/', b'b', 9],
        MALFORMED,
    );
    witness.end();
}

#[test]
fn bad_topic_names_end_the_connection() {
    // Goal: wildcards (MQTT-3.3.2-2), nothing (MQTT-4.7.3-1), NUL (MQTT-4.7.3-2), not UTF-8 (MQTT-3.3.2-1): 0x90 or
    // malformed. Where QoS 1 lets the broker answer in a PUBACK with 0x90 instead, that is as good.
    let mut witness = Witness::start();
    let topics = [
        b"a/+".as_slice(),
        b"#",
        b"+",
        b"",
        b"a\0b",
        b"\0",
        b"\xff",
        b"a/\xed\xa0\x80",
    ];
    for version in Version::BOTH {
        for topic in topics {
            for qos in 0..=2 {
                let mut client = RawClient::clean(&witness.broker, version, "rude");
                client.send_despite_close(&PublishPacket::new(topic, "x", qos, 1).encode(version));
                match client.next_or_close() {
                    Some(Packet::Ack(ack)) => {
                        assert_eq!((version, ack.reason), (Version::V5, 0x90), "topic {topic:02x?}");
                    }
                    Some(Packet::Disconnect(reason, _)) => {
                        assert!(
                            [0x81, 0x82, 0x90].contains(&reason),
                            "topic {topic:02x?}: {reason:#04x}"
                        );
                        client.expect_close();
                    }
                    Some(other) => panic!("unexpected {other:?}"),
                    None => assert_eq!(version, Version::V311, "topic {topic:02x?}: closed without a reason"),
                }
            }
        }
        witness.is_served();
    }
    witness.end();
}

#[test]
fn bad_filters_are_refused_or_end_the_connection() {
    // Goal: MQTT-4.7.1-1, -2, MQTT-4.7.3-1, MQTT-4.8.2-1, -2: 0x8F for that filter (3.1.1: 0x80), or malformed where
    // the string itself is.
    let mut witness = Witness::start();
    let filters = [
        "a/#/b",
        "a#",
        "a+",
        "a/b+/c",
        "",
        "$share/g",
        "$share//a",
        "$share/g+/a",
        "$share/#/a",
        "$share/g/",
    ];
    for version in Version::BOTH {
        for filter in filters {
            let mut client = RawClient::clean(&witness.broker, version, "rude");
            client.send(&subscribe(version, 1, filter, 1, &Props::new()));
            match client.next_or_close() {
                Some(Packet::SubAck(suback)) => {
                    let refusal = if version == Version::V5 { 0x8f } else { 0x80 };
                    // MQTT 3.1.1 has no shared subscriptions: there these are names like any other.
                    let is_fine = version == Version::V311 && filter.starts_with("$share") && suback.codes == [1];
                    assert!(is_fine || suback.codes == [refusal], "filter {filter:?}: {suback:?}");
                }
                Some(Packet::Disconnect(reason, _)) => {
                    assert!([0x81, 0x82, 0x8f].contains(&reason), "filter {filter:?}: {reason:#04x}");
                }
                Some(other) => panic!("unexpected {other:?}"),
                None => assert_eq!(version, Version::V311, "filter {filter:?}: closed without a reason"),
            }
        }
        for filter in [b"a\0b".as_slice(), b"\xff"] {
            ends(
                &mut witness,
                version,
                "filter",
                &subscribe(version, 1, filter, 1, &Props::new()),
                MALFORMED,
            );
        }
        let bytes = subscribe(version, 1, "a/b", 3, &Props::new());
        ends(&mut witness, version, "granting QoS 3", &bytes, MALFORMED);
        let bytes = subscribe(version, 1, "a/b", 0xc1, &Props::new());
        ends(&mut witness, version, "reserved options", &bytes, MALFORMED);
    }
    let bytes = subscribe(Version::V5, 1, "a/b", 0x31, &Props::new());
    ends(&mut witness, Version::V5, "retain handling 3", &bytes, MALFORMED);
    let zero = Props::new().var(property::SUBSCRIPTION_ID, 0);
    let bytes = subscribe(Version::V5, 1, "a/b", 1, &zero);
    ends(
        &mut witness,
        Version::V5,
        "subscription identifier 0",
        &bytes,
        MALFORMED,
    );
    witness.end();
}

#[test]
fn a_subscribe_or_unsubscribe_without_filters_ends_the_connection() {
    // Goal: MQTT-3.8.3-2 and MQTT-3.10.3-2.
    let mut witness = Witness::start();
    for (version, body) in [(Version::V311, [0, 1].as_slice()), (Version::V5, &[0, 1, 0])] {
        for first in [0x82, 0xa2] {
            ends(&mut witness, version, "no filters", &packet(first, body), MALFORMED);
        }
    }
    witness.end();
}

#[test]
fn bad_properties_end_the_connection() {
    // Goal: sections 2.2.2 and 3.3.2.3: an unknown property, one that does not belong there, one that came twice, a
    // value out of range, text that is not UTF-8.
    let mut witness = Witness::start();
    let props = [
        ("unknown", Props::new().byte(0x7f, 1)),
        ("of CONNECT", Props::new().four(property::SESSION_EXPIRY, 1)),
        (
            "twice",
            Props::new()
                .bytes(property::CONTENT_TYPE, "a")
                .bytes(property::CONTENT_TYPE, "b"),
        ),
        ("format 2", Props::new().byte(property::PAYLOAD_FORMAT, 2)),
        (
            "subscription id from a client",
            Props::new().var(property::SUBSCRIPTION_ID, 1),
        ),
        ("not UTF-8", Props::new().bytes(property::CONTENT_TYPE, [0xff])),
        ("NUL", Props::new().bytes(property::CONTENT_TYPE, [0])),
        (
            "wildcard in the response topic",
            Props::new().bytes(property::RESPONSE_TOPIC, "a/#"),
        ),
    ];
    for (what, props) in props {
        for topic in ["bob", "a/b"] {
            let bytes = PublishPacket::new(topic, "x", 1, 1)
                .props(props.clone())
                .encode(Version::V5);
            ends(&mut witness, Version::V5, what, &bytes, &[0x81, 0x82, 0x90]);
        }
    }
    for (what, props) in [
        ("receive maximum 0", Props::new().two(property::RECEIVE_MAXIMUM, 0)),
        (
            "maximum packet size 0",
            Props::new().four(property::MAXIMUM_PACKET_SIZE, 0),
        ),
        (
            "expiry twice",
            Props::new()
                .four(property::SESSION_EXPIRY, 1)
                .four(property::SESSION_EXPIRY, 1),
        ),
        ("of PUBLISH", Props::new().bytes(property::CONTENT_TYPE, "a")),
    ] {
        let code = refused(
            &mut witness,
            Version::V5,
            &Connect::new(Version::V5, "rude").props(props).encode(),
        );
        assert!([None, Some(0x81), Some(0x82)].contains(&code), "{what}: {code:?}");
    }
    witness.end();
}

#[test]
fn acknowledgements_for_nothing_are_harmless() {
    // Goal: a PUBACK, PUBREC, PUBREL or PUBCOMP for an identifier that nothing was sent with: PUBREC is answered with
    // PUBREL 0x92 and PUBREL with PUBCOMP 0x92 (sections 3.6.2.1 and 3.7.2.1), the others are ignored, or the
    // connection ends with a protocol error. 3.1.1 has no reason codes.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        for (first, answer) in [(0x40, None), (0x50, Some(0x92)), (0x62, Some(0x92)), (0x70, None)] {
            let mut client = RawClient::clean(&witness.broker, version, "rude");
            client.send(&packet(first, &[0x12, 0x34]));
            client.send_despite_close(&inbox_tests::ping());
            match client.next_or_close() {
                Some(Packet::Ack(ack)) => {
                    assert!(answer.is_some(), "{first:#04x} was answered with {ack:?}");
                    assert_eq!(ack.packet_id, 0x1234);
                    let expected = if version == Version::V5 { 0x92 } else { 0 };
                    assert_eq!(ack.reason, expected, "{first:#04x}: {ack:?}");
                }
                Some(Packet::PingResp) | None => {}
                Some(Packet::Disconnect(reason, _)) => assert_eq!(reason, 0x82),
                Some(other) => panic!("unexpected {other:?}"),
            }
            witness.is_served();
        }
    }
    witness.end();
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_removes_nothing() {
    // Goal: PUBCOMP or PUBREC for a QoS 1 delivery, PUBACK for a QoS 2 delivery: whatever happens to the connection,
    // the message is still there afterwards.
    let mut witness = Witness::start();
    for (qos, first) in [(1, 0x70), (1, 0x50), (2, 0x40)] {
        let name = format!("reader-{qos}-{first}");
        RawClient::clean(&witness.broker, Version::V5, "alice").publish(&name, "kept", qos);
        let mut reader = RawClient::reader(&witness.broker, Version::V5, &name, qos);
        let message = reader.receive();
        reader.send(&inbox_tests::ack(first, message.packet_id));
        reader.send_despite_close(&inbox_tests::ping());
        // PINGRESP, PUBREL 0x92, DISCONNECT or the close.
        reader.next_or_close();
        reader.vanish();
        let mut reader = RawClient::reader(&witness.broker, Version::V5, &name, qos);
        assert_eq!(reader.texts(1), ["kept"], "QoS {qos}, {first:#04x}");
        witness.is_served();
    }
    witness.end();
}

#[test]
fn random_bytes_end_only_their_connection() {
    // Goal: nothing that a client sends stops the broker. The seed is fixed, so that a failure can be repeated.
    let mut witness = Witness::start();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let version = Version::BOTH[round % 2];
        let mut client = RawClient::open(&witness.broker, version);
        if round % 3 > 0 {
            client.send(&Connect::new(version, "noise").encode());
        }
        let length = random() as usize % 200;
        let mut bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if round % 3 == 2 && length > 1 {
            // A plausible header, so that the body is looked at.
            bytes[0] = [0x30, 0x32, 0x34, 0x82, 0xa2, 0x40, 0x50, 0x62, 0x70, 0xe0, 0xf0][random() as usize % 11];
            bytes.truncate(100);
            bytes[1] = bytes.len() as u8 - 2;
        }
        client.send_despite_close(&bytes);
        client.vanish();
        if round % 50 == 0 {
            witness.is_served();
        }
    }
    witness.end();
}
