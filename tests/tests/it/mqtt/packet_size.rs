//! Maximum Packet Size in both directions (sections 3.1.2.11.4 and 3.2.2.3.6).

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, property};

#[test]
fn the_broker_sends_no_packet_over_the_clients_maximum() {
    // Goal: MQTT-3.1.2-24 and -25: what does not fit is not sent, and the rest is, from an ordinary topic and from the
    // own inbox, where it must not block what comes after it.
    let broker = Broker::start();
    let props = Props::new().four(property::MAXIMUM_PACKET_SIZE, 500);
    let (mut bob, _) = RawClient::connect(&broker, &Connect::new(Version::V5, "bob").props(props));
    bob.subscribe("bob", 1);
    bob.subscribe("a/b", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for topic in ["a/b", "bob"] {
        alice.publish(topic, vec![b'x'; 1000], 1);
        alice.publish(topic, "fits", 1);
        assert_eq!(bob.texts(1), ["fits"], "{topic}");
    }
}

#[test]
fn an_inbox_message_that_did_not_fit_waits_for_a_connection_that_takes_it() {
    // Goal: rule 5 names all that removes a message, and a small packet size is not among them.
    let broker = Broker::start();
    let props = Props::new().four(property::MAXIMUM_PACKET_SIZE, 500);
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", vec![b'x'; 1000], 1);
    let (mut bob, _) = RawClient::connect(&broker, &Connect::new(Version::V5, "bob").props(props));
    bob.subscribe("bob", 1);
    bob.expect_nothing();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().payload.len(), 1000);
}

#[test]
fn a_packet_over_the_brokers_maximum_ends_the_connection() {
    // Goal: 0x95 (MQTT-3.2.2-15), told before the packet is read to its end; a publish of the largest payload passes. MQTT 3.1.1 is closed
    // where it is not to be told by a notice.
    let broker = Broker::with_config("[mqtt]\nv311_refusals = \"close\"\n");
    for version in Version::BOTH {
        let mut client = RawClient::clean(&broker, version, "alice");
        client.publish("bob", vec![b'x'; 1024 * 1024], 1);
        // PUBLISH with a remaining length of 200 MiB, of which nothing comes.
        client.send(&[0x32, 0x80, 0x80, 0x80, 0x64, 0, 3, b'b', b'o', b'b']);
        client.expect_disconnect(&[0x95]);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    for _ in Version::BOTH {
        assert_eq!(bob.receive_and_ack().payload.len(), 1024 * 1024);
    }
    bob.expect_nothing();
}

#[test]
fn reason_strings_are_left_out_where_they_do_not_fit() {
    // Goal: MQTT-3.2.2-19, MQTT-3.9.2-1 and the like: a SUBACK keeps to the maximum by leaving its reason string out;
    // Request Problem Information 0 leaves it out as well (MQTT-3.1.2-29) where a packet other than PUBLISH, CONNACK or
    // DISCONNECT would carry it.
    let broker = Broker::start();
    for props in [
        Props::new().four(property::MAXIMUM_PACKET_SIZE, 20),
        Props::new().byte(property::REQUEST_PROBLEM, 0),
    ] {
        let mut client = RawClient::open(&broker, Version::V5);
        client.send(&Connect::new(Version::V5, "m").props(props).encode());
        // CONNACK itself may be too large for the first of them: then the broker may close.
        match client.next_or_close() {
            Some(inbox_tests::Packet::ConnAck(connack)) => assert_eq!(connack.code, 0),
            Some(other) => panic!("unexpected {other:?}"),
            None => continue,
        }
        let suback = client.subscribe("bob", 1);
        assert_eq!(
            (suback.codes.as_slice(), suback.props.reason_string()),
            ([0x87].as_slice(), None)
        );
        let full = client
            .publish_packet(PublishPacket::new("x".repeat(2000), "", 1, 0))
            .unwrap();
        assert_eq!((full.reason, full.props.reason_string()), (0x90, None));
    }
}
