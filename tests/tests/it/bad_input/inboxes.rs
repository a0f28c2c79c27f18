//! Clients that are rude to inboxes and limits.

use inbox_tests::{Ack, Broker, Packet, Props, PublishPacket, RawClient, Version, packet, property, string};

use super::Witness;

#[test]
fn subscribing_to_another_inbox_or_to_dollar_names_harms_nobody() {
    // Goal: another's inbox is refused (rule 2); `$` names are granted or refused, but show nothing of anybody's.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        let mut client = RawClient::clean(&witness.broker, version, "rude");
        let code = client.subscribe("witness", 1).codes[0];
        assert_eq!(code, if version == Version::V5 { 0x87 } else { 0x80 });
        for filter in [
            "$SYS/#",
            "$SYS",
            "$witness",
            "$internal/#",
            "$share/g/witness",
            "$share/g/$SYS/#",
        ] {
            client.subscribe(filter, 1);
        }
        witness.is_served();
        // The broker may tell about itself.
        for message in client.publishes_so_far() {
            assert!(message.topic.starts_with("$SYS/"), "{message:?}");
        }
    }
    witness.end();
}

#[test]
fn a_payload_over_the_limit_ends_or_refuses_only_itself() {
    // Goal: one byte more than `mqtt.message_bytes_max` (1 MiB) is refused with 0x95, in a PUBACK or in DISCONNECT; on
    // ordinary topics too, and with QoS 0, which has no PUBACK. MQTT 3.1.1 senders get a notice instead (rule 3).
    let mut witness = Witness::start();
    let payload = vec![b'x'; 1024 * 1024 + 1];
    for topic in ["bob", "witness/topic"] {
        for qos in 0..=2 {
            let mut client = RawClient::clean(&witness.broker, Version::V5, "rude");
            client.send_despite_close(&PublishPacket::new(topic, &payload, qos, 1).encode(Version::V5));
            client.send_despite_close(&inbox_tests::ping());
            match client.next_or_close() {
                Some(Packet::Ack(Ack { reason, .. }) | Packet::Disconnect(reason, _)) => assert_eq!(reason, 0x95),
                Some(Packet::PingResp) => assert_eq!(qos, 0, "a refusal is never silent (rule 3)"),
                other => panic!("unexpected {other:?}"),
            }

            let mut client = RawClient::clean(&witness.broker, Version::V311, "rude");
            client.send(&PublishPacket::new(topic, &payload, qos, 1).encode(Version::V311));
            if qos > 0 {
                client.wait_for("an answer", |packet| match packet {
                    Packet::Ack(ack) => Some(ack.packet_id),
                    _ => None,
                });
                client.subscribe("rude", 1);
                let notice: serde_json::Value = serde_json::from_str(client.receive_and_ack().text()).unwrap();
                assert_eq!((&notice["topic"], &notice["reason"]), (&topic.into(), &0x95.into()));
            }
            client.ping();
            witness.is_served();
        }
    }
    let mut bob = RawClient::reader(&witness.broker, Version::V5, "bob", 1);
    bob.expect_nothing();
    witness.end();
}

#[test]
fn a_reader_that_never_acknowledges_holds_nobody_up() {
    // Goal: its window fills, the rest waits in the store, its publisher and everybody else go on; when it comes back
    // everything is there, in order.
    let mut witness = Witness::start();
    let mut lazy = RawClient::reader(&witness.broker, Version::V5, "lazy", 1);
    let mut alice = RawClient::clean(&witness.broker, Version::V5, "alice");
    for i in 0..300 {
        alice.publish("lazy", i.to_string(), 1);
    }
    witness.is_served();
    lazy.receive();
    lazy.vanish();
    let mut lazy = RawClient::reader(&witness.broker, Version::V5, "lazy", 1);
    let expected: Vec<_> = (0..300).map(|i| i.to_string()).collect();
    assert_eq!(lazy.texts(300), expected);
    witness.end();
}

#[test]
fn a_reader_that_never_reads_its_socket_holds_nobody_up() {
    // Goal: a full socket buffer stops that session only: 100 messages of 200 kB, of which nobody reads a byte, with
    // QoS 0 and QoS 1 granted and on an ordinary topic.
    let mut witness = Witness::start();
    let mut alice = RawClient::clean(&witness.broker, Version::V5, "alice");
    let payload = vec![b'x'; 200_000];
    for (name, filter, qos) in [
        ("deaf-0", "deaf-0", 0),
        ("deaf-1", "deaf-1", 1),
        ("deaf-2", "deaf/topic", 1),
    ] {
        let mut deaf = RawClient::clean(&witness.broker, Version::V5, name);
        assert_eq!(deaf.subscribe(filter, qos).codes, [qos]);
        for _ in 0..100 {
            alice.publish(filter, &payload, 1);
        }
        witness.is_served();
        drop(deaf);
    }
    witness.end();
}

