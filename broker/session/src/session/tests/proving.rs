//! What lets a reader prove that it missed nothing: `prev` and `epoch`.

use inbox_types::Epoch;

use super::*;

/// Of each message that came: its text, `seq`, and `prev`.
fn trail(said: &[Said]) -> Vec<(String, String, Option<String>)> {
    let value = |message: &said::Published, name: &str| {
        let mut named = message.user.iter().filter(|(known, _)| known == name);
        let value = named.next().map(|(_, value)| value.clone());
        assert!(named.next().is_none(), "{name} comes once: {message:?}");
        value
    };
    said::messages(said)
        .iter()
        .map(|message| {
            (
                message.text.clone(),
                value(message, "seq").unwrap(),
                value(message, "prev"),
            )
        })
        .collect()
}

/// Checks that each names the one before it, and gives the last `seq`.
#[track_caller]
fn goes_on(mut prev: Option<String>, trail: &[(String, String, Option<String>)]) -> Option<String> {
    for (text, seq, said) in trail {
        assert_eq!(*said, prev, "{text}");
        prev = Some(seq.clone());
    }
    prev
}

#[test]
fn rule_06_each_delivery_names_the_one_before_it() {
    // Goal: contract rule 6: `prev` is the seq of the delivery before on this attachment, stored or live, with QoS 0 too; what was not
    // sent is not in it; and it is absent where reading begins: after SUBSCRIBE and after a session is resumed.
    let world = World::new();
    let mut bob = world.client(V5, "bob");
    bob.send(publish(V5, 1, 1, "bob", "note to self"));
    world.mail("bob", 1, &["a", "b"]);
    bob.said();
    // No Local.
    bob.send(subscribe(V5, 2, "bob", 0b101));
    let replayed = trail(&bob.said());
    assert_eq!(replayed.len(), 2);
    let last = goes_on(None, &replayed);
    let mut alice = world.client(V5, "alice");
    alice.send(publish(V5, 0, 0, "bob", "c"));
    alice.send(publish(V5, 1, 1, "bob", "d"));
    // Another SUBSCRIBE changes nothing: the attachment goes on.
    bob.send(subscribe(V5, 3, "bob", 0b101));
    let live = trail(&bob.said());
    assert_eq!(live.len(), 2);
    goes_on(last, &live);
    bob.reconnect();
    let again = trail(&bob.said());
    assert_eq!(again.iter().map(|one| &*one.0).collect::<Vec<_>>(), ["a", "b", "d"]);
    goes_on(None, &again);
    bob.send(unsubscribe(V5, 4, "bob"));
    bob.send(subscribe(V5, 5, "bob", 1));
    assert_eq!(trail(&bob.said())[0].2, None, "what is in flight is not repeated");
}

#[test]
fn rule_06_the_epoch_comes_with_each_message() {
    // Goal: contract rule 6: `epoch`, as in CONNACK, behind `prev`; MQTT 3.1.1 has no place for any of it.
    let mut world = World::new();
    Arc::make_mut(&mut Arc::get_mut(&mut world.shared).unwrap().node).epoch = Some(Epoch::from_random(0xabc));
    world.mail("bob", 1, &["a", "b"]);
    let mut bob = world.client(V5, "bob");
    bob.send(subscribe(V5, 1, "bob", 1));
    let got = said::messages(&bob.said());
    let names = |n: usize| got[n].user.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["id", "seq", "from", "at", "epoch"]);
    assert_eq!(names(1), ["id", "seq", "from", "at", "prev", "epoch"]);
    assert_eq!(got[1].user[5].1, "0000000000000abc");
    let mut old = world.client(V311, "bob");
    old.send(subscribe(V311, 1, "bob", 1));
    assert!(
        said::messages(&old.said())
            .iter()
            .all(|message| message.user.is_empty())
    );
}

#[test]
fn mqtt_3_1_2_24_a_proof_makes_no_message_too_large() {
    // Goal: a message that fits the client's Maximum Packet Size without `prev` and `epoch` is sent without them, and the next one names it.
    let mut world = World::new();
    Arc::make_mut(&mut Arc::get_mut(&mut world.shared).unwrap().node).epoch = Some(Epoch::from_random(1));
    let fits_alone = "x".repeat(300 - 110);
    world.mail("bob", 1, &["a", &fits_alone, "b"]);
    let properties = ConnectProperties {
        maximum_packet_size: Some(300),
        ..ConnectProperties::default()
    };
    let mut bob = world.connect(Connect {
        properties,
        ..connect("bob")
    });
    bob.send(subscribe(V5, 1, "bob", 1));
    let said = bob.said();
    let got = said::messages(&said);
    assert_eq!(
        got.iter().map(|message| message.user.len()).collect::<Vec<_>>(),
        [5, 4, 6]
    );
    let trail = trail(&said);
    assert_eq!(trail[2].2.as_ref(), Some(&trail[1].1));
}
