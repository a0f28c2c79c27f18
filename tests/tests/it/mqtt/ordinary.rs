//! Ordinary publish and subscribe: fan-out, order, acknowledgements (sections 4.3 and 4.6).

use inbox_tests::{AckKind, Broker, PublishPacket, RawClient, Version};

#[test]
fn every_subscriber_gets_every_message_in_order() {
    // Goal: MQTT-4.6.0-6, for ten subscribers of both versions and all three QoS.
    let broker = Broker::start();
    let mut subscribers: Vec<_> = (0..10)
        .map(|i| {
            let mut client = RawClient::clean(&broker, Version::BOTH[i % 2], &format!("subscriber-{i}"));
            client.subscribe("a/+", i as u8 % 3);
            client
        })
        .collect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..200 {
        alice.publish(["a/1", "a/2"][i % 2], i.to_string(), 2);
    }
    let expected: Vec<_> = (0..200).map(|i| i.to_string()).collect();
    for client in &mut subscribers {
        assert_eq!(client.texts(200), expected);
    }
}

#[test]
fn an_ordinary_publish_is_acknowledged_with_or_without_subscribers() {
    // Goal: MQTT-3.3.4-1; MQTT 5 may say 0x10, no matching subscribers (section 3.4.2.1).
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        let answer = alice.publish_packet(PublishPacket::new("a/b", "x", 1, 0)).unwrap();
        assert!([0, 0x10].contains(&answer.reason), "{answer:?}");
        let answer = alice.publish_packet(PublishPacket::new("a/b", "x", 2, 0)).unwrap();
        assert_eq!((answer.kind, answer.reason), (AckKind::PubComp, 0));
    }
}

#[test]
fn ordinary_qos_2_is_delivered_once() {
    // Goal: MQTT-4.3.3-10: a repeated PUBLISH before PUBREL reaches subscribers once.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.subscribe("a/b", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        let publish = PublishPacket::new("a/b", "once", 2, 5);
        alice.send(&publish.encode(version));
        alice.ack(AckKind::PubRec, 5);
        alice.send(&publish.clone().dup().encode(version));
        alice.ack(AckKind::PubRec, 5);
        alice.send(&inbox_tests::pubrel(5));
        alice.ack(AckKind::PubComp, 5);
        alice.publish("a/b", "end", 2);
        assert_eq!(bob.texts(2), ["once", "end"]);
    }
}

#[test]
fn dup_is_not_forwarded() {
    // Goal: MQTT-3.3.1-3: the DUP of the publisher says nothing about the delivery.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.subscribe("a/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for topic in ["a/b", "bob"] {
        alice.publish_packet(PublishPacket::new(topic, "x", 1, 0).dup());
        assert!(!bob.receive_and_ack().dup, "{topic}");
    }
}

#[test]
fn a_publish_after_the_suback_is_seen() {
    // Goal: a granted subscription works at once (section 3.8.4), a hundred times over.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    for i in 0..100 {
        bob.subscribe(&format!("a/{i}"), 0);
        alice.publish(&format!("a/{i}"), i.to_string(), 0);
        assert_eq!(bob.receive().text(), i.to_string());
    }
}

#[test]
fn a_client_gets_its_own_messages() {
    // Goal: without No Local a publisher is a subscriber like any other, on ordinary topics and to its own inbox.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        bob.subscribe("a/b", 1);
        for topic in ["a/b", "bob"] {
            bob.publish(topic, topic, 1);
            assert_eq!(bob.texts(1), [topic]);
        }
    }
}

#[test]
fn a_large_message_arrives_whole() {
    // Goal: the largest default payload, 1 MiB, byte by byte, on an ordinary topic and through an inbox.
    let broker = Broker::start();
    let payload: Vec<u8> = (0..1024 * 1024u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    bob.subscribe("a/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for topic in ["a/b", "bob"] {
        alice.publish(topic, &payload, 1);
        assert!(bob.receive_and_ack().payload == payload, "{topic}");
    }
}
