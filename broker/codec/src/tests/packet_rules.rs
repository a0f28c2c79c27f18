//! Every packet but CONNECT, SUBSCRIBE and UNSUBSCRIBE, rule by rule.

use super::{BOTH, accept, block, packet, property, refuse, text, user};
use crate::{Ack, Auth, Disconnect, MessageProperties, Packet, PacketId, Publish, Version};
use inbox_types::{PayloadFormat, Qos};
use std::num::NonZeroU16;

pub(super) const V311: Version = Version::V311;
pub(super) const V5: Version = Version::V5;
pub(super) const ID: &[u8] = &[0, 7];

pub(super) fn id() -> PacketId {
    PacketId::new(7).unwrap()
}

/// A QoS 0 PUBLISH of MQTT 5 to `t` with these properties.
fn publish_with(properties: &[&[u8]]) -> Vec<u8> {
    packet(0x30, &[&text("t"), &block(properties), b"payload"])
}

fn publish(bytes: &[u8]) -> Publish<'_> {
    match accept(V5, bytes) {
        Packet::Publish(publish) => publish,
        other => panic!("not a PUBLISH: {other:?}"),
    }
}

#[test]
fn a_publish_is_read_in_both_versions() {
    // Goal: flags, topic, packet identifier and payload (section 3.3), an empty payload too.
    let bytes = packet(0x3B, &[&text("a/b"), ID, b"hi"]);
    let expected = Publish {
        dup: true,
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "a/b",
        packet_id: Some(id()),
        topic_alias: None,
        properties: MessageProperties::default(),
        payload: b"hi",
    };
    assert_eq!(accept(V311, &bytes), Packet::Publish(expected));
    let bytes = packet(0x3B, &[&text("a/b"), ID, &[0], b"hi"]);
    assert_eq!(accept(V5, &bytes), Packet::Publish(expected));
    let bytes = packet(0x30, &[&text("a/b")]);
    let Packet::Publish(empty) = accept(V311, &bytes) else {
        panic!()
    };
    assert_eq!((empty.packet_id, empty.payload), (None, &b""[..]));
}

#[test]
fn every_property_of_a_publish_is_read() {
    // Goal: section 3.3.2.3; user properties in their order, between and after others.
    let bytes = publish_with(&[
        &user("a", "1"),
        &[0x01, 1],
        &[0x02, 0, 0, 1, 0],
        &[0x23, 0, 9],
        &property(0x08, "answers/here"),
        &user("b", ""),
        &property(0x09, [0, 0xFF]),
        &property(0x03, "text/plain"),
        &user("a", "1"),
    ]);
    let publish = publish(&bytes);
    assert_eq!(publish.topic_alias, NonZeroU16::new(9));
    let properties = publish.properties;
    assert_eq!(properties.payload_format, Some(PayloadFormat::Utf8));
    assert_eq!(properties.message_expiry, Some(256));
    assert_eq!(properties.response_topic, Some("answers/here"));
    assert_eq!(properties.correlation_data, Some(&[0, 0xFF][..]));
    assert_eq!(properties.content_type, Some("text/plain"));
    assert_eq!(
        properties.user.iter().collect::<Vec<_>>(),
        [("a", "1"), ("b", ""), ("a", "1")]
    );
    assert!(!properties.user.is_empty());
    assert_eq!(publish.payload, b"payload");
}

#[test]
fn topic_names_of_a_publish_must_be_valid() {
    // Goal: MQTT-3.3.2-2 (wildcards), MQTT-4.7.3-1 (empty; in MQTT 5 only with an alias), MQTT-1.5.4-1 and -2 (UTF-8).
    for topic in ["+", "a/#", "a+b", "#"] {
        assert_eq!(refuse(V311, &packet(0x30, &[&text(topic)])), 0x90, "{topic}");
        assert_eq!(refuse(V5, &packet(0x30, &[&text(topic), &[0]])), 0x90, "{topic}");
        assert_eq!(
            refuse(V5, &packet(0x30, &[&text(topic), &block(&[&[0x23, 0, 1]])])),
            0x90,
            "{topic} and alias"
        );
    }
    for topic in [&b"a\0"[..], b"\xFF", b"\xED\xBF\xBF"] {
        assert_eq!(refuse(V311, &packet(0x30, &[&text(topic)])), 0x81, "{topic:?}");
        assert_eq!(refuse(V5, &packet(0x30, &[&text(topic), &[0]])), 0x81, "{topic:?}");
    }
    assert_eq!(refuse(V311, &packet(0x30, &[&text(""), b"x"])), 0x90);
    assert_eq!(refuse(V5, &packet(0x30, &[&text(""), &[0]])), 0x82);
    let by_alias = packet(0x30, &[&text(""), &block(&[&[0x23, 0, 1]])]);
    assert_eq!(publish(&by_alias).topic, "");
}

