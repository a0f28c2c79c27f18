//! Contract rule 12: senders replace what is undelivered, take it back, or tell its reader.

use inbox_tests::{Ack, Broker, Props, Publish, PublishPacket, RawClient, Version, property};
use serde_json::{Value, json};

/// A message to `to` with these user properties.
fn message(to: &str, payload: &str, user: &[(&str, &str)]) -> PublishPacket {
    let props = user
        .iter()
        .fold(Props::new(), |props, (name, value)| props.user(name, value));
    PublishPacket::new(to, payload, 1, 0).props(props)
}

/// Publishes it, and gives what the sender is told.
fn send(client: &mut RawClient, packet: PublishPacket) -> Ack {
    client.publish_packet(packet).unwrap()
}

fn state(ack: &Ack) -> Option<&str> {
    assert_eq!(ack.reason, 0, "{ack:?}");
    ack.props.user("state")
}

fn recall(client: &mut RawClient, to: &str, id: &str) -> Ack {
    let request = json!({ "to": to, "id": id }).to_string();
    send(client, PublishPacket::new("$inbox/recall", request, 1, 0))
}

fn edit(client: &mut RawClient, to: &str, id: &str, payload: &str) -> Ack {
    send(client, message("$inbox/edit", payload, &[("to", to), ("id", id)]))
}

/// What a reader is told of a recall.
fn told(notice: &Publish) -> Value {
    assert_eq!(notice.props.user("$inboxd"), Some("recall"));
    assert_eq!(notice.props.text(property::CONTENT_TYPE), Some("application/json"));
    assert!(!notice.retain);
    serde_json::from_str(notice.text()).unwrap()
}

#[test]
fn rule_12_a_later_message_takes_the_place_of_one_with_its_key() {
    // Goal: of what waits from one sender with one key, the last one is there; other senders and keys are left alone; nobody missed anything.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    send(&mut alice, message("bob", "20 degrees", &[("collapse", "temperature")]));
    send(
        &mut eve,
        message("bob", "eve: 7 degrees", &[("collapse", "temperature")]),
    );
    send(&mut alice, message("bob", "the door is open", &[("collapse", "door")]));
    send(&mut alice, message("bob", "21 degrees", &[("collapse", "temperature")]));
    broker.crash_and_restart();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    // Of QoS 2, over a restart, and many at once.
    for degrees in 22..30 {
        let mut packet = message("bob", &format!("{degrees} degrees"), &[("collapse", "temperature")]);
        packet.qos = if degrees % 2 == 0 { 2 } else { 1 };
        alice.send_publish(packet);
    }
    send(&mut alice, message("bob", "30 degrees", &[("collapse", "temperature")]));
    broker.crash_and_restart();

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let all: Vec<_> = (0..3).map(|_| bob.receive_and_ack()).collect();
    let texts: Vec<_> = all.iter().map(Publish::text).collect();
    assert_eq!(texts, ["eve: 7 degrees", "the door is open", "30 degrees"]);
    assert!(all.iter().all(|one| one.props.user("dropped").is_none()), "{all:?}");
    assert_eq!(all[2].props.user("collapse"), Some("temperature"));
    bob.expect_nothing();
}

#[test]
fn rule_12_what_a_reader_has_in_its_hands_is_not_collapsed() {
    // Goal: a reader that is there gets each of them; what it has not acknowledged stays until it goes.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for text in ["one", "two"] {
        send(&mut alice, message("bob", text, &[("collapse", "k")]));
        assert_eq!(bob.receive().text(), text);
    }
    bob.vanish();
    // When another connection has the client ID, this one is over.
    let _not_reading = RawClient::clean(&broker, Version::V5, "bob");
    send(&mut alice, message("bob", "three", &[("collapse", "k")]));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["three"]);
    bob.expect_nothing();
}

#[test]
fn rule_12_a_recall_in_time_leaves_nothing() {
    // Goal: the sender is told that it is gone, and it is, after kill -9, too; the recipient gets the rest, and nothing about it; its receipt says why.
    let mut broker = Broker::start();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    send(&mut alice, message("bob", "before", &[("id", "m0")]));
    let mut asking = message("bob", "a mistake", &[("id", "m1"), ("receipt", "delivered")]);
    asking.props = asking.props.bytes(property::RESPONSE_TOPIC, "alice");
    send(&mut alice, asking);
    send(&mut alice, message("bob", "after", &[("id", "m2")]));
    let answer = recall(&mut alice, "bob", "m1");
    assert_eq!((state(&answer), answer.props.user("seq")), (Some("recalled"), None));
    let receipt: Value = serde_json::from_str(alice.receive_and_ack().text()).unwrap();
    let receipt = &receipt["receipts"][0];
    let said = ["id", "state", "why"].map(|name| receipt[name].as_str().unwrap());
    assert_eq!(said, ["m1", "dropped", "recalled"]);
    broker.crash_and_restart();

    // Its id is known still: it is not stored again by a repetition.
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    send(&mut alice, message("bob", "a mistake", &[("id", "m1")]));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(2), ["before", "after"]);
    bob.expect_nothing();
}

