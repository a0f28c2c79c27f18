//! The exchanges of QoS 1 and 2 in both directions, step by step, with every step repeated; and the windows around them.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use inbox_tests::{AckKind, Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, packet, property};

const V5: Version = Version::V5;

/// A subscriber of `topic` whose session is kept.
fn subscriber(broker: &Broker, version: Version, topic: &str) -> (RawClient, Connect) {
    let kept = Connect::persistent(version, "bob");
    let (mut bob, _) = RawClient::connect(broker, &kept);
    bob.subscribe(topic, 2);
    (bob, kept)
}

#[test]
fn a_publisher_may_repeat_every_step_of_qos_2() {
    // Goal: MQTT-4.3.3-8, MQTT-4.3.3-10, MQTT-4.3.3-11, MQTT-4.3.3-12, MQTT-2.2.1-5, MQTT-4.3.3-2 of 3.1.1,
    // MQTT-2.3.1-6 of 3.1.1: PUBLISH three times before PUBREL, with and without DUP, and with another payload, is
    // one message; PUBREL twice is answered twice; then the same identifier is a new message, DUP or not. On an
    // ordinary topic and on an inbox.
    for version in Version::BOTH {
        for topic in ["a/b", "bob"] {
            let broker = Broker::start();
            let (mut bob, _) = subscriber(&broker, version, topic);
            let mut alice = RawClient::clean(&broker, version, "alice");
            for (round, dup) in [("one", false), ("two", true), ("three", false)] {
                let publish = PublishPacket::new(topic, round, 2, 7);
                for again in [
                    if dup { publish.clone().dup() } else { publish.clone() },
                    publish.clone().dup(),
                    PublishPacket::new(topic, "else", 2, 7),
                ] {
                    alice.send(&again.encode(version));
                    assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0);
                }
                for reason in [0, 0x92] {
                    alice.send(&inbox_tests::pubrel(7));
                    let pubcomp = alice.ack(AckKind::PubComp, 7);
                    assert_eq!(pubcomp.reason, if version == V5 { reason } else { 0 });
                }
                assert_eq!(bob.texts(1), [round], "{topic}, {version:?}");
                bob.expect_nothing();
            }
        }
    }
}

#[test]
fn a_qos_1_publish_that_was_answered_is_a_new_one_when_it_comes_again() {
    // Goal: MQTT-4.3.2-4, MQTT-4.3.2-5, MQTT-4.3.2-2 of 3.1.1: after PUBACK, the same identifier with DUP or without
    // is another message; contract rule 7 calls the copies the sender's.
    for version in Version::BOTH {
        for topic in ["a/b", "bob"] {
            let broker = Broker::start();
            let (mut bob, _) = subscriber(&broker, version, topic);
            let mut alice = RawClient::clean(&broker, version, "alice");
            let publish = PublishPacket::new(topic, "x", 1, 7);
            for again in [publish.clone(), publish.clone().dup(), publish] {
                alice.send(&again.encode(version));
                alice.ack(AckKind::PubAck, 7);
                let message = bob.receive_and_ack();
                assert_eq!(
                    (message.text(), message.dup),
                    ("x", false),
                    "MQTT-3.3.1-3: DUP is not passed on"
                );
            }
            bob.expect_nothing();
        }
    }
}

#[test]
fn a_refused_qos_2_publish_leaves_its_identifier_free() {
    // Goal: MQTT-4.3.3-9: after a PUBREC of 0x80 or more the identifier belongs to nothing: the next PUBLISH with it
    // is a new message.
    let broker = Broker::start();
    let (mut bob, _) = subscriber(&broker, V5, "a/b");
    let mut alice = RawClient::clean(&broker, V5, "alice");
    alice.send(&PublishPacket::new("$x", "refused", 2, 7).encode(V5));
    assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0x90);
    alice.send(&PublishPacket::new("a/b", "new", 2, 7).encode(V5));
    assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0);
    assert_eq!(bob.texts(1), ["new"]);
    alice.send(&inbox_tests::pubrel(7));
    assert_eq!(alice.ack(AckKind::PubComp, 7).reason, 0);
}