#[test]
fn a_full_inbox_is_its_owners_business_only() {
    // Goal: publishers to it are refused, publishers to others are not (rule 3).
    let broker = Broker::with_config("[inbox]\nmessages_max = 2\n");
    let mut witness = Witness::with(broker);
    let mut alice = RawClient::clean(&witness.broker, Version::V5, "alice");
    let answers: Vec<_> = (0..5)
        .map(|i| {
            alice
                .publish_packet(PublishPacket::new("full", i.to_string(), 1, 0))
                .unwrap()
                .reason
        })
        .collect();
    assert_eq!(answers, [0, 0, 0x97, 0x97, 0x97]);
    alice.publish("roomy", "x", 1);
    witness.is_served();
    witness.end();
}

#[test]
fn a_packet_identifier_in_use_is_not_stored_twice() {
    // Goal: a QoS 1 PUBLISH and a QoS 2 PUBLISH with the identifier of an open QoS 2 exchange: the first is told 0x91 or
    // is a message of its own, or the connection ends; the second is a repetition (MQTT-2.2.1-3, MQTT-4.3.3-10).
    let mut witness = Witness::start();
    let mut alice = RawClient::clean(&witness.broker, Version::V5, "alice");
    alice.send(&PublishPacket::new("bob", "open", 2, 5).encode(Version::V5));
    alice.ack(inbox_tests::AckKind::PubRec, 5);
    alice.send(&PublishPacket::new("bob", "reuse", 1, 5).encode(Version::V5));
    let refused = match alice.next_or_close() {
        Some(Packet::Ack(ack)) => ack.reason >= 0x80,
        _ => true,
    };
    alice.vanish();
    let mut bob = RawClient::reader(&witness.broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["open"]);
    if !refused {
        assert_eq!(bob.texts(1), ["reuse"]);
    }
    bob.expect_nothing();
    witness.is_served();
    witness.end();
}

#[test]
fn many_filters_in_one_subscribe_are_each_answered() {
    // Goal: a SUBSCRIBE with more filters than `mqtt.subscriptions_per_session_max` gets a code for each of them: 0x97
    // (3.1.1: 0x80) for those over the limit, or the connection ends; the broker goes on.
    let config = "[mqtt]\nsubscriptions_per_session_max = 10\n";
    let mut witness = Witness::with(Broker::with_config(config));
    for version in Version::BOTH {
        let mut client = RawClient::clean(&witness.broker, version, "greedy");
        let mut body = vec![0, 1];
        if version == Version::V5 {
            body.push(0);
        }
        for i in 0..1000 {
            body.extend(string(format!("greedy/{i}")));
            body.push(1);
        }
        client.send(&packet(0x82, &body));
        if let Some(Packet::SubAck(suback)) = client.next_or_close() {
            assert_eq!(suback.codes.len(), 1000);
            let refusal = if version == Version::V5 { 0x97 } else { 0x80 };
            let granted = suback.codes.iter().filter(|code| **code == 1).count();
            assert_eq!(granted, 10);
            assert!(suback.codes.iter().all(|code| *code == 1 || *code == refusal));
        }
        witness.is_served();
    }
    witness.end();
}

#[test]
fn a_message_with_more_properties_than_payload_is_kept_whole() {
    // Goal: properties count towards the limits, and large ones survive the store.
    let mut witness = Witness::start();
    let mut alice = RawClient::clean(&witness.broker, Version::V5, "alice");
    let long = "v".repeat(60_000);
    let props = Props::new()
        .user("long", &long)
        .bytes(property::CORRELATION_DATA, vec![7; 60_000]);
    let answer = alice
        .publish_packet(PublishPacket::new("bob", "x", 1, 0).props(props))
        .unwrap();
    if answer.reason == 0 {
        let mut bob = RawClient::reader(&witness.broker, Version::V5, "bob", 1);
        let message = bob.receive_and_ack();
        assert_eq!(message.props.user("long"), Some(long.as_str()));
        assert_eq!(
            message.props.binary(property::CORRELATION_DATA).map(<[u8]>::len),
            Some(60_000)
        );
    } else {
        assert!([0x95, 0x97].contains(&answer.reason), "{answer:?}");
    }
    witness.is_served();
    witness.end();
}
