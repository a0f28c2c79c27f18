//! Kept sessions outlive the broker: what MQTT promises of a session that its client keeps (session expiry above 0, in MQTT 3.1.1 clean session 0) holds over kill -9.
//!
//! Subscriptions are there with their options, messages with QoS 1 and 2 that were acknowledged to their publishers come, in order per publisher and topic, at least
//! once. `cargo xtask crash` does the same with many clients at random moments.

mod exactly_once;

use std::thread;
use std::time::Duration;

use inbox_tests::{
    AckKind, Broker, Connect, Packet, Props, Publish, PublishPacket, RawClient, Version, ack, property, wait_until,
};

/// Of SUBSCRIBE, beside the QoS (MQTT 5, section 3.8.3.1).
const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;

/// A client whose session is kept, and that has one already or not.
fn kept(broker: &Broker, version: Version, name: &str, is_present: bool) -> RawClient {
    let (mut client, connack) = RawClient::connect(broker, &Connect::persistent(version, name));
    client.complete();
    assert_eq!(connack.session_present, is_present, "{name}, {version:?}");
    client
}

/// Makes a kept session with this subscription, and leaves.
fn leaves_a_session(broker: &Broker, version: Version, name: &str, filter: &str, qos: u8) {
    let mut client = kept(broker, version, name, false);
    assert_eq!(client.subscribe(filter, qos).codes, [qos]);
    client.disconnect();
}

/// Publishes numbers with QoS 1 and 2 in turn, one topic for each: among different QoS there is no order.
fn publish_numbers(broker: &Broker, version: Version, numbers: std::ops::Range<usize>) {
    let mut alice = RawClient::clean(broker, version, "alice");
    for n in numbers {
        let qos = 1 + n as u8 % 2;
        alice.publish(&format!("news/{qos}"), n.to_string(), qos);
    }
}

/// Receives as many messages as these, and checks that they are these, in order for each topic.
fn expect_numbers(client: &mut RawClient, numbers: std::ops::Range<usize>) {
    let mut came: Vec<Publish> = numbers.clone().map(|_| client.receive_and_ack()).collect();
    // Stable: what was in order stays so.
    came.sort_by(|a, b| a.topic.cmp(&b.topic));
    let number = |message: &Publish| message.text().parse::<usize>().unwrap();
    let (of_qos_1, of_qos_2): (Vec<usize>, _) = numbers.partition(|n| n % 2 == 0);
    assert_eq!(
        came.iter().map(number).collect::<Vec<_>>(),
        [of_qos_1, of_qos_2].concat()
    );
    assert!(
        came.iter()
            .all(|message| message.topic == format!("news/{}", message.qos))
    );
}

#[test]
fn a_kept_session_is_present_after_kill_9() {
    // Goal: MQTT-3.2.2-2, -3 over kill -9 and over an orderly restart, for a client that had left, one that was connected, and one that had a clean session.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        leaves_a_session(&broker, version, "left", "news/#", 1);
        let mut stays = kept(&broker, version, "stays", false);
        stays.subscribe("news/#", 1);
        let mut clean = RawClient::clean(&broker, version, "clean");
        clean.subscribe("news/#", 1);
        broker.crash_and_restart();
        kept(&broker, version, "left", true).disconnect();
        kept(&broker, version, "stays", true).disconnect();
        let (_, connack) = RawClient::connect(&broker, &Connect::persistent(version, "clean"));
        assert!(!connack.session_present, "a clean session ends with its connection");
        assert_eq!(broker.terminate().code, Some(0));
        broker.restart();
        let mut left = kept(&broker, version, "left", true);
        RawClient::clean(&broker, version, "alice").publish("news/today", "again", 1);
        assert_eq!(left.texts(1), ["again"]);
    }
}

#[test]
fn what_was_acknowledged_for_an_absent_session_is_there_after_kill_9() {
    // Goal: MQTT-3.1.2-5 over kill -9: everything that was acknowledged comes, in order, whether before or after which crash it was published; what was published before
    // the subscription does not.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        publish_numbers(&broker, version, 900..910);
        leaves_a_session(&broker, version, "bob", "news/+", 2);
        publish_numbers(&broker, version, 0..20);
        broker.crash_and_restart();
        publish_numbers(&broker, version, 20..40);
        broker.crash_and_restart();
        let mut bob = kept(&broker, version, "bob", true);
        expect_numbers(&mut bob, 0..40);
        publish_numbers(&broker, version, 40..50);
        expect_numbers(&mut bob, 40..50);
        bob.expect_nothing();
    }
}

