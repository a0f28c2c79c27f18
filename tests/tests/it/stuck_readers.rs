//! Contract rule 4: readers that acknowledge nothing (`delivery.ack_timeout`).

use inbox_tests::{Broker, Connect, RawClient, Version, Will};

#[test]
fn rule_04_a_reader_that_holds_a_message_is_disconnected_and_gets_it_again() {
    // Goal: MQTT 5 is told 0x83 and the key, MQTT 3.1.1 just closed; the will is published, the cause is in the log, nothing is lost, and one that
    // acknowledges what it is sent stays.
    for version in Version::BOTH {
        let broker = Broker::with_config("[delivery]\nack_timeout = \"1s\"\n");
        let mut watcher = RawClient::clean(&broker, Version::V5, "watcher");
        watcher.subscribe("wills/bob", 0);
        let bob = Connect::new(version, "bob").will(Will::new("wills/bob", "gone"));
        let (mut bob, _) = RawClient::connect(&broker, &bob);
        bob.subscribe("bob", 1);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        for text in ["a", "b", "c"] {
            alice.publish("bob", text, 1);
        }
        assert_eq!(bob.receive_and_ack().text(), "a");
        let held = bob.receive();
        match version {
            Version::V5 => {
                let (reason, props) = bob.wait_for_disconnect();
                assert_eq!(reason, 0x83);
                let why = props.reason_string().unwrap_or_default();
                assert!(why.contains("delivery.ack_timeout"), "{why:?}");
                bob.expect_close();
            }
            Version::V311 => bob.expect_close(),
        }
        assert_eq!(watcher.receive().text(), "gone");
        broker.wait_for_log("cause=ack_timeout");
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        let again = bob.receive_and_ack();
        assert_eq!((again.text(), again.dup), (held.text(), true));
        assert_eq!(bob.receive_and_ack().text(), "c");
        alice.publish("bob", "d", 1);
        assert_eq!(bob.receive_and_ack().text(), "d");
    }
}

#[test]
fn rule_04_a_paced_reader_gets_everything_in_order() {
    // Goal: `delivery.rate` holds nothing back for good, in a replay and live, with QoS 0 and 1, beside an ordinary topic and over a reconnection.
    let broker =
        Broker::with_config("[inbox]\nqos0_settle = \"1m\"\n[delivery]\nrate = 20\n[mqtt]\nin_flight_max = 7\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let texts: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for text in &texts[..30] {
        alice.publish("bob", text, 1);
    }
    for qos in [0, 1] {
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", qos);
        bob.subscribe("a/b", 1);
        alice.publish("a/b", "ordinary", 1);
        let mut got = Vec::new();
        let mut is_through = false;
        while got.len() < 25 || !is_through {
            let message = bob.receive();
            is_through |= message.topic == "a/b";
            if message.topic == "bob" {
                got.push(message.text().to_owned());
            }
            if qos == 1 {
                bob.acknowledge(&message);
            }
        }
        assert_eq!(got[..25], texts[..25]);
        if qos == 0 {
            bob.vanish();
            continue;
        }
        for text in &texts[30..] {
            alice.publish("bob", text, 1);
        }
        while got.len() < texts.len() {
            got.push(bob.receive_and_ack().text().to_owned());
        }
        assert_eq!(got, texts);
    }
}
