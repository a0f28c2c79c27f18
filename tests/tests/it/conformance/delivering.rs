//! What reaches whom: topics and filters, order, sessions, wills, shared subscriptions, and PUBACK when nobody is there.

use std::thread;
use std::time::Duration;

use inbox_tests::{
    AckKind, Broker, Connect, Props, PublishPacket, RawClient, Version, Will, disconnect, packet, property, wait_until,
};

const V5: Version = Version::V5;
const V311: Version = Version::V311;

#[test]
fn topics_reach_the_filters_that_match_them_and_no_others() {
    // Goal: MQTT-3.3.2-3, MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.2-1, MQTT-4.7.3-1, MQTT-4.7.3-4,
    // MQTT-3.3.2-3 of 3.1.1, MQTT-4.7.1-2 of 3.1.1, MQTT-4.7.1-3 of 3.1.1, MQTT-4.7.3-1 of 3.1.1,
    // MQTT-4.7.3-4 of 3.1.1: every filter against every topic, compared with the rules of section 4.7 written down
    // once more.
    let levels = ["a", "B", "", "a b", "é"];
    let mut topics: Vec<String> = levels.iter().flat_map(|x| levels.map(|y| format!("{x}/{y}"))).collect();
    topics.extend(levels.map(|x| format!("a/{x}/B")));
    topics.extend(["/".repeat(20), format!("long/{}", "x".repeat(60_000))]);
    let mut filters: Vec<String> = topics.clone();
    for x in ["a", "B", "", "+"] {
        filters.extend([
            format!("{x}/#"),
            format!("{x}/+"),
            format!("+/{x}"),
            format!("{x}/+/#"),
            format!("{x}/+/+"),
        ]);
    }
    filters.extend(["#".into(), "+".into(), "+/+/B".into()]);
    filters.sort();
    filters.dedup();
    let matches = |filter: &str, topic: &str| {
        let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
        let (wanted, rest) = match filter.split_last() {
            Some((&"#", wanted)) => (wanted, true),
            _ => (&filter[..], false),
        };
        let length = if rest {
            topic.len() >= wanted.len()
        } else {
            topic.len() == wanted.len()
        };
        length
            && wanted
                .iter()
                .zip(&topic)
                .all(|(wanted, level)| *wanted == "+" || wanted == level)
    };
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, V5, "bob");
    for (id, filter) in filters.iter().enumerate() {
        let props = Props::new().var(property::SUBSCRIPTION_ID, id as u32 + 1);
        assert_eq!(bob.subscribe_with(filter, 0, &props).codes, [0], "{filter:.40}");
    }
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for topic in &topics {
        alice.publish(topic, topic, 1);
        let expected: Vec<_> = (1..)
            .zip(&filters)
            .filter(|(_, filter)| matches(filter, topic))
            .map(|(id, _)| id)
            .collect();
        let mut got: Vec<u32> = Vec::new();
        for _ in &expected {
            let message = bob.receive();
            assert_eq!(&message.topic, topic);
            got.extend(message.props.numbers(property::SUBSCRIPTION_ID));
        }
        got.sort_unstable();
        assert_eq!(got, expected, "{topic:.40}");
    }
    bob.expect_nothing();
}

