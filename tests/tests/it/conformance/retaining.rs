//! Retained messages where there are none, and the options of a subscription about those that there are.

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, Will, property};

use super::{connack_code, last_word};

const V5: Version = Version::V5;
const V311: Version = Version::V311;

#[test]
fn a_broker_without_retained_messages_says_so() {
    // Goal: MQTT-3.2.2-13, MQTT-3.2.2-14: with `router.retained_messages_max` or `router.retained_bytes_max` 0,
    // CONNACK has Retain Available 0, a publish to retain ends the connection with 0x9A, to an inbox and with an
    // empty payload too, a retained will is refused with 0x9A, and everything else works.
    for key in ["retained_messages_max = 0", "retained_bytes_max = 0"] {
        let broker = Broker::with_config(&format!("[router]\n{key}\n"));
        let (mut alice, connack) = RawClient::connect(&broker, &Connect::new(V5, "alice"));
        assert_eq!(connack.props.number(property::RETAIN_AVAILABLE), Some(0));
        for qos in 0..3 {
            for (topic, payload) in [("a/b", "x"), ("a/b", ""), ("bob", "x")] {
                let bytes = PublishPacket::new(topic, payload, qos, 1).retain().encode(V5);
                assert_eq!(
                    last_word(&broker, V5, &bytes),
                    Some(0x9a),
                    "{topic} {payload:?} QoS {qos}"
                );
            }
        }
        let mut will = Will::new("a/b", "gone");
        assert_eq!(
            connack_code(&broker, V5, &Connect::new(V5, "w").will(will.clone()).encode()),
            Some(0)
        );
        will.retain = true;
        assert_eq!(
            connack_code(&broker, V5, &Connect::new(V5, "w").will(will.clone()).encode()),
            Some(0x9a)
        );
        // MQTT 3.1.1 has no return code for it; a will to an inbox loses its flag (contract rule 1).
        assert_eq!(
            connack_code(&broker, V311, &Connect::new(V311, "w").will(will).encode()),
            None
        );
        let mut mail = Will::new("bob", "gone");
        mail.retain = true;
        assert_eq!(
            connack_code(&broker, V311, &Connect::new(V311, "w").will(mail).encode()),
            Some(0)
        );
        alice.subscribe("a/b", 1);
        alice.publish("a/b", "x", 1);
        assert_eq!(alice.texts(1), ["x"]);
        // What the broker itself would retain reaches those who are subscribed.
        alice.subscribe("$SYS/inboxd/metrics", 0);
        assert!(alice.receive().text().starts_with('{'));
    }
}

#[test]
fn a_broker_with_retained_messages_does_not_mention_it() {
    // Goal: section 3.2.2.3.5: absent means available.
    let broker = Broker::start();
    let (_, connack) = RawClient::connect(&broker, &Connect::new(V5, "alice"));
    assert_eq!(connack.props.number(property::RETAIN_AVAILABLE), None);
}

#[test]
fn retained_messages_come_as_retain_handling_says() {
    // Goal: MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11, MQTT-3.8.4-3, MQTT-3.8.4-4, MQTT-3.3.1-6 of 3.1.1,
    // MQTT-3.8.4-3 of 3.1.1: each handling, for a subscription that is new, that replaces one, that replaces one with
    // another QoS, and that comes after an unsubscription; alone and twice in one packet.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for topic in ["a/1", "a/2"] {
        alice.publish_packet(PublishPacket::new(topic, topic, 1, 0).retain());
    }
    let expected = |new: bool, handling: u8| match handling {
        0 => 2,
        1 => 2 * usize::from(new),
        _ => 0,
    };
    for first in 0..3_u8 {
        for second in 0..3_u8 {
            let mut bob = RawClient::clean(&broker, V5, "bob");
            for (new, handling, qos) in [(true, first, 1), (false, second, 1), (false, second, 0)] {
                assert_eq!(bob.subscribe("a/+", handling << 4 | qos).codes, [qos]);
                let got = bob.publishes_so_far();
                assert_eq!(got.len(), expected(new, handling), "{first} then {second}, new {new}");
                assert!(got.iter().all(|message| message.retain && message.qos == qos));
                got.iter().for_each(|message| bob.acknowledge(message));
            }
            bob.unsubscribe("a/+");
            bob.subscribe("a/+", second << 4);
            assert_eq!(bob.publishes_so_far().len(), expected(true, second));
        }
    }
    let mut old = RawClient::clean(&broker, V311, "old");
    for _ in 0..2 {
        old.subscribe("a/+", 0);
        assert_eq!(old.publishes_so_far().len(), 2, "MQTT 3.1.1 sends them each time");
    }
}

