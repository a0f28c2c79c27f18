//! Session present, clean start and session expiry (sections 3.1.2.4, 3.1.2.11.2 and 4.1).

use std::thread;
use std::time::Duration;

use inbox_tests::{AckKind, Broker, Connect, Props, PublishPacket, RawClient, Version, disconnect, property};

fn session_present(broker: &Broker, connect: &Connect) -> (RawClient, bool) {
    let (client, connack) = RawClient::connect(broker, connect);
    (client, connack.session_present)
}

#[test]
fn a_session_is_present_when_it_was_kept() {
    // Goal: MQTT-3.2.2-2, -3: 0 on the first connection, 1 on the second, 0 after a clean start (MQTT-3.1.2-4).
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "alice");
        let (client, present) = session_present(&broker, &kept);
        assert!(!present);
        client.disconnect();
        let (client, present) = session_present(&broker, &kept);
        assert!(present, "{version:?}");
        client.vanish();
        let (client, present) = session_present(&broker, &kept);
        assert!(present, "a lost connection keeps the session too");
        client.disconnect();
        let mut clean = kept.clone();
        clean.clean = true;
        assert!(!session_present(&broker, &clean).1);
    }
}

#[test]
fn a_clean_session_ends_with_its_connection() {
    // Goal: 3.1.1 clean session, and MQTT 5 without an expiry (MQTT-3.1.2-23 and section 3.1.2.11.2: absent means 0).
    for version in Version::BOTH {
        let broker = Broker::start();
        RawClient::clean(&broker, version, "alice").disconnect();
        let mut again = Connect::new(version, "alice");
        again.clean = false;
        assert!(!session_present(&broker, &again).1);
    }
}

#[test]
fn ordinary_messages_wait_for_a_session() {
    // Goal: QoS 1 and 2 messages for a subscription of an absent session are delivered when it comes back
    // (MQTT-3.1.2-5), in order, each with the lower of the two QoS; QoS 0 need not be.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "bob");
        let (mut bob, _) = session_present(&broker, &kept);
        bob.subscribe("news/#", 2);
        bob.disconnect();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for (i, qos) in [1, 2, 1, 2].into_iter().enumerate() {
            alice.publish("news/today", i.to_string(), qos);
        }
        let (mut bob, present) = session_present(&broker, &kept);
        assert!(present);
        for (i, qos) in [1, 2, 1, 2].into_iter().enumerate() {
            let message = bob.receive_and_ack();
            assert_eq!((message.text(), message.qos), (i.to_string().as_str(), qos));
        }
    }
}

#[test]
fn unacknowledged_ordinary_messages_are_sent_again_to_a_resumed_session() {
    // Goal: MQTT-4.4.0-1: with their packet identifiers, in order, with DUP.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "bob");
        let (mut bob, _) = session_present(&broker, &kept);
        bob.subscribe("news/#", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for qos in [1, 2, 1] {
            alice.publish("news/today", qos.to_string(), qos);
        }
        let first: Vec<_> = (0..3).map(|_| bob.receive()).collect();
        bob.vanish();
        let (mut bob, _) = session_present(&broker, &kept);
        for before in &first {
            let again = bob.receive();
            assert!(again.dup, "DUP is set on {again:?}");
            assert_eq!(
                (again.packet_id, again.qos, &again.payload),
                (before.packet_id, before.qos, &before.payload)
            );
            bob.acknowledge(&again);
        }
        bob.expect_nothing();
    }
}

#[test]
fn a_pubrel_is_sent_again_to_a_resumed_session() {
    // Goal: MQTT-4.4.0-1: the half of a QoS 2 exchange that PUBREC ended goes on with PUBREL, not with PUBLISH.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "bob");
        let (mut bob, _) = session_present(&broker, &kept);
        bob.subscribe("news/#", 2);
        RawClient::clean(&broker, version, "alice").publish("news/today", "x", 2);
        let message = bob.receive();
        bob.send(&inbox_tests::ack(0x50, message.packet_id));
        bob.ack(AckKind::PubRel, message.packet_id);
        bob.vanish();
        let (mut bob, _) = session_present(&broker, &kept);
        bob.ack(AckKind::PubRel, message.packet_id);
        bob.send(&inbox_tests::ack(0x70, message.packet_id));
        bob.expect_nothing();
    }
}

