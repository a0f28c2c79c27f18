//! Message expiry on ordinary topics (section 3.3.2.3.3); rule 5 has it for inboxes.

use std::thread;
use std::time::Duration;

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, property};

fn publish(client: &mut RawClient, topic: &str, text: &str, seconds: u32) {
    let props = Props::new().four(property::MESSAGE_EXPIRY, seconds);
    client.publish_packet(PublishPacket::new(topic, text, 1, 0).props(props));
}

#[test]
fn a_queued_message_is_counted_down_and_expires() {
    // Goal: MQTT-3.3.2-5 and -6: what waited for a session says how much is left, or is gone.
    let broker = Broker::start();
    let kept = Connect::persistent(Version::V5, "bob");
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    bob.subscribe("a/b", 1);
    bob.disconnect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    publish(&mut alice, "a/b", "short", 1);
    publish(&mut alice, "a/b", "long", 1000);
    alice.publish("a/b", "for ever", 1);
    thread::sleep(Duration::from_millis(2100));
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let long = bob.receive_and_ack();
    assert_eq!(long.text(), "long");
    let left = long.props.number(property::MESSAGE_EXPIRY).expect("the expiry is told");
    assert!(
        (900..1000).contains(&left),
        "{left} s are left of 1000 after more than 2"
    );
    let for_ever = bob.receive_and_ack();
    assert_eq!(
        (for_ever.text(), for_ever.props.number(property::MESSAGE_EXPIRY)),
        ("for ever", None)
    );
}

#[test]
fn a_live_message_carries_its_expiry() {
    // Goal: MQTT-3.3.2-6: received value minus the time that it waited; an inbox tells the same.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.subscribe("a/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for topic in ["a/b", "bob"] {
        publish(&mut alice, topic, "x", 500);
        let left = bob
            .receive_and_ack()
            .props
            .number(property::MESSAGE_EXPIRY)
            .expect("the expiry is told");
        assert!((400..=500).contains(&left), "{left} s are left of 500 in {topic}");
    }
}

#[test]
fn a_retained_message_is_counted_down() {
    // Goal: the same for a new subscription, each time it is read.
    let broker = Broker::start();
    let props = Props::new().four(property::MESSAGE_EXPIRY, 1000);
    let packet = PublishPacket::new("a/b", "x", 1, 0).retain().props(props);
    RawClient::clean(&broker, Version::V5, "alice").publish_packet(packet);
    thread::sleep(Duration::from_millis(1100));
    for _ in 0..3 {
        let mut bob = RawClient::clean(&broker, Version::V5, "bob");
        bob.subscribe("a/b", 1);
        let left = bob
            .receive_and_ack()
            .props
            .number(property::MESSAGE_EXPIRY)
            .expect("the expiry is told");
        assert!(
            (900..1000).contains(&left),
            "{left} s are left of 1000 after more than 1"
        );
    }
}

#[test]
fn rule_05_an_expiry_at_its_ends_is_told_as_it_was_given() {
    // Goal: MQTT-3.3.2-5 and -6: 0 reaches a reader that is there, and says 0; of the largest interval the reader is told what
    // was given less the wait. In an inbox and on an ordinary topic.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.subscribe("a/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for topic in ["bob", "a/b"] {
        for seconds in [0, u32::MAX] {
            publish(&mut alice, topic, &seconds.to_string(), seconds);
            let message = bob.receive_and_ack();
            assert_eq!(message.text(), seconds.to_string());
            let left = message.props.number(property::MESSAGE_EXPIRY);
            let left = left.expect("the expiry is told");
            assert!(seconds - left <= 60, "{topic}: {left} s are left of {seconds}");
        }
    }
    // Nobody is there: it is over at once, in the inbox, too.
    bob.disconnect();
    publish(&mut alice, "bob", "late", 0);
    alice.publish("bob", "later", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().text(), "later");
}
