//! Receive Maximum in both directions (sections 3.1.2.11.3, 3.2.2.3.3 and 4.9).

use inbox_tests::{AckKind, Broker, Connect, Props, PublishPacket, RawClient, Version, ack, property};

/// bob with a Receive Maximum of 3, subscribed to `topic` with `qos`.
fn narrow_reader(broker: &Broker, topic: &str, qos: u8) -> RawClient {
    let connect = Connect::new(Version::V5, "bob").props(Props::new().two(property::RECEIVE_MAXIMUM, 3));
    let (mut bob, _) = RawClient::connect(broker, &connect);
    bob.subscribe(topic, qos);
    bob
}

#[test]
fn the_broker_keeps_to_the_clients_receive_maximum() {
    // Goal: MQTT-3.3.4-9: never more than three unacknowledged, from an inbox and from an ordinary topic; each PUBACK
    // lets one more through.
    for topic in ["bob", "a/b"] {
        let broker = Broker::start();
        let mut bob = narrow_reader(&broker, topic, 1);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        for i in 0..10 {
            alice.publish(topic, i.to_string(), 1);
        }
        let mut window: std::collections::VecDeque<_> = (0..3).map(|_| bob.receive()).collect();
        for i in 0..10 {
            bob.expect_nothing();
            let message = window.pop_front().unwrap();
            assert_eq!(message.text(), i.to_string());
            bob.acknowledge(&message);
            if i < 7 {
                window.push_back(bob.receive());
            }
        }
        bob.expect_nothing();
    }
}

#[test]
fn qos_2_holds_its_place_until_pubcomp() {
    // Goal: section 4.9: PUBREC does not free a place, PUBCOMP does.
    let broker = Broker::start();
    let mut bob = narrow_reader(&broker, "bob", 2);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..4 {
        alice.publish("bob", i.to_string(), 2);
    }
    let window: Vec<_> = (0..3).map(|_| bob.receive()).collect();
    bob.send(&ack(0x50, window[0].packet_id));
    bob.ack(AckKind::PubRel, window[0].packet_id);
    bob.expect_nothing();
    bob.send(&ack(0x70, window[0].packet_id));
    assert_eq!(bob.receive().text(), "3");
}

#[test]
fn qos_0_does_not_count() {
    // Goal: MQTT-3.3.4-10: the quota is for QoS 1 and 2; a full window does not hold QoS 0 back on ordinary topics.
    let broker = Broker::start();
    let mut bob = narrow_reader(&broker, "a/+", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..3 {
        alice.publish("a/1", i.to_string(), 1);
        bob.receive();
    }
    alice.publish("a/0", "free", 0);
    assert_eq!(bob.receive().text(), "free");
}

#[test]
fn a_publisher_that_ignores_the_receive_maximum_is_disconnected() {
    // Goal: 0x93 (MQTT-3.3.4-9, section 4.9) as soon as one more than the maximum is unacknowledged; the exchanges of
    // QoS 2 without PUBREL stay open, so the count is exact. What had its PUBREC is stored.
    let broker = Broker::with_config("[mqtt]\nunacknowledged_publishes_max = 5\n");
    let (mut alice, connack) = RawClient::connect(&broker, &Connect::new(Version::V5, "alice"));
    assert_eq!(connack.props.number(property::RECEIVE_MAXIMUM), Some(5));
    for i in 0..5 {
        let id = alice.send_publish(PublishPacket::new("bob", i.to_string(), 2, 0));
        assert_eq!(alice.ack(AckKind::PubRec, id).reason, 0);
    }
    alice.send_publish(PublishPacket::new("bob", "one too many", 2, 0));
    alice.expect_disconnect(&[0x93]);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(5), ["0", "1", "2", "3", "4"]);
    bob.expect_nothing();
}

#[test]
fn a_publisher_that_keeps_to_it_can_go_on_for_ever() {
    // Goal: acknowledged exchanges free their places, in both versions.
    let broker = Broker::with_config("[mqtt]\nunacknowledged_publishes_max = 2\n");
    for version in Version::BOTH {
        let mut alice = RawClient::clean(&broker, version, "alice");
        for i in 0..50 {
            alice.publish("bob", i.to_string(), 1 + i % 2);
        }
    }
}

#[test]
fn the_in_flight_limit_holds_for_3_1_1_readers() {
    // Goal: MQTT 3.1.1 has no Receive Maximum, so `mqtt.in_flight_max` bounds what is sent ahead.
    let broker = Broker::with_config("[mqtt]\nin_flight_max = 4\n");
    let mut alice = RawClient::clean(&broker, Version::V311, "alice");
    for i in 0..10 {
        alice.publish("bob", i.to_string(), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let window: Vec<_> = (0..4).map(|_| bob.receive()).collect();
    bob.expect_nothing();
    window.iter().for_each(|message| bob.acknowledge(message));
    assert_eq!(bob.texts(6), ["4", "5", "6", "7", "8", "9"]);
}