#[test]
fn a_session_expires_after_its_interval() {
    // Goal: MQTT-3.1.2-23: a session with an expiry of one second is gone after more than that; its ordinary messages
    // with it, its mail not.
    let broker = Broker::start();
    let mut connect = Connect::new(Version::V5, "bob");
    connect.props = Props::new().four(property::SESSION_EXPIRY, 1);
    let (mut bob, _) = session_present(&broker, &connect);
    bob.subscribe("bob", 1);
    bob.subscribe("news/#", 1);
    bob.disconnect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("news/today", "ordinary", 1);
    alice.publish("bob", "mail", 1);
    thread::sleep(Duration::from_millis(2500));
    connect.clean = false;
    let (mut bob, present) = session_present(&broker, &connect);
    assert!(!present);
    bob.expect_nothing();
    bob.subscribe("bob", 1);
    assert_eq!(bob.texts(1), ["mail"]);
}

#[test]
fn disconnect_can_change_the_expiry() {
    // Goal: section 3.14.2.2.2: DISCONNECT with expiry 0 ends a session that had an hour.
    let broker = Broker::start();
    let kept = Connect::persistent(Version::V5, "alice");
    let (mut alice, _) = session_present(&broker, &kept);
    alice.send(&disconnect(
        Version::V5,
        0,
        &Props::new().four(property::SESSION_EXPIRY, 0),
    ));
    alice.expect_close();
    assert!(!session_present(&broker, &kept).1);
}

#[test]
fn disconnect_cannot_extend_a_session_that_was_to_end() {
    // Goal: section 3.14.2.2.2: from 0 to something else is a protocol error, answered with 0x82.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.send(&disconnect(
        Version::V5,
        0,
        &Props::new().four(property::SESSION_EXPIRY, 60),
    ));
    // The close alone is allowed too: the client has said that it is gone.
    match alice.next_or_close() {
        Some(inbox_tests::Packet::Disconnect(reason, _)) => assert_eq!(reason, 0x82),
        Some(other) => panic!("unexpected {other:?}"),
        None => {}
    }
    assert!(!session_present(&broker, &Connect::persistent(Version::V5, "alice")).1);
}

#[test]
fn a_session_keeps_its_subscriptions_until_unsubscribed() {
    // Goal: section 4.1: subscriptions are part of the session, and so is their end.
    let broker = Broker::start();
    let kept = Connect::persistent(Version::V5, "bob");
    let (mut bob, _) = session_present(&broker, &kept);
    bob.subscribe("a/1", 1);
    bob.subscribe("a/2", 1);
    bob.unsubscribe("a/1");
    bob.disconnect();
    let (mut bob, _) = session_present(&broker, &kept);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("a/1", "no", 1);
    alice.publish("a/2", "yes", 1);
    assert_eq!(bob.texts(1), ["yes"]);
    bob.expect_nothing();
}

#[test]
fn a_publisher_may_use_an_id_again_after_a_clean_start() {
    // Goal: a clean start forgets QoS 2 halves (MQTT-3.1.2-4): the same identifier is a new message.
    let broker = Broker::start();
    for version in Version::BOTH {
        let name = format!("bob-{}", version.level());
        for text in ["one", "two"] {
            let mut alice = RawClient::clean(&broker, version, "alice");
            alice.send(&PublishPacket::new(&name, text, 2, 9).encode(version));
            alice.ack(AckKind::PubRec, 9);
            alice.ping();
        }
        let mut bob = RawClient::reader(&broker, version, &name, 1);
        assert_eq!(bob.texts(2), ["one", "two"]);
    }
}
