//! Contract rule 7: when a message can come twice, and what lets a reader drop the second.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbox_tests::{Broker, Props, PublishPacket, RawClient, Version};

fn now_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

#[test]
fn rule_07_an_mqtt_5_recipient_is_told_id_seq_from_and_at() {
    // Goal: the four user properties are there, for a 3.1.1 sender too, who can say nothing about them.
    let before = now_micros();
    let broker = Broker::start();
    RawClient::clean(&broker, Version::V311, "alice").publish("bob", "hello", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive_and_ack();
    let after = now_micros();
    assert_eq!(message.props.user("from"), Some("alice"));
    let at: u64 = message
        .props
        .user("at")
        .expect("user property at")
        .parse()
        .expect("at is in microseconds");
    assert!(
        (before..=after).contains(&at),
        "accepted at {at}, but it was sent between {before} and {after}"
    );
    let id = message.props.user("id").expect("user property id");
    assert_eq!(
        id,
        format!("{:016x}", message.seq()),
        "without a sender's id, the broker makes one of the seq"
    );
}

#[test]
fn rule_07_the_senders_id_is_kept_and_what_else_it_claims_is_replaced() {
    // Goal: `from`, `seq` and `at` cannot be spoofed, once or several times; `id` and other names pass.
    let broker = Broker::start();
    let props = Props::new()
        .user("seq", "1")
        .user("id", "order-17")
        .user("from", "the-president")
        .user("colour", "red")
        .user("from", "the-pope")
        .user("at", "0");
    let mut mallory = RawClient::clean(&broker, Version::V5, "mallory");
    let answer = mallory
        .publish_packet(PublishPacket::new("bob", "x", 1, 0).props(props))
        .unwrap();
    assert_eq!(answer.reason, 0);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive_and_ack();
    assert_eq!(message.props.user("id"), Some("order-17"));
    assert_eq!(message.props.user("from"), Some("mallory"));
    assert_eq!(message.props.user("colour"), Some("red"));
    assert!(message.seq() > 1);
    assert_ne!(message.props.user("at"), Some("0"));
}

#[test]
fn rule_07_the_spoofed_properties_are_replaced_on_a_live_delivery_too() {
    // Goal: the path to an online reader, with QoS 0 as well, does not trust the sender either.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut mallory = RawClient::clean(&broker, Version::V5, "mallory");
    for qos in [0, 1, 2] {
        let props = Props::new().user("from", "the-president");
        mallory.publish_packet(PublishPacket::new("bob", "x", qos, 0).props(props));
        let message = bob.receive_and_ack();
        assert_eq!(message.props.user("from"), Some("mallory"), "QoS {qos}");
    }
}

#[test]
fn rule_07_what_was_acknowledged_before_the_flush_interval_does_not_come_again_after_a_crash() {
    // Goal: acknowledgements reach the disk within `store.ack_flush_interval` (200 ms by default).
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..100 {
        alice.publish("bob", i.to_string(), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(60).len(), 60);
    // The PINGRESP says that the broker has read the acknowledgements. The flush itself shows to nobody; but once the interval has passed, the next
    // commit takes the removals along.
    bob.ping();
    thread::sleep(Duration::from_millis(500));
    alice.publish("nobody", "written", 1);
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let expected: Vec<_> = (60..100).map(|i| i.to_string()).collect();
    assert_eq!(bob.texts(40), expected);
    bob.expect_nothing();
}

#[test]
fn rule_07_an_orderly_shutdown_repeats_nothing() {
    // Goal: SIGTERM commits what is pending, so that even the last acknowledgement is not forgotten.
    let mut broker = Broker::start();
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "read", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["read"]);
    bob.ping();
    assert_eq!(broker.terminate().code, Some(0));
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
}