#[test]
fn what_came_for_a_connected_session_comes_after_kill_9() {
    // Goal: the same for a session whose client is connected, and takes nothing from its socket before the broker dies.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let mut bob = kept(&broker, version, "bob", false);
        bob.subscribe("news/+", 2);
        publish_numbers(&broker, version, 0..30);
        broker.crash_and_restart();
        let mut bob = kept(&broker, version, "bob", true);
        expect_numbers(&mut bob, 0..30);
        bob.expect_nothing();
    }
}

#[test]
fn what_was_in_flight_comes_again_after_kill_9() {
    // Goal: MQTT-4.4.0-1 over kill -9: what was sent and not acknowledged comes again, before newer messages of its topic, with DUP (MQTT-3.3.1-1). Of QoS 2, what was
    // answered with PUBREC goes on with PUBREL.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let mut bob = kept(&broker, version, "bob", false);
        bob.subscribe("news/+", 2);
        bob.subscribe("begun/once", 2);
        publish_numbers(&broker, version, 0..10);
        RawClient::clean(&broker, version, "alice").publish("begun/once", "begun", 2);
        let mut begun = None;
        for _ in 0..11 {
            let message = bob.receive();
            if message.topic == "begun/once" {
                bob.send(&ack(0x50, message.packet_id));
                bob.ack(AckKind::PubRel, message.packet_id);
                begun = Some(message.packet_id);
            }
        }
        let begun = begun.expect("it came");
        broker.crash_and_restart();
        publish_numbers(&broker, version, 10..20);
        let mut bob = kept(&broker, version, "bob", true);
        let (mut seen, mut is_over) = (Vec::new(), false);
        while seen.len() < 20 || !is_over {
            match bob.next() {
                Packet::Publish(message) => {
                    bob.acknowledge(&message);
                    let number: usize = message.text().parse().unwrap();
                    assert!(message.dup || number >= 10, "{number} came before");
                    seen.push((message.topic, number));
                }
                Packet::Ack(pubrel) => {
                    assert_eq!((pubrel.kind, pubrel.packet_id), (AckKind::PubRel, begun));
                    bob.send(&ack(0x70, begun));
                    is_over = true;
                }
                other => panic!("bob got {other:?}"),
            }
        }
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = (0..20).step_by(2).chain((1..20).step_by(2));
        assert_eq!(
            seen.into_iter().map(|(_, n)| n).collect::<Vec<_>>(),
            Vec::from_iter(expected)
        );
        bob.expect_nothing();
    }
}

#[test]
fn subscription_options_and_identifiers_survive() {
    // Goal: sections 3.8.3.1 and 3.8.2.1.2: QoS, No Local, Retain As Published and the identifier are as they were before kill -9, of the last SUBSCRIBE for a
    // filter; and what was unsubscribed stays so.
    let mut broker = Broker::start();
    let mut bob = kept(&broker, Version::V5, "bob", false);
    let id = |number| Props::new().var(property::SUBSCRIPTION_ID, number);
    bob.subscribe_with("own/#", 2 | NO_LOCAL, &id(7));
    bob.subscribe_with("flag/kept", 1 | RETAIN_AS_PUBLISHED, &id(268_435_455));
    bob.subscribe_with("flag/plain", 1, &Props::new());
    bob.subscribe_with("twice/x", 0, &id(8));
    bob.subscribe_with("twice/x", 1, &id(9));
    bob.subscribe_with("at/most/once", 0, &id(10));
    bob.subscribe_with("both/+", 1, &id(11));
    bob.subscribe_with("both/#", 1, &id(12));
    bob.subscribe("gone/x", 1);
    bob.unsubscribe("gone/x");
    broker.crash_and_restart();
    let mut bob = kept(&broker, Version::V5, "bob", true);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    bob.publish("own/x", "of his own", 1);
    alice.publish("gone/x", "to nobody", 1);
    let expected: [(&str, u8, bool, &[u32]); 5] = [
        ("own/x", 2, false, &[7]),
        ("flag/kept", 1, true, &[268_435_455]),
        ("flag/plain", 1, false, &[]),
        ("twice/x", 1, false, &[9]),
        ("at/most/once", 0, false, &[10]),
    ];
    for (topic, qos, retain, ids) in expected {
        alice.publish_packet(PublishPacket::new(topic, "x", 2, 0).retain());
        let message = bob.receive_and_ack();
        assert_eq!((message.topic.as_str(), message.text()), (topic, "x"));
        assert_eq!((message.qos, message.retain), (qos, retain), "{topic}");
        assert_eq!(message.props.numbers(property::SUBSCRIPTION_ID), ids, "{topic}");
    }
    // One copy with both identifiers, or two with one each (MQTT-3.3.4-3 to -5).
    alice.publish("both/x", "x", 1);
    let mut ids = Vec::new();
    while ids.len() < 2 {
        ids.extend(bob.receive_and_ack().props.numbers(property::SUBSCRIPTION_ID));
    }
    ids.sort();
    assert_eq!(ids, [11, 12]);
    bob.expect_nothing();
    assert_eq!(bob.unsubscribe("twice/x").codes, [0]);
    assert_eq!(bob.unsubscribe("gone/x").codes, [0x11], "there is no such subscription");
}

