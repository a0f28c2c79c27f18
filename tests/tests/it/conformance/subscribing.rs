//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use inbox_tests::{
    AckKind, Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, packet, property, string,
};

const V5: Version = Version::V5;
const V311: Version = Version::V311;

/// SUBSCRIBE with several filters; the bytes behind the packet identifier are given.
fn subscribe_many(client: &mut RawClient, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = vec![0x12, 0x34];
    if client.version() == V5 {
        body.push(0);
    }
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    client.send(&packet(0x82, &body));
    client.wait_for("SUBACK", |packet| match packet {
        Packet::SubAck(suback) if suback.packet_id == 0x1234 => Some(suback.codes.clone()),
        _ => None,
    })
}

fn unsubscribe_many(client: &mut RawClient, filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0x43, 0x21];
    if client.version() == V5 {
        body.push(0);
    }
    filters.iter().for_each(|filter| body.extend(string(filter)));
    client.send(&packet(0xa2, &body));
    client.wait_for("UNSUBACK", |packet| match packet {
        Packet::UnsubAck(unsuback) if unsuback.packet_id == 0x4321 => Some(unsuback.codes.clone()),
        _ => None,
    })
}

/// Filters that break section 4.7 or 4.8.2, though they are strings of MQTT.
const BAD_FILTERS: [&str; 15] = [
    "",
    "a/#/b",
    "#/a",
    "a#",
    "##",
    "a/b#",
    "a+",
    "+a/b",
    "a/b+/c",
    "++",
    "$share/g",
    "$share//a",
    "$share/g+/a",
    "$share/#/a",
    "$share/g/",
];

#[test]
fn each_filter_of_a_subscribe_has_its_code_in_its_place() {
    // Goal: MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-3.8.4-5, MQTT-3.8.4-6, MQTT-3.8.4-7, MQTT-3.9.3-1, MQTT-3.9.3-2,
    // MQTT-2.2.1-6, MQTT-3.8.4-1 of 3.1.1, MQTT-3.8.4-2 of 3.1.1, MQTT-3.8.4-4 of 3.1.1, MQTT-3.8.4-5 of 3.1.1,
    // MQTT-3.9.3-1 of 3.1.1, MQTT-3.9.3-2 of 3.1.1, MQTT-2.3.1-7 of 3.1.1: granted, refused and broken ones in one
    // packet; the same filter twice is one subscription with the later options; and the refused ones harm nobody.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut bob = RawClient::clean(&broker, version, "bob");
        let codes = subscribe_many(
            &mut bob,
            &[
                ("a/1", 0),
                ("carol", 1),
                ("a/2", 1),
                ("a/#/b", 2),
                ("a/3", 2),
                ("bob", 1),
                ("a/1", 2),
            ],
        );
        let (stranger, invalid) = if version == V5 { (0x87, 0x8f) } else { (0x80, 0x80) };
        assert_eq!(codes, [0, stranger, 1, invalid, 2, 1, 2]);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for (topic, qos) in [("a/1", 2), ("a/2", 1), ("a/3", 2), ("bob", 1)] {
            alice.publish(topic, topic, 2);
            let message = bob.receive_and_ack();
            assert_eq!((message.topic.as_str(), message.qos), (topic, qos));
        }
        bob.expect_nothing();
    }
}

#[test]
fn an_invalid_filter_is_answered_in_its_place() {
    // Goal: MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1, MQTT-4.8.2-1, MQTT-4.8.2-2, MQTT-3.11.3-1, MQTT-3.11.3-2,
    // MQTT-4.7.1-2 of 3.1.1, MQTT-4.7.1-3 of 3.1.1: a deliberate difference: SUBSCRIBE and UNSUBSCRIBE both answer
    // 0x8F (3.1.1: 0x80 in SUBACK) for a filter that breaks the rules, and the connection and the other filters go
    // on.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut bob = RawClient::clean(&broker, version, "bob");
        for filter in BAD_FILTERS {
            let code = if version == V5 { 0x8f } else { 0x80 };
            assert_eq!(
                subscribe_many(&mut bob, &[(filter, 1), ("a/b", 1)]),
                [code, 1],
                "{filter:?}"
            );
            let codes = unsubscribe_many(&mut bob, &[filter, "a/b"]);
            assert_eq!(codes, if version == V5 { vec![0x8f, 0] } else { vec![] }, "{filter:?}");
        }
        bob.expect_nothing();
    }
}

#[test]
fn an_unsubscribe_takes_what_is_spelled_alike_and_nothing_else() {
    // Goal: MQTT-3.10.4-1, MQTT-3.10.4-2, MQTT-3.10.4-4, MQTT-3.10.4-5, MQTT-3.10.4-6, MQTT-3.11.3-1,
    // MQTT-3.10.4-1 of 3.1.1, MQTT-3.10.4-2 of 3.1.1, MQTT-3.10.4-4 of 3.1.1, MQTT-3.10.4-5 of 3.1.1,
    // MQTT-3.10.4-6 of 3.1.1: byte by byte, wildcards included; a filter that matches more or fewer topics is another
    // one, and so is a shared one.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut bob = RawClient::clean(&broker, version, "bob");
        subscribe_many(&mut bob, &[("a/+", 1), ("a/b", 1), ("$share/g/a/b", 1), ("bob", 1)]);
        let codes = unsubscribe_many(&mut bob, &["a/#", "A/b", "+/b", "a/b/", "$share/h/a/b", "carol"]);
        assert_eq!(codes, if version == V5 { vec![0x11; 6] } else { vec![] });
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("a/b", "three copies", 1);
        alice.publish("bob", "mail", 1);
        assert_eq!(bob.texts(4).iter().filter(|text| *text == "three copies").count(), 3);
        let codes = unsubscribe_many(&mut bob, &["a/+", "a/b", "a/b", "$share/g/a/b", "bob", "bob"]);
        assert_eq!(
            codes,
            if version == V5 {
                vec![0, 0, 0x11, 0, 0, 0x11]
            } else {
                vec![]
            }
        );
        alice.publish("a/b", "nobody", 1);
        alice.publish("bob", "waits", 1);
        bob.expect_nothing();
        bob.subscribe("bob", 1);
        assert_eq!(bob.texts(1), ["waits"]);
    }
}

