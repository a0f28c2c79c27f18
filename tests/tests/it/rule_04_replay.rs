//! Contract rule 4: replay on subscribing to the own inbox, in order, and never on a timer.

use std::thread;
use std::time::Duration;

use inbox_tests::{AckKind, Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, property, subscribe};

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| i.to_string()).collect()
}

/// Publishes `range` to `topic`, all in flight at once, and waits for every PUBACK.
fn publish_all(client: &mut RawClient, topic: &str, range: std::ops::Range<usize>) {
    let publish = |i: usize| PublishPacket::new(topic, i.to_string(), 1, 0);
    let ids: Vec<_> = range.map(|i| client.send_publish(publish(i))).collect();
    for id in ids {
        assert_eq!(client.ack(AckKind::PubAck, id).reason, 0);
    }
}

#[test]
fn rule_04_a_client_that_never_connected_before_gets_everything_in_order() {
    // Goal: clean session, first connection ever, either version, over several pages of the store.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for start in (0..2000).step_by(500) {
            publish_all(&mut alice, "bob", start..start + 500);
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        assert_eq!(bob.texts(2000), numbers(0..2000));
        bob.expect_nothing();
    }
}

#[test]
fn rule_04_suback_comes_before_the_first_message() {
    // Goal: the order of packets on the wire, and DUP = 0 at the first attempt (MQTT-3.3.1-1).
    for version in Version::BOTH {
        let broker = Broker::start();
        publish_all(&mut RawClient::clean(&broker, version, "alice"), "bob", 0..10);
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.send(&subscribe(version, 77, "bob", 1, &Props::new()));
        let first = bob.next();
        assert!(
            matches!(&first, Packet::SubAck(suback) if suback.packet_id == 77),
            "first came {first:?}"
        );
        for i in 0..10 {
            let Packet::Publish(message) = bob.next() else {
                panic!("only messages were to come")
            };
            assert_eq!((message.text(), message.dup), (i.to_string().as_str(), false));
        }
    }
}

#[test]
fn rule_04_nothing_is_replayed_before_the_client_asks() {
    // Goal: connecting alone delivers nothing to a clean session; other subscriptions neither.
    let broker = Broker::start();
    publish_all(&mut RawClient::clean(&broker, Version::V5, "alice"), "bob", 0..3);
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe("bob/other", 1);
    bob.expect_nothing();
    bob.subscribe("bob", 1);
    assert_eq!(bob.texts(3), numbers(0..3));
}

#[test]
fn rule_04_unacknowledged_messages_come_again_with_dup_after_a_reconnection() {
    // Goal: clean session or not, what was sent and not acknowledged comes again, first, in order, with DUP = 1
    // (MQTT-3.3.1-1); what was never sent comes after it.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        publish_all(&mut alice, "bob", 0..3);
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        for i in 0..3 {
            assert_eq!(bob.receive().text(), i.to_string());
        }
        bob.vanish();
        publish_all(&mut alice, "bob", 3..5);
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        for i in 0..5 {
            let message = bob.receive_and_ack();
            assert_eq!(message.text(), i.to_string());
            assert!(
                message.dup || i >= 3,
                "message {i} may have been sent before, so DUP is set"
            );
        }
    }
}

#[test]
fn rule_04_acknowledging_out_of_order_removes_just_those() {
    // Goal: PUBACKs for 2 and 4 of 1 to 5; after the reconnection 1, 3 and 5 come, in order.
    let broker = Broker::start();
    publish_all(&mut RawClient::clean(&broker, Version::V5, "alice"), "bob", 1..6);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let messages: Vec<_> = (1..6).map(|_| bob.receive()).collect();
    for at in [3, 1] {
        bob.acknowledge(&messages[at]);
    }
    bob.ping();
    bob.disconnect();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(3), ["1", "3", "5"]);
    bob.expect_nothing();
}

#[test]
fn rule_04_a_resumed_session_that_holds_the_subscription_is_served_without_subscribing() {
    // Goal: session present, and the messages come right after CONNACK.
    for version in Version::BOTH {
        let broker = Broker::start();
        let (mut bob, _) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        bob.subscribe("bob", 1);
        bob.disconnect();
        publish_all(&mut RawClient::clean(&broker, version, "alice"), "bob", 0..20);
        let (mut bob, connack) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        assert!(connack.session_present);
        assert_eq!(bob.texts(20), numbers(0..20));
    }
}

#[test]
fn rule_04_a_resumed_session_resends_unacknowledged_messages_in_order() {
    // Goal: MQTT-4.4.0-1 and MQTT-4.6.0-1: resending with DUP, before anything newer.
    for version in Version::BOTH {
        let broker = Broker::start();
        let (mut bob, _) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        bob.subscribe("bob", 1);
        let mut alice = RawClient::clean(&broker, version, "alice");
        publish_all(&mut alice, "bob", 0..5);
        for _ in 0..5 {
            bob.receive();
        }
        bob.vanish();
        publish_all(&mut alice, "bob", 5..8);
        let (mut bob, connack) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        assert!(connack.session_present);
        for i in 0..8 {
            let message = bob.receive_and_ack();
            assert_eq!(message.text(), i.to_string());
            assert!(
                message.dup || i >= 5,
                "message {i} may have been sent before, so DUP is set"
            );
        }
    }
}

