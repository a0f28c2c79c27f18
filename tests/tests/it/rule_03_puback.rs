//! Contract rule 3: what a PUBACK means, and that a refusal is never silent.

use sha2::Digest as _;

use inbox_tests::{AckKind, Broker, BrokerOptions, Connect, Packet, PublishPacket, RawClient, Version, ack};

/// Publishes with QoS 1 and answers the PUBACK's reason code and reason string.
fn refusal(client: &mut RawClient, topic: &str, payload: impl AsRef<[u8]>) -> (u8, String) {
    let ack = client.publish_packet(PublishPacket::new(topic, payload, 1, 0)).unwrap();
    (ack.reason, ack.props.reason_string().unwrap_or_default().to_owned())
}

/// An MQTT 3.1.1 publish to `topic` must be acknowledged, and a notice about it be in the sender's own inbox.
fn bounced_in_311(broker: &Broker, topic: &str, payload: impl AsRef<[u8]>, reason: u64) {
    let mut client = RawClient::reader(broker, Version::V311, "old-client", 1);
    for qos in [1, 2] {
        client.publish(topic, payload.as_ref(), qos);
        let notice = client.receive_and_ack();
        assert!(notice.retain, "no client's mail has the flag");
        let said: serde_json::Value = serde_json::from_str(notice.text()).unwrap();
        assert_eq!(
            (
                &said["notice"],
                &said["topic"],
                said["reason"].as_u64(),
                said["count"].as_u64()
            ),
            (&"refused".into(), &topic.into(), Some(reason), Some(1))
        );
        let hash = said["messages"][0]["sha256"].as_str().unwrap();
        assert_eq!(hash, sha256(payload.as_ref()));
    }
    client.disconnect();
}

fn sha256(payload: &[u8]) -> String {
    sha2::Sha256::digest(payload)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An MQTT 3.1.1 publish to `topic` must end the connection without a PUBACK.
fn refused_in_311(broker: &Broker, topic: &str, payload: impl AsRef<[u8]>) {
    let mut client = RawClient::clean(broker, Version::V311, "old-client");
    client.send_publish(PublishPacket::new(topic, payload, 1, 0));
    assert_eq!(
        client.next_or_close(),
        None,
        "MQTT 3.1.1 has no negative PUBACK: the connection is closed"
    );
}

#[test]
fn rule_03_what_was_acknowledged_survives_kill_9() {
    // Goal: the process is killed right after the last PUBACK, and every message is there after the restart, in order.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let mut expected = Vec::new();
        for round in 0..3 {
            let mut alice = RawClient::clean(&broker, version, "alice");
            let texts: Vec<_> = (0..100).map(|i| format!("{round}.{i}")).collect();
            let ids: Vec<_> = texts
                .iter()
                .map(|text| alice.send_publish(PublishPacket::new("bob", text, 1, 0)))
                .collect();
            for id in ids {
                assert_eq!(alice.ack(AckKind::PubAck, id).reason, 0);
            }
            broker.crash_and_restart();
            expected.extend(texts);
        }
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        assert_eq!(bob.texts(300), expected);
    }
}

#[test]
fn rule_03_one_message_at_a_time_survives_kill_9() {
    // Goal: durability does not depend on there being a batch.
    let mut broker = Broker::start();
    for i in 0..5 {
        RawClient::clean(&broker, Version::V311, "alice").publish("bob", i.to_string(), 1);
        broker.crash_and_restart();
    }
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    assert_eq!(bob.texts(5), ["0", "1", "2", "3", "4"]);
}

#[test]
fn rule_03_the_online_recipient_need_not_acknowledge() {
    // Goal: a recipient that never acknowledges does not keep the publisher waiting: the commit answers it.
    let mut broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "kept", 1);
    assert_eq!(bob.receive().text(), "kept");
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["kept"]);
}

#[test]
fn rule_03_the_recipients_acknowledgement_answers_the_publisher() {
    // Goal: between two online clients every publish is acknowledged, and delivered once.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..50 {
        let id = alice.send_publish(PublishPacket::new("bob", i.to_string(), 1, 0));
        assert_eq!(bob.texts(1), [i.to_string()]);
        assert_eq!(alice.ack(AckKind::PubAck, id).reason, 0);
    }
    bob.expect_nothing();
}