#[test]
fn what_is_under_way_when_a_client_unsubscribes_is_finished() {
    // Goal: MQTT-3.10.4-3, MQTT-4.5.0-1, MQTT-3.10.4-3 of 3.1.1: messages of QoS 1 and 2 that were sent before
    // UNSUBSCRIBE are acknowledged to the end afterwards, also over a reconnection of a kept session.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "bob");
        let (mut bob, _) = RawClient::connect(&broker, &kept);
        bob.subscribe("a/b", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for qos in [1, 2] {
            alice.publish("a/b", qos.to_string(), qos);
        }
        let (one, two) = (bob.receive(), bob.receive());
        bob.unsubscribe("a/b");
        bob.send(&inbox_tests::ack(0x50, two.packet_id));
        bob.ack(AckKind::PubRel, two.packet_id);
        bob.vanish();
        let (mut bob, _) = RawClient::connect(&broker, &kept);
        let again = bob.receive();
        assert_eq!((again.packet_id, again.dup, again.text()), (one.packet_id, true, "1"));
        bob.acknowledge(&again);
        bob.ack(AckKind::PubRel, two.packet_id);
        bob.send(&inbox_tests::ack(0x70, two.packet_id));
        bob.expect_nothing();
    }
}

#[test]
fn a_subscription_identifier_goes_with_its_subscription() {
    // Goal: MQTT-3.3.4-3, MQTT-3.3.4-5, MQTT-3.8.4-3: the largest identifier; replaced by another and by none;
    // several filters of one packet share it; the own inbox has one too; and it is part of a kept session.
    let broker = Broker::start();
    let kept = Connect::persistent(V5, "bob");
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let with = |id: u32| Props::new().var(property::SUBSCRIPTION_ID, id);
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for (props, expected) in [
        (with(268_435_455), vec![268_435_455]),
        (with(1), vec![1]),
        (Props::new(), vec![]),
        (with(128), vec![128]),
    ] {
        for topic in ["a/b", "bob"] {
            bob.subscribe_with(topic, 1, &props);
            alice.publish(topic, "x", 1);
            assert_eq!(
                bob.receive_and_ack().props.numbers(property::SUBSCRIPTION_ID),
                expected,
                "{topic}"
            );
        }
    }
    bob.disconnect();
    alice.publish("a/b", "x", 1);
    alice.publish("bob", "x", 1);
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    for _ in 0..2 {
        assert_eq!(bob.receive_and_ack().props.numbers(property::SUBSCRIPTION_ID), [128]);
    }
}

#[test]
fn subscriptions_of_one_client_that_overlap_each_deliver() {
    // Goal: MQTT-3.3.4-2, MQTT-3.3.4-4, MQTT-3.3.4-5, MQTT-3.3.5-1 of 3.1.1, MQTT-3.8.3-3: one copy per subscription,
    // each with its own QoS, identifier, No Local and Retain As Published.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, V5, "bob");
    for (id, (filter, options)) in [("a/b", 0), ("a/+", 1), ("a/#", 0b1010), ("#", 0b110)]
        .into_iter()
        .enumerate()
    {
        bob.subscribe_with(
            filter,
            options,
            &Props::new().var(property::SUBSCRIPTION_ID, id as u32 + 1),
        );
    }
    let seen = |bob: &mut RawClient, n: usize| {
        let mut got: Vec<_> = (0..n)
            .map(|_| bob.receive_and_ack())
            .map(|message| {
                (
                    message.props.numbers(property::SUBSCRIPTION_ID),
                    message.qos,
                    message.retain,
                )
            })
            .collect();
        got.sort();
        bob.expect_nothing();
        got
    };
    RawClient::clean(&broker, V5, "alice").publish_packet(PublishPacket::new("a/b", "x", 2, 0).retain());
    let expected = [
        (vec![1], 0, false),
        (vec![2], 1, false),
        (vec![3], 2, true),
        (vec![4], 2, false),
    ];
    assert_eq!(seen(&mut bob, 4), expected);
    // Its own message does not come by the one with No Local.
    bob.publish_packet(PublishPacket::new("a/b", "x", 2, 0).retain());
    assert_eq!(seen(&mut bob, 3), expected[..3]);
    let mut old = RawClient::clean(&broker, V311, "old");
    old.subscribe("b/+", 0);
    old.subscribe("b/#", 2);
    RawClient::clean(&broker, V5, "alice").publish("b/c", "x", 1);
    let qos: Vec<_> = (0..2).map(|_| old.receive_and_ack().qos).collect();
    assert!(qos.contains(&1), "the highest of them is among the copies: {qos:?}");
}
