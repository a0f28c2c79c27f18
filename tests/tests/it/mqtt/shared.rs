//! Shared subscriptions (section 4.8.2).

use inbox_tests::{Broker, Connect, Props, RawClient, Version, property};

/// Publishes `n` numbers, then one marker per group member's own topic, and answers what each member got.
fn spread(alice: &mut RawClient, members: &mut [&mut RawClient], topic: &str, n: usize) -> Vec<Vec<String>> {
    for (i, member) in members.iter_mut().enumerate() {
        member.subscribe(&format!("marker/{i}"), 1);
    }
    for i in 0..n {
        alice.publish(topic, i.to_string(), 1);
    }
    let mut out = Vec::new();
    for (i, member) in members.iter_mut().enumerate() {
        alice.publish(&format!("marker/{i}"), "marker", 1);
        let mut texts = Vec::new();
        loop {
            let message = member.receive_and_ack();
            if message.topic == format!("marker/{i}") {
                break;
            }
            texts.push(message.text().to_owned());
        }
        out.push(texts);
    }
    out
}

#[test]
fn each_message_goes_to_one_member_of_each_group() {
    // Goal: section 4.8.2: all messages, each to one of the two members; a second group and an ordinary subscription
    // get their own copies.
    let broker = Broker::start();
    let mut clients: Vec<_> = (0..4)
        .map(|i| RawClient::clean(&broker, Version::BOTH[i % 2], &format!("member-{i}")))
        .collect();
    let filters = ["$share/g/jobs/+", "$share/g/jobs/+", "$share/h/jobs/+", "jobs/#"];
    for (client, filter) in clients.iter_mut().zip(filters) {
        assert_eq!(client.subscribe(filter, 1).codes, [1], "{filter}");
    }
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut members: Vec<_> = clients.iter_mut().collect();
    let got = spread(&mut alice, &mut members, "jobs/x", 100);
    let mut group: Vec<usize> = got[0].iter().chain(&got[1]).map(|text| text.parse().unwrap()).collect();
    group.sort();
    assert_eq!(group, (0..100).collect::<Vec<_>>());
    assert!(!got[0].is_empty() && !got[1].is_empty(), "one member got all the work");
    assert_eq!((got[2].len(), got[3].len()), (100, 100));
}

#[test]
fn a_member_that_left_gets_nothing_more() {
    // Goal: whoever unsubscribes or disconnects is skipped, and nothing is lost to the others.
    let broker = Broker::start();
    let mut one = RawClient::clean(&broker, Version::V5, "one");
    let mut two = RawClient::clean(&broker, Version::V5, "two");
    let mut three = RawClient::clean(&broker, Version::V5, "three");
    for member in [&mut one, &mut two, &mut three] {
        member.subscribe("$share/g/jobs/x", 1);
    }
    assert_eq!(one.unsubscribe("$share/g/jobs/x").codes, [0]);
    two.disconnect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let got = spread(&mut alice, &mut [&mut one, &mut three], "jobs/x", 20);
    assert_eq!((got[0].len(), got[1].len()), (0, 20));
}

#[test]
fn a_shared_subscription_gets_no_retained_messages() {
    // Goal: section 4.8.2 with 3.8.4: retained messages are not sent when a shared subscription is made.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish_packet(inbox_tests::PublishPacket::new("jobs/x", "retained", 1, 0).retain());
    let mut member = RawClient::clean(&broker, Version::V5, "member");
    member.subscribe("$share/g/jobs/x", 1);
    alice.publish("jobs/x", "live", 1);
    assert_eq!(member.texts(1), ["live"]);
}

/// A member of the share `g` of `jobs/x` whose session lives for `seconds` after its connection.
fn member(broker: &Broker, name: &str, seconds: u32, qos: u8) -> RawClient {
    let connect = Connect::new(Version::V5, name).props(Props::new().four(property::SESSION_EXPIRY, seconds));
    let (mut member, _) = RawClient::connect(broker, &connect);
    member.subscribe("$share/g/jobs/x", qos);
    member
}

