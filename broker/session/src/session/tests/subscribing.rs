//! SUBSCRIBE and UNSUBSCRIBE.

use inbox_types::Limits;

use super::*;

#[test]
fn rule_02_an_inbox_is_its_owners() {
    // Goal: contract rule 2: another's inbox, alone or as a shared subscription, is 0x87 with a reason string, 0x80 in MQTT 3.1.1; the
    // other filters of the packet are served, and nothing of the mail is seen.
    let world = World::new();
    world.mail("bob", 1, &["private"]);
    for version in BOTH {
        let mut eve = world.client(version, "eve");
        for filter in ["bob", "$share/g/bob", "$share/g/eve"] {
            eve.send(subscribe(version, 1, filter, 1));
            let said = eve.said();
            let [Said::SubAck { id: 1, codes, why }] = &said[..] else {
                panic!("{said:?}")
            };
            assert_eq!(
                (codes[0], why.is_some()),
                if version == V5 { (0x87, true) } else { (0x80, false) }
            );
        }
        for filter in ["#", "+"] {
            eve.send(subscribe(version, 2, filter, 1));
            assert_eq!(
                eve.said(),
                [Said::SubAck {
                    id: 2,
                    codes: vec![1],
                    why: None
                }]
            );
        }
    }
}

#[test]
fn a_reason_string_quotes_the_beginning_of_a_long_filter() {
    // Goal: MQTT-1.5.4: a reason string has at most 65,535 bytes, also for a filter of that length with characters to escape.
    let world = World::new();
    let mut eve = world.client(V5, "eve");
    eve.send(subscribe(V5, 1, &"\u{1}".repeat(65_535), 1));
    let said = eve.said();
    assert!(
        matches!(&said[..], [Said::SubAck { why: Some(why), .. }] if why.len() < 2000),
        "{said:?}"
    );
}

#[test]
fn bad_filters_are_refused_one_by_one() {
    // Goal: MQTT-4.7.1-1, -2 and MQTT-4.7.2-1: 0x8F for what is no filter, or names topics of the broker that are not there.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    for filter in ["a/#/b", "a/b+", "$share/g", "$share/+/a/b", "$share//bob", "$other/x"] {
        alice.send(subscribe(V5, 1, filter, 1));
        let said = alice.said();
        assert!(
            matches!(&said[..], [Said::SubAck { codes, why: Some(_), .. }] if codes[..] == [0x8F]),
            "{said:?}"
        );
    }
    alice.send(subscribe(V5, 1, "$SYS/#", 1));
    assert_eq!(
        alice.said(),
        [Said::SubAck {
            id: 1,
            codes: vec![1],
            why: None
        }]
    );
    assert_eq!(alice.subscriptions.len(), 1);
}

#[test]
fn mqtt_3_8_3_4_a_shared_subscription_is_never_no_local() {
    // Goal: MQTT-3.8.3-4: it is a protocol error.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    assert_eq!(closed(alice.try_send(subscribe(V5, 1, "$share/g/a/b", 0b101))), 0x82);
}

