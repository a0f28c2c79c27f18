//! Properties and reason codes of packets after CONNECT.

use inbox_tests::{Props, packet, property};

use super::{MALFORMED, PROTOCOL, V5, ack_5, check, publish_5, subscribe_5};

#[test]
fn properties_belong_to_their_packets() {
    // Goal: MQTT-2.2.2-1, MQTT-3.3.4-6, MQTT-3.3.2-8, MQTT-3.3.2-9, MQTT-3.3.2-14, MQTT-4.13.1-1: a property that the
    // packet type does not have, that comes twice, or that has a value it cannot have.
    let four = |id| Props::new().four(id, 1);
    let mut rows = vec![
        ("unknown", V5, publish_5("a/b", Props::new().byte(0x7e, 1)), MALFORMED),
        (
            "of a server",
            V5,
            publish_5("a/b", Props::new().two(property::SERVER_KEEP_ALIVE, 1)),
            MALFORMED,
        ),
        (
            "of CONNECT",
            V5,
            publish_5("a/b", four(property::SESSION_EXPIRY)),
            MALFORMED,
        ),
        ("of a will", V5, publish_5("a/b", four(property::WILL_DELAY)), MALFORMED),
        (
            "format 2",
            V5,
            publish_5("a/b", Props::new().byte(property::PAYLOAD_FORMAT, 2)),
            PROTOCOL,
        ),
        (
            "subscription identifier",
            V5,
            publish_5("a/b", Props::new().var(property::SUBSCRIPTION_ID, 1)),
            PROTOCOL,
        ),
        (
            "alias 0",
            V5,
            publish_5("a/b", Props::new().two(property::TOPIC_ALIAS, 0)),
            0x94,
        ),
        (
            "alias above the maximum",
            V5,
            publish_5("a/b", Props::new().two(property::TOPIC_ALIAS, 33)),
            0x94,
        ),
        (
            "an alias that was not set",
            V5,
            publish_5("", Props::new().two(property::TOPIC_ALIAS, 1)),
            PROTOCOL,
        ),
        ("neither topic nor alias", V5, publish_5("", Props::new()), PROTOCOL),
        (
            "a wildcard in the response topic",
            V5,
            publish_5("a/b", Props::new().bytes(property::RESPONSE_TOPIC, "a/+")),
            0x90,
        ),
        (
            "an empty response topic",
            V5,
            publish_5("a/b", Props::new().bytes(property::RESPONSE_TOPIC, "")),
            0x90,
        ),
        (
            "of PUBLISH",
            V5,
            subscribe_5(&four(property::MESSAGE_EXPIRY), b"\0\x03a/b\0"),
            MALFORMED,
        ),
        (
            "identifier 0",
            V5,
            subscribe_5(&Props::new().var(property::SUBSCRIPTION_ID, 0), b"\0\x03a/b\0"),
            PROTOCOL,
        ),
        (
            "two identifiers",
            V5,
            subscribe_5(
                &Props::new()
                    .var(property::SUBSCRIPTION_ID, 1)
                    .var(property::SUBSCRIPTION_ID, 2),
                b"\0\x03a/b\0",
            ),
            PROTOCOL,
        ),
        (
            "of SUBSCRIBE",
            V5,
            packet(0xa2, b"\0\x01\x02\x0b\x01\0\x03a/b"),
            MALFORMED,
        ),
        ("of SUBSCRIBE", V5, packet(0x40, b"\0\x01\0\x02\x0b\x01"), MALFORMED),
        ("of PUBLISH", V5, packet(0xe0, b"\0\x02\x01\x01"), MALFORMED),
        ("AUTH without a method", V5, packet(0xf0, b"\x18\0"), PROTOCOL),
    ];
    let twice = [
        Props::new()
            .byte(property::PAYLOAD_FORMAT, 0)
            .byte(property::PAYLOAD_FORMAT, 0),
        four(property::MESSAGE_EXPIRY).four(property::MESSAGE_EXPIRY, 1),
        Props::new()
            .bytes(property::CONTENT_TYPE, "a")
            .bytes(property::CONTENT_TYPE, "a"),
        Props::new()
            .bytes(property::RESPONSE_TOPIC, "a")
            .bytes(property::RESPONSE_TOPIC, "a"),
        Props::new()
            .bytes(property::CORRELATION_DATA, "a")
            .bytes(property::CORRELATION_DATA, "a"),
        Props::new().two(property::TOPIC_ALIAS, 1).two(property::TOPIC_ALIAS, 1),
    ];
    rows.extend(twice.map(|props| ("twice", V5, publish_5("a/b", props), PROTOCOL)));
    let why = Props::new()
        .bytes(property::REASON_STRING, "a")
        .bytes(property::REASON_STRING, "a")
        .encode();
    rows.push(("twice", V5, packet(0x40, &[&[0, 1, 0][..], &why].concat()), PROTOCOL));
    rows.push(("twice", V5, packet(0xe0, &[&[0][..], &why].concat()), PROTOCOL));
    check(&rows);
}

#[test]
fn reason_codes_belong_to_their_packets() {
    // Goal: MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.14.2-1, MQTT-3.15.2-1: codes that exist,
    // in packets that do not have them.
    let method = Props::new().bytes(property::AUTHENTICATION_METHOD, "x").encode();
    check(&[
        ("PUBACK", V5, ack_5(0x40, 0x92), PROTOCOL),
        ("PUBREC", V5, ack_5(0x50, 0x11), PROTOCOL),
        ("PUBREL", V5, ack_5(0x62, 0x80), PROTOCOL),
        ("PUBCOMP", V5, ack_5(0x70, 0x10), PROTOCOL),
        ("DISCONNECT", V5, packet(0xe0, &[0x10]), PROTOCOL),
        ("DISCONNECT", V5, packet(0xe0, &[0x01]), PROTOCOL),
        ("AUTH", V5, packet(0xf0, &[&[0x10][..], &method].concat()), PROTOCOL),
    ]);
}