#[test]
fn publish_properties_must_be_allowed_once_and_in_range() {
    // Goal: section 3.3.2.3; alias 0 is 0x94 (MQTT-3.3.2-8), a subscription identifier is for servers (MQTT-3.3.4-6).
    let once: [&[u8]; 6] = [
        &[0x01, 0],
        &[0x02, 0, 0, 0, 5],
        &[0x23, 0, 9],
        &property(0x03, "text"),
        &property(0x08, "answers"),
        &property(0x09, "7"),
    ];
    for property in once {
        publish(&publish_with(&[property]));
        assert_eq!(
            refuse(V5, &publish_with(&[property, &user("a", "b"), property])),
            0x82,
            "{property:02x?} twice"
        );
    }
    assert_eq!(refuse(V5, &publish_with(&[&[0x01, 2]])), 0x82);
    assert_eq!(refuse(V5, &publish_with(&[&[0x23, 0, 0]])), 0x94);
    assert_eq!(refuse(V5, &publish_with(&[&[0x0B, 1]])), 0x82);
    for topic in ["a/#", "+", ""] {
        assert_eq!(
            refuse(V5, &publish_with(&[&property(0x08, topic)])),
            0x90,
            "response topic {topic:?}"
        );
    }
    let malformed: [&[u8]; 10] = [
        &[0x11, 0, 0, 0, 1],
        &[0x1F, 0, 1, b'x'],
        &[0x24, 1],
        &[0x00],
        &[0x30],
        &[0x81, 0x00],
        &[0x81, 0x01],
        &[0x01],
        &[0x02, 0, 0, 0],
        &property(0x26, "a name and no value"),
    ];
    for property in malformed {
        assert_eq!(refuse(V5, &publish_with(&[property])), 0x81, "{property:02x?}");
    }
    for (name, value) in [("a\0", "b"), ("a", "\0")] {
        assert_eq!(refuse(V5, &publish_with(&[&user(name, value)])), 0x81);
    }
}

#[test]
fn property_lengths_must_be_true() {
    // Goal: a property block neither ends beyond its packet nor in the middle of a property, and its length has its
    // shortest form (MQTT-1.5.5-1).
    let expiry = [0x02, 0, 0, 0, 5];
    for length in 0..20_u8 {
        let bytes = packet(0x30, &[&text("t"), &[length], &expiry]);
        match length {
            // Without properties the rest is payload.
            0 | 5 => _ = publish(&bytes),
            _ => assert_eq!(refuse(V5, &bytes), 0x81, "length {length}"),
        }
    }
    assert_eq!(refuse(V5, &packet(0x30, &[&text("t"), &[0x80, 0x00]])), 0x81);
    assert_eq!(
        refuse(V5, &packet(0x30, &[&text("t"), &[0xFF, 0xFF, 0xFF, 0xFF, 0x00]])),
        0x81
    );
    assert_eq!(
        refuse(V5, &packet(0x30, &[&text("t")])),
        0x81,
        "no property length at all"
    );
}

#[test]
fn packet_identifier_zero_is_refused() {
    // Goal: MQTT-2.2.1-3 in every packet that has one.
    let zero: &[u8] = &[0, 0];
    for version in BOTH {
        let properties: &[u8] = if version == V5 { &[0] } else { &[] };
        assert_eq!(refuse(version, &packet(0x32, &[&text("t"), zero, properties])), 0x82);
        assert_eq!(
            refuse(version, &packet(0x82, &[zero, properties, &text("t"), &[0]])),
            0x82
        );
        assert_eq!(refuse(version, &packet(0xA2, &[zero, properties, &text("t")])), 0x82);
        for first in [0x40, 0x50, 0x62, 0x70] {
            assert_eq!(refuse(version, &packet(first, &[zero])), 0x82);
        }
    }
}

#[test]
fn acknowledgements_are_read_in_every_length() {
    // Goal: remaining length 2, 3 and more (section 3.4.2); MQTT 3.1.1 only has the first.
    let long = packet(
        0x40,
        &[
            ID,
            &[0x80],
            &block(&[&property(0x1F, "no"), &user("a", "b"), &user("a", "b")]),
        ],
    );
    let ack = |reason| {
        Packet::PubAck(Ack {
            packet_id: id(),
            reason,
        })
    };
    assert_eq!(accept(V5, &packet(0x40, &[ID])), ack(0));
    assert_eq!(accept(V5, &packet(0x40, &[ID, &[0x10]])), ack(0x10));
    assert_eq!(accept(V5, &packet(0x40, &[ID, &[0x87], &[0]])), ack(0x87));
    assert_eq!(accept(V5, &long), ack(0x80));
    assert_eq!(accept(V311, &packet(0x40, &[ID])), ack(0));
    assert_eq!(refuse(V311, &packet(0x40, &[ID, &[0]])), 0x81);
    for version in BOTH {
        assert_eq!(refuse(version, &packet(0x40, &[])), 0x81);
        assert_eq!(refuse(version, &packet(0x40, &[&[1]])), 0x81);
    }
    let twice = block(&[&property(0x1F, "no"), &property(0x1F, "no")]);
    assert_eq!(refuse(V5, &packet(0x40, &[ID, &[0x80], &twice])), 0x82);
    assert_eq!(refuse(V5, &packet(0x40, &[ID, &[0x80], &block(&[&[0x01, 1]])])), 0x81);
    assert_eq!(refuse(V5, &packet(0x40, &[ID, &[0x80], &[0], b"more"])), 0x81);
    assert_eq!(refuse(V5, &packet(0x40, &[ID, &[0x80], &[3]])), 0x81);
}

