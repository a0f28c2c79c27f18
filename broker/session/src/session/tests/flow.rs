//! What bounds a session, and who goes first.

use std::future::Future;
use std::sync::Arc;

use inbox_types::Limits;
use tokio::sync::Notify;

use super::*;

#[test]
fn mail_and_ordinary_messages_take_turns() {
    // Goal: with a window of one, neither stream keeps the other waiting for ever.
    let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 1);
    world.mail("bob", 1, &["m", "m", "m", "m"]);
    let mut bob = world.client(V5, "bob");
    bob.send([subscribe(V5, 1, "t/#", 1), subscribe(V5, 2, "bob", 1)].concat());
    for _ in 0..4 {
        bob.deliver(ordinary("t/1", 1, "o"), false);
    }
    let mut all = String::new();
    for _ in 0..8 {
        let got = said::messages(&bob.said());
        assert_eq!(got.len(), 1, "after {all}");
        all += &got[0].text;
        bob.send(ack(0x40, got[0].id));
    }
    assert_eq!(all, "momomomo");
}

#[test]
fn section_4_9_qos_0_passes_a_full_window() {
    // Goal: MQTT 5, section 4.9: QoS 0 does not use the window, so it goes on while the window is full, unless it is behind something
    // that must wait.
    let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 1);
    let mut bob = world.client(V5, "bob");
    bob.send([subscribe(V5, 1, "t/#", 1), subscribe(V5, 2, "bob", 1)].concat());
    bob.deliver(ordinary("t/1", 1, "fills it"), false);
    let id = said::messages(&bob.said())[0].id;
    let mut alice = world.client(V5, "alice");
    alice.send(publish(V5, 0, 0, "bob", "mail"));
    for (qos, text) in [(0, "passes"), (1, "waits"), (0, "is behind")] {
        bob.deliver(ordinary("t/1", qos, text), false);
    }
    assert_eq!(said::texts(&bob.said()), ["mail", "passes"]);
    assert!(!bob.session.can_send());
    bob.send(ack(0x40, id));
    assert_eq!(said::texts(&bob.said()), ["waits", "is behind"]);
}

#[test]
fn ordinary_messages_beyond_the_queue_are_counted() {
    // Goal: the queue of ordinary messages is bounded; what overflows is dropped, newest first, and counted.
    let world = World::with(Limits::default(), |mqtt| mqtt.queue_messages_max = 2);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "t/#", 1));
    bob.said();
    for text in ["a", "b", "c", "d", "e"] {
        bob.deliver(ordinary("t/1", 1, text), false);
    }
    assert_eq!(said::texts(&bob.said()), ["a", "b"]);
    assert_eq!(world.shared.metrics.ordinary_overflowed.get(), 3);
}

#[test]
fn a_subscription_gets_its_retained_messages_whole() {
    // Goal: MQTT-3.3.1-9: the retained messages of a subscription are as many as the router holds, not as the queue holds; live ones
    // still have their own room. The router is told when no more are wanted, in messages and in bytes, and when some were taken.
    let world = World::with(Limits::default(), |mqtt| mqtt.queue_messages_max = 2);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "t/#", 0));
    bob.said();
    let subscription = bob.subscriptions[0].0;
    let message = Arc::new(ordinary("t/1", 0, "retained"));
    let retained = |n: usize| {
        vec![
            pubsub::OrdinaryDelivery {
                subscription,
                message: message.clone(),
                retained: true,
                kept: None,
            };
            n
        ]
    };
    let wake = Arc::new(Notify::new());
    let has_room = |bob: &Client<'_>| Sink::has_room(&**bob.session.outbox(), &wake);
    let is_woken = || {
        let mut woken = std::pin::pin!(wake.notified());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        woken.as_mut().poll(&mut cx).is_ready()
    };
    assert!(has_room(&bob));
    Sink::deliver(&**bob.session.outbox(), &mut retained(5000));
    assert!(!has_room(&bob) && !has_room(&bob) && !is_woken());
    bob.deliver(ordinary("t/1", 0, "live"), false);
    let mut got = Vec::new();
    while bob
        .session
        .outbox()
        .poll_any(
            true,
            true,
            &mut std::task::Context::from_waker(std::task::Waker::noop()),
        )
        .is_ready()
    {
        got.extend(said::texts(&bob.said()));
    }
    assert_eq!((got.len(), got[5000].as_str()), (5001, "live"));
    assert_eq!(world.shared.metrics.ordinary_overflowed.get(), 0);

    assert!(is_woken() && !is_woken() && has_room(&bob));
    let large = pubsub::OrdinaryMessage {
        payload: vec![0; 1024 * 1024].into(),
        ..ordinary("t/1", 0, "")
    };
    let large = pubsub::OrdinaryDelivery {
        subscription,
        message: Arc::new(large),
        retained: true,
        kept: None,
    };
    Sink::deliver(&**bob.session.outbox(), &mut vec![large]);
    assert!(!has_room(&bob));
    bob.said();
    assert!(is_woken() && has_room(&bob));
}

#[test]
fn rule_09_qos_0_mail_for_a_slow_reader_is_bounded() {
    // Goal: contract rule 9: at most once; a reader that does not read does not fill the memory, and what is dropped is counted.
    let world = World::with(Limits::default(), |mqtt| mqtt.queue_messages_max = 3);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    bob.said();
    let mut alice = world.client(V5, "alice");
    for _ in 0..10 {
        alice.send(publish(V5, 0, 0, "bob", "0"));
    }
    alice.send(publish(V5, 1, 1, "bob", "1"));
    assert_eq!(said::texts(&bob.said()), ["0", "0", "0", "1"]);
    assert_eq!(world.shared.node.counters.qos0_undelivered.get(), 7);
}

#[test]
fn a_client_that_does_not_read_is_not_read() {
    // Goal: memory stays bounded: with a full buffer nothing more is encoded and nothing more is taken, and both go on afterwards.
    let world = World::new();
    let large = "x".repeat(100_000);
    world.mail("bob", 1, &[large.as_str(); 9]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    let first = said::messages(&bob.said_unwritten()).len();
    assert!((2..9).contains(&first), "{first}");
    assert_eq!(said::messages(&bob.said_unwritten()).len(), first);
    assert!(!bob.session.takes_packets());
    assert_eq!(bob.session.receive(&packet(0xC0, &[]), world.shared.node.now()), Ok(0));
    bob.session.written(bob.session.out().len());
    assert!(bob.session.takes_packets());
    let mut all = first;
    for _ in 0..9 {
        all += said::messages(&bob.said()).len();
    }
    assert_eq!(all, 9);
}
