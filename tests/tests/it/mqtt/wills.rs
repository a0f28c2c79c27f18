//! Wills and will delay (sections 3.1.2.5 and 3.1.3.2).

use std::time::{Duration, Instant};

use inbox_tests::{Broker, Connect, Props, RawClient, Version, Will, disconnect, property};

/// A client that sees ordinary wills, and bob's inbox by being bob.
fn watcher(broker: &Broker) -> RawClient {
    let mut watcher = RawClient::reader(broker, Version::V5, "watcher", 1);
    watcher.subscribe("wills/#", 2);
    watcher
}

#[test]
fn a_will_is_published_when_the_connection_is_lost() {
    // Goal: MQTT-3.1.2-8, with its QoS, to ordinary topics and to inboxes.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut watcher = watcher(&broker);
        for topic in ["wills/alice", "watcher"] {
            let connect = Connect::new(version, "alice").will(Will::new(topic, "gone"));
            RawClient::connect(&broker, &connect).0.vanish();
            let will = watcher.receive_and_ack();
            assert_eq!((will.topic.as_str(), will.text(), will.qos), (topic, "gone", 1));
        }
    }
}

#[test]
fn a_will_to_an_absent_clients_inbox_is_stored() {
    // Goal: a will is a publish like any other (rule 1), so it waits for its recipient.
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "alice").will(Will::new("bob", "gone"));
    let (mut alice, _) = RawClient::connect(&broker, &connect);
    let mut watcher = watcher(&broker);
    alice.ping();
    alice.vanish();
    // Nobody is told when a will has been stored, so bob is there already, or not: both must do.
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let will = bob.receive_and_ack();
    assert_eq!((will.text(), will.props.user("from")), ("gone", Some("alice")));
    watcher.expect_nothing();
}

#[test]
fn disconnect_deletes_the_will() {
    // Goal: MQTT-3.1.2-10: after DISCONNECT with reason 0 the will is not published.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut watcher = watcher(&broker);
        let connect = Connect::new(version, "alice").will(Will::new("wills/alice", "gone"));
        RawClient::connect(&broker, &connect).0.disconnect();
        RawClient::clean(&broker, version, "carol").publish("wills/marker", "marker", 1);
        assert_eq!(watcher.texts(1), ["marker"]);
    }
}

#[test]
fn disconnect_with_will_message_publishes_it() {
    // Goal: reason code 0x04 (section 3.14.2.1).
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let connect = Connect::new(Version::V5, "alice").will(Will::new("wills/alice", "gone"));
    let (mut alice, _) = RawClient::connect(&broker, &connect);
    alice.send(&disconnect(Version::V5, 0x04, &Props::new()));
    assert_eq!(watcher.texts(1), ["gone"]);
}

#[test]
fn a_protocol_error_publishes_the_will() {
    // Goal: section 3.1.2.5: the server closing the connection because of an error is no orderly end.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    for version in Version::BOTH {
        let connect = Connect::new(version, "alice").will(Will::new("wills/alice", "gone"));
        let (mut alice, _) = RawClient::connect(&broker, &connect);
        alice.send(&connect.encode());
        assert_eq!(watcher.texts(1), ["gone"]);
    }
}

#[test]
fn a_takeover_publishes_the_will_of_the_old_connection() {
    // Goal: section 3.1.4: the old connection ends without DISCONNECT from the client.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let connect = Connect::new(Version::V311, "alice").will(Will::new("wills/alice", "gone"));
    let (_old, _) = RawClient::connect(&broker, &connect);
    let _new = RawClient::clean(&broker, Version::V311, "alice");
    assert_eq!(watcher.texts(1), ["gone"]);
}

#[test]
fn a_delayed_will_waits() {
    // Goal: MQTT-3.1.3-9 and section 3.1.3.2.2: it is published when the delay has passed, not before.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let mut will = Will::new("wills/alice", "gone");
    will.props = Props::new().four(property::WILL_DELAY, 1);
    let (alice, _) = RawClient::connect(&broker, &Connect::persistent(Version::V5, "alice").will(will));
    let lost = Instant::now();
    alice.vanish();
    assert_eq!(watcher.texts(1), ["gone"]);
    assert!(
        lost.elapsed() >= Duration::from_secs(1),
        "the will came after {:?} already",
        lost.elapsed()
    );
}

#[test]
fn a_delayed_will_is_not_published_when_the_client_comes_back() {
    // Goal: MQTT-3.1.3-9: the session is resumed within the delay.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let mut will = Will::new("wills/alice", "gone");
    will.props = Props::new().four(property::WILL_DELAY, 5);
    RawClient::connect(&broker, &Connect::persistent(Version::V5, "alice").will(will))
        .0
        .vanish();
    let (_alice, connack) = RawClient::connect(&broker, &Connect::persistent(Version::V5, "alice"));
    assert!(connack.session_present);
    // Longer than the delay.
    std::thread::sleep(Duration::from_millis(5500));
    RawClient::clean(&broker, Version::V5, "carol").publish("wills/marker", "marker", 1);
    assert_eq!(watcher.texts(1), ["marker"]);
}

#[test]
fn a_delayed_will_is_published_when_its_session_ends() {
    // Goal: section 3.1.3.2.2: whichever comes first, the delay or the end of the session.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let mut will = Will::new("wills/alice", "gone");
    will.props = Props::new().four(property::WILL_DELAY, 3600);
    // No session expiry: the session ends with its connection.
    RawClient::connect(&broker, &Connect::new(Version::V5, "alice").will(will))
        .0
        .vanish();
    assert_eq!(watcher.texts(1), ["gone"]);
}

#[test]
fn a_will_carries_its_properties_and_its_retain_flag() {
    // Goal: section 3.1.3.2: what a PUBLISH can say; MQTT-3.1.2-15: it is retained.
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let mut will = Will::new("wills/alice", "gone");
    will.retain = true;
    will.qos = 2;
    will.props = Props::new()
        .bytes(property::CONTENT_TYPE, "text/plain")
        .user("why", "test");
    RawClient::connect(&broker, &Connect::new(Version::V5, "alice").will(will))
        .0
        .vanish();
    let message = watcher.receive_and_ack();
    assert_eq!((message.qos, message.retain), (2, false));
    assert_eq!(message.props.text(property::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(message.props.user("why"), Some("test"));
    let mut late = RawClient::clean(&broker, Version::V5, "late");
    late.subscribe("wills/+", 0);
    assert!(late.receive().retain);
}
