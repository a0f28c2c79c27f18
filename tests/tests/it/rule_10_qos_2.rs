//! Contract rule 10: QoS 2 to an inbox is stored exactly once.

use inbox_tests::{AckKind, Broker, Connect, PublishPacket, RawClient, Version, pubrel};

#[test]
fn rule_10_a_repeated_publish_is_stored_once() {
    // Goal: until PUBREL, a PUBLISH with the same packet identifier is the same message (MQTT-4.3.3-10); after PUBCOMP
    // it is a new one (MQTT-4.3.3-12).
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for (text, copies) in [("first", 3), ("second", 1)] {
            let publish = PublishPacket::new("bob", text, 2, 5);
            alice.send(&publish.encode(version));
            assert_eq!(alice.ack(AckKind::PubRec, 5).reason, 0);
            for _ in 1..copies {
                alice.send(&publish.clone().dup().encode(version));
                assert_eq!(alice.ack(AckKind::PubRec, 5).reason, 0);
            }
            alice.send(&pubrel(5));
            assert_eq!(alice.ack(AckKind::PubComp, 5).reason, 0);
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        assert_eq!(bob.texts(2), ["first", "second"]);
        bob.expect_nothing();
    }
}

#[test]
fn rule_10_a_publish_repeated_over_a_reconnection_is_stored_once() {
    // Goal: the session remembers the packet identifier (MQTT-4.4.0-1, section 4.1).
    for version in Version::BOTH {
        let broker = Broker::start();
        let connect = Connect::persistent(version, "alice");
        let (mut alice, _) = RawClient::connect(&broker, &connect);
        let publish = PublishPacket::new("bob", "once", 2, 7);
        alice.send(&publish.encode(version));
        alice.ack(AckKind::PubRec, 7);
        alice.vanish();
        let (mut alice, connack) = RawClient::connect(&broker, &connect);
        assert!(connack.session_present);
        alice.send(&publish.clone().dup().encode(version));
        assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0);
        alice.send(&pubrel(7));
        assert_eq!(alice.ack(AckKind::PubComp, 7).reason, 0);
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        assert_eq!(bob.texts(1), ["once"]);
        bob.expect_nothing();
    }
}

#[test]
fn rule_10_pubrel_repeated_over_a_reconnection_is_answered() {
    // Goal: a sender that lost the PUBCOMP sends PUBREL again and must get one (MQTT-4.3.3-11); 0x92 is allowed where
    // the identifier is not known any more (section 3.7.2.1).
    let broker = Broker::start();
    let connect = Connect::persistent(Version::V5, "alice");
    let (mut alice, _) = RawClient::connect(&broker, &connect);
    alice.send(&PublishPacket::new("bob", "once", 2, 7).encode(Version::V5));
    alice.ack(AckKind::PubRec, 7);
    alice.send(&pubrel(7));
    alice.ack(AckKind::PubComp, 7);
    alice.vanish();
    let (mut alice, _) = RawClient::connect(&broker, &connect);
    alice.send(&pubrel(7));
    let answer = alice.ack(AckKind::PubComp, 7);
    assert!([0, 0x92].contains(&answer.reason), "{answer:?}");
}

#[test]
fn rule_10_qos_2_is_durable_when_pubrec_comes() {
    // Goal: PUBREC takes the responsibility over (section 4.3.3), so that a crash after it loses nothing.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let id = alice.send_publish(PublishPacket::new("bob", "kept", 2, 0));
    assert_eq!(alice.ack(AckKind::PubRec, id).reason, 0);
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 2);
    assert_eq!(bob.texts(1), ["kept"]);
}

#[test]
fn rule_10_qos_2_from_end_to_end_delivers_once() {
    // Goal: a hundred messages, QoS 2 on both sides, live and replayed, each exactly once and in order.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for i in 0..50 {
            alice.publish("bob", i.to_string(), 2);
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        for i in 50..100 {
            alice.publish("bob", i.to_string(), 2);
        }
        for i in 0..100 {
            let message = bob.receive_and_ack();
            assert_eq!((message.qos, message.text()), (2, i.to_string().as_str()));
        }
        bob.expect_nothing();
    }
}
