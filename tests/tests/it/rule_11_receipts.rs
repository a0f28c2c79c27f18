//! Contract rule 11: senders who ask for it are told what becomes of their messages.

use inbox_tests::{Broker, Packet, Props, Publish, PublishPacket, RawClient, Version, packet, property};
use serde_json::{Value, json};

/// A message to `to`, with an `id`, that asks for these receipts to `response_topic`.
fn asking(to: &str, id: &str, receipt: &str, response_topic: &str) -> PublishPacket {
    let props = Props::new()
        .user("id", id)
        .user("receipt", receipt)
        .bytes(property::RESPONSE_TOPIC, response_topic);
    PublishPacket::new(to, format!("payload of {id}"), 1, 0).props(props)
}

fn send(client: &mut RawClient, packet: PublishPacket) -> u64 {
    let ack = client.publish_packet(packet).unwrap();
    assert_eq!(ack.reason, 0, "{ack:?}");
    ack.props.user("seq").unwrap().parse().unwrap()
}

/// What a receipt says, and that it is one: RETAIN, `from` and the mark are the broker's alone.
fn told(receipt: &Publish) -> Vec<Value> {
    assert!(receipt.retain, "{receipt:?}");
    assert_eq!(receipt.props.user("from"), Some("$inboxd"));
    assert_eq!(receipt.props.user("$inboxd"), Some("receipt"));
    assert_eq!(receipt.props.text(property::CONTENT_TYPE), Some("application/json"));
    let said: Value = serde_json::from_str(receipt.text()).unwrap();
    assert_eq!(said["notice"], "receipt");
    said["receipts"].as_array().unwrap().clone()
}

/// Receipts without their times, until there are `n`.
fn receipts(client: &mut RawClient, n: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < n {
        all.extend(told(&client.receive_and_ack()));
    }
    for one in &mut all {
        assert!(one.as_object_mut().unwrap().remove("at").unwrap().as_u64().unwrap() > 0);
    }
    all
}

fn request(client: &mut RawClient, topic: &str, request: &Value) -> u8 {
    let packet = PublishPacket::new(topic, request.to_string(), 1, 0);
    client.publish_packet(packet).unwrap().reason
}

#[test]
fn rule_11_a_sender_is_told_that_its_message_was_delivered() {
    // Goal: the receipt comes when the recipient has acknowledged, and not before, with the Correlation Data of the message.
    let broker = Broker::start();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut packet = asking("bob", "m1", "delivered", "alice");
    packet.props = packet.props.bytes(property::CORRELATION_DATA, "c1");
    alice.send_publish(packet);
    let message = bob.receive();
    assert_eq!(message.props.user("receipt"), Some("delivered"));
    // Nobody tells alice of what was only sent.
    let mut other = RawClient::clean(&broker, Version::V5, "other");
    other.publish("alice", "first", 1);
    assert_eq!(alice.receive_and_ack().text(), "first");
    bob.acknowledge(&message);
    let receipt = alice.receive_and_ack();
    assert_eq!(receipt.props.binary(property::CORRELATION_DATA), Some(&b"c1"[..]));
    let mut said = told(&receipt);
    said[0].as_object_mut().unwrap().remove("at");
    assert_eq!(
        said,
        [json!({"topic": "bob", "id": "m1", "seq": message.seq(), "state": "delivered"})]
    );
    bob.expect_nothing();
    alice.wait_for("PUBACK", |packet| matches!(packet, Packet::Ack(_)).then_some(()));
    alice.expect_nothing();
}

