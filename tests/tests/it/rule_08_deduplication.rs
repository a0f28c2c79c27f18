//! Contract rule 8: what repeats an `id` is stored once.

use inbox_tests::{Ack, Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, Will, property};

/// A message to `to` with an `id`.
fn named(to: &str, id: &str, payload: &str, qos: u8) -> PublishPacket {
    PublishPacket::new(to, payload, qos, 0).props(Props::new().user("id", id))
}

/// Publishes, and gives the PUBACK or PUBREC. A QoS 2 publish is left at that.
fn publish(client: &mut RawClient, packet: PublishPacket) -> Ack {
    let packet_id = client.send_publish(packet);
    answer(client, packet_id)
}

fn answer(client: &mut RawClient, packet_id: u16) -> Ack {
    client.wait_for("PUBACK or PUBREC", |packet| match packet {
        Packet::Ack(ack) if ack.packet_id == packet_id => Some(ack.clone()),
        _ => None,
    })
}

/// The place that an answer tells, and the state.
fn told(ack: &Ack) -> (u64, &str) {
    assert_eq!(ack.reason, 0, "{ack:?}");
    (
        ack.props.user("seq").unwrap().parse().unwrap(),
        ack.props.user("state").unwrap(),
    )
}

#[test]
fn rule_08_a_repetition_is_acknowledged_with_the_seq_of_the_first_and_stored_once() {
    // Goal: with QoS 1 and 2, over another connection, and beside messages that have no id or another one.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let first = publish(&mut alice, named("bob", "m1", "hello", 1));
    let (seq, state) = told(&first);
    assert_eq!(state, "stored");
    assert_eq!(
        told(&publish(&mut alice, named("bob", "m1", "hello", 1))),
        (seq, "stored")
    );
    alice.vanish();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!(
        told(&publish(&mut alice, named("bob", "m1", "hello", 2))),
        (seq, "stored")
    );
    let second = told(&publish(&mut alice, named("bob", "m2", "hello", 2))).0;
    alice.publish("bob", "hello", 1);
    assert!(second > seq);

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let seqs: Vec<_> = (0..3).map(|_| bob.receive_and_ack().seq()).collect();
    assert_eq!(seqs[..2], [seq, second]);
    bob.expect_nothing();
}

#[test]
fn rule_08_a_repetition_is_known_after_a_crash() {
    // Goal: what was acknowledged is known after kill -9, also what its reader had acknowledged before it was ever written.
    let mut broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let waits = told(&publish(&mut alice, named("carol", "m1", "waits", 1))).0;
    let packet_id = alice.send_publish(named("bob", "m1", "read at once", 1));
    let read = bob.receive_and_ack().seq();
    let answer = answer(&mut alice, packet_id);
    assert_eq!(told(&answer), (read, "delivered"));
    broker.crash_and_restart();

    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!(
        told(&publish(&mut alice, named("bob", "m1", "read at once", 1))).0,
        read
    );
    assert_eq!(told(&publish(&mut alice, named("carol", "m1", "waits", 1))).0, waits);
    assert_eq!(publish(&mut alice, named("carol", "m1", "changed", 1)).reason, 0x99);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.texts(1), ["waits"]);
    carol.expect_nothing();
}

#[test]
fn rule_08_the_scope_is_sender_inbox_and_id() {
    // Goal: one id for two recipients reaches both, and two senders may use the same one.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    for (client, to, payload) in [(&mut alice, "bob", "1"), (&mut eve, "bob", "2")] {
        told(&publish(client, named(to, "same", payload, 1)));
    }
    told(&publish(&mut alice, named("carol", "same", "3", 1)));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(
        (bob.texts(2), carol.texts(1)),
        (vec!["1".into(), "2".into()], vec!["3".into()])
    );
}

#[test]
fn rule_08_the_same_id_with_another_payload_is_refused() {
    // Goal: the sender is told what is wrong, the log counts it, and the first message stays as it was.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    told(&publish(&mut alice, named("bob", "m1", "hello", 1)));
    for qos in [1, 2] {
        let refused = publish(&mut alice, named("bob", "m1", "other", qos));
        assert_eq!(refused.reason, 0x99);
        assert!(
            refused.props.reason_string().unwrap().contains("id of its own"),
            "{refused:?}"
        );
    }
    broker.wait_for_log("cause=publish_other_payload");
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["hello"]);
    bob.expect_nothing();
}

#[test]
fn rule_08_a_repetition_waits_until_the_first_is_safe() {
    // Goal: while the first waits for its reader, its repetition does too, and both are told the same when it is durable.
    let broker = Broker::with_config("[store]\ncommit_hold = \"1s\"\n");
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let first = alice.send_publish(named("bob", "m1", "hello", 1));
    let held = bob.receive();
    let second = alice.send_publish(named("bob", "m1", "hello", 1));
    alice.expect_nothing();
    bob.acknowledge(&held);
    let (first, second) = (answer(&mut alice, first), answer(&mut alice, second));
    let expected = (held.seq(), "delivered");
    assert_eq!((told(&first), told(&second)), (expected, expected));
    bob.expect_nothing();
}

#[test]
fn rule_08_an_id_is_forgotten_after_the_window() {
    // Goal: the window ends: what comes later is a message of its own. And with a window of 0 nothing is remembered.
    let broker = Broker::with_config("[inbox]\ndedupe_window = \"1s\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let first = told(&publish(&mut alice, named("bob", "m1", "hello", 1))).0;
    while told(&publish(&mut alice, named("bob", "m1", "hello", 1))).0 == first {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let off = Broker::with_config("[inbox]\ndedupe_window = \"0s\"\n");
    let mut alice = RawClient::clean(&off, Version::V5, "alice");
    let first = told(&publish(&mut alice, named("bob", "m1", "hello", 1))).0;
    assert!(told(&publish(&mut alice, named("bob", "m1", "other", 1))).0 > first);
}

#[test]
fn rule_08_a_will_with_an_id_is_stored_once() {
    // Goal: a will is a publish like any other, so its id counts, too.
    let broker = Broker::start();
    let will = Will {
        props: Props::new().user("id", "w1"),
        ..Will::new("bob", "gone")
    };
    let will = Connect::new(Version::V5, "alice").will(will);
    for _ in 0..2 {
        let (alice, _) = RawClient::connect(&broker, &will);
        alice.vanish();
    }
    // The second one is published by the connection that takes its place.
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "after both", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(2), ["gone", "after both"]);
}

#[test]
fn rule_08_puback_tells_the_place_only_where_it_is_wanted() {
    // Goal: a message without an id is answered as ever; Request Problem Information = 0 and a small Maximum Packet Size are respected
    // (MQTT-3.1.2-29, MQTT-3.4.2-3), and MQTT 3.1.1 has no place for it.
    let broker = Broker::start();
    let mut plain = RawClient::clean(&broker, Version::V5, "plain");
    let ack = plain.publish_packet(PublishPacket::new("bob", "hello", 1, 0)).unwrap();
    assert!(ack.props.users().is_empty());
    let silent = Props::new().byte(property::REQUEST_PROBLEM, 0);
    let small = Props::new().four(property::MAXIMUM_PACKET_SIZE, 40);
    for (name, props) in [("silent", silent), ("small", small)] {
        let (mut client, _) = RawClient::connect(&broker, &Connect::new(Version::V5, name).props(props));
        let ack = publish(&mut client, named("bob", "m1", "hello", 1));
        assert_eq!((ack.reason, ack.props.users().len()), (0, 0), "{name}");
    }
}