#[test]
fn a_session_holds_so_many_subscriptions() {
    // Goal: the limit mqtt.subscriptions_per_session_max is a quota (0x97), one that exists can be changed, and unsubscribing makes
    // room. The own inbox does not count.
    let world = World::with(Limits::default(), |mqtt| mqtt.subscriptions_per_session_max = 2);
    let mut alice = world.client(V5, "alice");
    let mut code = |filter: &str| {
        alice.send(subscribe(V5, 1, filter, 1));
        match &alice.said()[..] {
            [Said::SubAck { codes, .. }] => codes[0],
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        [code("a/1"), code("a/2"), code("a/3"), code("a/2"), code("alice")],
        [1, 1, 0x97, 1, 1]
    );
    alice.send(unsubscribe(V5, 2, "a/1"));
    alice.send(subscribe(V5, 3, "a/3", 1));
    assert_eq!(
        alice.said()[1],
        Said::SubAck {
            id: 3,
            codes: vec![1],
            why: None
        }
    );
}

#[test]
fn the_filters_of_a_session_take_so_many_bytes() {
    // Goal: the limit mqtt.filter_bytes_per_session_max is a quota (0x97) that counts a filter once, within one packet too; one that
    // exists can be changed, unsubscribing makes room, and the own inbox does not count.
    let world = World::with(Limits::default(), |mqtt| mqtt.filter_bytes_per_session_max = 10);
    let mut alice = world.client(V5, "alice");
    let mut codes = |filters: &[&str]| {
        let filters = filters.iter().map(|filter| [&text(filter)[..], &[1]].concat());
        alice.send(packet(0x82, &[&[0, 1], &[0], &filters.collect::<Vec<_>>().concat()]));
        match &alice.said()[..] {
            [Said::SubAck { codes, .. }] => codes.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        codes(&["a/1", "a/22", "a/22", "a/333", "a/4", "alice"]),
        [1, 1, 1, 0x97, 1, 1]
    );
    assert_eq!(codes(&["a/22", "b/", "alice"]), [1, 0x97, 1]);
    alice.send(unsubscribe(V5, 2, "a/22"));
    alice.send(subscribe(V5, 3, "a/55", 1));
    assert_eq!(
        alice.said()[1],
        Said::SubAck {
            id: 3,
            codes: vec![1],
            why: None
        }
    );
}

#[test]
fn unsuback_tells_what_was_there() {
    // Goal: MQTT-3.11.3-1, section 3.11.3: 0x00 for a subscription that ends, 0x11 for one that never was; nothing comes afterwards.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    alice.send(subscribe(V5, 1, "a/b", 1));
    alice.deliver(ordinary("a/b", 1, "before"), false);
    assert_eq!(said::texts(&alice.said()), ["before"]);
    alice.deliver(ordinary("a/b", 1, "under way"), false);
    let filters = [text("a/b"), text("a/c"), text("alice"), text("bob")].concat();
    alice.send(packet(0xA2, &[&[0, 2], &[0], &filters]));
    assert_eq!(
        alice.said(),
        [Said::UnsubAck {
            id: 2,
            codes: vec![0, 0x11, 0x11, 0x11]
        }]
    );
    assert!(alice.subscriptions.is_empty(), "the router was told");
}

#[test]
fn what_follows_a_subscribe_waits_for_it() {
    // Goal: MQTT-3.10.4-2: UNSUBSCRIBE that comes in the same segment as SUBSCRIBE ends that subscription, and a second SUBSCRIBE
    // changes it; the router takes its time for the first.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    alice.send([subscribe(V5, 1, "a/b", 1), unsubscribe(V5, 2, "a/b")].concat());
    let suback = |id| Said::SubAck {
        id,
        codes: vec![1],
        why: None,
    };
    assert_eq!(alice.said(), [suback(1), Said::UnsubAck { id: 2, codes: vec![0] }]);
    assert!(alice.subscriptions.is_empty() && !alice.session.uses_router());
    alice.send([subscribe(V5, 3, "a/b", 1), subscribe(V5, 4, "a/b", 1)].concat());
    assert_eq!(alice.said(), [suback(3), suback(4)]);
    assert_eq!(
        alice.subscriptions[0].0, alice.subscriptions[1].0,
        "deliveries under way find it"
    );
}

#[test]
fn mqtt_3_3_1_retain_handling_is_passed_on() {
    // Goal: MQTT-3.3.1-9, -10, -11: retained messages are asked for always, for a new subscription only, or never.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    let mut wants = |handling: u8, filter: &str| {
        alice.send(subscribe(V5, 1, filter, handling << 4 | 1));
        alice.subscriptions.last().unwrap().2
    };
    assert_eq!([wants(0, "a/1"), wants(0, "a/1"), wants(1, "a/1")], [true, true, false]);
    assert_eq!([wants(1, "a/2"), wants(1, "a/2")], [true, false]);
    assert_eq!([wants(2, "a/3"), wants(2, "a/3")], [false, false]);
}

#[test]
fn subscription_identifiers_come_with_the_messages() {
    // Goal: MQTT-3.3.4-3: with ordinary messages and with mail; a later SUBSCRIBE without one takes it away.
    let world = World::new();
    world.mail("bob", 1, &["mail"]);
    let mut bob = world.client(V5, "bob");
    let with = |id: u8, filter: &str, number: u8| packet(0x82, &[&[0, id], &[2, 0x0B, number], &text(filter), &[1]]);
    bob.send([with(1, "bob", 7), with(2, "a/b", 8)].concat());
    bob.deliver(ordinary("a/b", 1, "ordinary"), false);
    let numbers: Vec<_> = said::messages(&bob.said())
        .into_iter()
        .map(|m| (m.text, m.subscription_ids))
        .collect();
    assert_eq!(
        numbers,
        [("mail".to_owned(), vec![7]), ("ordinary".to_owned(), vec![8])]
    );
    bob.send(subscribe(V5, 3, "a/b", 1));
    bob.deliver(ordinary("a/b", 1, "without"), false);
    assert_eq!(said::messages(&bob.said())[0].subscription_ids, [0; 0]);
}

#[test]
fn what_waits_for_a_shared_subscription_goes_to_another_member_when_it_ends() {
    // Goal: MQTT 5, section 4.8.2: UNSUBSCRIBE from a shared subscription loses nothing that waits for it: another member may have it. What waits
    // for other subscriptions stays, and so does what nobody else is promised: QoS 0.
    let world = World::new();
    let mut alice = world.client(V5, "alice");
    alice.send(subscribe(V5, 1, "$share/g/a/b", 1));
    alice.said();
    alice.deliver(ordinary("a/b", 1, "for the group"), false);
    alice.deliver(ordinary("a/b", 0, "for who is there"), false);
    alice.send(unsubscribe(V5, 2, "$share/g/a/b"));
    let left: Vec<_> = alice
        .orphans
        .iter()
        .map(|orphan| (&*orphan.share, &*orphan.filter))
        .collect();
    assert_eq!(left, [("g", "a/b")]);
    assert_eq!(&*alice.orphans[0].message.payload, b"for the group");
    let said = alice.said();
    assert!(!said.iter().any(|said| matches!(said, Said::Publish(_))), "{said:?}");
}