#[test]
fn a_publish_that_nobody_is_subscribed_to_says_so() {
    // Goal: MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.3.4-1 and section 3.4.2.1: 0x10 in PUBACK and PUBREC for an ordinary
    // topic without a subscription, from one whose filters do not match it, and after the last one is gone; 0x00 with
    // a subscription of any kind, away or not; never for an inbox; never in MQTT 3.1.1, which has no codes. A QoS 2
    // exchange goes on after 0x10, and a message to retain is retained.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    let told = |alice: &mut RawClient, topic: &str| {
        let one = alice
            .publish_packet(PublishPacket::new(topic, "x", 1, 0))
            .unwrap()
            .reason;
        let id = alice.send_publish(PublishPacket::new(topic, "x", 2, 0));
        let two = alice.ack(AckKind::PubRec, id).reason;
        alice.send(&inbox_tests::pubrel(id));
        assert_eq!(alice.ack(AckKind::PubComp, id).reason, 0, "the exchange goes on");
        // Of the two, the later one.
        assert!(
            two == one || (one, two) == (0, 0x10),
            "{topic}: {one:#04x}, then {two:#04x}"
        );
        two
    };
    // The end of a subscription is noticed a moment after it was answered.
    let is_told_in_the_end = |alice: &mut RawClient, topic: &str| {
        wait_until(&format!("0x10 comes for {topic}"), || told(alice, topic) == 0x10);
    };
    assert_eq!(told(&mut alice, "a/b"), 0x10);
    assert_eq!(told(&mut alice, "bob"), 0, "mail waits for whoever comes");
    for filter in ["a/b", "a/+", "#", "$share/g/a/b", "+/+/#"] {
        let kept = Connect::persistent(V5, "carol");
        let (mut carol, _) = RawClient::connect(&broker, &kept);
        carol.subscribe(filter, 1);
        assert_eq!(told(&mut alice, "a/b"), 0, "{filter}");
        if filter != "#" {
            assert_eq!(
                told(&mut alice, "other/topic/here"),
                if filter == "+/+/#" { 0 } else { 0x10 },
                "{filter}"
            );
        }
        carol.disconnect();
        assert_eq!(told(&mut alice, "a/b"), 0, "{filter}: a session that is away");
        let mut clean = kept.clone();
        clean.clean = true;
        clean.props = Props::new();
        RawClient::connect(&broker, &clean).0.disconnect();
        is_told_in_the_end(&mut alice, "a/b");
    }
    let retained = alice
        .publish_packet(PublishPacket::new("r/1", "kept", 1, 0).retain())
        .unwrap();
    assert_eq!(retained.reason, 0x10);
    let mut bob = RawClient::clean(&broker, V5, "bob2");
    bob.subscribe("r/1", 1);
    assert_eq!(bob.texts(1), ["kept"]);
    bob.unsubscribe("r/1");
    is_told_in_the_end(&mut alice, "r/1");
    let mut old = RawClient::clean(&broker, V311, "old");
    old.publish("a/b", "x", 1);
    old.publish("a/b", "x", 2);
    old.ping();
}

#[test]
fn a_publish_that_identifies_no_more_is_repeated_after_0x10() {
    // Goal: MQTT-4.3.3-10, MQTT-4.3.3-12: a QoS 2 publish that was answered with 0x10 is one that was accepted: until
    // PUBREL it is the same message, and afterwards the identifier is free.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    let mut publish = PublishPacket::new("a/b", "x", 2, 7);
    alice.send(&publish.encode(V5));
    assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0x10);
    let mut bob = RawClient::clean(&broker, V5, "bob");
    bob.subscribe("a/b", 2);
    publish = publish.dup();
    alice.send(&publish.encode(V5));
    assert!(alice.ack(AckKind::PubRec, 7).reason < 0x80);
    bob.expect_nothing();
    alice.send(&inbox_tests::pubrel(7));
    assert_eq!(alice.ack(AckKind::PubComp, 7).reason, 0);
    alice.send(&PublishPacket::new("a/b", "another", 2, 7).encode(V5));
    assert_eq!(alice.ack(AckKind::PubRec, 7).reason, 0);
    assert_eq!(bob.texts(1), ["another"]);
}

#[test]
fn messages_of_one_publisher_keep_their_order_per_topic_and_qos() {
    // Goal: MQTT-4.6.0-5, MQTT-4.6.0-6, MQTT-4.6.0-5 of 3.1.1, MQTT-4.6.0-6 of 3.1.1: three hundred messages over
    // three topics and three QoS, to a subscriber that is there and to one that comes back.
    for version in Version::BOTH {
        let broker = Broker::start();
        let kept = Connect::persistent(version, "away");
        let (mut away, _) = RawClient::connect(&broker, &kept);
        away.subscribe("o/#", 2);
        away.disconnect();
        let mut here = RawClient::clean(&broker, version, "here");
        here.subscribe("o/#", 2);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for n in 0..300_usize {
            alice.publish(&format!("o/{}", n % 2), n.to_string(), [1, 2, 1][n % 3]);
        }
        let (mut away, _) = RawClient::connect(&broker, &kept);
        for client in [&mut here, &mut away] {
            let texts = client.texts(300);
            let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
            assert_eq!(texts, expected, "{version:?}");
        }
    }
}

