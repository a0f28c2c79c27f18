//! Contract rule 2: only bob reads bob.

use inbox_tests::{Broker, Packet, Props, RawClient, Version, packet, string};

#[test]
fn rule_02_a_stranger_is_refused_with_a_reason_that_explains_inboxes() {
    // Goal: MQTT 5 gets 0x87 and a sentence, MQTT 3.1.1 gets 0x80 (section 3.9.3 of each), and nobody's mail is shown.
    for (version, code) in [(Version::V5, 0x87), (Version::V311, 0x80)] {
        let broker = Broker::start();
        let mut mallory = RawClient::clean(&broker, version, "mallory");
        let suback = mallory.subscribe("bob", 1);
        assert_eq!(suback.codes, [code]);
        if version == Version::V5 {
            let reason = suback.props.reason_string().expect("the refusal has a reason string");
            assert!(reason.contains("inbox"), "{reason:?} does not explain inboxes");
        }
        RawClient::clean(&broker, Version::V5, "alice").publish("bob", "secret", 1);
        mallory.expect_nothing();
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        assert_eq!(bob.texts(1), ["secret"]);
    }
}

#[test]
fn rule_02_the_other_filters_of_the_same_subscribe_are_granted() {
    // Goal: each filter gets its own answer, in order (MQTT-3.8.4-5, MQTT-3.9.3-1).
    for (version, code) in [(Version::V5, 0x87), (Version::V311, 0x80)] {
        let broker = Broker::start();
        let mut mallory = RawClient::clean(&broker, version, "mallory");
        let mut body = vec![0, 9];
        if version == Version::V5 {
            body.extend(Props::new().encode());
        }
        for (filter, qos) in [("news/+", 2), ("bob", 1), ("mallory", 1), ("other/#", 0)] {
            body.extend(string(filter));
            body.push(qos);
        }
        mallory.send(&packet(0x82, &body));
        let Packet::SubAck(suback) = mallory.next() else {
            panic!("SUBACK comes first")
        };
        assert_eq!(
            (suback.packet_id, suback.codes.as_slice()),
            (9, [2, code, 1, 0].as_slice())
        );
    }
}

#[test]
fn rule_02_client_ids_are_compared_byte_by_byte() {
    // Goal: `Bob`, `bob ` and a name that looks like bob are strangers to bob.
    let broker = Broker::start();
    for id in ["Bob", "bob ", "bo", "bobb", "bоb"] {
        let mut client = RawClient::clean(&broker, Version::V5, id);
        assert_eq!(client.subscribe("bob", 1).codes, [0x87], "client {id:?}");
        assert_eq!(client.subscribe(id, 1).codes, [1], "client {id:?}");
    }
}
