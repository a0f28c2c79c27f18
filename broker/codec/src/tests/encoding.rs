//! What is sent, byte by byte.

use crate::encode::{ack, auth, connack, disconnect, pingresp, publish, publish_len, suback, unsuback};
use crate::{AckKind, ConnAck, PacketId, PublishOut, Version};
use inbox_types::{PayloadFormat, Qos};

const V311: Version = Version::V311;
const V5: Version = Version::V5;

fn id() -> PacketId {
    PacketId::new(0x0102).unwrap()
}

/// What `encode` appends to a vector that is not empty.
fn sent(encode: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0xAA];
    encode(&mut out);
    assert_eq!(out.remove(0), 0xAA, "encoding appends");
    out
}

#[test]
fn connack_of_mqtt_311_has_its_own_codes() {
    // Goal: the return codes of 3.1.1 table 3.1; no CONNACK where none of them fits (3.1.1: MQTT-3.2.2-6); session
    // present only with success (3.1.1: MQTT-3.2.2-4).
    let sent = |reason| {
        sent(|out| {
            connack(
                out,
                V311,
                &ConnAck {
                    session_present: true,
                    reason,
                    ..Default::default()
                },
            )
        })
    };
    assert_eq!(sent(0x00), [0x20, 2, 1, 0]);
    for (reason, code) in [
        (0x84, 1),
        (0x85, 2),
        (0x88, 3),
        (0x89, 3),
        (0x8B, 3),
        (0x97, 3),
        (0x86, 4),
        (0x87, 5),
    ] {
        assert_eq!(sent(reason), [0x20, 2, 0, code], "{reason:#04x}");
    }
    for reason in [0x80, 0x81, 0x82, 0x83, 0x90, 0x95] {
        assert!(sent(reason).is_empty(), "{reason:#04x}");
    }
}

#[test]
fn connack_of_mqtt_5_says_what_it_is_told() {
    // Goal: section 3.2, with nothing, and with every property that the broker sends.
    let bare = ConnAck {
        session_present: true,
        ..Default::default()
    };
    assert_eq!(sent(|out| connack(out, V5, &bare)), [0x20, 3, 1, 0, 0]);
    let refused = ConnAck {
        session_present: true,
        reason: 0x87,
        ..Default::default()
    };
    assert_eq!(
        sent(|out| connack(out, V5, &refused)),
        [0x20, 3, 0, 0x87, 0],
        "MQTT-3.2.2-6"
    );
    let full = ConnAck {
        session_expiry: Some(1),
        receive_maximum: Some(2),
        maximum_packet_size: Some(3),
        assigned_client_id: Some("me"),
        topic_alias_maximum: 4,
        reason_string: Some("ok"),
        server_keep_alive: Some(5),
        ..Default::default()
    };
    let expected = [
        &[0x20, 32, 0, 0, 29][..],
        &[0x11, 0, 0, 0, 1, 0x21, 0, 2, 0x27, 0, 0, 0, 3],
        b"\x12\0\x02me\x22\0\x04\x1F\0\x02ok\x13\0\x05",
    ]
    .concat();
    assert_eq!(sent(|out| connack(out, V5, &full)), expected);
}

#[test]
fn publish_is_written_as_measured() {
    // Goal: section 3.3 in both versions, with no property and with all of them, and `publish_len` is the truth.
    let user = [("k".into(), "v".into())];
    let full = PublishOut {
        dup: true,
        qos: Qos::ExactlyOnce,
        retain: true,
        topic: "t",
        packet_id: Some(id()),
        topic_alias: Some(3),
        subscription_ids: &[1, 200],
        message_expiry: Some(9),
        payload_format: Some(PayloadFormat::Utf8),
        content_type: Some("c"),
        response_topic: Some("r"),
        correlation_data: Some(&[7]),
        own_user: &[("id", "x")],
        user: &user,
        payload: b"body",
    };
    assert_eq!(sent(|out| publish(out, V311, &full)), b"\x3D\x09\0\x01t\x01\x02body");
    let properties = [
        &[0x01, 1, 0x02, 0, 0, 0, 9, 0x23, 0, 3][..],
        b"\x08\0\x01r\x09\0\x01\x07\x03\0\x01c",
        &[0x0B, 1, 0x0B, 0xC8, 0x01],
        b"\x26\0\x02id\0\x01x\x26\0\x01k\0\x01v",
    ]
    .concat();
    let expected = [
        &[0x3D, 10 + properties.len() as u8][..],
        b"\0\x01t\x01\x02",
        &[properties.len() as u8],
        &properties,
        b"body",
    ];
    assert_eq!(sent(|out| publish(out, V5, &full)), expected.concat());

    let bare = PublishOut {
        dup: true,
        topic: "t",
        packet_id: Some(id()),
        ..Default::default()
    };
    assert_eq!(
        sent(|out| publish(out, V311, &bare)),
        b"\x30\x03\0\x01t",
        "QoS 0: no DUP, no identifier"
    );
    assert_eq!(sent(|out| publish(out, V5, &bare)), b"\x30\x04\0\x01t\0");
    for payload_len in [0, 120, 128, 16_376, 16_390, 2_097_145, 2_097_160] {
        let payload = vec![0; payload_len];
        for version in [V311, V5] {
            for publish_out in [
                PublishOut {
                    payload: &payload,
                    ..full
                },
                PublishOut {
                    payload: &payload,
                    ..bare
                },
            ] {
                let length = sent(|out| publish(out, version, &publish_out)).len();
                assert_eq!(publish_len(version, &publish_out), length);
            }
        }
    }
}