#[test]
fn rule_12_a_recall_that_is_too_late_is_told() {
    // Goal: the reader who has it, or had it, is told by its sender, which of them was meant; so is one of MQTT 3.1.1, and one who is away.
    let mut broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    send(&mut alice, message("bob", "hello", &[("id", "m1")]));
    bob.receive();
    let answer = recall(&mut alice, "bob", "m1");
    assert_eq!(state(&answer), Some("told"));
    let notice = bob.receive();
    let said = json!({ "notice": "recall", "from": "alice", "id": "m1", "seq": notice.seq() });
    assert_eq!(told(&notice), said);
    assert_eq!(notice.props.user("from"), Some("alice"));
    assert_eq!(notice.seq().to_string(), answer.props.user("seq").unwrap());
    bob.vanish();
    // When another connection has the client ID, this one is over.
    let _not_reading = RawClient::clean(&broker, Version::V5, "bob");

    // Sent once, and not acknowledged: it does not come again. After a restart nobody knows what was sent.
    send(&mut alice, message("bob", "never sent", &[("id", "m2")]));
    broker.crash_and_restart();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!(state(&recall(&mut alice, "bob", "m1")), Some("told"));
    assert_eq!(state(&recall(&mut alice, "bob", "m2")), Some("told"));
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let said: Vec<Value> = bob
        .texts(3)
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let ids: Vec<_> = said.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m1", "m1", "m2"]);
    bob.expect_nothing();
}

#[test]
fn rule_12_an_edit_replaces_what_is_undelivered() {
    // Goal: the recipient sees the new one alone, under the id of the first, with its own properties; once it has that, a further edit is told.
    let broker = Broker::start();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut asking = message("bob", "at six", &[("id", "m1"), ("receipt", "delivered")]);
    asking.props = asking.props.bytes(property::RESPONSE_TOPIC, "alice");
    send(&mut alice, asking);
    let mut new = message(
        "$inbox/edit",
        "at seven",
        &[("to", "bob"), ("id", "m1"), ("mood", "late")],
    );
    new.props = new.props.bytes(property::CONTENT_TYPE, "text/plain");
    let answer = send(&mut alice, new);
    assert_eq!(state(&answer), Some("edited"));

    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let got = bob.receive_and_ack();
    assert_eq!(
        (got.text(), got.props.user("id"), got.props.user("mood")),
        ("at seven", Some("m1"), Some("late"))
    );
    assert_eq!((got.props.user("$inboxd"), got.props.user("to")), (None, None));
    assert_eq!(got.props.text(property::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(got.seq().to_string(), answer.props.user("seq").unwrap());
    // The receipt that was asked for tells of the new one.
    let receipt: Value = serde_json::from_str(alice.receive_and_ack().text()).unwrap();
    let receipt = &receipt["receipts"][0];
    assert_eq!((&receipt["id"], &receipt["state"]), (&json!("m1"), &json!("delivered")));

    assert_eq!(state(&edit(&mut alice, "bob", "m1", "at eight")), Some("told"));
    let got = bob.receive_and_ack();
    assert_eq!((got.text(), got.props.user("$inboxd")), ("at eight", Some("edit")));
    assert_eq!(
        (got.props.user("edit-of"), got.props.user("from")),
        (Some("m1"), Some("alice"))
    );
    assert_ne!(got.props.user("id"), Some("m1"));
    bob.expect_nothing();
}

#[test]
fn rule_12_nobody_amends_what_another_one_sent() {
    // Goal: the same id of another sender is another message; what a client itself marks as the broker's is no mark.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    send(&mut alice, message("bob", "mine", &[("id", "m1"), ("collapse", "k")]));
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    assert_eq!(state(&recall(&mut eve, "bob", "m1")), Some("told"));
    assert_eq!(state(&edit(&mut eve, "bob", "m1", "forged")), Some("told"));
    send(
        &mut eve,
        message(
            "bob",
            "another",
            &[("collapse", "k"), ("$inboxd", "edit"), ("edit-of", "m1")],
        ),
    );
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let all: Vec<_> = (0..4).map(|_| bob.receive_and_ack()).collect();
    let froms: Vec<_> = all.iter().map(|one| one.props.user("from").unwrap()).collect();
    assert_eq!((all[0].text(), froms), ("mine", vec!["alice", "eve", "eve", "eve"]));
    assert_eq!(all[3].props.user("$inboxd"), None);
    bob.expect_nothing();
}

#[test]
fn rule_12_a_request_that_is_none_is_refused() {
    // Goal: it says what is wrong, also in MQTT 3.1.1; who may not write to somebody may not amend there, either; a full inbox loses nothing.
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    for (topic, payload, user, reason) in [
        ("$inbox/recall", "m1", &[][..], 0x99),
        ("$inbox/recall", r#"{"to":"bob"}"#, &[], 0x99),
        ("$inbox/recall", r#"{"to":"bob/x","id":"m1"}"#, &[], 0x90),
        ("$inbox/recall", r##"{"to":"#","id":"m1"}"##, &[], 0x90),
        ("$inbox/edit", "new", &[("to", "bob")], 0x99),
        ("$inbox/edit", "new", &[("to", "$SYS"), ("id", "m1")], 0x90),
        ("$inbox/undo", "m1", &[], 0x90),
    ] {
        let answer = send(&mut alice, message(topic, payload, user));
        assert_eq!(answer.reason, reason, "{topic} {payload}");
        assert!(answer.props.reason_string().is_some(), "{topic} {payload}");
    }
    send(&mut alice, message("bob", "first", &[("id", "m1")]));
    assert_eq!(edit(&mut alice, "bob", "m1", "second").reason, 0x97);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let block = PublishPacket::new("$inbox/block", r#"{"add":["client:alice"]}"#, 1, 0);
    assert_eq!(bob.publish_packet(block).unwrap().reason, 0);
    assert_eq!(recall(&mut alice, "bob", "m1").reason, 0x87);
    assert_eq!(bob.texts(1), ["first"]);
    bob.expect_nothing();
    let mut old = RawClient::reader(&broker, Version::V311, "old", 1);
    old.publish_packet(PublishPacket::new("$inbox/recall", "m1", 1, 0));
    let notice: Value = serde_json::from_str(old.receive_and_ack().text()).unwrap();
    assert_eq!(
        (&notice["topic"], &notice["reason"]),
        (&json!("$inbox/recall"), &json!(0x99))
    );
}
