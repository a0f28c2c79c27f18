//! Reading the own inbox.

use inbox_types::Limits;

use super::*;

/// A client that reads its inbox with `options` and has its SUBACK.
fn reader<'w>(world: &'w World, version: Version, id: &str, options: u8) -> Client<'w> {
    let mut client = world.client(version, id);
    client.send(subscribe(version, 1, id, options));
    client
}

#[test]
fn rule_04_suback_comes_before_the_mail() {
    // Goal: contract rule 4: SUBACK, then everything in acceptance order, with DUP only where it may have been sent before.
    for version in BOTH {
        let world = World::new();
        world.mail("bob", 1, &["a", "b", "c"]);
        let mut bob = reader(&world, version, "bob", 1);
        let said = bob.said();
        assert_eq!(
            said[0],
            Said::SubAck {
                id: 1,
                codes: vec![1],
                why: None
            }
        );
        assert_eq!(said::texts(&said[1..]), ["a", "b", "c"]);
        assert!(
            said::messages(&said)
                .iter()
                .all(|message| !message.dup && !message.retain && message.topic == "bob")
        );
    }
}

#[test]
fn rule_05_puback_and_pubcomp_remove() {
    // Goal: contract rule 5: QoS 1 leaves on PUBACK, QoS 2 on PUBCOMP and not on PUBREC.
    let world = World::new();
    world.mail("bob", 2, &["one", "two"]);
    let mut bob = reader(&world, V5, "bob", 1);
    let got = said::messages(&bob.said());
    assert_eq!(got[0].qos, 1, "the lower of the two");
    bob.send(ack(0x40, got[0].id));
    assert_eq!(world.stored("bob"), ["two"]);

    let mut bob = reader(&world, V5, "bob", 2);
    let got = said::messages(&bob.said());
    assert_eq!((got[0].qos, got[0].dup, got.len()), (2, true, 1));
    bob.send(ack(0x50, got[0].id));
    assert_eq!(bob.said(), [Said::ack(0x62, got[0].id)]);
    assert_eq!(world.stored("bob"), ["two"]);
    bob.send(ack(0x70, got[0].id));
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn rule_05_qos_0_mail_leaves_a_second_after_it_is_written() {
    // Goal: contract rule 5: mail granted with QoS 0 leaves the inbox when its last byte was with the socket and the connection stayed
    // open for a second after that, and not before; a message behind it that is not written yet stays.
    let world = World::new();
    world.mail("bob", 1, &["one", "two"]);
    let mut bob = reader(&world, V5, "bob", 0);
    let said = bob.said_unwritten();
    assert!(
        said::messages(&said)
            .iter()
            .all(|message| message.qos == 0 && message.id == 0)
    );
    assert_eq!(world.stored("bob"), ["one", "two"]);
    let all = bob.session.out().len();
    bob.session.written(all - 1);
    world.pass(Duration::from_millis(999));
    assert_eq!(world.stored("bob"), ["one", "two"]);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.stored("bob"), ["two"]);
    bob.session.written(1);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn rule_05_qos_0_mail_that_is_not_written_stays() {
    // Goal: contract rule 5: the connection ends with the mail still in the buffer; it comes again.
    let world = World::new();
    world.mail("bob", 1, &["one"]);
    let mut bob = reader(&world, V311, "bob", 0);
    bob.said_unwritten();
    bob.reconnect();
    assert_eq!(said::texts(&bob.said()), ["one"]);
    world.pass(Duration::from_millis(900));
    bob.reconnect();
    assert_eq!(
        said::texts(&bob.said()),
        ["one"],
        "written, and the connection ended too soon"
    );
    world.pass(Duration::from_secs(1));
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn rule_07_the_brokers_user_properties_replace_the_senders() {
    // Goal: contract rule 7: `id` is the sender's, `seq`, `from` and `at` are the broker's whatever the sender says; the others stay
    // in their order.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    let claimed = [
        user("from", "eve"),
        user("x", "1"),
        user("id", "mine"),
        user("seq", "5"),
        user("at", "0"),
        user("x", "2"),
    ];
    alice.send(publish_with(V5, 2, 1, "bob", &claimed.concat(), "m"));
    alice.send(publish_with(V5, 2, 2, "bob", &[], "n"));
    world.commit();
    let mut bob = reader(&world, V5, "bob", 1);
    let got = said::messages(&bob.said());
    let names: Vec<_> = got[0].user.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["id", "seq", "from", "at", "x", "x"]);
    let values = |n: usize| got[n].user.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    assert_eq!(
        (values(0)[0], values(0)[2], &values(0)[4..]),
        ("mine", "alice", &["1", "2"][..])
    );
    assert_eq!(values(0)[3], START.to_string());
    let seq = |n: usize| values(n)[1].parse::<u64>().unwrap();
    assert!(seq(0) < seq(1));
    assert_eq!(
        values(1)[0],
        format!("{:016x}", seq(1)),
        "the broker makes an id where the sender gave none"
    );
}