#[test]
fn a_reader_may_repeat_every_step_of_qos_2() {
    // Goal: MQTT-4.3.3-1, MQTT-4.3.3-2, MQTT-4.3.3-3, MQTT-4.3.3-4, MQTT-4.3.3-5, MQTT-4.3.3-6, MQTT-3.3.1-1,
    // MQTT-4.3.3-1 of 3.1.1, MQTT-3.3.1-1 of 3.1.1: PUBREC twice is answered with PUBREL twice; over a reconnection
    // PUBLISH comes again with DUP until PUBREC and PUBREL afterwards, never PUBLISH; after PUBCOMP nothing does. On
    // an ordinary topic and on an inbox.
    for version in Version::BOTH {
        for topic in ["a/b", "bob"] {
            let broker = Broker::start();
            let (mut bob, kept) = subscriber(&broker, version, topic);
            RawClient::clean(&broker, version, "alice").publish(topic, "x", 2);
            let first = bob.receive();
            assert!(!first.dup && first.packet_id != 0);
            bob.vanish();
            let (mut bob, _) = RawClient::connect(&broker, &kept);
            let again = bob.receive();
            assert_eq!(
                (again.packet_id, again.dup, again.qos, again.text()),
                (first.packet_id, true, 2, "x")
            );
            for _ in 0..2 {
                bob.send(&inbox_tests::ack(0x50, first.packet_id));
                assert_eq!(bob.ack(AckKind::PubRel, first.packet_id).reason, 0);
            }
            bob.vanish();
            let (mut bob, _) = RawClient::connect(&broker, &kept);
            bob.ack(AckKind::PubRel, first.packet_id);
            bob.send(&inbox_tests::ack(0x50, first.packet_id));
            bob.ack(AckKind::PubRel, first.packet_id);
            for _ in 0..2 {
                bob.send(&inbox_tests::ack(0x70, first.packet_id));
            }
            bob.expect_nothing();
            bob.disconnect();
            let (mut bob, _) = RawClient::connect(&broker, &kept);
            bob.expect_nothing();
        }
    }
}

#[test]
fn a_message_is_sent_again_after_a_reconnection_and_at_no_other_time() {
    // Goal: MQTT-4.4.0-1, MQTT-4.3.2-1, MQTT-4.3.2-2, MQTT-4.3.2-3, MQTT-4.4.0-1 of 3.1.1, MQTT-4.3.2-1 of 3.1.1:
    // unacknowledged QoS 1 messages, for longer than a timer would wait, through pings and a new subscription to
    // something else; then in their order, with their identifiers and DUP.
    for version in Version::BOTH {
        let broker = Broker::start();
        let (mut bob, kept) = subscriber(&broker, version, "a/b");
        bob.subscribe("bob", 1);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for n in 0..3 {
            alice.publish("a/b", n.to_string(), 1);
        }
        let sent: Vec<_> = (0..3).map(|_| bob.receive()).collect();
        let ids: HashSet<_> = sent.iter().map(|message| message.packet_id).collect();
        assert!(ids.len() == 3 && sent.iter().all(|message| !message.dup));
        thread::sleep(Duration::from_secs(2));
        bob.subscribe("c/d", 1);
        bob.expect_nothing();
        bob.send(&inbox_tests::ack(0x40, sent[1].packet_id));
        bob.ping();
        bob.vanish();
        let (mut bob, _) = RawClient::connect(&broker, &kept);
        for before in [&sent[0], &sent[2]] {
            let again = bob.receive();
            assert_eq!(
                (again.packet_id, again.dup, &again.payload),
                (before.packet_id, true, &before.payload)
            );
        }
        bob.expect_nothing();
    }
}

#[test]
fn what_a_reader_refuses_is_not_sent_again() {
    // Goal: MQTT-4.4.0-2, MQTT-4.9.0-2: PUBACK and PUBREC of 0x80 or more end the exchange, free the place in the
    // window, and the message does not come again, from an ordinary topic or an inbox.
    for topic in ["a/b", "bob"] {
        for (qos, first) in [(1, 0x40), (2, 0x50)] {
            let broker = Broker::start();
            let kept = Connect::persistent(V5, "bob").props(Props::new().two(property::RECEIVE_MAXIMUM, 1));
            let (mut bob, _) = RawClient::connect(&broker, &kept);
            bob.subscribe(topic, qos);
            let mut alice = RawClient::clean(&broker, V5, "alice");
            alice.publish(topic, "refused", qos);
            alice.publish(topic, "next", qos);
            let refused = bob.receive();
            bob.expect_nothing();
            bob.send(&packet(
                first,
                &[&refused.packet_id.to_be_bytes()[..], &[0x80]].concat(),
            ));
            assert_eq!(bob.texts(1), ["next"]);
            bob.disconnect();
            let (mut bob, _) = RawClient::connect(&broker, &kept);
            bob.expect_nothing();
        }
    }
}