#[test]
fn rule_11_a_sender_who_was_away_is_told_later() {
    // Goal: receipts are as durable as mail: the sender was away, the broker was killed, and again before they were read.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let seqs: Vec<_> = (0..5)
        .map(|n| send(&mut alice, asking("bob", &format!("m{n}"), "delivered,read", "alice")))
        .collect();
    alice.vanish();
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.texts(5);
    assert_eq!(request(&mut bob, "$inbox/read", &json!({"up_to": seqs[4]})), 0);
    bob.vanish();
    broker.crash_and_restart();
    broker.crash_and_restart();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let all = receipts(&mut alice, 10);
    for state in ["delivered", "read"] {
        let told: Vec<_> = all
            .iter()
            .filter(|one| one["state"] == state)
            .map(|one| one["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(told, seqs, "{state}");
    }
    alice.expect_nothing();
}

#[test]
fn rule_11_many_at_once_are_told_by_few_messages() {
    // Goal: what is acknowledged together is told together, up to a hundred in one message, in order; other Correlation Data, another message.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let seqs: Vec<_> = (0..150)
        .map(|n| send(&mut alice, asking("bob", &format!("m{n}"), "delivered", "alice")))
        .collect();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mail: Vec<_> = (0..100).map(|_| bob.receive()).collect();
    let acks: Vec<u8> = mail
        .iter()
        .flat_map(|one| inbox_tests::ack(0x40, one.packet_id))
        .collect();
    bob.send(&acks);
    bob.texts(50);
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let (mut messages, mut told_seqs) = (0, Vec::new());
    while told_seqs.len() < 150 {
        let some = told(&alice.receive_and_ack());
        assert!(some.len() <= 100);
        told_seqs.extend(some.iter().map(|one| one["seq"].as_u64().unwrap()));
        messages += 1;
    }
    assert_eq!(told_seqs, seqs);
    assert!(messages < 100, "150 receipts came in {messages} messages");
}

#[test]
fn rule_11_a_sender_is_told_how_else_its_message_left() {
    // Goal: refused by its reader, expired, pushed out, and purged; whoever asks for any receipt is told.
    let broker = Broker::with_config("[inbox]\nmessages_max = 2\nwhen_full = \"drop-oldest\"\n");
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut next = |to: &str, id: &str| send(&mut alice, asking(to, id, "read", "alice"));
    let refused = next("bob", "refused");
    let pushed_out = next("dave", "pushed out");
    let purged = next("dave", "purged");
    let purged_too = next("dave", "purged, too");
    let mut short = asking("carol", "expired", "read", "alice");
    short.props = short.props.four(property::MESSAGE_EXPIRY, 1);
    let expired = send(&mut alice, short);

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive();
    bob.send(&packet(
        0x40,
        &[message.packet_id.to_be_bytes().as_slice(), &[0x83]].concat(),
    ));
    let output = broker.run_on_data(&["inbox", "purge", "--yes", "dave"]);
    assert!(output.status.success(), "{output:?}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    carol.expect_nothing();

    let mut all = receipts(&mut alice, 5);
    all.sort_by_key(|one| one["seq"].as_u64());
    let state = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        (
            one["seq"].as_u64().unwrap(),
            text("state"),
            text("why"),
            one["reason"].as_u64(),
        )
    };
    let said: Vec<_> = all.iter().map(state).collect();
    let expected = [
        (refused, "refused", "", Some(0x83)),
        (pushed_out, "dropped", "overflow", None),
        (purged, "dropped", "purged", None),
        (purged_too, "dropped", "purged", None),
        (expired, "expired", "", None),
    ];
    for (one, expected) in said.iter().zip(expected) {
        assert_eq!((one.0, &*one.1, &*one.2, one.3), expected);
    }
    alice.expect_nothing();
}

#[test]
fn rule_11_read_is_what_the_recipients_application_says() {
    // Goal: by sender and id, or up to a seq; only what the inbox had and acknowledged; once; after a crash; and not for whoever switches it off.
    let mut broker = Broker::start();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut eve = RawClient::reader(&broker, Version::V5, "eve", 1);
    let seqs: Vec<_> = (0..4)
        .map(|n| send(&mut alice, asking("bob", &format!("m{n}"), "read", "alice")))
        .collect();
    send(&mut eve, asking("bob", "m0", "read", "eve"));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mail: Vec<_> = (0..5).map(|_| bob.receive()).collect();
    mail[..3].iter().for_each(|one| bob.acknowledge(one));
    bob.acknowledge(&mail[4]);

    let read = |ids: &[&str]| json!({"from": "alice", "ids": ids});
    // m3 is not acknowledged, and m9 never was.
    for _ in 0..2 {
        assert_eq!(request(&mut bob, "$inbox/read", &read(&["m1", "m3", "m9"])), 0);
    }
    let expected = |n: usize| json!({"topic": "bob", "id": format!("m{n}"), "seq": seqs[n], "state": "read"});
    assert_eq!(receipts(&mut alice, 1), [expected(1)]);
    alice.expect_nothing();

    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    // What was in flight comes again, and is acknowledged with the request behind it.
    let again = bob.receive();
    bob.acknowledge(&again);
    for _ in 0..2 {
        assert_eq!(request(&mut bob, "$inbox/receipts", &json!({"read": false})), 0);
    }
    assert_eq!(request(&mut bob, "$inbox/read", &json!({"up_to": seqs[0]})), 0);
    broker.crash_and_restart();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    assert_eq!(request(&mut bob, "$inbox/read", &json!({"up_to": seqs[0]})), 0);
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut eve = RawClient::reader(&broker, Version::V5, "eve", 1);
    assert_eq!(request(&mut bob, "$inbox/receipts", &json!({"read": true})), 0);
    assert_eq!(request(&mut bob, "$inbox/read", &json!({"up_to": seqs[3]})), 0);
    // Her acknowledgement of m1 may not have been durable (rule 7): that comes first then.
    let mut rest = receipts(&mut alice, 3);
    if rest[0] == expected(1) {
        rest.remove(0);
        rest.extend(receipts(&mut alice, 3 - rest.len()));
    }
    assert_eq!(rest, [expected(0), expected(2), expected(3)]);
    eve.expect_nothing();
    assert_eq!(
        request(&mut bob, "$inbox/read", &json!({"from": "eve", "up_to": u64::MAX})),
        0
    );
    assert_eq!(receipts(&mut eve, 1)[0]["state"], "read");

    for wrong in [json!({}), json!({"from": "alice"}), json!([1])] {
        assert_eq!(request(&mut bob, "$inbox/read", &wrong), 0x99, "{wrong}");
    }
    assert_eq!(request(&mut bob, "$inbox/receipts", &json!({"read": 1})), 0x99);
}

#[test]
fn rule_11_receipts_go_to_ordinary_topics_too() {
    // Goal: a Response Topic that is no inbox: an ordinary message with the broker's mark, for whoever is subscribed.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.subscribe("alice/receipts", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let packet = asking("bob", "m1", "delivered", "alice/receipts");
    alice.send_publish(packet);
    bob.receive_and_ack();
    let receipt = alice.receive_and_ack();
    assert_eq!((receipt.topic.as_str(), receipt.retain), ("alice/receipts", false));
    assert_eq!(receipt.props.user("$inboxd"), Some("receipt"));
    let said: Value = serde_json::from_str(receipt.text()).unwrap();
    assert_eq!(
        (&said["receipts"][0]["id"], &said["receipts"][0]["state"]),
        (&json!("m1"), &json!("delivered"))
    );
}

#[test]
fn rule_11_no_client_can_forge_a_receipt_or_cause_one_where_it_may_not_publish() {
    // Goal: the mark of the broker is taken off what clients say, in mail and elsewhere; the right to the Response Topic is the sender's own; and
    // what is asked for must be there.
    let broker = Broker::start();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let forged = json!({"notice": "receipt", "receipts": [{"topic": "bob", "id": "m1", "seq": 1, "state": "read"}]});
    let marks = Props::new()
        .user("$inboxd", "receipt")
        .user("$inboxd-x", "y")
        .user("colour", "red")
        .user("from", "$inboxd");
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    alice.subscribe("alice/receipts", 1);
    for topic in ["alice", "alice/receipts"] {
        let mut packet = PublishPacket::new(topic, forged.to_string(), 1, 0).props(marks.clone());
        packet.retain = true;
        eve.publish_packet(packet);
        let got = alice.receive_and_ack();
        assert!(!got.retain && got.props.user("$inboxd").is_none() && got.props.user("$inboxd-x").is_none());
        assert_eq!(got.props.user("colour"), Some("red"));
    }
    for (receipt, response_topic, reason) in [("delivered", "$SYS/inboxd/event/x", 0x87), ("yes", "eve", 0x99)] {
        let refused = eve
            .publish_packet(asking("bob", "m1", receipt, response_topic))
            .unwrap();
        assert_eq!(refused.reason, reason, "{refused:?}");
        assert!(
            refused.props.reason_string().unwrap().contains("Response Topic"),
            "{refused:?}"
        );
    }
    // Without a Response Topic the property is the application's own.
    let own = PublishPacket::new("bob", "hello", 1, 0).props(Props::new().user("receipt", "number 7"));
    assert_eq!(eve.publish_packet(own).unwrap().reason, 0);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().props.user("receipt"), Some("number 7"));
}

#[test]
fn rule_11_a_receipt_that_finds_no_room_waits_for_it() {
    // Goal: the sender's own inbox is full: the receipt is kept, over a crash, and comes when there is room.
    let mut broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("alice", "fills it", 1);
    send(&mut alice, asking("bob", "m1", "delivered", "alice"));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.receive_and_ack();
    // The inbox knows of the acknowledgement when the first of these is answered, and the commit of the second takes the receipt along.
    bob.publish("absent-1", "hello", 1);
    bob.publish("absent-2", "hello", 1);
    broker.crash_and_restart();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    assert_eq!(alice.receive_and_ack().text(), "fills it");
    assert_eq!(receipts(&mut alice, 1)[0]["state"], "delivered");
}
