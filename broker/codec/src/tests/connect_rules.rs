//! CONNECT, rule by rule.

use super::{block, packet, property, refuse_connect, text, user};
use crate::{ConnectProperties, Version, decode_connect, peek_maximum_packet_size, peek_version};
use inbox_types::Qos;

const V311: &[u8] = b"\0\x04MQTT\x04";
const V5: &[u8] = b"\0\x04MQTT\x05";
const KEEP_ALIVE: &[u8] = &[0, 60];
const NO_PROPERTIES: &[u8] = &[0];

/// A CONNECT of MQTT 5 for client `c` with these properties.
fn with_properties(properties: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[V5, &[0x02], KEEP_ALIVE, &block(properties), &text("c")])
}

/// A CONNECT of MQTT 5 for client `c` with a will on topic `t` that has these properties.
fn with_will_properties(properties: &[&[u8]]) -> Vec<u8> {
    let will = [block(properties), text("t"), text("gone")].concat();
    packet(0x10, &[V5, &[0x06], KEEP_ALIVE, NO_PROPERTIES, &text("c"), &will])
}

#[test]
fn the_smallest_connect_of_both_versions_is_read() {
    // Goal: version, flags, keep alive and an empty client ID (section 3.1); nothing else is made up.
    let v311 = packet(0x10, &[V311, &[0x00], &[0x12, 0x34], &text("")]);
    let connect = decode_connect(&v311).unwrap();
    assert_eq!(
        (connect.version, connect.clean_start, connect.keep_alive),
        (Version::V311, false, 0x1234)
    );
    assert_eq!((connect.client_id, connect.will), ("", None));
    assert_eq!((connect.username, connect.password), (None, None));
    assert_eq!(connect.properties, ConnectProperties::default());
    assert!(
        connect.properties.request_problem_information,
        "true unless declined (section 3.1.2.11.7)"
    );

    let v5 = packet(0x10, &[V5, &[0x02], KEEP_ALIVE, NO_PROPERTIES, &text("bob")]);
    let connect = decode_connect(&v5).unwrap();
    assert_eq!(
        (connect.version, connect.clean_start, connect.client_id),
        (Version::V5, true, "bob")
    );
    assert_eq!(connect.properties, ConnectProperties::default());
}

#[test]
fn every_field_of_a_full_connect_is_read() {
    // Goal: all properties of section 3.1.2.11 and 3.1.3.2, the will, user name and password arrive.
    let properties = block(&[
        &[0x11, 0, 0, 0, 7],
        &[0x21, 0, 8],
        &[0x27, 0, 0, 1, 0],
        &[0x22, 0, 9],
        &[0x19, 1],
        &[0x17, 0],
        &user("k", "v"),
        &property(0x15, "GS2"),
        &property(0x16, [0xFF]),
    ]);
    let will = [
        block(&[&[0x18, 0, 0, 0, 5], &[0x01, 1], &user("x", "y")]),
        text("last/will"),
        text([0, 1]),
    ]
    .concat();
    let payload = [text("c"), will, text("me"), text([0xFE])].concat();
    let bytes = packet(0x10, &[V5, &[0b1111_0110], KEEP_ALIVE, &properties, &payload]);
    let connect = decode_connect(&bytes).unwrap();
    assert_eq!(
        connect.properties,
        ConnectProperties {
            session_expiry: Some(7),
            receive_maximum: Some(8),
            maximum_packet_size: Some(256),
            topic_alias_maximum: 9,
            request_response_information: true,
            request_problem_information: false,
            authentication_method: Some("GS2"),
            authentication_data: Some(&[0xFF]),
        }
    );
    let will = connect.will.unwrap();
    assert_eq!((will.topic, will.payload, will.delay), ("last/will", &[0, 1][..], 5));
    assert_eq!(
        (will.qos, will.retain, will.properties.payload_format),
        (Qos::ExactlyOnce, true, Some(inbox_types::PayloadFormat::Utf8))
    );
    assert_eq!(will.properties.user.iter().collect::<Vec<_>>(), [("x", "y")]);
    assert_eq!((connect.username, connect.password), (Some("me"), Some(&[0xFE][..])));
}

