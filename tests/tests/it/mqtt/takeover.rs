//! Session takeover (MQTT-3.1.4-3).

use inbox_tests::{Broker, Connect, RawClient, Version};

#[test]
fn a_second_connection_takes_the_session_over() {
    // Goal: the old connection gets 0x8E in MQTT 5 and the close in 3.1.1; the new one is served; versions may mix.
    for old in Version::BOTH {
        for new in Version::BOTH {
            let broker = Broker::start();
            let mut first = RawClient::clean(&broker, old, "bob");
            let mut second = RawClient::clean(&broker, new, "bob");
            first.expect_disconnect(&[0x8e]);
            second.ping();
        }
    }
}

#[test]
fn the_session_and_its_unacknowledged_messages_move_over() {
    // Goal: session present = 1, and what the old connection had not acknowledged comes again, in order.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "bob");
        let (mut first, _) = RawClient::connect(&broker, &kept);
        first.subscribe("bob", 1);
        first.subscribe("news/#", 1);
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("bob", "mail", 1);
        assert_eq!(first.receive().text(), "mail");
        alice.publish("news/today", "news", 1);
        assert_eq!(first.receive().text(), "news");
        let (mut second, connack) = RawClient::connect(&broker, &kept);
        assert!(connack.session_present);
        let mut texts = second.texts(2);
        texts.sort();
        assert_eq!(texts, ["mail", "news"]);
        first.expect_disconnect(&[0x8e]);
        alice.publish("bob", "more", 1);
        assert_eq!(second.texts(1), ["more"]);
    }
}

#[test]
fn many_takeovers_in_a_row_leave_one_connection() {
    // Goal: a client that reconnects in a hurry loses nothing, and every connection but the last is closed.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut connections: Vec<_> = Vec::new();
    for i in 0..20 {
        connections.push(RawClient::reader(&broker, Version::V5, "bob", 1));
        alice.publish("bob", i.to_string(), 1);
    }
    let mut last = connections.pop().unwrap();
    let expected: Vec<_> = (0..20).map(|i| i.to_string()).collect();
    assert_eq!(last.texts(20), expected);
    for mut old in connections {
        assert_eq!(old.wait_for_disconnect().0, 0x8e);
        old.expect_close();
    }
}
