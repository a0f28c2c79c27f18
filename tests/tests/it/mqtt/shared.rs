//! Shared subscriptions (section 4.8.2).

use inbox_tests::{Broker, Props, RawClient, Version, property};

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