#[test]
fn acknowledgements_are_as_short_as_they_can_be() {
    // Goal: section 3.4.2: four bytes for success, five for a bare reason; always four in MQTT 3.1.1.
    for (kind, first) in [
        (AckKind::PubAck, 0x40),
        (AckKind::PubRec, 0x50),
        (AckKind::PubRel, 0x62),
        (AckKind::PubComp, 0x70),
    ] {
        assert_eq!(sent(|out| ack(out, V5, kind, id(), 0, None, &[])), [first, 2, 1, 2]);
        assert_eq!(
            sent(|out| ack(out, V5, kind, id(), 0x92, None, &[])),
            [first, 3, 1, 2, 0x92]
        );
        assert_eq!(
            sent(|out| ack(out, V311, kind, id(), 0x92, Some("no"), &[("a", "b")])),
            [first, 2, 1, 2]
        );
    }
    let long = sent(|out| {
        ack(
            out,
            V5,
            AckKind::PubAck,
            id(),
            0x97,
            Some("full"),
            &[("a", "b"), ("c", "")],
        )
    });
    assert_eq!(
        long,
        b"\x40\x18\x01\x02\x97\x14\x1F\0\x04full\x26\0\x01a\0\x01b\x26\0\x01c\0\0"
    );
    let user_only = sent(|out| ack(out, V5, AckKind::PubAck, id(), 0, None, &[("seq", "1")]));
    assert_eq!(user_only, b"\x40\x0D\x01\x02\0\x09\x26\0\x03seq\0\x011");
}

#[test]
fn suback_and_unsuback_answer_each_filter() {
    // Goal: sections 3.9 and 3.11; MQTT 3.1.1 knows one failure code in SUBACK and none in UNSUBACK.
    let codes = [0, 1, 2, 0x87, 0x8F];
    assert_eq!(
        sent(|out| suback(out, V311, id(), &codes, Some("no"))),
        [0x90, 7, 1, 2, 0, 1, 2, 0x80, 0x80]
    );
    assert_eq!(
        sent(|out| suback(out, V5, id(), &codes, None)),
        [0x90, 8, 1, 2, 0, 0, 1, 2, 0x87, 0x8F]
    );
    assert_eq!(
        sent(|out| suback(out, V5, id(), &[0x87], Some("no"))),
        b"\x90\x09\x01\x02\x05\x1F\0\x02no\x87"
    );
    assert_eq!(sent(|out| unsuback(out, V311, id(), &[0, 0x11])), [0xB0, 2, 1, 2]);
    assert_eq!(
        sent(|out| unsuback(out, V5, id(), &[0, 0x11])),
        [0xB0, 5, 1, 2, 0, 0, 0x11]
    );
}

#[test]
fn pingresp_and_disconnect_are_short() {
    // Goal: sections 3.13 and 3.14; a server of MQTT 3.1.1 sends no DISCONNECT.
    assert_eq!(sent(pingresp), [0xD0, 0]);
    assert!(sent(|out| disconnect(out, V311, 0x8B, Some("bye"))).is_empty());
    assert_eq!(sent(|out| disconnect(out, V5, 0, None)), [0xE0, 0]);
    assert_eq!(sent(|out| disconnect(out, V5, 0x8E, None)), [0xE0, 1, 0x8E]);
    assert_eq!(
        sent(|out| disconnect(out, V5, 0x8B, Some("bye"))),
        b"\xE0\x08\x8B\x06\x1F\0\x03bye"
    );
}

#[test]
fn packet_identifiers_go_round_without_zero() {
    // Goal: MQTT-2.2.1-3: 65,535 is followed by 1.
    assert_eq!(PacketId::new(0), None);
    assert_eq!(PacketId::MIN.get(), 1);
    assert_eq!(PacketId::MIN.next().get(), 2);
    assert_eq!(PacketId::new(u16::MAX).unwrap().next(), PacketId::MIN);
}

#[test]
fn an_auth_names_its_method() {
    // Goal: MQTT-4.12.0-5: what is sent is what is read: reason code, method, and nothing else.
    let bytes = sent(|out| auth(out, 0x18, "token"));
    assert_eq!(bytes, [&[0xF0, 10, 0x18, 8, 0x15, 0, 5][..], b"token"].concat());
    let read = crate::decode(V5, &bytes).unwrap();
    let expected = crate::Auth {
        reason: 0x18,
        authentication_method: Some("token"),
        authentication_data: None,
    };
    assert_eq!(read, crate::Packet::Auth(expected));
}