#[test]
fn mqtt_3_1_has_the_packets_of_3_1_1() {
    // Goal: MQIsdp with level 3 is let in and known for what it is; it may set DUP where later versions must not, and nowhere else.
    let bytes = packet(0x10, &[b"\0\x06MQIsdp\x03", &[0x02], KEEP_ALIVE, &text("old")]);
    let connect = decode_connect(&bytes).unwrap();
    assert_eq!(
        (connect.version, connect.is_v31, connect.client_id),
        (Version::V311, true, "old")
    );
    assert_eq!(peek_version(&bytes), Some(Version::V311));
    for (first, body) in [
        (0x82, &b"\0\x01\0\x01a\0"[..]),
        (0xA2, b"\0\x01\0\x01a"),
        (0x62, b"\0\x01"),
    ] {
        let again = packet(first | 0x08, &[body]);
        assert!(crate::frame(&again, 100).is_err());
        assert!(crate::decode(Version::V311, &again).is_err());
        assert_eq!(crate::frame_v31(&again, 100), Ok(Some(again.len())));
        assert_eq!(
            crate::decode_v31(&again),
            crate::decode(Version::V311, &packet(first, &[body]))
        );
    }
    assert!(crate::decode_v31(&packet(0xC8, &[])).is_err());
}

#[test]
fn other_protocols_are_refused_by_name_and_level() {
    // Goal: bridges, 3 under another name, 9 are told 0x84 (MQTT-3.1.2-2); what is no MQTT at all is malformed (MQTT-3.1.2-1).
    for header in [
        &b"\0\x06MQIsdp\x04"[..],
        b"\0\x06MQIsdp\x83",
        b"\0\x04MQTT\x03",
        b"\0\x04MQTT\x09",
        b"\0\x04MQTT\x84",
    ] {
        let bytes = packet(0x10, &[header, &[0x02], KEEP_ALIVE, &text("c")]);
        assert_eq!(refuse_connect(&bytes), 0x84, "{header:?}");
        assert_eq!(peek_version(&bytes), None);
    }
    for header in [
        &b"\0\x04mqtt\x04"[..],
        b"\0\x04HTTP\x05",
        b"\0\0\x04",
        b"\0\x05MQTTT\x04",
    ] {
        assert_eq!(
            refuse_connect(&packet(0x10, &[header, &[0x02], KEEP_ALIVE, &text("c")])),
            0x81,
            "{header:?}"
        );
    }
}

#[test]
fn the_first_packet_must_be_connect() {
    // Goal: MQTT-3.1.0-1, and no answer in a version that nobody asked for.
    for bytes in [
        &[0xC0, 0][..],
        &[0x30, 3, 0, 1, b't'],
        &[0xE0, 0],
        &[0xF0, 0],
        &[0x20, 2, 0, 0],
    ] {
        assert_eq!(refuse_connect(bytes), 0x82);
        assert_eq!(peek_version(bytes), None);
    }
}

#[test]
fn the_version_of_a_broken_connect_is_known() {
    // Goal: a refusal can be written in the client's version as soon as its level was read.
    let broken = packet(0x10, &[V5, &[0x03]]);
    assert_eq!(refuse_connect(&broken), 0x81);
    assert_eq!(peek_version(&broken), Some(Version::V5));
    assert_eq!(peek_version(&packet(0x10, &[V311])), Some(Version::V311));
    assert_eq!(peek_version(&broken[..8]), None);
    assert_eq!(peek_version(&[]), None);
}

