//! What a client publishes, and when it is answered.

use inbox_types::{Limits, Refusal};

use super::*;

const RETAINED_FULL: Result<Published, PublishError> = Err(PublishError::RetainedFull);

#[test]
fn rule_03_puback_comes_after_the_commit() {
    // Goal: contract rule 3: no PUBACK before the message is durable, and one right after.
    for version in BOTH {
        let world = World::new();
        let mut alice = world.client(version, "alice");
        alice.send(publish(version, 1, 7, "bob", "hello"));
        assert_eq!(alice.said(), [], "not durable yet");
        world.commit();
        assert_eq!(alice.said(), [Said::ack(0x40, 7)]);
        assert_eq!(world.stored("bob"), ["hello"]);
    }
}

#[test]
fn rule_03_puback_comes_after_the_readers() {
    // Goal: contract rule 3: the recipient's PUBACK answers the publisher before anything is written.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    bob.said();
    let mut alice = world.client(V311, "alice");
    alice.send(publish(V311, 1, 7, "bob", "hello"));
    let got = said::messages(&bob.said());
    assert_eq!(alice.said(), []);
    bob.send(ack(0x40, got[0].id));
    assert_eq!(alice.said(), [Said::ack(0x40, 7)]);
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn mqtt_4_6_0_2_pubacks_come_in_the_order_of_the_publishes() {
    // Goal: MQTT-4.6.0-2: an answer that is known at once waits for the ones before it.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    alice.send(publish(V5, 1, 9, "bob", "waits for the commit"));
    alice.send(publish(V5, 1, 3, "a/b", "is routed at once"));
    alice.send(publish(V5, 2, 5, "$SYS/x", "is refused at once"));
    assert_eq!(alice.said(), []);
    world.commit();
    let said = alice.said();
    assert_eq!(said[..2], [Said::ack(0x40, 9), Said::ack(0x40, 3)]);
    assert!(
        matches!(
            &said[2],
            Said::Ack {
                first: 0x50,
                id: 5,
                reason: 0x90,
                why: Some(_)
            }
        ),
        "{:?}",
        said[2]
    );
}

#[test]
fn rule_03_a_refusal_is_a_reason_code_or_the_end() {
    // Goal: contract rule 3: a full inbox is 0x97 with a reason string in MQTT 5; MQTT 3.1.1 is closed without a
    // PUBACK where the operator wants it so.
    let limits = Limits {
        inbox_messages_max: 1,
        ..Limits::default()
    };
    let world = World::with(limits, |mqtt| mqtt.v311_refusals = crate::V311Refusals::Close);
    world.mail("bob", 1, &["first"]);
    for qos in [1, 2] {
        let mut alice = world.client(V5, "alice");
        alice.send(publish(V5, qos, 1, "bob", "no"));
        world.commit();
        let said = alice.said();
        assert!(
            matches!(
                &said[..],
                [Said::Ack {
                    id: 1,
                    reason: 0x97,
                    why: Some(_),
                    ..
                }]
            ),
            "{said:?}"
        );

        let mut carol = world.client(V311, "carol");
        carol.send(publish(V311, qos, 1, "bob", "no"));
        world.commit();
        assert_eq!(closed(carol.session.drain(world.shared.node.now())), 0x97);
        assert!(carol.session.out().is_empty());
    }
    assert_eq!(world.stored("bob"), ["first"]);
}

#[test]
fn mqtt_3_1_2_29_reason_strings_only_for_those_who_want_them() {
    // Goal: MQTT-3.1.2-29 and MQTT-3.4.2-2: without problem information, or when it would make the packet larger than Maximum
    // Packet Size, the reason code comes alone.
    let world = World::new();
    let quiet = ConnectProperties {
        request_problem_information: false,
        ..ConnectProperties::default()
    };
    let small = ConnectProperties {
        maximum_packet_size: Some(50),
        ..ConnectProperties::default()
    };
    for properties in [quiet, small] {
        let mut alice = world.connect(Connect {
            properties,
            ..connect("alice")
        });
        alice.send([publish(V5, 1, 1, "$x", ""), subscribe(V5, 2, "bob", 1)].concat());
        let refused = Said::Ack {
            first: 0x40,
            id: 1,
            reason: 0x90,
            why: None,
        };
        assert_eq!(
            alice.said(),
            [
                refused,
                Said::SubAck {
                    id: 2,
                    codes: vec![0x87],
                    why: None
                }
            ]
        );
    }
}

#[test]
fn rule_10_a_qos_2_message_is_stored_once() {
    // Goal: contract rule 10, MQTT-4.3.3-10: whatever comes with a packet identifier until PUBREL is the same message: before its
    // PUBREC, after it, and over a new connection.
    for version in BOTH {
        let world = World::new();
        let mut alice = world.client(version, "alice");
        let first = publish(version, 2, 7, "bob", "once");
        let again = publish_with(version, 0b1100, 7, "bob", &[], "once");
        alice.send(&first);
        alice.send(&again);
        assert_eq!(alice.said(), []);
        world.commit();
        assert_eq!(alice.said(), [Said::ack(0x50, 7)]);
        alice.send(&again);
        assert_eq!(alice.said(), [Said::ack(0x50, 7)]);
        alice.reconnect();
        alice.send(&again);
        assert_eq!(alice.said(), [Said::ack(0x50, 7)]);
        alice.send(ack(0x62, 7));
        assert_eq!(alice.said(), [Said::ack(0x70, 7)]);
        assert_eq!(world.stored("bob"), ["once"]);
        // The identifier is free for another message.
        alice.send(publish(version, 2, 7, "bob", "another"));
        world.commit();
        assert_eq!(alice.said(), [Said::ack(0x50, 7)]);
        assert_eq!(world.stored("bob"), ["once", "another"]);
    }
}

#[test]
fn rule_10_a_qos_2_message_without_outcome_is_asked_for_again() {
    // Goal: contract rules 3 and 10: the connection ends before the commit; the client sends again, before or after the commit, and
    // gets its PUBREC after it, in the order of sending (MQTT-4.6.0-3).
    for early in [true, false] {
        let world = World::new();
        let mut alice = world.client(V5, "alice");
        alice.send(publish(V5, 2, 7, "bob", "once"));
        alice.reconnect();
        let again = [
            publish_with(V5, 0b1100, 7, "bob", &[], "once"),
            publish(V5, 1, 8, "a/b", ""),
        ]
        .concat();
        if early {
            alice.send(&again);
            assert_eq!(alice.said(), []);
        }
        world.commit();
        if !early {
            alice.said();
            alice.send(&again);
        }
        assert_eq!(alice.said(), [Said::ack(0x50, 7), Said::ack(0x40, 8)], "early: {early}");
        assert_eq!(world.stored("bob"), ["once"]);
    }
}

#[test]
fn rule_03_a_refused_qos_2_message_is_not_accepted_after_a_reconnection() {
    // Goal: contract rule 3 for MQTT 3.1.1, which has only the PUBREC of success: a refusal closes over the second connection, too, if so
    // set.
    let limits = Limits {
        inbox_messages_max: 1,
        ..Limits::default()
    };
    let world = World::with(limits, |mqtt| mqtt.v311_refusals = crate::V311Refusals::Close);
    let mut alice = world.client(V311, "alice");
    alice.send([publish(V311, 1, 1, "bob", "fills it"), publish(V311, 2, 7, "bob", "no")].concat());
    alice.reconnect();
    alice.send(publish_with(V311, 0b1100, 7, "bob", &[], "no"));
    world.commit();
    let drained = alice.session.drain(world.shared.node.now());
    assert_eq!(world.stored("bob"), ["fills it"]);
    assert_eq!(closed(drained), 0x97);
    assert!(alice.session.out().is_empty());
}

#[test]
fn pubrel_before_pubrec_breaks_the_protocol() {
    // Goal: MQTT-4.3.3-5: a client that releases what was not received would use the identifier for another message, which would
    // then be taken for the first.
    for version in BOTH {
        let world = World::new();
        let mut alice = world.client(version, "alice");
        alice.send(publish(version, 2, 7, "bob", ""));
        assert_eq!(closed(alice.try_send(ack(0x62, 7))), 0x82);
    }
}

#[test]
fn pubrel_for_nothing_is_answered() {
    // Goal: MQTT 5, section 3.7.2.1: PUBCOMP 0x92; in MQTT 3.1.1 a plain PUBCOMP.
    for (version, reason) in [(V311, 0), (V5, 0x92)] {
        let world = World::new();
        let mut alice = world.client(version, "alice");
        alice.send(ack(0x62, 7));
        assert_eq!(
            alice.said(),
            [Said::Ack {
                first: 0x70,
                id: 7,
                reason,
                why: None
            }]
        );
    }
}

#[test]
fn mqtt_3_3_4_9_the_receive_maximum_is_kept() {
    // Goal: MQTT-3.3.4-9: QoS 1 counts until PUBACK, QoS 2 until PUBCOMP; one more is 0x93.
    let world = World::with(Limits::default(), |mqtt| mqtt.unacknowledged_publishes_max = 2);
    let mut alice = world.client(V5, "alice");
    alice.send([publish(V5, 1, 1, "bob", ""), publish(V5, 2, 2, "bob", "")].concat());
    world.commit();
    assert_eq!(alice.said(), [Said::ack(0x40, 1), Said::ack(0x50, 2)]);
    alice.send(publish(V5, 2, 3, "a/b", ""));
    assert_eq!(alice.said(), [Said::ack(0x50, 3)]);
    assert_eq!(closed(alice.try_send(publish(V5, 1, 4, "a/b", ""))), 0x93);

    let mut bob = world.client(V5, "carol");
    for id in 1..10 {
        bob.send(publish(V5, 2, id, "$x", "a PUBREC that refuses ends it"));
        bob.said();
        bob.send(publish(V5, 2, id, "a/b", ""));
        bob.send(ack(0x62, id));
        bob.said();
    }
}

#[test]
fn section_4_9_the_receive_maximum_starts_anew_with_a_connection() {
    // Goal: MQTT 5, section 4.9: the client's send quota is full again after a reconnection, and PUBREL does not use it; a publish
    // that comes again does.
    let world = World::with(Limits::default(), |mqtt| mqtt.unacknowledged_publishes_max = 2);
    let mut alice = world.client(V5, "alice");
    alice.send([publish(V5, 2, 1, "a/b", ""), publish(V5, 2, 2, "a/b", "")].concat());
    alice.said();
    alice.reconnect();
    alice.send([ack(0x62, 1), publish(V5, 2, 3, "a/b", ""), publish(V5, 1, 4, "bob", "")].concat());
    assert_eq!(alice.said(), [Said::ack(0x70, 1), Said::ack(0x50, 3)]);
    let repeated = publish_with(V5, 0b1100, 2, "a/b", &[], "");
    assert_eq!(closed(alice.try_send(repeated)), 0x93);
}

#[test]
fn mqtt_3_1_1_is_not_read_while_too_much_is_unanswered() {
    // Goal: MQTT 3.1.1 has no receive maximum: the socket waits instead, and goes on with the answers.
    let world = World::with(Limits::default(), |mqtt| mqtt.unacknowledged_publishes_max = 2);
    let mut alice = world.client(V311, "alice");
    let three = [
        publish(V311, 1, 1, "bob", "1"),
        publish(V311, 1, 2, "bob", "2"),
        publish(V311, 1, 3, "bob", "3"),
    ];
    let used = alice.session.receive(&three.concat(), world.shared.node.now()).unwrap();
    assert_eq!(used, three[0].len() + three[1].len());
    assert!(!alice.session.takes_packets());
    world.commit();
    assert_eq!(alice.said().len(), 2);
    assert!(alice.session.takes_packets());
}

#[test]
fn a_topic_alias_means_the_topic_it_was_set_for() {
    // Goal: MQTT 5, section 3.3.2.3.4: an alias stands for its topic, can be replaced, ends with the connection; above the maximum it
    // is 0x94 (MQTT-3.3.2-9), unknown it is a protocol error.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    let alias = |n: u8| [0x23, 0, n];
    alice.send(publish_with(V5, 0, 0, "a/b", &alias(1), "set"));
    alice.send(publish_with(V5, 0, 0, "", &alias(1), "used"));
    alice.send(publish_with(V5, 0, 0, "bob", &alias(1), "replaced"));
    alice.send(publish_with(V5, 2, 1, "", &alias(1), "mail"));
    assert_eq!(
        alice.routed.iter().map(|message| &*message.topic).collect::<Vec<_>>(),
        ["a/b", "a/b"]
    );
    assert_eq!(world.stored("bob"), ["mail"]);
    assert_eq!(closed(alice.try_send(publish_with(V5, 0, 0, "", &alias(2), ""))), 0x82);
    assert_eq!(
        closed(alice.try_send(publish_with(V5, 0, 0, "a/b", &alias(33), ""))),
        0x94
    );
    alice.reconnect();
    assert_eq!(closed(alice.try_send(publish_with(V5, 0, 0, "", &alias(1), ""))), 0x82);
}

#[test]
fn an_oversized_payload_ends_the_connection() {
    // Goal: MQTT 5, section 4.13: 0x95, before anything is stored.
    let world = World::with(Limits::default(), |mqtt| mqtt.message_bytes_max = 10);
    let mut alice = world.client(V5, "alice");
    assert_eq!(closed(alice.try_send(publish(V5, 1, 1, "bob", "01234567890"))), 0x95);
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn rule_09_qos_0_is_for_those_who_are_there() {
    // Goal: contract rule 9: delivered to a reader, never stored.
    let world = World::new();
    let mut alice = world.client(V311, "alice");
    alice.send(publish(V311, 0, 0, "bob", "too early"));
    let mut bob = world.client(V311, "bob");
    bob.send(subscribe(V311, 1, "bob", 1));
    bob.said();
    alice.send(publish(V311, 0, 0, "bob", "in time"));
    let got = said::messages(&bob.said());
    assert_eq!((got[0].qos, &*got[0].text, got.len()), (0, "in time", 1));
    assert_eq!(world.stored("bob"), [""; 0]);
}

#[test]
fn what_came_before_disconnect_goes_to_the_router() {
    // Goal: MQTT-3.14.4-1 ends the connection, not what was sent over it: a publish and DISCONNECT often come in one segment.
    let world = World::new();
    let mut alice = world.client(V311, "alice");
    let all = [publish(V311, 0, 0, "a/b", "last words"), packet(0xE0, &[])].concat();
    let ending = alice.try_send(all);
    assert_eq!(ending, Err(Ending::Left { with_will: false }));
    alice.route().unwrap();
    assert_eq!(alice.routed.len(), 1);
}

#[test]
fn a_full_retained_store_is_a_quota() {
    // Goal: an ordinary publish that the router refuses is answered 0x97; MQTT 3.1.1 is closed, if so set.
    let world = World::with(Limits::default(), |mqtt| {
        mqtt.v311_refusals = crate::V311Refusals::Close
    });
    let mut alice = world.client(V5, "alice");
    alice.router_says = RETAINED_FULL;
    alice.send(publish_with(V5, 0b0011, 1, "a/b", &[], "retained"));
    let said = alice.said();
    assert!(
        matches!(
            &said[..],
            [Said::Ack {
                first: 0x40,
                id: 1,
                reason: 0x97,
                why: Some(_)
            }]
        ),
        "{said:?}"
    );
    let mut bob = world.client(V311, "bob");
    bob.router_says = RETAINED_FULL;
    assert_eq!(
        closed(bob.try_send(publish_with(V311, 0b0011, 1, "a/b", &[], "retained"))),
        0x97
    );
}

#[test]
fn a_store_that_takes_nothing_new_refuses_what_is_to_be_retained() {
    // Goal: such a publish is answered, and counted, as mail is that is refused for the same reason.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    let refusals = [
        (Refusal::DiskFull, 0x97, "publish_disk_full"),
        (Refusal::StoreTroubled, 0x97, "publish_store_troubled"),
        (Refusal::StoreFailed, 0x83, "publish_failed"),
    ];
    for (id, (why, code, cause)) in (1..).zip(refusals) {
        alice.router_says = Err(PublishError::Refused(why));
        alice.send(publish_with(V5, 0b0011, id, "a/b", &[], "retained"));
        let said = alice.said();
        assert!(
            matches!(&said[..], [Said::Ack { first: 0x40, reason, .. }] if *reason == code),
            "{said:?}"
        );
        let counted = world.shared.metrics.snapshot();
        let name = format!("refused_{cause}");
        assert!(counted.iter().any(|(counter, n)| *counter == name && *n == 1), "{name}");
    }
}

#[test]
fn a_publish_that_reaches_nobody_is_accepted() {
    // Goal: MQTT 5, section 3.4.2.1: 0x10 in PUBACK and PUBREC is a success: it is no refusal to count, a QoS 2 exchange goes on, its
    // place in the window is held until PUBCOMP, and MQTT 3.1.1 sees an answer like any other.
    let world = World::with(Limits::default(), |mqtt| mqtt.unacknowledged_publishes_max = 1);
    for version in BOTH {
        let mut alice = world.client(version, "alice");
        alice.router_says = Ok(Published::Now(Reach::Nobody));
        alice.send(publish(version, 1, 1, "a/b", "x"));
        let told = |first, id| Said::Ack {
            first,
            id,
            reason: if version == V5 { 0x10 } else { 0 },
            why: None,
        };
        assert_eq!(alice.said(), [told(0x40, 1)]);
        alice.send(publish(version, 2, 2, "a/b", "x"));
        assert_eq!(alice.said(), [told(0x50, 2)]);
        alice.send(publish(version, 2, 2, "a/b", "x"));
        assert_eq!(alice.said(), [Said::ack(0x50, 2)]);
        alice.send(ack(0x62, 2));
        assert_eq!(alice.said(), [Said::ack(0x70, 2)]);
        assert_eq!(alice.routed.len(), 2);
    }
    assert_eq!(world.shared.metrics.publishes_refused.get(), 0);
}