#[test]
fn a_session_lasts_as_long_as_was_agreed() {
    // Goal: MQTT-3.1.2-4, MQTT-3.1.2-5, MQTT-3.1.2-6, MQTT-3.1.2-23, MQTT-3.1.4-4, MQTT-3.2.2-2, MQTT-3.2.2-3,
    // MQTT-3.2.2-6, MQTT-4.1.0-1, MQTT-4.1.0-2, MQTT-3.1.2-4 of 3.1.1, MQTT-3.1.2-6 of 3.1.1, MQTT-3.1.4-3 of 3.1.1,
    // MQTT-3.2.2-1 of 3.1.1, MQTT-3.2.2-2 of 3.1.1, MQTT-3.2.2-3 of 3.1.1, MQTT-3.2.2-4 of 3.1.1,
    // MQTT-4.1.0-1 of 3.1.1, MQTT-4.1.0-2 of 3.1.1: session present after each pair of connections, the second of
    // which is clean or not; and the subscription of the first is there exactly then.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut alice = RawClient::clean(&broker, version, "alice");
        for first_is_kept in [false, true] {
            for second_is_clean in [false, true] {
                for orderly in [false, true] {
                    let mut first = if first_is_kept {
                        Connect::persistent(version, "bob")
                    } else {
                        Connect::new(version, "bob")
                    };
                    first.clean = version == V5 || !first_is_kept;
                    let (mut bob, _) = RawClient::connect(&broker, &first);
                    bob.subscribe("a/b", 1);
                    if orderly {
                        bob.disconnect()
                    } else {
                        bob.vanish()
                    }
                    let mut second = Connect::new(version, "bob");
                    second.clean = second_is_clean;
                    let (mut bob, connack) = RawClient::connect(&broker, &second);
                    let expected = first_is_kept && !second_is_clean;
                    assert_eq!(
                        connack.session_present, expected,
                        "{version:?}, kept {first_is_kept}, clean {second_is_clean}, orderly {orderly}"
                    );
                    alice.publish("a/b", "x", 1);
                    if expected {
                        assert_eq!(bob.texts(1), ["x"]);
                    }
                    bob.expect_nothing();
                    // MQTT 3.1.1 keeps what is not clean.
                    RawClient::clean(&broker, version, "bob").disconnect();
                }
            }
        }
    }
}

#[test]
fn disconnect_changes_how_long_a_session_lasts() {
    // Goal: MQTT-3.1.2-23, MQTT-4.1.0-2 and section 3.14.2.2.2: shorter, longer, and for ever; a session expiry of 0
    // ends it at once.
    let broker = Broker::start();
    for (connect_expiry, disconnect_expiry, present) in [
        (Some(3600), None, true),
        (Some(3600), Some(0), false),
        (Some(3600), Some(7200), true),
        (Some(u32::MAX), None, true),
        (Some(1), Some(u32::MAX), true),
        (None, Some(0), false),
        (Some(0), None, false),
    ] {
        let expiry =
            |seconds: Option<u32>| seconds.map_or_else(Props::new, |s| Props::new().four(property::SESSION_EXPIRY, s));
        let (mut bob, _) = RawClient::connect(&broker, &Connect::new(V5, "bob").props(expiry(connect_expiry)));
        bob.send(&disconnect(V5, 0, &expiry(disconnect_expiry)));
        bob.expect_close();
        let mut again = Connect::new(V5, "bob");
        again.clean = false;
        let (_, connack) = RawClient::connect(&broker, &again);
        assert_eq!(
            connack.session_present, present,
            "{connect_expiry:?}, then {disconnect_expiry:?}"
        );
    }
}