#[test]
fn each_acknowledgement_has_its_own_reasons() {
    // Goal: MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1 over all bytes.
    let publish = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let release = [0x00, 0x92];
    for reason in 0..=u8::MAX {
        let ack = Ack {
            packet_id: id(),
            reason,
        };
        for (first, reasons, expected) in [
            (0x40, &publish[..], Packet::PubAck(ack)),
            (0x50, &publish, Packet::PubRec(ack)),
            (0x62, &release, Packet::PubRel(ack)),
            (0x70, &release, Packet::PubComp(ack)),
        ] {
            let bytes = packet(first, &[ID, &[reason]]);
            match reasons.contains(&reason) {
                true => assert_eq!(accept(V5, &bytes), expected),
                false => assert_eq!(refuse(V5, &bytes), 0x82, "{first:#04x} {reason:#04x}"),
            }
        }
    }
}

#[test]
fn a_disconnect_is_read_in_every_length() {
    // Goal: remaining length 0, 1 and more, its reasons (MQTT-3.14.2-1) and properties (section 3.14.2.2).
    let disconnect = |reason, session_expiry| Packet::Disconnect(Disconnect { reason, session_expiry });
    assert_eq!(accept(V311, &[0xE0, 0]), disconnect(0, None));
    assert_eq!(refuse(V311, &[0xE0, 1, 0]), 0x81);
    assert_eq!(accept(V5, &[0xE0, 0]), disconnect(0, None));
    assert_eq!(accept(V5, &[0xE0, 1, 4]), disconnect(4, None));
    assert_eq!(accept(V5, &[0xE0, 2, 0, 0]), disconnect(0, None));
    let expiry: &[u8] = &[0x11, 0, 0, 0, 9];
    let full = block(&[
        expiry,
        &property(0x1F, "bye"),
        &user("a", "b"),
        &property(0x1C, "other"),
    ]);
    assert_eq!(accept(V5, &packet(0xE0, &[&[0], &full])), disconnect(0, Some(9)));
    assert_eq!(refuse(V5, &packet(0xE0, &[&[0], &block(&[expiry, expiry])])), 0x82);
    assert_eq!(refuse(V5, &packet(0xE0, &[&[0], &block(&[&[0x21, 0, 1]])])), 0x81);
    assert_eq!(refuse(V5, &packet(0xE0, &[&[0], &[0], &[0]])), 0x81);
    let reasons = [
        0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90,
    ];
    for reason in 0..=u8::MAX {
        let bytes = [0xE0, 1, reason];
        match reasons.contains(&reason) || (0x93..=0xA2).contains(&reason) {
            true => assert_eq!(accept(V5, &bytes), disconnect(reason, None)),
            false => assert_eq!(refuse(V5, &bytes), 0x82, "{reason:#04x}"),
        }
    }
}

#[test]
fn an_auth_is_for_mqtt_5_and_names_its_method() {
    // Goal: section 3.15; packet type 15 does not exist in MQTT 3.1.1 (its section 2.2.1).
    let method = property(0x15, "GS2");
    let bytes = packet(
        0xF0,
        &[
            &[0x18],
            &block(&[&method, &property(0x16, [0xFF]), &property(0x1F, "r")]),
        ],
    );
    let expected = Auth {
        reason: 0x18,
        authentication_method: Some("GS2"),
        authentication_data: Some(&[0xFF]),
    };
    assert_eq!(accept(V5, &bytes), Packet::Auth(expected));
    assert_eq!(refuse(V311, &bytes), 0x81);
    assert_eq!(refuse(V311, &[0xF0, 0]), 0x81);
    let empty = Auth {
        reason: 0,
        authentication_method: None,
        authentication_data: None,
    };
    assert_eq!(accept(V5, &[0xF0, 0]), Packet::Auth(empty));
    assert_eq!(refuse(V5, &[0xF0, 1, 0x18]), 0x81, "a reason needs a property length");
    assert_eq!(refuse(V5, &[0xF0, 2, 0x18, 0]), 0x82, "no method (section 3.15.2.2.2)");
    assert_eq!(
        refuse(V5, &packet(0xF0, &[&[0x01], &block(&[&method])])),
        0x82,
        "reason 1 (MQTT-3.15.2-1)"
    );
    assert_eq!(refuse(V5, &packet(0xF0, &[&[0x18], &block(&[&method, &method])])), 0x82);
    assert_eq!(
        refuse(V5, &packet(0xF0, &[&[0x18], &block(&[&method, &[0x01, 1]])])),
        0x81
    );
}