#[test]
fn rule_04_subscribing_again_repeats_nothing() {
    // Goal: MQTT-4.4.0-1: SUBSCRIBE over a connection that reads the inbox already, also when the session was just resumed, sends nothing
    // again that is in flight on it: each message comes once per connection, and never more than Receive Maximum.
    for (version, qos) in [
        (Version::V5, 1),
        (Version::V5, 2),
        (Version::V311, 1),
        (Version::V311, 2),
    ] {
        let broker = Broker::start();
        publish_all(&mut RawClient::clean(&broker, version, "alice"), "bob", 0..150);
        let mut connect = Connect::new(version, "bob");
        connect.clean = false;
        if version == Version::V5 {
            let props = Props::new().four(property::SESSION_EXPIRY, 60);
            connect = connect.props(props.two(property::RECEIVE_MAXIMUM, 20));
        }
        let window = if version == Version::V5 { 20 } else { 100 };
        let (mut bob, _) = RawClient::connect(&broker, &connect);
        bob.subscribe("bob", qos);
        for _ in 0..3 {
            for i in 0..window {
                assert_eq!(bob.receive().text(), i.to_string());
            }
            bob.subscribe("bob", qos);
            bob.expect_nothing();
            bob.vanish();
            let connack;
            (bob, connack) = RawClient::connect(&broker, &connect);
            assert!(connack.session_present);
            bob.subscribe("bob", qos);
        }
        let mut got = Vec::new();
        while got.len() < 150 {
            let message = bob.receive_and_ack();
            got.push(message.text().to_owned());
        }
        assert_eq!(got, (0..150).map(|i| i.to_string()).collect::<Vec<_>>());
        bob.expect_nothing();
    }
}

#[test]
fn rule_04_nothing_is_resent_on_a_timer() {
    // Goal: MQTT-4.4.0-1: an unacknowledged message is not sent again on the same connection, however long it takes.
    // Two seconds are ten times the flush interval and longer than any usual retry timer's first step.
    let broker = Broker::start();
    publish_all(&mut RawClient::clean(&broker, Version::V311, "alice"), "bob", 0..2);
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let messages = [bob.receive(), bob.receive()];
    thread::sleep(Duration::from_secs(2));
    bob.expect_nothing();
    for message in &messages {
        bob.acknowledge(message);
    }
    bob.expect_nothing();
}

#[test]
fn rule_04_newer_messages_come_after_the_replay() {
    // Goal: the order holds while messages arrive during the replay, from replaying to live.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for start in (0..1500).step_by(500) {
        publish_all(&mut alice, "bob", start..start + 500);
    }
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let publisher = thread::spawn(move || {
        for start in (1500..4000).step_by(100) {
            publish_all(&mut alice, "bob", start..start + 100);
        }
    });
    assert_eq!(bob.texts(4000), numbers(0..4000));
    publisher.join().unwrap();
    bob.expect_nothing();
}

#[test]
fn rule_04_the_mail_outlives_sessions_and_unsubscribing() {
    // Goal: the mail belongs to the client ID: unsubscribing, a clean start and the end of a session leave it there.
    let broker = Broker::start();
    let (mut bob, _) = RawClient::connect(&broker, &Connect::persistent(Version::V5, "bob"));
    bob.subscribe("bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "0", 1);
    assert_eq!(bob.receive().text(), "0");
    assert_eq!(bob.unsubscribe("bob").codes, [0]);
    alice.publish("bob", "1", 1);
    bob.expect_nothing();
    bob.disconnect();
    RawClient::clean(&broker, Version::V5, "bob").disconnect();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(2), ["0", "1"]);
}

#[test]
fn rule_04_an_inbox_keeps_the_properties_of_its_messages() {
    // Goal: what MQTT 5 lets a publisher say is stored and replayed (MQTT-3.3.2-4, -15, -16, -17, -18, -20), also
    // after a restart; an MQTT 3.1.1 reader gets the payload.
    use inbox_tests::property::*;
    let mut broker = Broker::start();
    let props = Props::new()
        .byte(PAYLOAD_FORMAT, 1)
        .bytes(CONTENT_TYPE, "text/plain")
        .bytes(RESPONSE_TOPIC, "alice")
        .bytes(CORRELATION_DATA, [0, 255, 1])
        .user("b", "2")
        .user("a", "1")
        .user("b", "3");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let answer = alice
        .publish_packet(PublishPacket::new("bob", "hi", 1, 0).props(props))
        .unwrap();
    assert_eq!(answer.reason, 0);
    broker.crash_and_restart();
    RawClient::reader(&broker, Version::V311, "bob", 1).receive();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive_and_ack();
    assert_eq!(message.props.number(PAYLOAD_FORMAT), Some(1));
    assert_eq!(message.props.text(CONTENT_TYPE), Some("text/plain"));
    assert_eq!(message.props.text(RESPONSE_TOPIC), Some("alice"));
    assert_eq!(message.props.binary(CORRELATION_DATA), Some([0, 255, 1].as_slice()));
    let own: Vec<_> = message
        .props
        .users()
        .into_iter()
        .filter(|(name, _)| name.len() == 1)
        .collect();
    assert_eq!(
        own,
        [("b", "2"), ("a", "1"), ("b", "3")],
        "the publisher's order (MQTT-3.3.2-18)"
    );
}