#[test]
fn mqtt_3_3_2_6_the_expiry_counts_down() {
    // Goal: MQTT-3.3.2-5, -6: the recipient is told what is left, what has expired is not delivered, and the broker's own time to
    // live is not told.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    let seconds = |n: u8| [2, 0, 0, 0, n];
    alice.send(publish_with(V5, 2, 1, "bob", &seconds(10), "ten"));
    alice.send(publish_with(V5, 2, 2, "bob", &seconds(3), "three"));
    alice.send(publish_with(V5, 2, 3, "bob", &[], "for ever"));
    world.commit();
    world.pass(Duration::from_millis(3200));
    let mut bob = reader(&world, V5, "bob", 1);
    let got = said::messages(&bob.said());
    let told: Vec<_> = got
        .iter()
        .map(|message| (message.text.as_str(), message.expiry))
        .collect();
    assert_eq!(told, [("ten", Some(7)), ("for ever", None)]);
}

#[test]
fn mqtt_4_9_the_readers_receive_maximum_is_kept() {
    // Goal: MQTT-3.3.4-9 towards the client, MQTT 5 section 4.9: never more unacknowledged than it takes, each PUBACK lets one more out,
    // and the order stays. The broker's own limit holds where it is lower.
    for (receive_maximum, in_flight_max) in [(2, 100), (65_535, 2)] {
        let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = in_flight_max);
        world.mail("bob", 1, &["a", "b", "c", "d"]);
        let properties = ConnectProperties {
            receive_maximum: Some(receive_maximum),
            ..ConnectProperties::default()
        };
        let mut bob = world.connect(Connect {
            properties,
            ..connect("bob")
        });
        bob.send(subscribe(V5, 1, "bob", 1));
        let first = said::messages(&bob.said());
        assert_eq!(
            first.iter().map(|message| &*message.text).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(bob.said(), []);
        bob.send(ack(0x40, first[1].id));
        assert_eq!(said::texts(&bob.said()), ["c"]);
        bob.send(ack(0x40, first[0].id));
        assert_eq!(said::texts(&bob.said()), ["d"]);
    }
}

#[test]
fn mqtt_3_1_2_25_too_large_mail_is_passed_over_and_stays() {
    // Goal: MQTT-3.1.2-25: what is larger than the client's Maximum Packet Size is not sent; it stays for a client that takes it
    // (contract rule 5), and the next ones go on.
    let world = World::new();
    let large = "x".repeat(1000);
    world.mail("bob", 1, &["a", &large, "b"]);
    let properties = ConnectProperties {
        maximum_packet_size: Some(500),
        ..ConnectProperties::default()
    };
    let mut bob = world.connect(Connect {
        properties,
        ..connect("bob")
    });
    bob.send(subscribe(V5, 1, "bob", 1));
    let got = said::messages(&bob.said());
    assert_eq!(got.iter().map(|message| &*message.text).collect::<Vec<_>>(), ["a", "b"]);
    bob.send([ack(0x40, got[0].id), ack(0x40, got[1].id)].concat());
    assert_eq!(world.stored("bob"), std::slice::from_ref(&large));
    assert_eq!(said::texts(&reader(&world, V311, "bob", 1).said()), [large]);
}

#[test]
fn mqtt_3_8_3_3_no_local_keeps_own_mail_in_the_inbox() {
    // Goal: MQTT-3.8.3-3: what the client sent itself is not delivered to a subscription that says no local, and comes to one that
    // does not.
    let world = World::new();
    let mut bob = reader(&world, V5, "bob", 0b101);
    bob.said();
    bob.send(publish(V5, 1, 1, "bob", "note to self"));
    world.mail("bob", 1, &["from alice"]);
    assert_eq!(said::texts(&bob.said()), ["from alice"]);
    bob.send(subscribe(V5, 2, "bob", 1));
    assert_eq!(said::texts(&bob.said()), ["note to self"]);
}

#[test]
fn topic_aliases_spell_the_inbox_once() {
    // Goal: MQTT 5, section 3.3.2.3.4: the first message sets an alias that the client allows, the next ones use it, and a new
    // connection starts over.
    let world = World::new();
    world.mail("bob", 1, &["a", "b"]);
    let properties = ConnectProperties {
        topic_alias_maximum: 5,
        session_expiry: Some(60),
        ..ConnectProperties::default()
    };
    let mut bob = world.connect(Connect {
        properties,
        ..connect("bob")
    });
    bob.send(subscribe(V5, 1, "bob", 1));
    let topics = |said: &[Said]| {
        said::messages(said)
            .into_iter()
            .map(|message| (message.topic, message.alias))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        topics(&bob.said()),
        [("bob".to_owned(), Some(1)), (String::new(), Some(1))]
    );
    bob.reconnect();
    assert_eq!(
        topics(&bob.said()),
        [("bob".to_owned(), None), ("bob".to_owned(), None)]
    );
}