#[test]
fn packet_identifiers_in_flight_are_all_different() {
    // Goal: MQTT-2.2.1-4, MQTT-4.3.2-1, MQTT-2.3.1-4 of 3.1.1, MQTT-2.3.1-2 of 3.1.1: a hundred unacknowledged
    // messages of both QoS from an inbox and an ordinary topic have a hundred identifiers, and one that is
    // acknowledged in the middle does not confuse the others.
    for version in Version::BOTH {
        let broker = Broker::start();
        let (mut bob, _) = subscriber(&broker, version, "a/b");
        bob.subscribe("bob", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        let mut in_flight = HashSet::new();
        for n in 0..150_usize {
            alice.publish(["a/b", "bob"][n % 2], n.to_string(), 1 + (n / 2 % 2) as u8);
            let message = bob.receive();
            assert_eq!(message.text(), n.to_string());
            assert!(in_flight.insert(message.packet_id), "{} is in use", message.packet_id);
            if n % 2 == 1 {
                bob.acknowledge(&message);
                bob.ping();
                in_flight.remove(&message.packet_id);
            }
        }
    }
}

#[test]
fn answers_come_in_the_order_of_the_publishes() {
    // Goal: MQTT-4.6.0-2, MQTT-4.6.0-3, MQTT-4.6.0-4, MQTT-4.6.0-2 of 3.1.1, MQTT-4.6.0-3 of 3.1.1,
    // MQTT-4.6.0-4 of 3.1.1: publishes to inboxes and ordinary topics, with QoS 1 and 2, in one segment: each kind of
    // answer in the order of its question, though some are known at once and others wait for the disk.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        let mut bytes = Vec::new();
        for id in 1..=40_u16 {
            let topic = ["somebody", "a/b", "else"][usize::from(id) % 3];
            bytes.extend(PublishPacket::new(topic, "x", 1 + (id % 2) as u8, id).encode(version));
        }
        alice.send(&bytes);
        let mut answers: Vec<(AckKind, u16)> = Vec::new();
        while answers.len() < 40 {
            match alice.next() {
                Packet::Ack(ack) => answers.push((ack.kind, ack.packet_id)),
                other => panic!("unexpected {other:?}"),
            }
        }
        for kind in [AckKind::PubAck, AckKind::PubRec] {
            let ids: Vec<_> = answers
                .iter()
                .filter(|answer| answer.0 == kind)
                .map(|answer| answer.1)
                .collect();
            assert_eq!(ids.len(), 20);
            assert!(ids.is_sorted(), "{kind:?}: {ids:?}");
        }
        let two: Vec<u16> = (1..=40).filter(|id| id % 2 == 1).collect();
        two.iter().for_each(|id| alice.send(&inbox_tests::pubrel(*id)));
        for id in two {
            match alice.next() {
                Packet::Ack(ack) => assert_eq!((ack.kind, ack.packet_id), (AckKind::PubComp, id)),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

#[test]
fn a_full_window_holds_publishes_back_and_nothing_else() {
    // Goal: MQTT-3.3.4-9, MQTT-3.3.4-10, MQTT-4.9.0-1, MQTT-4.9.0-2, MQTT-4.9.0-3: with Receive Maximum 1 to 3 and
    // everything unacknowledged, PINGRESP, SUBACK, UNSUBACK, PUBACK, PUBREC and PUBCOMP come at once; and each
    // acknowledgement lets one message out.
    let broker = Broker::start();
    for window in 1..=3_u16 {
        let id = format!("bob{window}");
        let props = Props::new().two(property::RECEIVE_MAXIMUM, window);
        let (mut bob, _) = RawClient::connect(&broker, &Connect::new(V5, &id).props(props));
        bob.subscribe(&id, 1);
        bob.subscribe("a/b", 2);
        let mut alice = RawClient::clean(&broker, V5, "alice");
        for n in 0..4 {
            alice.publish(&id, n.to_string(), 1);
            alice.publish("a/b", n.to_string(), 2);
        }
        let mut open: Vec<_> = (0..window).map(|_| bob.receive()).collect();
        bob.expect_nothing();
        assert_eq!(bob.subscribe("c/d", 1).codes, [1]);
        assert_eq!(bob.unsubscribe("c/d").codes, [0]);
        bob.publish("elsewhere", "x", 1);
        bob.publish("else/where", "x", 2);
        bob.expect_nothing();
        for n in 0..8 - usize::from(window) {
            let message = open.remove(0);
            bob.acknowledge(&message);
            open.push(bob.receive());
            if n % 3 == 0 {
                bob.expect_nothing();
            }
        }
    }
}

#[test]
fn a_publisher_that_sends_more_than_it_may_is_ended() {
    // Goal: MQTT-3.3.4-7, MQTT-4.9.0-1, MQTT-4.9.0-2 for the broker as the receiver: exactly
    // `mqtt.unacknowledged_publishes_max` QoS 2 publishes may be open until PUBCOMP; one more is 0x93.
    let broker = Broker::with_config("[mqtt]\nunacknowledged_publishes_max = 5\n");
    let (mut alice, connack) = RawClient::connect(&broker, &Connect::new(V5, "alice"));
    assert_eq!(connack.props.number(property::RECEIVE_MAXIMUM), Some(5));
    for id in 1..=5 {
        alice.send(&PublishPacket::new("a/b", "x", 2, id).encode(V5));
        alice.ack(AckKind::PubRec, id);
    }
    // Repeating one takes no further place, and finishing one frees its place.
    alice.send(&PublishPacket::new("a/b", "x", 2, 3).dup().encode(V5));
    alice.ack(AckKind::PubRec, 3);
    alice.send(&inbox_tests::pubrel(3));
    alice.ack(AckKind::PubComp, 3);
    alice.send(&PublishPacket::new("a/b", "x", 2, 6).encode(V5));
    alice.ack(AckKind::PubRec, 6);
    alice.send(&PublishPacket::new("a/b", "x", 0, 0).encode(V5));
    alice.ping();
    alice.send(&PublishPacket::new("a/b", "x", 1, 7).encode(V5));
    alice.expect_disconnect(&[0x93]);
}

#[test]
fn an_expired_message_that_was_begun_is_finished() {
    // Goal: MQTT-4.3.3-7, MQTT-4.3.3-13: expiry does not apply once a QoS 2 PUBLISH was sent: it comes again after a
    // reconnection, and its exchange ends as always.
    let broker = Broker::start();
    let (mut bob, kept) = subscriber(&broker, V5, "a/b");
    let mut alice = RawClient::clean(&broker, V5, "alice");
    let expiry = Props::new().four(property::MESSAGE_EXPIRY, 5);
    alice.publish_packet(PublishPacket::new("a/b", "x", 2, 0).props(expiry));
    let first = bob.receive();
    bob.vanish();
    thread::sleep(Duration::from_secs(6));
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let again = bob.receive();
    assert_eq!((again.packet_id, again.dup, again.text()), (first.packet_id, true, "x"));
    bob.acknowledge(&again);
    bob.expect_nothing();
}

#[test]
fn aliases_of_a_publisher_mean_what_it_last_said() {
    // Goal: MQTT-3.3.2-7, MQTT-3.3.2-12: each alias from 1 to the maximum can be set, used and changed, with every
    // QoS; and none outlives its connection.
    let broker = Broker::start();
    let (mut bob, _) = subscriber(&broker, V5, "t/#");
    let kept = Connect::persistent(V5, "alice");
    let (mut alice, connack) = RawClient::connect(&broker, &kept);
    let max = connack
        .props
        .number(property::TOPIC_ALIAS_MAXIMUM)
        .expect("there are aliases") as u16;
    let alias = |n: u16| Props::new().two(property::TOPIC_ALIAS, n);
    for round in 0..2 {
        for n in 1..=max {
            let topic = format!("t/{round}/{n}");
            alice.publish_packet(PublishPacket::new(&topic, "set", (n % 3) as u8, 0).props(alias(n)));
            assert_eq!(bob.receive_and_ack().topic, topic);
        }
        for n in (1..=max).rev() {
            alice.publish_packet(PublishPacket::new("", "used", (n % 3) as u8, 0).props(alias(n)));
            assert_eq!(bob.receive_and_ack().topic, format!("t/{round}/{n}"));
        }
    }
    alice.vanish();
    let (mut alice, connack) = RawClient::connect(&broker, &kept);
    assert!(connack.session_present);
    alice.send(&PublishPacket::new("", "x", 1, 1).props(alias(1)).encode(V5));
    alice.expect_disconnect(&[0x82]);
}
