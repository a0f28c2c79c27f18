//! Maximum Packet Size, to the byte: nothing larger is sent, and nothing that some encoding fits is withheld.

use std::io::{Read, Write};

use inbox_tests::{
    Broker, Connect, Packet, Props, Publish, PublishPacket, RawClient, Version, packet, property, string,
};

const V5: Version = Version::V5;

/// A client that takes packets of `max` bytes, and topic aliases.
fn narrow(broker: &Broker, id: &str, max: u32, aliases: u16) -> RawClient {
    let mut props = Props::new().four(property::MAXIMUM_PACKET_SIZE, max);
    if aliases > 0 {
        props = props.two(property::TOPIC_ALIAS_MAXIMUM, aliases);
    }
    RawClient::connect(broker, &Connect::new(V5, id).props(props)).0
}

/// The bytes of a PUBLISH of MQTT 5 with QoS 1 as the broker sends it without an alias.
fn plain_size(topic: &str, properties: usize, payload: usize) -> usize {
    let remaining = 2 + topic.len() + 2 + inbox_tests::remaining_length(properties).len() + properties + payload;
    1 + inbox_tests::remaining_length(remaining).len() + remaining
}

/// What comes before the empty message on `m/m`, which is published behind it.
fn until_marker(client: &mut RawClient) -> Vec<Publish> {
    let mut before = Vec::new();
    loop {
        let message = client.receive();
        if message.qos == 0 {
            return before;
        }
        before.push(message);
    }
}

#[test]
fn an_ordinary_message_that_fits_without_an_alias_is_sent() {
    // Goal: MQTT-3.1.2-24, MQTT-3.1.2-25, MQTT-3.1.2-27, MQTT-3.3.2-11: at a limit of 100 bytes, messages of every
    // size around it, first over a topic that has no alias yet and then over one that has, long names and names
    // shorter than the alias.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for aliases in [0, 5] {
        for topic in ["/", "a/b", "a/topic/of/some/length"] {
            for known in [false, true] {
                let mut bob = narrow(&broker, "bob", 100, aliases);
                bob.subscribe(topic, 1);
                bob.subscribe("m/m", 0);
                if known {
                    alice.publish(topic, "", 1);
                    assert_eq!(bob.texts(1), [""]);
                }
                let fixed = plain_size(topic, 0, 0);
                for size in (90..=110).rev() {
                    let payload = "x".repeat(size - fixed);
                    alice.publish(topic, &payload, 1);
                    // A known alias saves the name and costs three bytes.
                    let saved = if known && aliases > 0 {
                        topic.len().saturating_sub(3)
                    } else {
                        0
                    };
                    alice.publish("m/m", "", 0);
                    let got: Vec<_> = until_marker(&mut bob)
                        .iter()
                        .map(|message| message.payload.len())
                        .collect();
                    let expected: &[usize] = if size - saved <= 100 { &[payload.len()] } else { &[] };
                    assert_eq!(
                        got, expected,
                        "{topic:?}, {size} bytes, known {known}, {aliases} aliases"
                    );
                }
            }
        }
    }
}

#[test]
fn mail_that_fits_without_an_alias_is_sent() {
    // Goal: MQTT-3.1.2-24, MQTT-3.1.2-25 and contract rule 5 for mail: whether it is sent depends on the size without
    // an alias alone, to the byte, and what is larger is still there for a connection that takes it.
    let broker = Broker::start();
    for aliases in [0, 5] {
        for id in ["b", "bob", "a-reader-with-a-longer-name"] {
            let mut alice = RawClient::clean(&broker, V5, "alice");
            alice.publish(id, "", 1);
            let mut bob = RawClient::reader(&broker, V5, id, 1);
            let message = bob.receive_and_ack();
            bob.disconnect();
            let properties: usize = message
                .props
                .users()
                .iter()
                // Left out where it does not fit.
                .filter(|(name, _)| *name != "epoch")
                .map(|(name, value)| 5 + name.len() + value.len())
                .sum();
            let limit = plain_size(id, properties, 10);
            for over in [0, 1, 2, 3, 4, 5] {
                alice.publish(id, "x".repeat(10), 1);
                let mut bob = narrow(&broker, id, (limit - over) as u32, aliases);
                bob.subscribe(id, 1);
                // What does not fit is passed over, and the next one is not.
                alice.publish(id, "", 1);
                let mut got = bob.receive_and_ack().payload.len();
                assert_eq!(
                    got,
                    if over == 0 { 10 } else { 0 },
                    "{id:?}, {over} bytes over, {aliases} aliases"
                );
                if got > 0 {
                    got = bob.receive_and_ack().payload.len();
                }
                assert_eq!(got, 0);
                bob.disconnect();
                if over > 0 {
                    let mut bob = RawClient::reader(&broker, V5, id, 1);
                    assert_eq!(bob.receive_and_ack().payload.len(), 10);
                    bob.disconnect();
                }
            }
        }
    }
}