#[test]
fn the_retain_flag_is_as_the_subscription_wants_it() {
    // Goal: MQTT-3.3.1-8, MQTT-3.3.1-12, MQTT-3.3.1-13, MQTT-3.3.1-8 of 3.1.1, MQTT-3.3.1-9 of 3.1.1: published with
    // RETAIN or without, live or kept, as published or not.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for as_published in [false, true] {
        let mut bob = RawClient::clean(&broker, V5, "bob");
        bob.subscribe("a/b", u8::from(as_published) << 3 | 1);
        bob.publishes_so_far();
        for retain in [true, false] {
            let publish = PublishPacket::new("a/b", format!("{retain}"), 1, 0);
            alice.publish_packet(if retain { publish.retain() } else { publish });
            assert_eq!(bob.receive_and_ack().retain, retain && as_published);
        }
        bob.subscribe("a/b", u8::from(as_published) << 3 | 1);
        let kept = bob.receive_and_ack();
        assert_eq!(
            (kept.text(), kept.retain),
            ("true", true),
            "a publish without RETAIN replaces nothing"
        );
        let mut old = RawClient::clean(&broker, V311, "old");
        old.subscribe("a/b", 1);
        assert!(old.receive_and_ack().retain);
        alice.publish_packet(PublishPacket::new("a/b", "live", 1, 0).retain());
        assert!(!old.receive_and_ack().retain);
    }
}

#[test]
fn what_is_retained_is_the_last_message_whatever_its_qos() {
    // Goal: MQTT-3.3.1-5, MQTT-3.3.1-6, MQTT-3.3.1-7, MQTT-3.3.1-5 of 3.1.1, MQTT-3.3.1-7 of 3.1.1,
    // MQTT-3.3.1-10 of 3.1.1, MQTT-3.3.1-11 of 3.1.1, MQTT-3.3.1-12 of 3.1.1, MQTT-3.1.2-7 of 3.1.1: each QoS
    // replaces each other, QoS 0 included; an empty one of each QoS clears; and the end of its publisher's session
    // clears nothing.
    for version in Version::BOTH {
        let broker = Broker::start();
        let retained = |broker: &Broker| {
            let mut bob = RawClient::clean(broker, version, "bob");
            bob.subscribe("a/b", 2);
            bob.ping();
            let got = bob.publishes_so_far();
            got.iter()
                .map(|message| (message.text().to_owned(), message.qos))
                .collect::<Vec<_>>()
        };
        for first in 0..3 {
            for second in 0..3 {
                let mut alice = RawClient::clean(&broker, version, "alice");
                alice.publish_packet(PublishPacket::new("a/b", "first", first, 0).retain());
                alice.publish_packet(PublishPacket::new("a/b", "second", second, 0).retain());
                alice.publish("a/b", "not retained", 1);
                alice.disconnect();
                assert_eq!(retained(&broker), [("second".to_owned(), second)]);
                let mut alice = RawClient::clean(&broker, version, "alice");
                alice.publish_packet(PublishPacket::new("a/b", "", first, 0).retain());
                alice.ping();
                assert_eq!(retained(&broker), []);
            }
        }
    }
}

#[test]
fn a_shared_subscription_and_a_filter_with_a_dollar_get_what_is_theirs() {
    // Goal: MQTT-4.7.2-1, MQTT-4.7.2-1 of 3.1.1 and section 4.8.2 for retained messages: none for a shared
    // subscription, and none under $SYS for a leading wildcard.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    alice.publish_packet(PublishPacket::new("a/b", "x", 1, 0).retain());
    for (filter, expected) in [
        ("$share/g/a/b", 0),
        ("$share/g/#", 0),
        ("#", 1),
        ("+/b", 1),
        ("+/inboxd/version", 0),
        ("$SYS/inboxd/version", 1),
        ("$SYS/inboxd/version/#", 1),
    ] {
        let mut bob = RawClient::clean(&broker, V5, "bob");
        assert_eq!(bob.subscribe_with(filter, 0, &Props::new()).codes, [0], "{filter}");
        let topics: Vec<_> = bob
            .publishes_so_far()
            .into_iter()
            .map(|message| message.topic)
            .collect();
        assert_eq!(topics.len(), expected, "{filter}: {topics:?}");
    }
}
