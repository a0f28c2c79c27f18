//! Contract rule 9: QoS 0 to an inbox is at most once.

use inbox_tests::{Broker, RawClient, Version};

#[test]
fn rule_09_qos_0_reaches_an_online_recipient_with_qos_0() {
    // Goal: delivered if the recipient is there, at the lower of the two QoS (MQTT-3.8.4-8).
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        RawClient::clean(&broker, version, "alice").publish("bob", "now", 0);
        let message = bob.receive();
        assert_eq!((message.text(), message.qos), ("now", 0));
    }
}

#[test]
fn rule_09_qos_0_is_never_stored() {
    // Goal: neither for an absent recipient nor for one that is connected and has not subscribed.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "absent", 0);
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    alice.publish("bob", "not subscribed", 0);
    alice.publish("bob", "stored", 1);
    bob.subscribe("bob", 1);
    assert_eq!(bob.receive().text(), "stored");
    alice.publish("bob", "seen, not kept", 0);
    assert_eq!(bob.receive().text(), "seen, not kept");
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["stored"]);
    bob.expect_nothing();
}

#[test]
fn rule_09_qos_0_does_not_overtake_what_waits() {
    // Goal: rule 4 says never out of order: a QoS 0 message is dropped or comes after the messages accepted before it.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..10 {
        alice.publish("bob", i.to_string(), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    alice.publish("bob", "qos 0", 0);
    alice.publish("bob", "10", 1);
    let mut texts: Vec<String> = Vec::new();
    while texts.last().is_none_or(|text| text != "10") {
        texts.push(bob.receive_and_ack().text().to_owned());
    }
    let at = texts.iter().position(|text| text == "qos 0");
    assert!(at.is_none_or(|at| at == 10), "QoS 0 came out of order: {texts:?}");
    texts.retain(|text| text != "qos 0");
    assert_eq!(texts, (0..11).map(|i| i.to_string()).collect::<Vec<_>>());
}