#[test]
fn a_queue_of_messages_around_the_limit_arrives_but_for_what_is_larger() {
    // Goal: MQTT-3.1.2-25, MQTT-4.6.0-6: a kept session with messages that fit, do not fit, fit only with the alias
    // that an earlier one set, and are sent again: order and identity are kept, and the window is not used up by what
    // is not sent.
    let broker = Broker::start();
    let topic = "a/topic/of/some/length";
    let props = Props::new()
        .four(property::MAXIMUM_PACKET_SIZE, 100)
        .two(property::TOPIC_ALIAS_MAXIMUM, 5)
        .two(property::RECEIVE_MAXIMUM, 2);
    let kept = Connect::persistent(V5, "bob").props(props);
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    bob.subscribe(topic, 1);
    bob.vanish();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    let fixed = plain_size(topic, 0, 0);
    // An alias that is known saves 19 bytes, and one that is set costs three.
    for size in [120, 97, 110, 119, 120, 100, 130, 99] {
        alice.publish(topic, "x".repeat(size - fixed), 1);
    }
    let expected = [97, 110, 119, 100, 99].map(|size| size - fixed);
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let first: Vec<_> = (0..2).map(|_| bob.receive().payload.len()).collect();
    assert_eq!(first, expected[..2]);
    bob.vanish();
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    let all: Vec<_> = (0..5).map(|_| bob.receive_and_ack().payload.len()).collect();
    assert_eq!(all, expected);
    bob.expect_nothing();
}

#[test]
fn a_refusal_fits_or_is_not_sent() {
    // Goal: MQTT-3.1.2-24, MQTT-3.2.2-19, MQTT-3.2.2-20, MQTT-3.1.4-2: for every Maximum Packet Size up to 60 bytes,
    // a CONNECT that is refused for whatever reason gets a CONNACK within it or none at all, and then the close.
    let broker = Broker::start();
    let long = "x".repeat(1025);
    for max in 1..60_u32 {
        let props = |extra: Props| {
            let limit = Props::new().four(property::MAXIMUM_PACKET_SIZE, max);
            [limit, extra]
        };
        let connects = [
            Connect::new(V5, &long).props(props(Props::new())[0].clone()).encode(),
            props(Props::new().bytes(property::AUTHENTICATION_METHOD, "x"))
                .into_iter()
                .fold(Connect::new(V5, "rude"), Connect::props)
                .encode(),
            // Malformed behind its properties: a will that is not there.
            packet(
                0x10,
                &[
                    b"\0\x04MQTT\x05\x06\0\0",
                    &props(Props::new())[0].encode()[..],
                    &string("rude"),
                ]
                .concat(),
            ),
        ];
        for connect in connects {
            let mut stream = broker.socket("mqtt");
            stream.write_all(&connect).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(
                answer.len() <= max as usize,
                "{} bytes at a limit of {max}: {answer:02x?}",
                answer.len()
            );
            assert_eq!(answer.is_empty(), max < 5, "at a limit of {max}: {answer:02x?}");
        }
    }
}

#[test]
fn every_answer_fits() {
    // Goal: MQTT-3.1.2-24, MQTT-3.4.2-2, MQTT-3.5.2-2, MQTT-3.6.2-2, MQTT-3.7.2-2, MQTT-3.9.2-1, MQTT-3.11.2-1,
    // MQTT-3.14.2-3: a client with the smallest limit that CONNACK fits gets its answers within it, without reason
    // strings; an answer that cannot be that small ends the connection with 0x95, before anything was done.
    let broker = Broker::start();
    let (mut smallest, mut client) = (0, None);
    for max in 1..40 {
        let mut trial = RawClient::open(&broker, V5);
        trial.send(
            &Connect::new(V5, "n")
                .props(Props::new().four(property::MAXIMUM_PACKET_SIZE, max))
                .encode(),
        );
        if matches!(trial.next_or_close(), Some(Packet::ConnAck(connack)) if connack.code == 0) {
            (smallest, client) = (max as usize, Some(trial));
            break;
        }
    }
    let mut client = client.expect("some limit is large enough for CONNACK");
    let filters = |n: usize| [&[0, 7, 0][..], &[&string("a/b")[..], &[1]].concat().repeat(n)].concat();
    let fits = smallest - 5;
    assert_eq!(client.subscribe("somebody-else", 1).codes, [0x87]);
    client.send(&packet(0x82, &filters(fits)));
    let suback = client.next();
    assert!(
        matches!(&suback, Packet::SubAck(ack) if ack.codes.len() == fits),
        "{suback:?}"
    );
    for (qos, first) in [(1, 0x90), (2, 0x90)] {
        let refused = client.publish_packet(PublishPacket::new("$x", "", qos, 0)).unwrap();
        assert_eq!((refused.reason, refused.props.reason_string()), (first, None));
    }
    client.send(&inbox_tests::pubrel(99));
    assert_eq!(client.ack(inbox_tests::AckKind::PubComp, 99).reason, 0x92);
    client.send(&inbox_tests::ack(0x50, 99));
    assert_eq!(client.ack(inbox_tests::AckKind::PubRel, 99).reason, 0x92);
    client.send(&packet(0x82, &filters(fits + 1)));
    let (reason, props) = client.wait_for_disconnect();
    assert_eq!((reason, props.reason_string()), (0x95, None));
    client.expect_close();
    let mut client = narrow(&broker, "n", smallest as u32, 0);
    let names = [&[0, 7, 0][..], &string("a/b").repeat(fits + 1)].concat();
    client.send(&packet(0xa2, &names));
    assert_eq!(client.wait_for_disconnect().0, 0x95);
}
