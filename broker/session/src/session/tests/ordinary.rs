//! Ordinary messages as a subscriber gets them.

use inbox_types::Age;

use super::*;

fn subscriber(world: &World, version: Version, options: u8) -> Client<'_> {
    let mut client = world.client(version, "bob");
    client.send(subscribe(version, 1, "t/#", options));
    client.said();
    client
}

#[test]
fn mqtt_3_8_4_8_the_lower_qos_counts() {
    // Goal: MQTT-3.8.4-8: the lower of the publisher's QoS and the granted one, and an identifier only where there is one.
    let world = World::new();
    for granted in 0..3 {
        let mut bob = subscriber(&world, V311, granted);
        for published in 0..3 {
            bob.deliver(ordinary("t/1", published, ""), false);
            let got = said::messages(&bob.said());
            assert_eq!(
                (got[0].qos, got[0].id > 0),
                (granted.min(published), granted.min(published) > 0)
            );
        }
    }
}

#[test]
fn mqtt_3_3_1_12_the_retain_flag() {
    // Goal: MQTT-3.3.1-8, -12, -13: set on what comes from the retained messages; on live ones only with retain as published.
    let world = World::new();
    for (as_published, live) in [(0, false), (0b1000, true)] {
        let mut bob = subscriber(&world, V5, as_published | 1);
        let retain = OrdinaryMessage {
            retain: true,
            ..ordinary("t/1", 1, "")
        };
        bob.deliver(retain.clone(), true);
        bob.deliver(retain, false);
        bob.deliver(ordinary("t/1", 1, ""), false);
        let flags: Vec<_> = said::messages(&bob.said())
            .iter()
            .map(|message| message.retain)
            .collect();
        assert_eq!(flags, [true, live, false]);
    }
}

#[test]
fn mqtt_3_8_3_3_no_local_leaves_out_own_messages() {
    // Goal: MQTT-3.8.3-3: what the client published itself does not come back.
    let world = World::new();
    let mut bob = subscriber(&world, V5, 0b101);
    let own = OrdinaryMessage {
        from: ClientId::new("bob").unwrap(),
        ..ordinary("t/1", 1, "own")
    };
    bob.deliver(own, false);
    bob.deliver(ordinary("t/1", 1, "other"), false);
    assert_eq!(said::texts(&bob.said()), ["other"]);
}

#[test]
fn mqtt_3_3_2_6_the_expiry_of_ordinary_messages() {
    // Goal: MQTT-3.3.2-5, -6: expired ones are not sent, the others with what is left, rounded up.
    let world = World::new();
    let mut bob = subscriber(&world, V5, 1);
    let expires = |seconds: u32| pubsub::expiry(Age(0), Some(seconds));
    bob.deliver(
        OrdinaryMessage {
            expiry: expires(5),
            ..ordinary("t/1", 1, "gone")
        },
        false,
    );
    bob.deliver(
        OrdinaryMessage {
            expiry: expires(9),
            ..ordinary("t/1", 1, "left")
        },
        false,
    );
    world.pass(Duration::from_millis(5500));
    let got = said::messages(&bob.said());
    assert_eq!((got.len(), &*got[0].text, got[0].expiry), (1, "left", Some(4)));
}

#[test]
fn too_large_ordinary_messages_are_dropped() {
    // Goal: MQTT-3.1.2-25: not sent, no identifier lost, and the next ones go on.
    let world = World::new();
    let properties = ConnectProperties {
        maximum_packet_size: Some(100),
        ..ConnectProperties::default()
    };
    let mut bob = world.connect(Connect {
        properties,
        ..connect("bob")
    });
    bob.send(subscribe(V5, 1, "t/#", 1));
    bob.deliver(ordinary("t/1", 1, &"x".repeat(100)), false);
    bob.deliver(ordinary("t/1", 1, "small"), false);
    assert_eq!(said::texts(&bob.said()), ["small"]);
    assert_eq!(world.shared.metrics.too_large_for_reader.get(), 1);
}
