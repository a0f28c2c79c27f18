//! Retained messages (sections 3.3.1.3 and 3.8.3.1).

use inbox_tests::{Broker, Props, PublishPacket, RawClient, Version, property};

fn retain(client: &mut RawClient, topic: &str, payload: &str) {
    client.publish_packet(PublishPacket::new(topic, payload, 1, 0).retain());
}

/// Subscribes, and answers the retained messages that came: as many as there are before a marker.
fn retained(client: &mut RawClient, filter: &str, options: u8) -> Vec<(String, String)> {
    client.subscribe_with(filter, options, &Props::new());
    client.subscribe("marker/now", 1);
    client.publish("marker/now", "marker", 1);
    let mut out = Vec::new();
    loop {
        let message = client.receive_and_ack();
        if message.topic == "marker/now" {
            return out;
        }
        assert!(
            message.retain,
            "RETAIN is 1 on what a new subscription gets (MQTT-3.3.1-8): {message:?}"
        );
        out.push((message.topic.clone(), message.text().to_owned()));
    }
}

#[test]
fn a_new_subscription_gets_the_last_retained_message_of_each_topic() {
    // Goal: MQTT-3.3.1-5 and -6: the last one, for every matching topic, wildcards included.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        retain(&mut alice, "r/1", "old");
        retain(&mut alice, "r/1", "new");
        retain(&mut alice, "r/2", "two");
        retain(&mut alice, "s/1", "other");
        alice.publish("r/1", "not retained", 1);
        let mut bob = RawClient::clean(&broker, version, "bob");
        let mut got = retained(&mut bob, "r/+", 1);
        got.sort();
        assert_eq!(got, [("r/1".into(), "new".into()), ("r/2".into(), "two".into())]);
        assert_eq!(
            retained(&mut RawClient::clean(&broker, version, "carol"), "#", 1).len(),
            3
        );
    }
}

#[test]
fn a_live_message_has_no_retain_flag() {
    // Goal: MQTT-3.3.1-9 in 3.1.1 and -12 in MQTT 5: RETAIN is 0 for an established subscription.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.subscribe("r/1", 1);
        retain(&mut RawClient::clean(&broker, version, "alice"), "r/1", "live");
        assert!(!bob.receive_and_ack().retain);
    }
}

#[test]
fn retain_as_published_keeps_the_flag() {
    // Goal: MQTT-3.3.1-13.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe_with("r/1", 0x01 | 0x08, &Props::new());
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    retain(&mut alice, "r/1", "live");
    alice.publish("r/1", "plain", 1);
    assert!(bob.receive_and_ack().retain);
    assert!(!bob.receive_and_ack().retain);
}

#[test]
fn an_empty_retained_message_clears_the_topic() {
    // Goal: MQTT-3.3.1-6, -7: nothing is retained afterwards, and established subscriptions see the empty message.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        retain(&mut alice, "r/1", "x");
        let mut bob = RawClient::clean(&broker, version, "bob");
        assert_eq!(retained(&mut bob, "r/1", 1).len(), 1);
        retain(&mut alice, "r/1", "");
        assert_eq!(bob.receive_and_ack().payload, b"");
        assert!(retained(&mut RawClient::clean(&broker, version, "carol"), "r/1", 1).is_empty());
    }
}

#[test]
fn an_empty_message_without_retain_clears_nothing() {
    // Goal: only RETAIN = 1 touches what is retained (MQTT-3.3.1-8 in MQTT 5, -12 in 3.1.1).
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    retain(&mut alice, "r/1", "x");
    alice.publish("r/1", "", 1);
    let got = retained(&mut RawClient::clean(&broker, Version::V5, "bob"), "r/1", 1);
    assert_eq!(got, [("r/1".into(), "x".into())]);
}

#[test]
fn retain_handling_decides_whether_a_subscription_gets_them() {
    // Goal: MQTT-3.3.1-9, -10, -11: 0 always, 1 only for a new subscription, 2 never.
    let broker = Broker::start();
    retain(&mut RawClient::clean(&broker, Version::V5, "alice"), "r/1", "x");
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    assert_eq!(retained(&mut bob, "r/1", 0x01 | 0x20).len(), 0, "2: never");
    assert_eq!(
        retained(&mut bob, "r/1", 0x01 | 0x10).len(),
        0,
        "1: not for a subscription that is there"
    );
    assert_eq!(retained(&mut bob, "r/1", 0x01).len(), 1, "0: always");
    bob.unsubscribe("r/1");
    assert_eq!(
        retained(&mut bob, "r/1", 0x01 | 0x10).len(),
        1,
        "1: for a new subscription"
    );
}

#[test]
fn a_3_1_1_client_that_subscribes_again_gets_them_again() {
    // Goal: MQTT-3.8.4-3 of 3.1.1.
    let broker = Broker::start();
    retain(&mut RawClient::clean(&broker, Version::V311, "alice"), "r/1", "x");
    let mut bob = RawClient::clean(&broker, Version::V311, "bob");
    assert_eq!(retained(&mut bob, "r/1", 1).len(), 1);
    assert_eq!(retained(&mut bob, "r/1", 1).len(), 1);
}

#[test]
fn a_retained_message_keeps_its_properties_and_the_lower_qos() {
    // Goal: section 3.3.2.3 holds for retained messages too; MQTT-3.8.4-8 for the QoS.
    let broker = Broker::start();
    let props = Props::new().bytes(property::CONTENT_TYPE, "text/plain").user("a", "1");
    let publish = PublishPacket::new("r/1", "x", 2, 0).retain().props(props);
    RawClient::clean(&broker, Version::V5, "alice").publish_packet(publish);
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe("r/1", 1);
    let message = bob.receive_and_ack();
    assert_eq!((message.qos, message.retain), (1, true));
    assert_eq!(message.props.text(property::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(message.props.user("a"), Some("1"));
}

#[test]
fn an_expired_retained_message_is_not_delivered() {
    // Goal: MQTT-3.3.2-5 for retained messages.
    let broker = Broker::start();
    let props = Props::new().four(property::MESSAGE_EXPIRY, 1);
    let publish = PublishPacket::new("r/1", "x", 1, 0).retain().props(props);
    RawClient::clean(&broker, Version::V5, "alice").publish_packet(publish);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert!(retained(&mut RawClient::clean(&broker, Version::V5, "bob"), "r/1", 1).is_empty());
}