#[test]
fn a_will_is_published_when_it_should_be() {
    // Goal: MQTT-3.1.2-7, MQTT-3.1.2-8, MQTT-3.1.2-10, MQTT-3.1.3-9, MQTT-3.1.4-3, MQTT-3.14.4-3,
    // MQTT-3.1.2-8 of 3.1.1, MQTT-3.1.2-10 of 3.1.1, MQTT-3.1.2-12 of 3.1.1, MQTT-3.1.4-2 of 3.1.1,
    // MQTT-3.14.4-3 of 3.1.1: each way in which a connection ends, with a will and without; once, and not again when
    // the same client comes and goes without one.
    let endings: [(&str, &[Version], bool); 7] = [
        ("vanish", &Version::BOTH, true),
        ("malformed", &Version::BOTH, true),
        ("takeover", &Version::BOTH, true),
        ("disconnect", &Version::BOTH, false),
        ("disconnect with will", &[V5], true),
        ("disconnect with an error", &[V5], true),
        ("keep alive", &Version::BOTH, true),
    ];
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, V5, "bob");
    bob.subscribe("w/#", 2);
    for (how, versions, published) in endings {
        for &version in versions {
            for qos in 0..3 {
                let mut will = Will::new("w/t", how);
                will.qos = qos;
                let connect = Connect::new(version, "alice")
                    .will(will)
                    .keep_alive(u16::from(how == "keep alive"));
                let (mut alice, _) = RawClient::connect(&broker, &connect);
                match how {
                    "vanish" => alice.vanish(),
                    "malformed" => {
                        alice.send(&[0, 0]);
                        alice.expect_disconnect(&[0x81]);
                    }
                    "takeover" => {
                        let mut other = RawClient::clean(&broker, version, "alice");
                        alice.expect_disconnect(&[0x8e]);
                        other.ping();
                    }
                    "disconnect" => alice.disconnect(),
                    "disconnect with will" => alice.send(&disconnect(version, 4, &Props::new())),
                    "disconnect with an error" => alice.send(&disconnect(version, 0x80, &Props::new())),
                    _ => alice.expect_disconnect(&[0x8d]),
                }
                if published {
                    let message = bob.receive_and_ack();
                    assert_eq!((message.text(), message.qos), (how, qos));
                }
                RawClient::clean(&broker, version, "alice").vanish();
                RawClient::clean(&broker, version, "carol").publish("w/marker", "marker", 1);
                assert_eq!(bob.texts(1), ["marker"], "{how}, {version:?}");
            }
        }
    }
}

#[test]
fn a_delayed_will_waits_for_its_client() {
    // Goal: MQTT-3.1.3-9, MQTT-3.1.2-8 and section 3.1.3.2.2: with a delay of some seconds: gone when the session is
    // resumed in time, even if that connection has no will and ends at once; published when a clean start ends the
    // session, at once; and published after the delay otherwise.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, V5, "bob");
    bob.subscribe("w/t", 1);
    let connect = |text: &str| {
        let mut will = Will::new("w/t", text);
        will.props = Props::new().four(property::WILL_DELAY, 4);
        Connect::persistent(V5, "alice").will(will)
    };
    RawClient::connect(&broker, &connect("resumed")).0.vanish();
    let (alice, _) = RawClient::connect(&broker, &Connect::persistent(V5, "alice"));
    alice.disconnect();
    RawClient::connect(&broker, &connect("clean start")).0.vanish();
    let (alice, connack) = RawClient::connect(&broker, &Connect::new(V5, "alice"));
    assert!(!connack.session_present);
    assert_eq!(bob.texts(1), ["clean start"]);
    alice.disconnect();
    RawClient::connect(&broker, &connect("in time")).0.vanish();
    bob.expect_nothing();
    assert_eq!(bob.texts(1), ["in time"]);
    // The delay of the first one has passed long ago.
    bob.expect_nothing();
}

