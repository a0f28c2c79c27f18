//! What the simulator found, made small.

use inbox_types::Limits;

use super::*;

#[test]
fn rule_05_an_acknowledgement_counts_before_the_subscribe_behind_it() {
    // Goal: contract rule 5: PUBACK and SUBSCRIBE come in one segment; the acknowledged message is not replayed,
    // when the client unsubscribed in between.
    let world = World::new();
    world.mail("bob", 1, &["one", "two"]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    let got = said::messages(&bob.said());
    let all = [
        ack(0x40, got[0].id),
        unsubscribe(V5, 2, "bob"),
        subscribe(V5, 3, "bob", 1),
    ];
    bob.send(all.concat());
    assert_eq!(said::texts(&bob.said()), [""; 0]);
    bob.reconnect();
    assert_eq!(said::texts(&bob.said()), ["two"]);
}

#[test]
fn rule_05_qos_0_mail_that_was_written_does_not_come_again() {
    // Goal: contract rule 4: the inbox starts over while mail granted with QoS 0 waits for the socket; that is not sent twice.
    let world = World::new();
    world.mail("bob", 1, &["one"]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 0));
    bob.said_unwritten();
    bob.send([unsubscribe(V5, 2, "bob"), subscribe(V5, 3, "bob", 0)].concat());
    world.read();
    bob.session.written(bob.session.out().len());
    assert_eq!(said::texts(&bob.said()), [""; 0]);
}

#[test]
fn subscribing_again_and_again_piles_nothing_up() {
    // Goal: bounded memory: a client that acknowledges nothing and subscribes again and again holds one window.
    let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 2);
    world.mail("bob", 1, &["one", "two", "three"]);
    let mut bob = world.client(V5, "bob");
    for id in 1..50 {
        bob.send(subscribe(V5, id, "bob", 1));
        world.read();
    }
    let mut waiting = Vec::new();
    bob.session.outbox().take_mail(1000, usize::MAX, 0, &mut waiting);
    assert_eq!(waiting.len(), 2);
}

#[test]
fn mqtt_4_6_0_2_nothing_is_answered_behind_a_refused_publish() {
    // Goal: MQTT-4.6.0-2 and contract rule 3: MQTT 3.1.1 has no answer that says no, so the connection ends there; what is answered
    // while it ends must not stand behind the gap.
    let limits = Limits {
        inbox_messages_max: 1,
        ..Limits::default()
    };
    let world = World::with(limits, |mqtt| mqtt.v311_refusals = crate::V311Refusals::Close);
    world.mail("bob", 1, &["fills it"]);
    let mut alice = world.client(V311, "alice");
    let ordinary = publish(V311, 1, 2, "a/b", "yes");
    let now = world.shared.node.now();
    let both = [publish(V311, 1, 1, "bob", "no"), ordinary].concat();
    assert_eq!(alice.session.receive(&both, now), Ok(both.len()));
    world.commit();
    assert_eq!(closed(alice.session.drain(now)), 0x97);
    alice.route().unwrap();
    assert!(alice.session.out().is_empty(), "{:?}", said(V311, alice.session.out()));
}
