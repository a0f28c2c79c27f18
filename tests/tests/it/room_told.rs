//! `notify-space`: a sender that was refused for want of room is told, once, when there is room again (contract rule 3).

use inbox_tests::{Broker, Props, Publish, PublishPacket, RawClient, Version};

/// Publishes to bob with QoS `qos`, and asks to be told. Gives the reason code of the answer.
fn ask(client: &mut RawClient, payload: &str, qos: u8) -> u8 {
    let asks = Props::new().user("notify-space", "1");
    let packet = PublishPacket::new("bob", payload, qos, 0).props(asks);
    client.publish_packet(packet).unwrap().reason
}

/// The notice that comes next, which is about bob's inbox.
fn told(client: &mut RawClient) -> Publish {
    let notice = client.receive_and_ack();
    let said: serde_json::Value = serde_json::from_str(notice.text()).unwrap();
    assert_eq!((&said["notice"], &said["topic"]), (&"room".into(), &"bob".into()));
    assert!(said["at"].is_u64() && said["seq"].is_u64(), "{said}");
    assert!(notice.retain, "no client can forge it (rule 3)");
    notice
}

#[test]
fn rule_03_a_refused_sender_is_told_once_of_room() {
    // Goal: with QoS 1 and 2, told once and not before there is room, with `from` = `$inboxd`; who does not ask is not told.
    let broker = Broker::with_config("[inbox]\nmessages_max = 2\n");
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!((ask(&mut alice, "1", 1), ask(&mut alice, "2", 2)), (0, 0));
    assert_eq!(ask(&mut alice, "3", 1), 0x97);
    assert_eq!(ask(&mut alice, "4", 2), 0x97);
    assert_eq!(
        carol
            .publish_packet(PublishPacket::new("bob", "5", 1, 0))
            .unwrap()
            .reason,
        0x97
    );
    alice.ping();

    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    assert_eq!(bob.texts(2), ["1", "2"]);
    bob.ping();
    let notice = told(&mut alice);
    let from: Vec<_> = notice
        .props
        .users()
        .into_iter()
        .filter(|(name, _)| *name == "from")
        .collect();
    assert_eq!(from, [("from", "$inboxd")]);
    bob.disconnect();
    // Nothing else came: what alice writes to itself is next.
    alice.publish("alice", "next", 1);
    assert_eq!(alice.texts(1), ["next"]);
    carol.publish("carol", "next", 1);
    assert_eq!(carol.texts(1), ["next"]);
    assert_eq!((ask(&mut alice, "6", 1), ask(&mut alice, "7", 1)), (0, 0));
}

#[test]
fn rule_03_who_is_away_finds_it_later() {
    // Goal: the notice is mail: a sender that has left when room comes finds it when it reads, in either version.
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    assert_eq!((ask(&mut alice, "1", 1), ask(&mut alice, "2", 1)), (0, 0x97));
    alice.disconnect();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["1"]);
    bob.ping();
    let mut alice = RawClient::reader(&broker, Version::V311, "alice", 1);
    told(&mut alice);
}
