//! SUBSCRIBE and UNSUBSCRIBE, rule by rule.

use super::packet_rules::{ID, V5, V311, id};
use super::{BOTH, accept, block, packet, refuse, text, user};
use crate::{Packet, RetainHandling, SubscriptionOptions};
use inbox_types::Qos;
use std::num::NonZeroU32;

#[test]
fn a_subscribe_is_read_with_all_options() {
    // Goal: filters, options (section 3.8.3.1) and subscription identifier (section 3.8.2.1.2) arrive in order.
    let filters = [
        text("a/+"),
        vec![0x01],
        text("$share/g/#"),
        vec![0b0010_1010],
        text("b"),
        vec![0b0001_0100],
    ]
    .concat();
    let bytes = packet(
        0x82,
        &[
            ID,
            &block(&[&[0x0B, 0xFF, 0xFF, 0xFF, 0x7F], &user("a", "b")]),
            &filters,
        ],
    );
    let Packet::Subscribe(subscribe) = accept(V5, &bytes) else {
        panic!()
    };
    assert_eq!(
        (subscribe.packet_id, subscribe.subscription_id),
        (id(), NonZeroU32::new(268_435_455))
    );
    let options = |qos, no_local, retain_as_published, retain_handling| SubscriptionOptions {
        qos,
        no_local,
        retain_as_published,
        retain_handling,
    };
    assert_eq!(
        subscribe.filters.iter().collect::<Vec<_>>(),
        [
            ("a/+", options(Qos::AtLeastOnce, false, false, RetainHandling::Send)),
            (
                "$share/g/#",
                options(Qos::ExactlyOnce, false, true, RetainHandling::DoNotSend)
            ),
            ("b", options(Qos::AtMostOnce, true, false, RetainHandling::SendIfNew)),
        ]
    );
    let bytes = packet(0x82, &[ID, &text("a"), &[2], &text(""), &[0]]);
    let Packet::Subscribe(subscribe) = accept(V311, &bytes) else {
        panic!()
    };
    let filters: Vec<_> = subscribe
        .filters
        .iter()
        .map(|(filter, options)| (filter, options.qos))
        .collect();
    assert_eq!(
        filters,
        [("a", Qos::ExactlyOnce), ("", Qos::AtMostOnce)],
        "filter syntax is the session's"
    );
}

#[test]
fn subscription_options_must_be_valid() {
    // Goal: reserved bits (MQTT-3.8.3-5; 3.1.1: MQTT-3.8.3-4), QoS 3 and retain handling 3 (section 3.8.3.1) over all
    // bytes; no local on a shared subscription (MQTT-3.8.3-4).
    for options in 0..=u8::MAX {
        let bytes = packet(0x82, &[ID, &[0], &text("t"), &[options]]);
        if options & 0xC0 != 0 {
            assert_eq!(refuse(V5, &bytes), 0x81, "{options:#010b}");
        } else if options & 0x03 == 0x03 || options & 0x30 == 0x30 {
            assert_eq!(refuse(V5, &bytes), 0x82, "{options:#010b}");
        } else {
            accept(V5, &bytes);
        }
        let bytes = packet(0x82, &[ID, &text("t"), &[options]]);
        match options {
            0..=2 => _ = accept(V311, &bytes),
            _ => assert_eq!(refuse(V311, &bytes), 0x81, "{options:#010b}"),
        }
    }
    assert_eq!(
        refuse(V5, &packet(0x82, &[ID, &[0], &text("$share/g/t"), &[0x04]])),
        0x82
    );
}

#[test]
fn subscribe_and_unsubscribe_must_be_whole() {
    // Goal: at least one filter (MQTT-3.8.3-2, MQTT-3.10.3-2); their properties; nothing cut off.
    for version in BOTH {
        let properties: &[u8] = if version == V5 { &[0] } else { &[] };
        for first in [0x82, 0xA2] {
            assert_eq!(refuse(version, &packet(first, &[ID, properties])), 0x82);
            assert_eq!(refuse(version, &packet(first, &[ID, properties, &[0]])), 0x81);
            assert_eq!(
                refuse(version, &packet(first, &[ID, properties, &[0, 9], b"short"])),
                0x81
            );
            assert_eq!(
                refuse(version, &packet(first, &[ID, properties, &text("a\0"), &[0]])),
                0x81
            );
        }
        assert_eq!(
            refuse(version, &packet(0x82, &[ID, properties, &text("no options")])),
            0x81
        );
        let bytes = packet(0xA2, &[ID, properties, &text("a/#"), &text("b")]);
        let Packet::Unsubscribe(unsubscribe) = accept(version, &bytes) else {
            panic!()
        };
        assert_eq!(unsubscribe.packet_id, id());
        assert_eq!(unsubscribe.filters.iter().collect::<Vec<_>>(), ["a/#", "b"]);
    }
    let subscribe = |properties: &[&[u8]]| packet(0x82, &[ID, &block(properties), &text("t"), &[0]]);
    assert_eq!(refuse(V5, &subscribe(&[&[0x0B, 0]])), 0x82, "subscription identifier 0");
    assert_eq!(refuse(V5, &subscribe(&[&[0x0B, 1], &[0x0B, 2]])), 0x82);
    assert_eq!(refuse(V5, &subscribe(&[&[0x0B, 0x81, 0x00]])), 0x81, "overlong");
    assert_eq!(refuse(V5, &subscribe(&[&[0x01, 1]])), 0x81);
    assert_eq!(
        refuse(V5, &packet(0xA2, &[ID, &block(&[&[0x0B, 1]]), &text("t")])),
        0x81
    );
    accept(V5, &packet(0xA2, &[ID, &block(&[&user("a", "b")]), &text("t")]));
}