#[test]
fn a_session_that_expired_while_the_broker_was_down_is_gone() {
    // Goal: MQTT-3.1.2-23, and rule 5: sessions expire by the age of the store, which goes on while the broker is down. One that has an hour is there.
    let mut broker = Broker::start();
    let short = Connect::new(Version::V5, "short").props(Props::new().four(property::SESSION_EXPIRY, 1));
    let (mut client, _) = RawClient::connect(&broker, &short);
    client.subscribe("news/+", 1);
    client.disconnect();
    leaves_a_session(&broker, Version::V5, "long", "news/+", 2);
    publish_numbers(&broker, Version::V5, 0..10);
    broker.kill9();
    thread::sleep(Duration::from_millis(2500));
    broker.restart();
    let mut again = short.clone();
    again.clean = false;
    let (mut client, connack) = RawClient::connect(&broker, &again);
    assert!(!connack.session_present);
    publish_numbers(&broker, Version::V5, 10..12);
    client.expect_nothing();
    expect_numbers(&mut kept(&broker, Version::V5, "long", true), 0..12);
}

#[test]
fn a_clean_start_forgets_a_kept_session_for_good() {
    // Goal: MQTT-3.1.2-4: what a clean start discarded does not come back with a crash, whether the new session is kept itself (MQTT 5) or not.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        leaves_a_session(&broker, version, "bob", "news/+", 2);
        publish_numbers(&broker, version, 0..10);
        let (_, connack) = RawClient::connect(&broker, &Connect::new(version, "bob"));
        assert!(!connack.session_present);
        broker.crash_and_restart();
        let mut bob = kept(&broker, version, "bob", false);
        publish_numbers(&broker, version, 10..20);
        bob.expect_nothing();
    }
    let mut broker = Broker::start();
    leaves_a_session(&broker, Version::V5, "bob", "news/+", 2);
    publish_numbers(&broker, Version::V5, 0..10);
    let mut anew = Connect::persistent(Version::V5, "bob");
    anew.clean = true;
    let (mut bob, connack) = RawClient::connect(&broker, &anew);
    assert!(!connack.session_present);
    bob.subscribe("other/x", 1);
    broker.crash_and_restart();
    let mut bob = kept(&broker, Version::V5, "bob", true);
    publish_numbers(&broker, Version::V5, 10..20);
    RawClient::clean(&broker, Version::V5, "alice").publish("other/x", "only this", 1);
    assert_eq!(bob.texts(1), ["only this"]);
    bob.expect_nothing();
}

#[test]
fn a_session_is_resumed_with_another_version_of_mqtt() {
    // Goal: a session belongs to the client ID: one that was made with either version is resumed with the other, over kill -9, with all that waits for it.
    for (first, second) in [(Version::V311, Version::V5), (Version::V5, Version::V311)] {
        let mut broker = Broker::start();
        leaves_a_session(&broker, first, "bob", "news/+", 2);
        publish_numbers(&broker, second, 0..20);
        broker.crash_and_restart();
        let mut bob = kept(&broker, second, "bob", true);
        expect_numbers(&mut bob, 0..20);
        bob.disconnect();
        publish_numbers(&broker, first, 20..30);
        broker.crash_and_restart();
        let mut bob = kept(&broker, first, "bob", true);
        // What was acknowledged right before the crash may come again.
        let mut fresh = Vec::new();
        while fresh.len() < 10 {
            let number: usize = bob.receive_and_ack().text().parse().unwrap();
            fresh.extend((number >= 20).then_some(number));
        }
        fresh.sort();
        assert_eq!(fresh, Vec::from_iter(20..30));
    }
}

#[test]
fn a_shared_subscription_of_kept_sessions_goes_on_after_kill_9() {
    // Goal: section 4.8.2: the members of a share are members after kill -9. Each message that was acknowledged goes to one of them, whether it came while they were
    // away, or when they are back.
    let mut broker = Broker::start();
    let members = [(Version::V311, "one"), (Version::V5, "two")];
    for (version, name) in members {
        leaves_a_session(&broker, version, name, "$share/g/jobs/+", 1);
    }
    let publish = |broker: &Broker, numbers: std::ops::Range<usize>| {
        let mut alice = RawClient::clean(broker, Version::V5, "alice");
        numbers.for_each(|n| alice.publish("jobs/x", n.to_string(), 1));
    };
    publish(&broker, 0..20);
    broker.crash_and_restart();
    publish(&broker, 20..40);
    let mut clients = members.map(|(version, name)| kept(&broker, version, name, true));
    publish(&broker, 40..60);
    let mut came: Vec<usize> = Vec::new();
    wait_until("every message came", || {
        for client in &mut clients {
            for message in client.publishes_so_far() {
                client.acknowledge(&message);
                came.push(message.text().parse().unwrap());
            }
        }
        came.len() >= 60
    });
    came.sort();
    assert_eq!(came, Vec::from_iter(0..60));
    clients.iter_mut().for_each(RawClient::expect_nothing);
}

