//! Sessions that outlive a connection.

use inbox_types::Limits;

use super::*;

#[test]
fn mqtt_4_4_0_1_everything_in_flight_is_sent_again() {
    // Goal: MQTT-4.4.0-1, contract rule 4: ordinary messages and mail without PUBACK come again over the next connection, with DUP and
    // their identifiers; what was acknowledged does not, and nothing new is sent under an identifier in use.
    for version in BOTH {
        let world = World::new();
        world.mail("bob", 1, &["a", "b"]);
        let mut bob = world.client(version, "bob");
        bob.send([subscribe(version, 1, "t/#", 1), subscribe(version, 2, "bob", 1)].concat());
        bob.deliver(ordinary("t/1", 1, "x"), false);
        bob.deliver(ordinary("t/2", 1, "y"), false);
        let first = said::messages(&bob.said());
        assert_eq!(first.len(), 4);
        let id = |text: &str| first.iter().find(|message| message.text == text).unwrap().id;
        bob.send([ack(0x40, id("x")), ack(0x40, id("a"))].concat());
        bob.reconnect();
        bob.deliver(ordinary("t/3", 1, "z"), false);
        let again = said::messages(&bob.said());
        let repeated: Vec<_> = again
            .iter()
            .filter(|message| message.dup)
            .map(|m| (m.id, m.text.as_str()))
            .collect();
        assert_eq!(repeated, [(id("y"), "y"), (id("b"), "b")]);
        let new: Vec<_> = again.iter().filter(|message| !message.dup).collect();
        assert_eq!((new.len(), &*new[0].text), (1, "z"));
        assert!(![id("y"), id("b")].contains(&new[0].id));
    }
}

#[test]
fn mqtt_4_4_0_1_pubrel_is_sent_again() {
    // Goal: MQTT-4.3.3 sender, MQTT-4.4.0-1: before PUBREC the PUBLISH comes again; after it only PUBREL, for mail and ordinary
    // messages alike, and PUBCOMP ends it.
    for released in [false, true] {
        let world = World::new();
        world.mail("bob", 2, &["mail"]);
        let mut bob = world.client(V5, "bob");
        bob.send([subscribe(V5, 1, "t/#", 2), subscribe(V5, 2, "bob", 2)].concat());
        bob.deliver(ordinary("t/1", 2, "ordinary"), false);
        let ids: Vec<_> = said::messages(&bob.said()).iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), 2);
        if released {
            bob.send([ack(0x50, ids[0]), ack(0x50, ids[1])].concat());
            assert_eq!(bob.said(), [Said::ack(0x62, ids[0]), Said::ack(0x62, ids[1])]);
        }
        bob.reconnect();
        let again = bob.said();
        if released {
            assert_eq!(again, [Said::ack(0x62, ids[0]), Said::ack(0x62, ids[1])]);
        } else {
            let mut repeated: Vec<_> = said::messages(&again)
                .iter()
                .map(|message| (message.dup, message.id))
                .collect();
            repeated.sort_unstable();
            assert_eq!(repeated, [(true, ids[0]), (true, ids[1])]);
            bob.send([ack(0x50, ids[0]), ack(0x50, ids[1])].concat());
            bob.said();
        }
        assert_eq!(world.stored("bob"), ["mail"]);
        bob.send([ack(0x70, ids[0]), ack(0x70, ids[1])].concat());
        bob.reconnect();
        assert_eq!(bob.said(), []);
        assert_eq!(world.stored("bob"), [""; 0]);
    }
}