#[test]
fn rule_03_pubacks_come_in_the_order_of_the_publishes() {
    // Goal: MQTT-4.6.0-2, although the outcome of some (online, acknowledged at once) is known before that of others.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let topics = ["bob", "absent", "some/topic", "absent-too"];
    let sent: Vec<_> = (0..200)
        .map(|i| alice.send_publish(PublishPacket::new(topics[i % 4], "x", 1, 0)))
        .collect();
    let mut answered = Vec::new();
    while answered.len() < sent.len() {
        let Packet::Ack(ack) = alice.next() else {
            panic!("only PUBACKs were to come")
        };
        answered.push(ack.packet_id);
    }
    assert_eq!(answered, sent);
    bob.receive();
}

#[test]
fn rule_03_a_full_inbox_refuses_with_quota_exceeded() {
    // Goal: 0x97 with a reason string; the connection, other inboxes and the stored messages are not touched.
    let broker = Broker::with_config("[inbox]\nmessages_max = 3\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..3 {
        alice.publish("bob", i.to_string(), 1);
    }
    let (reason, text) = refusal(&mut alice, "bob", "too much");
    assert_eq!(reason, 0x97);
    assert!(!text.is_empty(), "the refusal has a reason string");
    alice.publish("carol", "fits", 1);
    bounced_in_311(&broker, "bob", "too much", 0x97);
    broker.wait_for_log("old-client");

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(3), ["0", "1", "2"]);
    bob.ping();
    // There is room again.
    alice.publish("bob", "fits now", 1);
    assert_eq!(bob.texts(1), ["fits now"]);
}

#[test]
fn rule_03_the_quota_counts_bytes_too() {
    // Goal: `inbox.bytes_max` refuses with 0x97, and counts what is stored, over a restart too.
    let mut broker = Broker::with_config("[inbox]\nbytes_max = \"10KiB\"\n[mqtt]\nmessage_bytes_max = \"8KiB\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", vec![b'x'; 6 * 1024], 1);
    assert_eq!(refusal(&mut alice, "bob", vec![b'y'; 6 * 1024]).0, 0x97);
    broker.crash_and_restart();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!(refusal(&mut alice, "bob", vec![b'y'; 6 * 1024]).0, 0x97);
    alice.publish("bob", vec![b'z'; 1024], 1);
}

#[test]
fn rule_03_a_refused_qos_2_publish_is_told_in_pubrec() {
    // Goal: PUBREC carries the refusal (section 3.5.2.1), after which the exchange is over (section 4.3.3).
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "fits", 2);
    let answer = alice
        .publish_packet(PublishPacket::new("bob", "too much", 2, 0))
        .unwrap();
    assert_eq!((answer.kind, answer.reason), (AckKind::PubRec, 0x97));
    alice.publish("carol", "next", 2);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["fits"]);
}

#[test]
fn rule_03_a_message_over_the_limit_is_refused_as_too_large() {
    // Goal: 0x95 in DISCONNECT, as MQTT 5 gives PUBACK no such code (table 3-4); nothing is stored.
    let broker = Broker::with_config("[mqtt]\nmessage_bytes_max = \"1KiB\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", vec![b'x'; 1024], 1);
    alice.send_publish(PublishPacket::new("bob", vec![b'x'; 1025], 1, 0));
    alice.expect_disconnect(&[0x95]);
    bounced_in_311(&broker, "bob", vec![b'x'; 1025], 0x95);
    // Larger than any packet that is taken: it is not kept, but read to its end.
    bounced_in_311(&broker, "bob", vec![b'x'; 1024 * 1024], 0x95);

    // The packet as a whole is too large, and is not waited for.
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.send_publish(PublishPacket::new("bob", vec![b'x'; 1024 * 1024], 1, 0));
    alice.expect_disconnect(&[0x95]);

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().payload.len(), 1024);
    bob.expect_nothing();
}

#[test]
fn rule_03_a_name_that_no_client_can_have_is_refused_as_topic_name_invalid() {
    // Goal: 0x90 for a topic of one level that is too long for a client ID: nobody could ever read it.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let topic = "x".repeat(5000);
    let (reason, text) = refusal(&mut alice, &topic, "for nobody");
    assert_eq!(reason, 0x90);
    assert!(!text.is_empty(), "the refusal has a reason string");
    bounced_in_311(&broker, &topic, "for nobody", 0x90);
    alice.publish("bob", "still served", 1);
}