#[test]
fn what_a_member_leaves_is_durable_with_another_before_that_is_acknowledged() {
    // Goal: section 4.8.2 over kill -9: what waited for a member that begins anew, or that ends its subscription, is another member's, and no crash after CONNACK or
    // UNSUBACK finds it with nobody.
    let publish = |broker: &Broker| {
        let mut alice = RawClient::clean(broker, Version::V5, "alice");
        (0..20).for_each(|n| alice.publish("jobs/x", n.to_string(), 1));
    };
    for leaves_by in ["clean start", "unsubscribe"] {
        let mut broker = Broker::start();
        let connect = Connect::persistent(Version::V5, "one");
        let (mut one, _) = RawClient::connect(&broker, &connect.props(Props::new().two(property::RECEIVE_MAXIMUM, 2)));
        one.subscribe("$share/g/jobs/+", 1);
        let sent = match leaves_by {
            "clean start" => {
                one.disconnect();
                publish(&broker);
                let mut two = kept(&broker, Version::V5, "two", false);
                two.subscribe("$share/g/jobs/+", 1);
                RawClient::clean(&broker, Version::V5, "one");
                0
            }
            _ => {
                publish(&broker);
                let mut two = kept(&broker, Version::V5, "two", false);
                two.subscribe("$share/g/jobs/+", 1);
                one.unsubscribe("$share/g/jobs/+");
                2
            }
        };
        broker.crash_and_restart();
        let mut two = kept(&broker, Version::V5, "two", true);
        let numbers: Vec<usize> = two.texts(20 - sent).iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(numbers, Vec::from_iter(sent..20), "{leaves_by}");
    }
}

#[test]
fn a_disk_that_is_nearly_full_refuses_what_a_session_would_have_to_keep() {
    // Goal: as for mail (contract rule 3): 0x97, and it is not kept; where no session has to keep it, an ordinary message needs no disk.
    let broker = Broker::with_config("[store]\ndisk_free_bytes_min = \"1024TiB\"\n");
    leaves_a_session(&broker, Version::V5, "bob", "news/+", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let reason = |alice: &mut RawClient, topic: &str| {
        let id = alice.send_publish(PublishPacket::new(topic, "x", 1, 0));
        alice.ack(AckKind::PubAck, id).reason
    };
    assert_eq!(reason(&mut alice, "news/today"), 0x97);
    assert_eq!(reason(&mut alice, "other/today"), 0x10);
}

#[test]
fn one_absent_session_with_a_hash_filter_is_bounded() {
    // Goal: what waits for a session has an end, by number and by bytes, over kill -9, too. Beyond it the newest messages are dropped and counted; their publishers are
    // acknowledged all the same, and the oldest come.
    const BOUNDS: &str = "[mqtt]\nqueue_messages_max = 50\nqueue_bytes_max = \"32KiB\"\n";
    for (bytes, room) in [(10, 50), (10_000, 3)] {
        let mut broker = Broker::with_config(BOUNDS);
        leaves_a_session(&broker, Version::V5, "bob", "#", 1);
        let flood = |broker: &Broker| {
            let mut alice = RawClient::clean(broker, Version::V5, "alice");
            (0..200).for_each(|n| alice.publish("any/thing", format!("{n:0bytes$}"), 1));
        };
        let expect_the_oldest = |broker: &Broker| {
            let mut bob = kept(broker, Version::V5, "bob", true);
            let texts = bob.texts(room);
            assert_eq!(texts, Vec::from_iter((0..room).map(|n| format!("{n:0bytes$}"))));
            bob.expect_nothing();
            bob.disconnect();
        };
        flood(&broker);
        broker.crash_and_restart();
        expect_the_oldest(&broker);
        // The room is there again, and no crash comes between the messages and their count.
        flood(&broker);
        expect_the_oldest(&broker);
        let mut watcher = RawClient::clean(&broker, Version::V5, "watcher");
        watcher.subscribe("$SYS/inboxd/metrics", 1);
        wait_until("the dropped messages are counted", || {
            let metrics: serde_json::Value = serde_json::from_str(watcher.receive_and_ack().text()).unwrap();
            metrics["ordinary_overflowed"].as_u64().expect("a counter") >= 200 - room as u64
        });
    }
}
