//! SUBSCRIBE and UNSUBSCRIBE, their options and identifiers, and matching (sections 3.8 to 3.11 and 4.7).

use inbox_tests::{Broker, Props, RawClient, Version, property};

#[test]
fn wildcards_match_as_section_4_7_says() {
    // Goal: MQTT-4.7.1 to 4.7.3, case by case.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for (filter, matching, other) in [
        (
            "sport/tennis/#",
            ["sport/tennis", "sport/tennis/player1", "sport/tennis/a/b"].as_slice(),
            "sport/golf",
        ),
        ("sport/+", &["sport/tennis", "sport/"], "sport/tennis/player1"),
        ("+/+", &["/finance", "a/b"], "a/b/c"),
        ("/+", &["/finance"], "a/finance"),
        ("+/tennis/#", &["sport/tennis", "sport/tennis/x"], "sport/golf/tennis"),
        ("a/+/c", &["a/b/c", "a//c"], "a/b/d"),
        ("Case/x", &["Case/x"], "case/x"),
    ] {
        let mut bob = RawClient::clean(&broker, Version::V311, "bob");
        assert_eq!(bob.subscribe(filter, 1).codes, [1], "filter {filter}");
        alice.publish(other, "must not match", 1);
        for topic in matching {
            alice.publish(topic, "match", 1);
            assert_eq!(bob.receive_and_ack().topic, *topic, "filter {filter}");
        }
    }
}

#[test]
fn wildcards_do_not_match_dollar_topics() {
    // Goal: MQTT-4.7.2-1, with an event of the broker's own.
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\nwhen_full = \"drop-oldest\"\n");
    let mut spy = RawClient::clean(&broker, Version::V5, "spy");
    spy.subscribe("#", 0);
    spy.subscribe("+/inboxd/#", 0);
    let mut watcher = RawClient::clean(&broker, Version::V5, "watcher");
    watcher.subscribe("$SYS/inboxd/event/dropped", 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "0", 1);
    alice.publish("bob", "1", 1);
    watcher.receive();
    alice.publish("marker/now", "marker", 1);
    assert_eq!(spy.receive().topic, "marker/now");
}

#[test]
fn a_granted_qos_is_the_lower_of_the_two() {
    // Goal: MQTT-3.8.4-8 for all nine pairs, on an ordinary topic and on an inbox.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        // QoS 0 last: what was read with it in the last second comes again (contract rule 5).
        for granted in (0..=2).rev() {
            let mut bob = RawClient::clean(&broker, version, "bob");
            assert_eq!(bob.subscribe("a/b", granted).codes, [granted]);
            assert_eq!(bob.subscribe("bob", granted).codes, [granted]);
            for published in 0..=2 {
                for topic in ["a/b", "bob"] {
                    alice.publish(topic, "x", published);
                    let message = bob.receive_and_ack();
                    assert_eq!((message.topic.as_str(), message.qos), (topic, published.min(granted)));
                }
            }
            bob.ping();
        }
    }
}

#[test]
fn subscribing_again_replaces_the_subscription() {
    // Goal: MQTT-3.8.4-3: one subscription with the new options, so that each message comes once.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.subscribe("a/b", 0);
        bob.subscribe("a/b", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("a/b", "x", 2);
        alice.publish("a/b", "end", 2);
        let message = bob.receive_and_ack();
        assert_eq!((message.text(), message.qos), ("x", 2));
        assert_eq!(bob.texts(1), ["end"]);
    }
}

#[test]
fn unsubscribing_stops_delivery() {
    // Goal: MQTT-3.10.4-2 and -4, MQTT-3.11.3-2: code 0, and 0x11 where there was no subscription.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.subscribe("a/b", 1);
        bob.subscribe("a/#", 1);
        let unsuback = bob.unsubscribe("a/b");
        let never = bob.unsubscribe("a/c");
        if version == Version::V5 {
            assert_eq!((unsuback.codes, never.codes), (vec![0], vec![0x11]));
        }
        bob.unsubscribe("a/#");
        bob.subscribe("marker/now", 1);
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("a/b", "x", 1);
        alice.publish("marker/now", "marker", 1);
        assert_eq!(bob.texts(1), ["marker"]);
    }
}

#[test]
fn no_local_keeps_ones_own_messages_away() {
    // Goal: MQTT-3.8.3-3: the client's own publishes do not come back, those of others do.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe_with("a/b", 0x01 | 0x04, &Props::new());
    bob.publish("a/b", "own", 1);
    RawClient::clean(&broker, Version::V5, "alice").publish("a/b", "hers", 1);
    assert_eq!(bob.texts(1), ["hers"]);
}

#[test]
fn a_delivery_carries_its_subscription_identifiers() {
    // Goal: MQTT-3.3.4-3 to -5: the identifier of each matching subscription, in one copy or one per subscription; none
    // from a subscription without.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    let id = |n| Props::new().var(property::SUBSCRIPTION_ID, n);
    bob.subscribe_with("a/b", 1, &id(7));
    bob.subscribe_with("a/#", 1, &id(268_435_455));
    bob.subscribe_with("bob", 1, &id(3));
    bob.subscribe("b/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("a/b", "x", 1);
    let mut ids = Vec::new();
    while ids.len() < 2 {
        let message = bob.receive_and_ack();
        assert_eq!(message.topic, "a/b");
        ids.extend(message.props.numbers(property::SUBSCRIPTION_ID));
    }
    ids.sort();
    assert_eq!(ids, [7, 268_435_455]);
    alice.publish("b/b", "x", 1);
    assert!(
        bob.receive_and_ack()
            .props
            .numbers(property::SUBSCRIPTION_ID)
            .is_empty()
    );
    alice.publish("bob", "x", 1);
    assert_eq!(bob.receive_and_ack().props.numbers(property::SUBSCRIPTION_ID), [3]);
}

#[test]
fn overlapping_subscriptions_deliver_at_the_highest_qos() {
    // Goal: MQTT-3.3.5-1 (3.1.1) and section 3.3.4: one copy at the maximum QoS, or one copy per subscription.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, version, "bob");
        bob.subscribe("a/b", 0);
        bob.subscribe("a/#", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("a/b", "x", 2);
        alice.publish("a/marker", "marker", 2);
        let mut highest = 0;
        loop {
            let message = bob.receive_and_ack();
            if message.text() == "marker" {
                break;
            }
            highest = highest.max(message.qos);
        }
        assert_eq!(highest, 2);
    }
}