#[test]
fn the_packet_size_that_a_broken_connect_states_is_known() {
    // Goal: MQTT-3.1.2-24: a refusal keeps to it, whatever is wrong behind it, and nothing is made up.
    let size: &[u8] = &[0x27, 0, 0, 0, 9];
    let bad: &[u8] = &[0x21, 0, 0];
    for (properties, known) in [(&[size, bad][..], Some(9)), (&[size], Some(9)), (&[], None)] {
        let block = block(properties);
        let broken = packet(0x10, &[V5, &[0x06], KEEP_ALIVE, &block, &text("c")]);
        assert!([0x81, 0x82].contains(&refuse_connect(&broken)));
        assert_eq!(peek_maximum_packet_size(&broken), known);
    }
    assert_eq!(peek_maximum_packet_size(&packet(0x10, &[V311, &[0x03]])), None);
    assert_eq!(peek_maximum_packet_size(&[]), None);
}

#[test]
fn connect_flags_must_make_sense() {
    // Goal: reserved flag (MQTT-3.1.2-3), will QoS 3 (MQTT-3.1.2-12), will QoS and retain without a will (MQTT-3.1.2-11,
    // MQTT-3.1.2-13), and in 3.1.1 a password without user name (3.1.1: MQTT-3.1.2-22).
    let with = |version: &[u8], flags: u8| {
        let properties: &[u8] = if version == V5 { NO_PROPERTIES } else { &[] };
        let will = if flags & 4 != 0 {
            [properties, &text("t"), &text("")].concat()
        } else {
            vec![]
        };
        let user = if flags & 0x80 != 0 { text("u") } else { vec![] };
        let password = if flags & 0x40 != 0 { text("p") } else { vec![] };
        packet(
            0x10,
            &[
                version,
                &[flags],
                KEEP_ALIVE,
                properties,
                &text("c"),
                &will,
                &user,
                &password,
            ],
        )
    };
    for flags in 0..=u8::MAX {
        let will_fits = if flags & 4 != 0 {
            flags & 0x18 != 0x18
        } else {
            flags & 0x38 == 0
        };
        let good = flags & 1 == 0 && will_fits;
        let good_311 = good && (flags & 0x40 == 0 || flags & 0x80 != 0);
        for (version, good) in [(V5, good), (V311, good_311)] {
            let bytes = with(version, flags);
            match good {
                true => assert!(decode_connect(&bytes).is_ok(), "{version:?} {flags:#010b}"),
                false => assert_eq!(refuse_connect(&bytes), 0x81, "{version:?} {flags:#010b}"),
            }
        }
    }
}

#[test]
fn a_connect_that_is_too_short_or_too_long_is_malformed() {
    // Goal: lengths inside the packet cannot point outside it, and nothing is left over.
    let full = packet(
        0x10,
        &[
            V5,
            &[0xC2],
            KEEP_ALIVE,
            NO_PROPERTIES,
            &text("c"),
            &text("user"),
            &text("pass"),
        ],
    );
    assert!(decode_connect(&full).is_ok());
    for cut in 0..full.len() - 2 {
        assert_eq!(
            refuse_connect(&packet(0x10, &[&full[2..2 + cut]])),
            0x81,
            "cut to {cut}"
        );
    }
    assert_eq!(refuse_connect(&packet(0x10, &[&full[2..], &[0]])), 0x81);
    assert_eq!(
        refuse_connect(&packet(0x10, &[V5, &[0x02], KEEP_ALIVE, &[20], &text("c")])),
        0x81
    );
}

#[test]
fn strings_of_a_connect_must_be_utf8_without_nul() {
    // Goal: MQTT-1.5.4-1 (also surrogates and overlong forms) and MQTT-1.5.4-2; a password is binary.
    for bad in [&b"a\0b"[..], b"\xFF", b"\xED\xA0\x80", b"\xC0\x80", b"\xE2\x82"] {
        assert_eq!(
            refuse_connect(&packet(0x10, &[V311, &[0x02], KEEP_ALIVE, &text(bad)])),
            0x81,
            "client ID {bad:?}"
        );
        let user = [text("c"), text(bad)].concat();
        assert_eq!(
            refuse_connect(&packet(0x10, &[V311, &[0x82], KEEP_ALIVE, &user])),
            0x81,
            "user name {bad:?}"
        );
        let password = [text("c"), text("u"), text(bad)].concat();
        assert!(decode_connect(&packet(0x10, &[V311, &[0xC2], KEEP_ALIVE, &password])).is_ok());
    }
    // U+FEFF is an ordinary character (MQTT-1.5.4-3).
    let bytes = packet(0x10, &[V311, &[0x02], KEEP_ALIVE, &text("\u{FEFF}c")]);
    assert_eq!(decode_connect(&bytes).unwrap().client_id, "\u{FEFF}c");
}