#[test]
fn mqtt_4_8_2_a_dead_members_messages_go_to_another() {
    // Goal: section 4.8.2: the session of a member ends, with its connection or later, with messages that it had not acknowledged: another
    // member gets these, and each of them once.
    for seconds in [0, 1] {
        let broker = Broker::start();
        let mut dies = member(&broker, "dies", seconds, 1);
        let mut lives = member(&broker, "lives", 100, 1);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        for i in 0..10 {
            alice.publish("jobs/x", i.to_string(), 1);
        }
        let acknowledged = dies.receive_and_ack();
        let unacknowledged: Vec<_> = (0..4).map(|_| dies.receive().text().to_owned()).collect();
        dies.ping();
        dies.vanish();
        let mut got: Vec<_> = (0..9).map(|_| lives.receive_and_ack().text().to_owned()).collect();
        assert!(unacknowledged.iter().all(|text| got.contains(text)), "{got:?}");
        assert!(!got.contains(&acknowledged.text().to_owned()), "{got:?}");
        got.sort();
        got.dedup();
        assert_eq!(got.len(), 9);
        lives.expect_nothing();
    }
}

#[test]
fn mqtt_4_8_2_what_waits_for_a_member_that_never_returns_goes_to_another() {
    // Goal: section 4.8.2: both members are away; one session expires with messages that wait for it: they wait for the other.
    let broker = Broker::start();
    member(&broker, "dies", 1, 1).disconnect();
    member(&broker, "lives", 100, 1).disconnect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..10 {
        alice.publish("jobs/x", i.to_string(), 1);
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    let connect = Connect::persistent(Version::V5, "lives");
    let (mut lives, connack) = RawClient::connect(&broker, &connect);
    assert!(connack.session_present);
    let mut got: Vec<_> = (0..10).map(|_| lives.receive_and_ack().text().to_owned()).collect();
    got.sort();
    assert_eq!(got, (0..10).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn mqtt_4_8_2_5_what_cannot_go_to_another_is_counted() {
    // Goal: MQTT-4.8.2-5: a QoS 2 exchange that has begun is nobody else's; and without another member nobody can have the messages. Both
    // are said in the log.
    let broker = Broker::start();
    let mut dies = member(&broker, "dies", 0, 2);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("jobs/x", "begun", 2);
    assert_eq!(dies.receive().text(), "begun");
    let mut lives = member(&broker, "lives", 0, 1);
    dies.vanish();
    broker.wait_for_log("MQTT-4.8.2-5");
    lives.expect_nothing();
    alice.publish("jobs/x", "for nobody else", 1);
    assert_eq!(lives.receive().text(), "for nobody else");
    lives.vanish();
    broker.wait_for_log("nobody else is subscribed to it");
}

#[test]
fn groups_of_one_name_with_different_filters_are_different() {
    // Goal: a shared subscription is its ShareName and its filter together (section 4.8.2), and its own options count.
    let broker = Broker::start();
    let mut one = RawClient::clean(&broker, Version::V5, "one");
    let mut two = RawClient::clean(&broker, Version::V5, "two");
    one.subscribe_with("$share/g/jobs/x", 1, &Props::new().var(property::SUBSCRIPTION_ID, 5));
    two.subscribe("$share/g/jobs/+", 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for _ in 0..10 {
        alice.publish("jobs/x", "both", 1);
        let (first, second) = (one.receive_and_ack(), two.receive_and_ack());
        assert_eq!((first.qos, second.qos), (1, 0));
        assert_eq!(first.props.numbers(property::SUBSCRIPTION_ID), [5]);
        assert!(second.props.numbers(property::SUBSCRIPTION_ID).is_empty());
    }
}

#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    // Goal: MQTT-3.8.3-4.
    let broker = Broker::start();
    let mut client = RawClient::clean(&broker, Version::V5, "bob");
    client.send(&inbox_tests::subscribe(
        Version::V5,
        1,
        "$share/g/a/b",
        0x01 | 0x04,
        &Props::new(),
    ));
    client.expect_disconnect(&[0x82]);
}