#[test]
fn rule_04_subscribing_again_repeats_nothing() {
    // Goal: contract rule 4, MQTT-4.4.0-1: a second SUBSCRIBE over a connection that reads the inbox already sends nothing again that is in
    // flight on it, also after UNSUBSCRIBE, and nothing beyond the window. What comes next has the QoS that is granted now; what is in
    // flight goes on as it began.
    for (before, after) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 0), (0, 1)] {
        for unsubscribes in [false, true] {
            let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 2);
            world.mail("bob", 2, &["a", "b", "c"]);
            let mut bob = reader(&world, V5, "bob", before);
            // QoS 0 takes no place in the window.
            let first = said::messages(&bob.said());
            let rest = if before == 0 { said::texts(&bob.said()) } else { vec![] };
            assert_eq!((first.len(), rest.len()), (2, usize::from(before == 0)));
            if unsubscribes && before > 0 {
                bob.send(unsubscribe(V5, 2, "bob"));
            }
            bob.send(subscribe(V5, 3, "bob", after));
            bob.send(subscribe(V5, 4, "bob", after));
            let case = format!("from QoS {before} to {after}, unsubscribed: {unsubscribes}");
            let again = said::texts(&bob.said());
            // Nothing is in the way of QoS 0, for MQTT 5 counts it in no window; but the inbox's own window is full.
            assert_eq!(again, [""; 0], "{case}");
            for message in &first {
                match before {
                    0 => {}
                    1 => bob.send(ack(0x40, message.id)),
                    _ => bob.send([ack(0x50, message.id), ack(0x70, message.id)].concat()),
                }
            }
            if before > 0 {
                let rest = said::messages(&bob.said());
                let rest: Vec<_> = rest.iter().map(|message| (&*message.text, message.qos)).collect();
                assert_eq!(rest, [("c", after)], "{case}");
            }
        }
    }
}

#[test]
fn rule_04_a_resumed_session_that_subscribes_again_gets_each_message_once() {
    // Goal: contract rule 4: a kept session, and a client that subscribes whenever it is connected: each message comes once over each
    // connection, under the identifier that it had, and never more than the window.
    for version in BOTH {
        for qos in [1, 2] {
            let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 2);
            world.mail("bob", 2, &["a", "b", "c"]);
            let mut bob = reader(&world, version, "bob", qos);
            let first = said::messages(&bob.said());
            bob.reconnect();
            bob.send(subscribe(version, 2, "bob", qos));
            let mut again = said::messages(&bob.said());
            bob.send(subscribe(version, 3, "bob", qos));
            again.extend(said::messages(&bob.said()));
            let ids = |messages: &[said::Published]| {
                let pairs = messages.iter().map(|message| (message.text.clone(), message.id));
                pairs.collect::<Vec<_>>()
            };
            assert_eq!(ids(&again), ids(&first));
            assert!(again.iter().all(|message| message.dup));
        }
    }
}

#[test]
fn rule_04_giving_up_no_local_brings_what_it_kept_back() {
    // Goal: contract rules 4 and 5, MQTT-3.8.3-3: own messages stay unsent under No Local; a SUBSCRIBE without it brings them over the same
    // connection, and does not repeat what is in flight on it. One that sets it again repeats nothing.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(publish(V5, 1, 9, "bob", "own"));
    world.mail("bob", 1, &["other"]);
    bob.send(subscribe(V5, 1, "bob", 0b101));
    assert_eq!(said::texts(&bob.said()), ["other"]);
    bob.send(subscribe(V5, 2, "bob", 1));
    assert_eq!(said::texts(&bob.said()), ["own"]);
    bob.send(subscribe(V5, 3, "bob", 0b101));
    assert_eq!(said::texts(&bob.said()), [""; 0]);
}

#[test]
fn acknowledgements_of_the_wrong_kind_break_the_protocol() {
    // Goal: MQTT-4.3.2 and MQTT-4.3.3: PUBREC for QoS 1, PUBACK or PUBCOMP for a QoS 2 message that awaits PUBREC: 0x82, and the
    // message stays. For nothing at all: PUBREC is answered with PUBREL 0x92, the others are ignored.
    for (qos, first) in [(1, 0x50), (1, 0x70), (2, 0x40), (2, 0x70)] {
        let world = World::new();
        world.mail("bob", 2, &["kept"]);
        let mut bob = reader(&world, V5, "bob", qos);
        let id = said::messages(&bob.said())[0].id;
        assert_eq!(closed(bob.try_send(ack(first, id))), 0x82, "{first:#04x} for QoS {qos}");
        assert_eq!(world.stored("bob"), ["kept"]);
    }
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send([ack(0x40, 9), ack(0x50, 9), ack(0x70, 9)].concat());
    assert_eq!(
        bob.said(),
        [Said::Ack {
            first: 0x62,
            id: 9,
            reason: 0x92,
            why: None
        }]
    );
}

#[test]
fn mqtt_4_3_3_a_pubrec_that_refuses_ends_the_exchange() {
    // Goal: MQTT 5, section 4.3.3: after a PUBREC of 0x80 and above there is no PUBREL, and the message does not come again.
    let world = World::new();
    world.mail("bob", 2, &["unwanted", "wanted"]);
    let mut bob = reader(&world, V5, "bob", 2);
    let got = said::messages(&bob.said());
    bob.send(packet(0x50, &[&got[0].id.to_be_bytes(), &[0x80]]));
    assert_eq!(bob.said(), []);
    assert_eq!(world.stored("bob"), ["wanted"]);
}
