//! Rule 3 for MQTT 3.1.1: a refusal is a notice in the sender's own inbox, and then an acknowledgement.

use inbox_types::Limits;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::V311Refusals;

fn small(inbox_messages_max: u64) -> Limits {
    Limits {
        inbox_messages_max,
        ..Limits::default()
    }
}

fn notices(world: &World, id: &str) -> Vec<Value> {
    let stored = world.stored(id);
    stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn sha256(payload: &str) -> String {
    Sha256::digest(payload)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The topic, the reason, the count and the hashes of a notice.
fn said_of(notice: &Value) -> (&str, u64, u64, Vec<&str>) {
    assert_eq!(notice["notice"], "refused");
    let hashes = notice["messages"].as_array().unwrap();
    (
        notice["topic"].as_str().unwrap(),
        notice["reason"].as_u64().unwrap(),
        notice["count"].as_u64().unwrap(),
        hashes.iter().map(|one| one["sha256"].as_str().unwrap()).collect(),
    )
}

#[test]
fn rule_03_a_refusal_is_bounced_before_it_is_acknowledged() {
    // Goal: contract rule 3: with QoS 1 and 2 nothing is answered before the notice is durable; then the exchange goes on as with success,
    // and PUBREL is answered. The connection and its other mail go on.
    let world = World::with(small(1), |_| {});
    world.mail("bob", 1, &["fills it"]);
    for (qos, ack_type) in [(1, 0x40), (2, 0x50)] {
        let name = format!("alice{qos}");
        let mut alice = world.client(V311, &name);
        alice.send(publish(V311, qos, 7, "bob", "no"));
        assert_eq!(alice.said(), [], "the notice is not durable");
        world.commit();
        assert_eq!(alice.said(), [Said::ack(ack_type, 7)]);
        if qos == 2 {
            alice.send(ack(0x62, 7));
            assert_eq!(alice.said(), [Said::ack(0x70, 7)]);
        }
        let notices = notices(&world, &name);
        assert_eq!(notices.len(), 1);
        assert_eq!(said_of(&notices[0]), ("bob", 0x97, 1, vec![&*sha256("no")]));
        alice.send(publish(V311, 1, 8, &format!("carol{qos}"), "next"));
        world.commit();
        assert_eq!(alice.said(), [Said::ack(0x40, 8)]);
    }
    assert_eq!(world.stored("bob"), ["fills it"]);
    assert_eq!(world.shared.metrics.publishes_bounced.get(), 2);
}

#[test]
fn rule_03_several_refusals_in_one_segment_are_one_notice_in_the_order_of_answers() {
    // Goal: contract rule 3, MQTT-4.6.0-2: refused and accepted publishes of one segment, to two full inboxes, are answered in their order;
    // each full inbox is one notice that names its messages. What is refused later is joined, and the earlier notice goes.
    let world = World::with(small(2), |_| {});
    world.mail("bob", 1, &["1", "2"]);
    world.mail("dave", 1, &["1", "2"]);
    let mut alice = world.client(V311, "alice");
    let all = [
        publish(V311, 1, 1, "bob", "a"),
        publish(V311, 1, 2, "carol", "yes"),
        publish(V311, 2, 3, "dave", "b"),
        publish(V311, 1, 4, "bob", "c"),
        publish(V311, 1, 5, "carol", "yes"),
    ];
    alice.send(all.concat());
    alice.said();
    world.commit();
    let answers = [(0x40, 1), (0x40, 2), (0x50, 3), (0x40, 4), (0x40, 5)];
    assert_eq!(alice.said(), answers.map(|(first, id)| Said::ack(first, id)));
    for n in 6..9 {
        alice.send(publish(V311, 1, n, "bob", "d"));
        alice.said();
        world.commit();
        assert_eq!(alice.said(), [Said::ack(0x40, n)]);
    }
    let notices = notices(&world, "alice");
    let mut said: Vec<_> = notices.iter().map(said_of).collect();
    said.sort_unstable();
    let (a, b, c, d) = (sha256("a"), sha256("b"), sha256("c"), sha256("d"));
    assert_eq!(
        said,
        [
            ("bob", 0x97, 5, vec![&*a, &c, &d, &d, &d]),
            ("dave", 0x97, 1, vec![&*b])
        ],
        "two notices, in an inbox with room for two"
    );
}

#[test]
fn rule_03_a_notice_that_was_read_is_not_joined() {
    // Goal: contract rule 3: the notice comes under the own topic with RETAIN, which mail of clients never has, and to MQTT 5 readers from
    // $inboxd; from then on a new one is begun, and both are there until they are acknowledged.
    let world = World::with(small(5), |_| {});
    world.mail("bob", 1, &["1", "2", "3", "4", "5"]);
    let mut alice = world.client(V311, "alice");
    for n in 1..3 {
        alice.send(publish(V311, 1, n, "bob", "no"));
        alice.said();
        world.commit();
        alice.said();
    }
    alice.send(subscribe(V311, 9, "alice", 1));
    let notice = &said::messages(&alice.said())[0];
    assert!(notice.retain && notice.topic == "alice" && notice.qos == 1);
    assert_eq!(said_of(&serde_json::from_str(&notice.text).unwrap()).2, 2);
    alice.send(publish(V311, 1, 3, "bob", "no"));
    alice.said();
    world.commit();
    let counts: Vec<_> = notices(&world, "alice")
        .iter()
        .map(|notice| said_of(notice).2)
        .collect();
    assert_eq!(counts, [2, 1]);
    alice.session.disconnected();
    let mut reader = world.client(V5, "alice");
    reader.send(subscribe(V5, 1, "alice", 1));
    let notice = &said::messages(&reader.said())[0];
    assert!(notice.retain);
    assert!(notice.user.contains(&("from".into(), "$inboxd".into())), "{notice:?}");
}

#[test]
fn rule_03_without_room_for_the_notice_the_connection_ends() {
    // Goal: contract rule 3: no own inbox, one that is full, a client ID that was made up, or the strict setting: closed without an answer,
    // and without answers to what came behind (MQTT-4.6.0-2).
    let closes = |world: &World, id: &str, assigned: bool| {
        let mut alice = world.client(V311, id);
        alice.session.id_is_assigned = assigned;
        alice.send([publish(V311, 1, 1, "bob", "no"), publish(V311, 1, 2, "carol", "yes")].concat());
        for _ in 0..2 {
            world.commit();
            if let Err(ending) = alice.session.drain(world.shared.node.now()) {
                assert_eq!(closed(Err(ending)), 0x97, "{id}");
                return alice.session.out().is_empty();
            }
        }
        false
    };
    let world = World::with(small(1), |_| {});
    world.mail("bob", 1, &["fills it"]);
    world.mail("full", 1, &["fills it"]);
    assert!(closes(&world, "full", false));
    assert!(closes(&world, "a/b", false));
    assert!(closes(&world, "auto-1", true));
    let strict = World::with(small(1), |mqtt| mqtt.v311_refusals = V311Refusals::Close);
    strict.mail("bob", 1, &["fills it"]);
    assert!(closes(&strict, "alice", false));
    assert_eq!(strict.stored("alice"), [""; 0]);
}

#[test]
fn rule_03_a_bounced_qos_2_publish_is_known_when_it_comes_again() {
    // Goal: contract rules 3 and 10: the connection ends before the notice is durable, and the client publishes again: before or after the
    // notice is durable it is the same message, with one notice, and its exchange ends as with success.
    for durable_first in [false, true] {
        let world = World::with(small(1), |_| {});
        world.mail("bob", 1, &["fills it"]);
        let mut alice = world.client(V311, "alice");
        alice.send(publish(V311, 2, 7, "bob", "no"));
        world.commit();
        alice.session.drain(world.shared.node.now()).unwrap();
        if durable_first {
            world.commit();
        }
        alice.reconnect();
        alice.send(publish_with(V311, 0b1100, 7, "bob", &[], "no"));
        let mut said = alice.said();
        world.commit();
        said.extend(alice.said());
        alice.send(ack(0x62, 7));
        said.extend(alice.said());
        let expected = [Said::ack(0x50, 7), Said::ack(0x70, 7)];
        assert_eq!(said, expected, "durable first: {durable_first}");
        let counts: Vec<_> = notices(&world, "alice")
            .iter()
            .map(|notice| said_of(notice).2)
            .collect();
        assert_eq!(counts, [1], "durable first: {durable_first}");
    }
}

#[test]
fn rule_03_a_publish_to_a_dollar_topic_is_acknowledged_and_dropped_in_3_1_1() {
    // Goal: contract rule 3: as other brokers do, with every QoS; MQTT 5 is told 0x90.
    let world = World::new();
    let mut alice = world.client(V311, "alice");
    let all = [
        publish(V311, 0, 0, "$x", ""),
        publish(V311, 1, 1, "$SYS/x", ""),
        publish(V311, 2, 2, "$x/y", ""),
    ];
    alice.send(all.concat());
    assert_eq!(alice.said(), [Said::ack(0x40, 1), Said::ack(0x50, 2)]);
    alice.send(ack(0x62, 2));
    assert_eq!(alice.said(), [Said::ack(0x70, 2)]);
    assert_eq!(world.shared.metrics.reserved_topics_dropped.get(), 3);
    assert_eq!(world.stored("alice"), [""; 0]);
    let mut bob = world.client(V5, "bob");
    bob.send(publish(V5, 1, 1, "$x", ""));
    assert!(matches!(bob.said()[..], [Said::Ack { reason: 0x90, .. }]));
}

#[test]
fn rule_03_a_packet_over_every_limit_is_read_to_its_end_and_bounced() {
    // Goal: contract rule 3: a PUBLISH that is larger than any packet that is taken comes in pieces of any size, nothing of it is kept, and
    // the packets behind it are served. QoS 0 is dropped. MQTT 5 is told 0x95 as soon as the length is known.
    let payload = "x".repeat(40_000);
    for piece in [1, 7, 4_000, 100_000] {
        let world = World::with(Limits::default(), |mqtt| mqtt.message_bytes_max = 10);
        let mut alice = world.client(V311, "alice");
        let all = [
            publish(V311, 1, 1, "bob", "small"),
            publish(V311, 2, 2, "bob", &payload),
            publish(V311, 0, 0, "bob", &payload),
            publish(V311, 1, 3, "bob", "small"),
        ]
        .concat();
        let mut partial = Vec::new();
        for bytes in all.chunks(piece) {
            partial.extend_from_slice(bytes);
            let used = alice.session.receive(&partial, world.shared.node.now()).unwrap();
            partial.drain(..used);
            assert!(partial.len() < 100, "nothing piles up: {}", partial.len());
        }
        alice.said();
        world.commit();
        let answers = alice.said();
        assert_eq!(
            answers,
            [(0x40, 1), (0x50, 2), (0x40, 3)].map(|(first, id)| Said::ack(first, id)),
            "by {piece}"
        );
        let notices = notices(&world, "alice");
        assert_eq!(said_of(&notices[0]), ("bob", 0x95, 1, vec![&*sha256(&payload)]));
        assert_eq!(world.stored("bob"), ["small", "small"]);
        let mut carol = world.client(V5, "carol");
        assert_eq!(closed(carol.try_send(&publish(V5, 1, 1, "bob", &payload)[..5])), 0x95);
    }
}

#[test]
fn rule_03_what_is_too_large_or_not_retained_is_bounced_too() {
    // Goal: contract rule 3 for the other refusals: a payload over the limit, a topic that is no inbox by its length, a full retained table.
    let world = World::with(Limits::default(), |mqtt| mqtt.message_bytes_max = 10);
    let mut alice = world.client(V311, "alice");
    let long = "x".repeat(2_000);
    alice.send(publish(V311, 1, 1, "bob", "01234567890"));
    alice.send(publish(V311, 2, 2, "bob", "01234567890"));
    alice.send(publish(V311, 0, 0, "bob", "01234567890"));
    alice.send(publish(V311, 1, 3, &long, "1"));
    alice.router_says = Err(PublishError::RetainedFull);
    alice.send(publish_with(V311, 0b0011, 4, "a/b", &[], "retained"));
    alice.said();
    world.commit();
    let mut answered = alice.said();
    alice.send(ack(0x62, 2));
    answered.extend(alice.said());
    let expected = [(0x40, 1), (0x50, 2), (0x40, 3), (0x40, 4), (0x70, 2)];
    assert_eq!(answered, expected.map(|(first, id)| Said::ack(first, id)));
    let notices = notices(&world, "alice");
    let said: Vec<_> = notices
        .iter()
        .map(said_of)
        .map(|(topic, reason, count, _)| (topic, reason, count))
        .collect();
    assert_eq!(said, [("bob", 0x95, 2), (&*long, 0x90, 1), ("a/b", 0x97, 1)]);
}