#[test]
fn a_smaller_receive_maximum_holds_for_what_is_sent_again() {
    // Goal: MQTT 5, section 4.9: over the new connection its own receive maximum counts, from zero.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "t/#", 1));
    for text in ["a", "b", "c"] {
        bob.deliver(ordinary("t/1", 1, text), false);
    }
    assert_eq!(bob.said().len(), 4);
    bob.session.disconnected();
    let properties = ConnectProperties {
        receive_maximum: Some(1),
        ..ConnectProperties::default()
    };
    bob.connected(
        Connect {
            properties,
            ..connect("bob")
        },
        true,
    );
    for text in ["a", "b", "c"] {
        let got = said::messages(&bob.said());
        assert_eq!(got.iter().map(|message| &*message.text).collect::<Vec<_>>(), [text]);
        bob.send(ack(0x40, got[0].id));
    }
    assert_eq!(bob.said(), []);
}

#[test]
fn a_smaller_packet_size_does_not_use_the_window_up() {
    // Goal: MQTT-3.1.2-25 after a reconnection: mail that was in flight and is now too large is passed over, and its place in the
    // window goes to the next.
    let world = World::with(Limits::default(), |mqtt| mqtt.in_flight_max = 1);
    let large = "x".repeat(1000);
    world.mail("bob", 1, &[&large, "small"]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    assert_eq!(said::texts(&bob.said()), [large]);
    bob.session.disconnected();
    let properties = ConnectProperties {
        maximum_packet_size: Some(500),
        ..ConnectProperties::default()
    };
    bob.connected(
        Connect {
            properties,
            ..connect("bob")
        },
        true,
    );
    assert_eq!(said::texts(&bob.said()), ["small"]);
}

#[test]
fn ordinary_messages_wait_for_a_session_that_is_away() {
    // Goal: MQTT 5, section 4.1: QoS 1 and 2 messages for QoS 1 and 2 subscriptions wait, those with QoS 0 on either side do not.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "t/#", 1));
    bob.said();
    bob.session.disconnected();
    bob.deliver(ordinary("t/1", 0, "lost"), false);
    bob.deliver(ordinary("t/1", 1, "kept"), false);
    bob.connected(connect("bob"), true);
    assert_eq!(said::texts(&bob.said()), ["kept"]);
}

#[test]
fn unsubscribed_mail_is_no_longer_the_sessions() {
    // Goal: contract rule 4: a session without the subscription gets no mail when it resumes, and the mail is there for a later one.
    let world = World::new();
    world.mail("bob", 1, &["a"]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    bob.said();
    bob.send(unsubscribe(V5, 2, "bob"));
    assert_eq!(bob.said(), [Said::UnsubAck { id: 2, codes: vec![0] }]);
    world.mail("bob", 1, &["b"]);
    assert_eq!(bob.said(), []);
    bob.reconnect();
    assert_eq!(bob.said(), []);
    bob.send(subscribe(V5, 3, "bob", 1));
    assert_eq!(said::texts(&bob.said()), ["a", "b"]);
}

#[test]
fn mail_that_goes_on_as_it_began_needs_a_place_in_the_window() {
    // Goal: MQTT 5, section 4.9, found by fuzzing: granted QoS 0 now, mail that was in flight with QoS 1 over an earlier connection is
    // sent with QoS 1 again, and so waits for a window that is full.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(publish(V5, 1, 9, "bob", "own"));
    world.mail("bob", 1, &["other"]);
    bob.send(subscribe(V5, 1, "bob", 1));
    assert_eq!(said::texts(&bob.said()), ["own", "other"]);
    bob.session.disconnected();
    let properties = ConnectProperties {
        receive_maximum: Some(1),
        ..ConnectProperties::default()
    };
    bob.connected(
        Connect {
            properties,
            ..connect("bob")
        },
        true,
    );
    let own = said::messages(&bob.said());
    assert_eq!((own.len(), &*own[0].text), (1, "own"));
    // No local: the inbox passes over what fills the window.
    bob.send(subscribe(V5, 2, "bob", 0x04));
    assert_eq!(said::texts(&bob.said()), [""; 0]);
    bob.send(ack(0x40, own[0].id));
    let other = said::messages(&bob.said());
    assert_eq!((other.len(), &*other[0].text, other[0].qos), (1, "other", 1));
}
