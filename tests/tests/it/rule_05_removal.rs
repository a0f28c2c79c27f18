//! Contract rule 5: what takes a message out of an inbox, and who is told.

use std::thread;
use std::time::Duration;

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, ack, property, succeeds, wait_until};
use serde_json::Value;

/// A client that sees what leaves unread, by the events under `$SYS/inboxd/event/`.
fn watcher(broker: &Broker) -> RawClient {
    let mut watcher = RawClient::clean(broker, Version::V5, "watcher");
    for kind in ["expired", "dropped", "idle"] {
        let filter = format!("$SYS/inboxd/event/{kind}");
        assert_eq!(watcher.subscribe(&filter, 1).codes, [1]);
    }
    watcher
}

/// The next event: its topic's last level and its fields.
fn event(watcher: &mut RawClient) -> (String, Value) {
    let message = watcher.receive_and_ack();
    let kind = message
        .topic
        .strip_prefix("$SYS/inboxd/event/")
        .expect("an event topic")
        .to_owned();
    (
        kind,
        serde_json::from_slice(&message.payload).expect("an event is JSON"),
    )
}

fn assert_event(event: &(String, Value), kind: &str, inbox: &str, from: &str) {
    let (got, fields) = event;
    assert_eq!(got, kind, "{fields}");
    assert_eq!(
        (fields["inbox"].as_str(), fields["from"].as_str()),
        (Some(inbox), Some(from)),
        "{fields}"
    );
    assert!(
        fields["seq"].is_u64() || fields["seq"].is_string(),
        "an event names the seq: {fields}"
    );
    assert!(
        fields["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
        "an event has a reason: {fields}"
    );
    assert!(fields["id"].is_string(), "an event names the id: {fields}");
}

#[test]
fn rule_05_puback_removes() {
    // Goal: an acknowledged message does not come again, neither to the same session nor to a new one.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("bob", "read", 1);
        let (mut bob, _) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        bob.subscribe("bob", 1);
        assert_eq!(bob.texts(1), ["read"]);
        bob.ping();
        bob.vanish();
        alice.publish("bob", "new", 1);
        let (mut bob, _) = RawClient::connect(&broker, &Connect::persistent(version, "bob"));
        assert_eq!(bob.receive().text(), "new");
        bob.vanish();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        assert_eq!(bob.texts(1), ["new"]);
        bob.expect_nothing();
    }
}

#[test]
fn rule_05_where_qos_2_was_granted_pubcomp_removes_and_pubrec_does_not() {
    // Goal: the exchange of section 4.3.3 is stopped after PUBREC: a clean start gets the message again. After PUBCOMP
    // it does not.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("bob", "careful", 2);
        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        let message = bob.receive();
        assert_eq!((message.qos, message.text()), (2, "careful"));
        bob.send(&ack(0x50, message.packet_id));
        bob.ack(inbox_tests::AckKind::PubRel, message.packet_id);
        bob.vanish();

        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        assert_eq!(bob.texts(1), ["careful"]);
        bob.ping();
        bob.disconnect();

        let mut bob = RawClient::reader(&broker, version, "bob", 2);
        alice.publish("bob", "next", 2);
        assert_eq!(bob.texts(1), ["next"]);
    }
}

#[test]
fn rule_05_where_qos_0_was_granted_a_second_after_writing_removes() {
    // Goal: a QoS 0 reader gets everything once, with QoS 0, and when it stays for a second or so nothing is left.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for i in 0..10 {
            alice.publish("bob", i.to_string(), 1);
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 0);
        for i in 0..10 {
            let message = bob.receive();
            assert_eq!((message.qos, message.text()), (0, i.to_string().as_str()));
        }
        wait_until("bob's inbox is empty", || {
            succeeds(&broker.run_on_data(&["inbox", "list"])).is_empty()
        });
        bob.disconnect();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        alice.publish("bob", "next", 1);
        assert_eq!(bob.texts(1), ["next"]);
    }
}

#[test]
fn rule_05_a_look_with_qos_0_takes_nothing() {
    // Goal: a client that goes within `inbox.qos0_settle` of what it was written has taken nothing, whether it says DISCONNECT or vanishes, over an
    // orderly restart of the broker too; what a reader acknowledges afterwards is gone.
    for version in Version::BOTH {
        let mut broker = Broker::with_config("[inbox]\nqos0_settle = \"1m\"\n");
        let mut alice = RawClient::clean(&broker, version, "alice");
        for i in 0..200 {
            alice.publish("bob", i.to_string(), 1);
        }
        for _ in 0..2 {
            let mut bob = RawClient::reader(&broker, version, "bob", 0);
            assert_eq!(bob.texts(1), ["0"]);
            bob.disconnect();
            let mut bob = RawClient::reader(&broker, version, "bob", 0);
            assert_eq!(bob.texts(1), ["0"]);
            bob.vanish();
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 0);
        assert_eq!(bob.texts(1), ["0"]);
        broker.terminate();
        broker.restart();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        let all: Vec<_> = (0..200).map(|i| i.to_string()).collect();
        for text in &all {
            assert_eq!(bob.receive_and_ack().text(), text);
        }
        bob.ping();
        bob.disconnect();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        bob.expect_nothing();
    }
}