#[test]
fn will_topics_must_be_topic_names() {
    // Goal: no wildcards, not empty (MQTT-4.7.1-1, MQTT-4.7.3-1), reason 0x90.
    for topic in ["", "a/+", "#"] {
        let will = [text("c"), text(topic), text("")].concat();
        assert_eq!(
            refuse_connect(&packet(0x10, &[V311, &[0x06], KEEP_ALIVE, &will])),
            0x90,
            "{topic:?}"
        );
    }
}

#[test]
fn connect_properties_must_be_allowed_once_and_in_range() {
    // Goal: section 3.1.2.11: duplicates and forbidden values are protocol errors, foreign properties are malformed.
    let once: [&[u8]; 8] = [
        &[0x11, 0, 0, 0, 7],
        &[0x21, 0, 8],
        &[0x27, 0, 0, 1, 0],
        &[0x22, 0, 9],
        &[0x19, 1],
        &[0x17, 0],
        &property(0x15, "m"),
        &[&property(0x15, "m")[..], &property(0x16, "d")].concat(),
    ];
    for property in once {
        assert!(decode_connect(&with_properties(&[property])).is_ok(), "{property:02x?}");
        assert_eq!(
            refuse_connect(&with_properties(&[property, property])),
            0x82,
            "{property:02x?} twice"
        );
    }
    assert!(decode_connect(&with_properties(&[&user("a", "b"), &user("a", "b")])).is_ok());
    let out_of_range: [&[u8]; 5] = [
        &[0x21, 0, 0],
        &[0x27, 0, 0, 0, 0],
        &[0x19, 2],
        &[0x17, 2],
        &property(0x16, "data without method"),
    ];
    for property in out_of_range {
        assert_eq!(refuse_connect(&with_properties(&[property])), 0x82, "{property:02x?}");
    }
    let foreign: [&[u8]; 6] = [
        &[0x01, 1],
        &[0x23, 0, 1],
        &[0x24, 1],
        &[0x18, 0, 0, 0, 1],
        &[0x00],
        &[0x7F],
    ];
    for property in foreign {
        assert_eq!(refuse_connect(&with_properties(&[property])), 0x81, "{property:02x?}");
    }
}

#[test]
fn will_properties_must_be_allowed_once_and_in_range() {
    // Goal: section 3.1.3.2.
    let once: [&[u8]; 6] = [
        &[0x18, 0, 0, 0, 5],
        &[0x01, 0],
        &[0x02, 0, 0, 0, 5],
        &property(0x03, "text"),
        &property(0x08, "answers"),
        &property(0x09, "7"),
    ];
    for property in once {
        assert!(
            decode_connect(&with_will_properties(&[property])).is_ok(),
            "{property:02x?}"
        );
        assert_eq!(
            refuse_connect(&with_will_properties(&[property, property])),
            0x82,
            "{property:02x?} twice"
        );
    }
    assert_eq!(refuse_connect(&with_will_properties(&[&[0x01, 2]])), 0x82);
    assert_eq!(refuse_connect(&with_will_properties(&[&property(0x08, "a/#")])), 0x90);
    for property in [&[0x11, 0, 0, 0, 7][..], &[0x23, 0, 1], &[0x0B, 1]] {
        assert_eq!(
            refuse_connect(&with_will_properties(&[property])),
            0x81,
            "{property:02x?}"
        );
    }
}