#[test]
fn a_message_expires_for_those_who_come_too_late() {
    // Goal: MQTT-3.3.2-5, MQTT-3.3.2-6: expiry 0, 1 and 600 s, queued for a session and retained; what is left is
    // told, and never more than was given.
    let broker = Broker::start();
    let kept = Connect::persistent(V5, "bob");
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    bob.subscribe("e/#", 1);
    bob.disconnect();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for seconds in [1, 600, u32::MAX] {
        let props = Props::new().four(property::MESSAGE_EXPIRY, seconds);
        alice.publish_packet(
            PublishPacket::new(format!("e/{seconds}"), "x", 1, 0)
                .retain()
                .props(props),
        );
    }
    thread::sleep(Duration::from_millis(2100));
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let mut carol = RawClient::clean(&broker, V5, "carol");
    carol.subscribe("e/#", 1);
    for client in [&mut bob, &mut carol] {
        for given in [u32::MAX, 600] {
            let message = client.wait_for("the message", |packet| match packet {
                inbox_tests::Packet::Publish(publish) if publish.topic == format!("e/{given}") => Some(publish.clone()),
                _ => None,
            });
            let left = message
                .props
                .number(property::MESSAGE_EXPIRY)
                .expect("what is left is told");
            assert!((given - 30..=given - 2).contains(&left), "{left} of {given}");
            client.acknowledge(&message);
        }
        client.expect_nothing();
    }
}

#[test]
fn a_shared_subscription_respects_its_members() {
    // Goal: MQTT-4.8.2-3, MQTT-4.8.2-4, MQTT-4.8.2-5, MQTT-4.8.2-6: each member gets its own QoS; a message that was
    // sent to a member is finished with that member when it comes back; what a member refuses goes to nobody else.
    let broker = Broker::start();
    let kept = Connect::persistent(V5, "one");
    let (mut one, _) = RawClient::connect(&broker, &kept);
    one.subscribe("$share/g/a/b", 1);
    let mut alice = RawClient::clean(&broker, V5, "alice");
    alice.publish("a/b", "lower", 2);
    assert_eq!(one.receive_and_ack().qos, 1);
    alice.publish("a/b", "begun", 1);
    let begun = one.receive();
    one.vanish();
    let mut two = RawClient::clean(&broker, V5, "two");
    two.subscribe("$share/g/a/b", 2);
    two.expect_nothing();
    let (mut one, _) = RawClient::connect(&broker, &kept);
    let again = one.receive();
    assert_eq!(
        (again.text(), again.packet_id, again.dup),
        ("begun", begun.packet_id, true)
    );
    one.send(&packet(0x40, &[&again.packet_id.to_be_bytes()[..], &[0x80]].concat()));
    one.expect_nothing();
    two.expect_nothing();
}

#[test]
fn requests_for_less_information_are_kept_to() {
    // Goal: MQTT-3.1.2-29: Request Problem Information 0 leaves reason strings out of SUBACK, PUBACK and PUBREC, and
    // user properties too, but not out of PUBLISH.
    let broker = Broker::start();
    for (asked, told) in [(None, true), (Some(1), true), (Some(0), false)] {
        let props = asked.map_or_else(Props::new, |asked| Props::new().byte(property::REQUEST_PROBLEM, asked));
        let (mut bob, _) = RawClient::connect(&broker, &Connect::new(V5, "bob").props(props));
        assert_eq!(bob.subscribe("carol", 1).props.reason_string().is_some(), told);
        for qos in [1, 2] {
            let refused = bob.publish_packet(PublishPacket::new("$x", "", qos, 0)).unwrap();
            assert_eq!((refused.reason, refused.props.reason_string().is_some()), (0x90, told));
            assert!(refused.props.users().is_empty() || told);
        }
        bob.subscribe("bob", 1);
        bob.publish_packet(PublishPacket::new("bob", "x", 1, 0).props(Props::new().user("a", "b")));
        assert!(bob.receive_and_ack().props.users().ends_with(&[("a", "b")]));
    }
}
