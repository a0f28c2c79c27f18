//! `inbox.sender_share`: one sender does not shut the others out of an inbox (contract rule 3).

use inbox_tests::{Broker, PublishPacket, RawClient, Version};

/// Publishes with QoS 1 and answers the PUBACK's reason code and reason string.
fn answer(client: &mut RawClient, payload: &str) -> (u8, String) {
    let ack = client.publish_packet(PublishPacket::new("bob", payload, 1, 0)).unwrap();
    (ack.reason, ack.props.reason_string().unwrap_or_default().to_owned())
}

#[test]
fn rule_03_a_sender_holds_no_more_than_its_share() {
    // Goal: beyond its share a sender is refused with 0x97 and a sentence of its own, with each of its clients, and after a crash; others go on
    // writing, and so does it when the recipient has read.
    let mut broker = Broker::with_config("[inbox]\nmessages_max = 10\nsender_share = 40\n");
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let mut phone = RawClient::clean(&broker, Version::V5, "eve~phone");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..3 {
        eve.publish("bob", format!("eve {i}"), 1);
    }
    phone.publish("bob", "eve 3", 2);
    for client in [&mut eve, &mut phone] {
        let (reason, text) = answer(client, "too much");
        assert_eq!(reason, 0x97);
        assert!(text.contains("inbox.sender_share"), "{text}");
    }
    alice.publish("bob", "alice 0", 1);
    broker.wait_for_log("cause=publish_share");

    broker.crash_and_restart();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!(answer(&mut eve, "still too much").0, 0x97);
    for i in 1..4 {
        alice.publish("bob", format!("alice {i}"), 1);
    }
    assert_eq!(answer(&mut alice, "too much").0, 0x97);
    let mut carol = RawClient::clean(&broker, Version::V5, "carol");
    carol.publish("bob", "carol", 1);

    let mut old = RawClient::reader(&broker, Version::V311, "eve~old", 1);
    old.publish("bob", "bounced", 1);
    let notice: serde_json::Value = serde_json::from_str(old.receive_and_ack().text()).unwrap();
    assert_eq!(
        (notice["reason"].as_u64(), &notice["topic"]),
        (Some(0x97), &"bob".into())
    );

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let expected = [
        "eve 0", "eve 1", "eve 2", "eve 3", "alice 0", "alice 1", "alice 2", "alice 3", "carol",
    ];
    assert_eq!(bob.texts(9), expected);
    bob.ping();
    eve.publish("bob", "fits now", 1);
    assert_eq!(bob.texts(1), ["fits now"]);
}

#[test]
fn rule_05_a_flood_pushes_out_nobody_elses_mail() {
    // Goal: with `drop-oldest` a sender that has its share is refused, and drops nobody's messages, its own neither.
    let broker = Broker::with_config("[inbox]\nmessages_max = 4\nsender_share = 50\nwhen_full = \"drop-oldest\"\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "alice", 1);
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let answers: Vec<_> = (0..6).map(|i| answer(&mut eve, &i.to_string()).0).collect();
    assert_eq!(answers, [0, 0, 0x97, 0x97, 0x97, 0x97]);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(3), ["alice", "0", "1"]);
}