#[test]
fn rule_03_a_disk_that_is_nearly_full_refuses_new_messages() {
    // Goal: below the disk watermark nothing is accepted for the disk, and it is said: 0x97.
    let broker = Broker::with_config("[store]\ndisk_free_bytes_min = \"1024TiB\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let (reason, text) = refusal(&mut alice, "bob", "no room");
    assert_eq!(reason, 0x97);
    assert!(!text.is_empty(), "the refusal has a reason string");
    refused_in_311(&broker, "bob", "no room");
}

#[test]
fn rule_03_a_notice_is_durable_when_its_publish_is_acknowledged() {
    // Goal: rule 3 for MQTT 3.1.1: the process is killed right after the PUBACK, and the sender finds out what became of each publish; a
    // sender that never reads has one notice, that says how many there were. The strict setting closes the connection.
    let mut broker = Broker::with_config("[inbox]\nmessages_max = 2\n");
    let mut alice = RawClient::clean(&broker, Version::V311, "alice");
    for i in 0..2 {
        alice.publish("bob", i.to_string(), 1);
    }
    for i in 0..150 {
        alice.publish("bob", format!("refused {i}"), 1);
    }
    broker.crash_and_restart();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut notice = alice.receive_and_ack();
    if serde_json::from_str::<serde_json::Value>(notice.text()).unwrap()["count"] == 149 {
        // The one before: it was on its way out when the process was killed.
        notice = alice.receive_and_ack();
    }
    assert!(
        notice.props.users().contains(&("from", "$inboxd")),
        "{:?}",
        notice.props.users()
    );
    let said: serde_json::Value = serde_json::from_str(notice.text()).unwrap();
    assert_eq!(said["count"].as_u64(), Some(150));
    let hashes: Vec<_> = said["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["sha256"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (50..150).map(|i| sha256(format!("refused {i}").as_bytes())).collect();
    assert_eq!(hashes, expected, "the newest hundred");
    alice.expect_nothing();

    let broker = Broker::with_config("[inbox]\nmessages_max = 1\n[mqtt]\nv311_refusals = \"close\"\n");
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "fits", 1);
    refused_in_311(&broker, "bob", "no");
}

#[test]
fn rule_03_nobody_connects_as_the_sender_of_notices() {
    // Goal: rule 3: the mark of a notice cannot be forged: no client has the broker's own ID, and a RETAIN flag on mail is dropped.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut client = RawClient::open(&broker, version);
        client.send(&Connect::new(version, "$inboxd").encode());
        let expected = if version == Version::V5 { 0x85 } else { 2 };
        assert_eq!(client.connack().code, expected);
    }
}

#[test]
fn rule_03_a_failing_store_acknowledges_nothing_more() {
    // Goal: when a write fails the broker stops acknowledging (0x83 or a closed connection), says so in one fatal log
    // line and ends with exit code 74; what it had acknowledged is there when the disk works again.
    // The file size limit makes writes fail.
    let shell = "ulimit -S -f 6144; exec \"$0\" \"$@\"".to_owned();
    let mut broker = Broker::start_with(BrokerOptions {
        shell: Some(shell),
        ..Default::default()
    });
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut acknowledged = Vec::new();
    // 6 MiB is the limit, so that a hundred messages of 200 kB cannot all be stored.
    for i in 0..100u8 {
        let mut payload: Vec<u8> = (0..200_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        payload[0] = i;
        let id = alice.packet_id();
        alice.send_despite_close(&PublishPacket::new("bob", payload, 1, id).encode(Version::V5));
        match alice.next_or_close() {
            Some(Packet::Ack(ack)) if ack.reason == 0 => acknowledged.push(i),
            Some(Packet::Ack(ack)) => {
                assert_eq!(ack.reason, 0x83, "a failing store is told as 0x83: {ack:?}");
                break;
            }
            Some(Packet::Disconnect(..)) | None => break,
            Some(other) => panic!("unexpected {other:?}"),
        }
    }
    assert!(acknowledged.len() < 100, "the limit of the file size was never met");
    let exit = broker.wait();
    assert_eq!(exit.code, Some(74), "exit: {exit:?}");

    let healthy = Broker::on_the_data_of(&broker);
    let mut bob = RawClient::reader(&healthy, Version::V5, "bob", 1);
    for expected in acknowledged {
        let message = bob.receive();
        assert_eq!(message.payload[0], expected);
        bob.send(&ack(0x40, message.packet_id));
    }
}
