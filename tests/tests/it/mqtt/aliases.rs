//! Topic aliases in both directions (sections 3.1.2.11.5, 3.2.2.3.8 and 3.3.2.3.4).

use std::collections::HashMap;

use inbox_tests::{AckKind, Broker, Connect, Props, PublishPacket, RawClient, Version, property};

fn alias(n: u16) -> Props {
    Props::new().two(property::TOPIC_ALIAS, n)
}

/// A connected client and the broker's Topic Alias Maximum.
fn with_maximum(broker: &Broker, name: &str) -> (RawClient, u16) {
    let (client, connack) = RawClient::connect(broker, &Connect::new(Version::V5, name));
    let max = connack
        .props
        .number(property::TOPIC_ALIAS_MAXIMUM)
        .expect("the broker takes aliases");
    (client, max as u16)
}

#[test]
fn a_publisher_may_use_aliases() {
    // Goal: MQTT-3.3.2-12: an alias stands for its topic, up to the maximum, until it is given another; for ordinary
    // topics and for inboxes; the alias is not forwarded.
    let broker = Broker::start();
    let (mut alice, max) = with_maximum(&broker, "alice");
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.subscribe("a/+", 1);
    for (topic, n) in [("a/b", 1), ("", 1), ("bob", max), ("", max), ("a/c", 1), ("", 1)] {
        let answer = alice
            .publish_packet(PublishPacket::new(topic, "x", 1, 0).props(alias(n)))
            .unwrap();
        assert_eq!(answer.reason, 0);
    }
    let mut topics: Vec<_> = Vec::new();
    for _ in 0..6 {
        let message = bob.receive_and_ack();
        assert_eq!(message.props.number(property::TOPIC_ALIAS), None);
        topics.push(message.topic);
    }
    topics.sort();
    assert_eq!(topics, ["a/b", "a/b", "a/c", "a/c", "bob", "bob"]);
}

#[test]
fn an_alias_that_is_not_allowed_ends_the_connection() {
    // Goal: more than the maximum is 0x94 (MQTT-3.3.2-9), and so is 0, which is a protocol error too (MQTT-3.3.2-8); an
    // alias that stands for nothing is a protocol error, 0x82 (section 3.3.4).
    let broker = Broker::start();
    for (topic, n, reasons) in [
        ("a/b", 0, [0x94, 0x82]),
        ("a/b", u16::MAX, [0x94, 0x94]),
        ("", 1, [0x82, 0x94]),
    ] {
        let (mut alice, _) = with_maximum(&broker, "alice");
        alice.send_publish(PublishPacket::new(topic, "x", 1, 0).props(alias(n)));
        alice.expect_disconnect(&reasons);
    }
}

#[test]
fn aliases_end_with_the_connection() {
    // Goal: MQTT-3.3.2-7: a resumed session does not know the aliases of the last connection.
    let broker = Broker::start();
    let kept = Connect::persistent(Version::V5, "alice");
    let (mut alice, _) = RawClient::connect(&broker, &kept);
    alice.publish_packet(PublishPacket::new("a/b", "x", 1, 0).props(alias(1)));
    alice.vanish();
    let (mut alice, _) = RawClient::connect(&broker, &kept);
    alice.send_publish(PublishPacket::new("", "x", 1, 0).props(alias(1)));
    alice.expect_disconnect(&[0x82, 0x94]);
}

#[test]
fn the_broker_uses_only_aliases_that_the_client_allows() {
    // Goal: MQTT-3.1.2-26 and -27: none without a maximum, and not above it; whatever it uses, the topics are right.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for max in [0, 2] {
        let props = Props::new().two(property::TOPIC_ALIAS_MAXIMUM, max);
        let (mut bob, _) = RawClient::connect(&broker, &Connect::new(Version::V5, "bob").props(props));
        bob.subscribe("bob", 1);
        bob.subscribe("a/#", 1);
        let mut aliases: HashMap<u32, String> = HashMap::new();
        for topic in ["a/1", "bob", "a/1", "a/2", "a/3", "bob", "a/1", "a/2", "a/3"] {
            let id = alice.send_publish(PublishPacket::new(topic, "x", 1, 0));
            alice.ack(AckKind::PubAck, id);
            let message = bob.receive_and_ack();
            let used = message.props.number(property::TOPIC_ALIAS);
            assert!(
                used.is_none_or(|n| n >= 1 && n <= u32::from(max)),
                "alias {used:?} of at most {max}"
            );
            let got = match used {
                Some(n) if message.topic.is_empty() => aliases.get(&n).cloned().expect("a known alias"),
                Some(n) => {
                    aliases.insert(n, message.topic.clone());
                    message.topic
                }
                None => message.topic,
            };
            assert_eq!(got, topic);
        }
    }
}
