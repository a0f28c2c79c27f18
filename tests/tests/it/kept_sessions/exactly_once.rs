//! QoS 2 between kept sessions: exactly once over kill -9 (contract rules 10 and 13).

use std::collections::{BTreeMap, BTreeSet};

use inbox_tests::{AckKind, Broker, Packet, PublishPacket, RawClient, Version, ack, property, pubrel};

use super::{kept, leaves_a_session};

/// What a subscriber remembers over connections.
#[derive(Default)]
struct Reader {
    /// Identifiers that it answered with PUBREC, or is about to.
    unreleased: BTreeSet<u16>,
    /// How often each message came to the application.
    had: BTreeMap<String, u32>,
}

impl Reader {
    /// Takes the next packet, and answers it if it `answers`.
    fn take(&mut self, client: &mut RawClient, answers: bool) {
        match client.next() {
            Packet::Publish(message) => {
                if self.unreleased.insert(message.packet_id) {
                    *self.had.entry(message.text().into()).or_default() += 1;
                } else {
                    assert!(message.dup, "{message:?} is taken for another one");
                }
                if answers {
                    client.send(&ack(0x50, message.packet_id));
                }
            }
            Packet::Ack(pubrel) => {
                assert_eq!(pubrel.kind, AckKind::PubRel);
                self.unreleased.remove(&pubrel.packet_id);
                if answers {
                    client.send(&ack(0x70, pubrel.packet_id));
                }
            }
            other => panic!("the reader got {other:?}"),
        }
    }
}

#[test]
fn rule_10_what_a_session_is_sent_comes_once_over_a_crash() {
    // Goal: MQTT-4.3.3 over kill -9, at every step of the exchange: a message that was answered with PUBREC is not sent as another one, one that was not comes again with its
    // identifier, and what was released is forgotten on both sides.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        leaves_a_session(&broker, version, "bob", "news/#", 2);
        let mut reader = Reader::default();
        for round in 0..6 {
            let mut alice = RawClient::clean(&broker, version, "alice");
            for n in 0..10 {
                alice.publish("news/today", format!("{round}.{n}"), 2);
            }
            let mut bob = kept(&broker, version, "bob", true);
            for step in 0..3 + 4 * round {
                reader.take(&mut bob, step % 5 != round % 5);
            }
            broker.crash_and_restart();
        }
        let mut bob = kept(&broker, version, "bob", true);
        while reader.had.len() < 60 || !reader.unreleased.is_empty() {
            reader.take(&mut bob, true);
        }
        bob.expect_nothing();
        assert!(reader.had.values().all(|times| *times == 1), "{:?}", reader.had);
    }
}

#[test]
fn rule_10_retained_messages_that_were_begun_come_once_over_a_crash() {
    // Goal: retained messages are sent with QoS 2 as others are: those that a client had in flight go on after kill -9, with RETAIN = 1 (MQTT-3.3.1-8).
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for n in 0..3 {
        let message = PublishPacket::new(format!("news/{n}"), n.to_string(), 2, 0).retain();
        assert!(alice.publish_packet(message).unwrap().reason < 0x80);
    }
    let mut bob = kept(&broker, Version::V5, "bob", false);
    bob.subscribe("news/#", 2);
    let mut before: Vec<_> = (0..3).map(|_| bob.receive()).collect();
    bob.send(&ack(0x50, before[0].packet_id));
    bob.ack(AckKind::PubRel, before[0].packet_id);
    broker.crash_and_restart();
    let mut bob = kept(&broker, Version::V5, "bob", true);
    bob.ack(AckKind::PubRel, before[0].packet_id);
    bob.send(&ack(0x70, before[0].packet_id));
    for earlier in before.drain(1..) {
        let again = bob.receive();
        assert_eq!((again.packet_id, again.text()), (earlier.packet_id, earlier.text()));
        assert!(again.dup && again.retain && again.props.number(property::SUBSCRIPTION_ID).is_none());
        bob.acknowledge(&again);
    }
    bob.expect_nothing();
}

#[test]
fn rule_10_what_a_session_publishes_comes_once_over_a_crash() {
    // Goal: MQTT-4.3.3-10 over kill -9: a publish that is sent again with its packet identifier is the same one, whether PUBREC had come or not, and PUBREL is answered; the next
    // publish with that identifier is another one.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        leaves_a_session(&broker, version, "bob", "news/#", 2);
        let mut alice = kept(&broker, version, "alice", false);
        let mut expected = Vec::new();
        for round in 0..4 {
            let publish = |n: usize| PublishPacket::new("news/today", format!("{round}.{n}"), 2, n as u16);
            for n in 1..=4 {
                expected.push(format!("{round}.{n}"));
                alice.send(&publish(n).encode(version));
            }
            // Of the first ones the answers come before the crash, and of the others they may.
            for n in 1..=2 {
                assert!(alice.ack(AckKind::PubRec, n).reason < 0x80);
            }
            alice.send(&pubrel(1));
            while !matches!(alice.next(), Packet::Ack(ack) if (ack.kind, ack.packet_id) == (AckKind::PubRec, 3)) {}
            broker.crash_and_restart();
            alice = kept(&broker, version, "alice", true);
            (1..=2).for_each(|n| alice.send(&pubrel(n)));
            (3..=4).for_each(|n| alice.send(&publish(n).dup().encode(version)));
            let mut open = vec![1, 2, 3, 4];
            while !open.is_empty() {
                match alice.next() {
                    Packet::Ack(ack) if ack.kind == AckKind::PubRec => alice.send(&pubrel(ack.packet_id)),
                    Packet::Ack(ack) => open.retain(|id| *id != ack.packet_id),
                    other => panic!("alice got {other:?}"),
                }
            }
        }
        let mut bob = kept(&broker, version, "bob", true);
        let mut came = bob.texts(expected.len());
        came.sort();
        assert_eq!(came, expected);
        bob.expect_nothing();
    }
}