#[test]
fn rule_05_the_publishers_expiry_removes_and_is_told() {
    // Goal: MQTT-3.3.2-5: a message whose expiry has passed is not delivered, and an event says so. What has time left
    // is delivered with what is left of it (MQTT-3.3.2-6).
    let broker = Broker::start();
    let mut watcher = watcher(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for (text, seconds) in [("short", 1), ("long", 1000)] {
        let props = Props::new().four(property::MESSAGE_EXPIRY, seconds);
        let answer = alice
            .publish_packet(PublishPacket::new("bob", text, 1, 0).props(props))
            .unwrap();
        assert_eq!(answer.reason, 0);
    }
    // Time must pass; nothing else tells that it did.
    thread::sleep(Duration::from_millis(2100));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive_and_ack();
    assert_eq!(message.text(), "long");
    let left = message
        .props
        .number(property::MESSAGE_EXPIRY)
        .expect("what is left of the expiry is told");
    assert!(
        (900..1000).contains(&left),
        "{left} s are left of 1000 after more than 2"
    );
    assert_event(&event(&mut watcher), "expired", "bob", "alice");
    bob.expect_nothing();
}

#[test]
fn rule_05_the_time_to_live_removes_and_is_told() {
    // Goal: `inbox.time_to_live` ends messages whose publisher named no expiry, 3.1.1 ones too.
    let broker = Broker::with_config("[inbox]\ntime_to_live = \"1s\"\n");
    let mut watcher = watcher(&broker);
    RawClient::clean(&broker, Version::V311, "alice").publish("bob", "old", 1);
    thread::sleep(Duration::from_millis(2100));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
    assert_event(&event(&mut watcher), "expired", "bob", "alice");
}

#[test]
fn rule_05_drop_oldest_makes_room_and_is_told() {
    // Goal: with `when_full = "drop-oldest"` new messages are accepted, the oldest go, and each of them is an event.
    let broker = Broker::with_config("[inbox]\nmessages_max = 3\nwhen_full = \"drop-oldest\"\n");
    let mut watcher = watcher(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..5 {
        alice.publish("bob", i.to_string(), 1);
    }
    let first = event(&mut watcher);
    let second = event(&mut watcher);
    assert_event(&first, "dropped", "bob", "alice");
    assert_event(&second, "dropped", "bob", "alice");
    assert_ne!(first.1["seq"], second.1["seq"]);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(3), ["2", "3", "4"]);
    bob.expect_nothing();
    watcher.expect_nothing();
}

#[test]
fn rule_05_an_inbox_whose_owner_does_not_come_is_forgotten_and_that_is_told() {
    // Goal: `inbox.idle_expiry` removes the mail of an owner that has not come for so long, also over kill -9; each message is an event; whoever is
    // there keeps its mail, also what it does not acknowledge; new mail for a forgotten inbox is taken as before.
    let mut broker = Broker::with_config("[inbox]\nidle_expiry = \"10s\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "never read", 1);
    std::thread::sleep(Duration::from_secs(2));
    broker.crash_and_restart();
    let mut watcher = watcher(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut carol = RawClient::reader(&broker, Version::V311, "carol", 1);
    alice.publish("carol", "kept", 1);
    assert_eq!(carol.receive().text(), "kept");
    assert_event(&event(&mut watcher), "idle", "bob", "alice");
    broker.wait_for_log("an inbox is forgotten");
    alice.publish("bob", "new", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["new"]);
    // Longer than the expiry: carol is there all the time.
    for _ in 0..13 {
        thread::sleep(Duration::from_secs(1));
        carol.ping();
    }
    carol.vanish();
    let mut carol = RawClient::reader(&broker, Version::V311, "carol", 1);
    assert_eq!(carol.texts(1), ["kept"]);
}

#[test]
fn rule_05_clients_cannot_forge_events() {
    // Goal: `$SYS` is the broker's: what a client publishes there, whatever it is answered, reaches nobody.
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\nwhen_full = \"drop-oldest\"\n");
    let mut watcher = watcher(&broker);
    let mut forger = RawClient::open(&broker, Version::V5);
    forger.send(&Connect::new(Version::V5, "forger").encode());
    forger.connack();
    forger.send_publish(PublishPacket::new("$SYS/inboxd/event/dropped", "{}", 1, 0));
    // A PUBACK with a refusal, or the end of the connection.
    forger.next_or_close();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "0", 1);
    alice.publish("bob", "1", 1);
    assert_event(&event(&mut watcher), "dropped", "bob", "alice");
}

#[test]
fn rule_05_a_reader_is_told_how_many_it_missed() {
    // Goal: `dropped` is the number of messages that left unread: pushed out, and purged by an operator; over crashes, with each delivery, from
    // the first one on; and it is absent where none did.
    let mut broker = Broker::with_config("[inbox]\nmessages_max = 2\nwhen_full = \"drop-oldest\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("carol", "x", 1);
    for n in 0..5 {
        alice.publish("bob", n.to_string(), 1);
    }
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    for text in ["3", "4"] {
        let message = bob.receive_and_ack();
        assert_eq!((message.text(), message.props.user("dropped")), (text, Some("3")));
    }
    bob.disconnect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "5", 1);
    assert_eq!(broker.terminate().code, Some(0));
    let purged = broker.run_on_data(&["inbox", "purge", "bob", "--yes"]);
    assert!(purged.status.success(), "{purged:?}");
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "6", 1);
    let message = bob.receive_and_ack();
    assert_eq!((message.text(), message.props.user("dropped")), ("6", Some("4")));
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.receive_and_ack().props.user("dropped"), None);
}
