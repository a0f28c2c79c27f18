//! Retained messages (docs/delivery.md, "Retained messages"): what is there after a crash, after time, after a restored backup, and how much of it.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use inbox_bridge::{Batch, StoreOptions, Table, TableChange, TableKey, open_store};
use inbox_tests::{
    AckKind, Broker, Connect, Packet, Props, Publish, PublishPacket, RawClient, Version, Will, property, succeeds,
};

const V5: Version = Version::V5;

fn retained(topic: &str, payload: &str, qos: u8) -> PublishPacket {
    PublishPacket::new(topic, payload, qos, 0).retain()
}

fn retain(client: &mut RawClient, topic: &str, payload: &str, qos: u8) {
    if let Some(ack) = client.publish_packet(retained(topic, payload, qos)) {
        assert!(ack.reason < 0x80, "{topic}: {ack:?}");
    }
}

/// Keeps up to 500 publishes of `each` in flight, until all are acknowledged.
fn pipeline(client: &mut RawClient, each: impl IntoIterator<Item = PublishPacket>) {
    let (mut each, mut open) = (each.into_iter().fuse(), 0);
    loop {
        while open < 500 {
            let Some(publish) = each.next() else { break };
            client.send_publish(publish);
            open += 1;
        }
        if open == 0 {
            return;
        }
        let ack = client.wait_for("PUBACK", |packet| match packet {
            Packet::Ack(ack) if ack.kind == AckKind::PubAck => Some(ack.clone()),
            _ => None,
        });
        assert!(ack.reason < 0x80, "{ack:?}");
        open -= 1;
    }
}

/// What a new subscriber to `filter` is sent with the RETAIN flag, up to an end that is published then.
fn all_retained(broker: &Broker, filter: &str) -> Vec<Publish> {
    let mut late = RawClient::clean(broker, V5, "late");
    late.subscribe("end/of/it", 0);
    late.subscribe(filter, 1);
    let mut all = Vec::new();
    // A subscription that is being sent very much may still be when a ping is answered.
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(700) {
        let more = late.publishes_so_far();
        if !more.is_empty() {
            quiet = Instant::now();
        }
        more.iter().for_each(|publish| late.acknowledge(publish));
        all.extend(more);
        thread::sleep(Duration::from_millis(5));
    }
    late.disconnect();
    assert!(all.iter().all(|publish| publish.retain));
    all
}

fn texts(all: &[Publish]) -> BTreeMap<String, String> {
    let of = |publish: &Publish| (publish.topic.clone(), publish.text().to_owned());
    let by_topic: BTreeMap<_, _> = all.iter().map(of).collect();
    assert_eq!(by_topic.len(), all.len(), "a topic has one retained message");
    by_topic
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.map(|(topic, text)| (topic.to_owned(), text.to_owned())).into()
}

#[test]
fn a_retained_message_that_was_acknowledged_survives_kill_9() {
    // Goal: at PUBACK and PUBCOMP it is durable, on both engines of ordinary topics, with its QoS and properties; the last one of a topic is there.
    for engine in ["native", "rumqttd"] {
        let mut broker = Broker::with_config(&format!("[router]\nengine = \"{engine}\"\n"));
        for (version, qos) in [(V5, 1), (Version::V311, 2), (V5, 2), (Version::V311, 1)] {
            let mut alice = RawClient::clean(&broker, version, "alice");
            let topic = format!("home/{qos}/{}", version.level());
            retain(&mut alice, &topic, "before", qos);
            retain(&mut alice, &topic, "after", qos);
            broker.crash_and_restart();
        }
        let mut alice = RawClient::clean(&broker, V5, "alice");
        let full = retained("home/full", "x", 1).props(
            Props::new()
                .bytes(property::CONTENT_TYPE, "text/plain")
                .user("room", "kitchen"),
        );
        alice.publish_packet(full);
        broker.crash_and_restart();
        let all = all_retained(&broker, "#");
        assert_eq!(all.len(), 5, "{engine}");
        let full = all.iter().find(|publish| publish.topic == "home/full").unwrap();
        assert_eq!(full.props.text(property::CONTENT_TYPE), Some("text/plain"));
        assert_eq!(full.props.user("room"), Some("kitchen"));
        assert!(
            all.iter()
                .filter(|p| p.topic != "home/full")
                .all(|p| p.text() == "after")
        );
    }
}

#[test]
fn a_topic_whose_clearing_was_acknowledged_stays_clear_after_kill_9() {
    // Goal: MQTT-3.3.1-6: an empty retained message removes the record, too, and clearing what is clear is acknowledged when that is durable.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for topic in ["a/1", "a/2", "a/3"] {
        retain(&mut alice, topic, "x", 1);
    }
    // The second one finds nothing, and the first need not be durable: the publisher of either is told when it is.
    alice.send_publish(retained("a/1", "", 0));
    retain(&mut alice, "a/1", "", 1);
    retain(&mut alice, "a/2", "", 2);
    broker.crash_and_restart();
    assert_eq!(texts(&all_retained(&broker, "a/#")), map([("a/3", "x")]));
}

#[test]
fn retained_messages_of_every_kind_survive_an_orderly_restart() {
    // Goal: QoS 0, and a will, which nobody waits for, are kept as well.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    retain(&mut alice, "a/qos0", "x", 0);
    let mut will = Will::new("a/will", "gone");
    will.retain = true;
    let (bob, _) = RawClient::connect(&broker, &Connect::new(V5, "bob").will(will));
    bob.vanish();
    alice.subscribe("a/will", 0);
    assert_eq!(alice.receive().text(), "gone");
    assert_eq!(broker.terminate().code, Some(0));
    broker.restart();
    assert_eq!(
        texts(&all_retained(&broker, "a/#")),
        map([("a/qos0", "x"), ("a/will", "gone")])
    );
}

#[test]
fn a_retained_message_expires_by_the_age_of_the_store_also_over_a_crash() {
    // Goal: MQTT-3.3.2-5: the seconds before the crash and while the broker is down count; what is left is told (MQTT-3.3.2-6).
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for (topic, seconds) in [("a/short", 3), ("a/long", 1_000)] {
        let expiry = Props::new().four(property::MESSAGE_EXPIRY, seconds);
        alice.publish_packet(retained(topic, "x", 1).props(expiry));
    }
    assert_eq!(all_retained(&broker, "a/+").len(), 2);
    broker.kill9();
    thread::sleep(Duration::from_millis(3_500));
    broker.restart();
    let all = all_retained(&broker, "a/+");
    assert_eq!(texts(&all), map([("a/long", "x")]));
    let left = all[0].props.number(property::MESSAGE_EXPIRY).unwrap();
    assert!((900..1_000).contains(&left), "{left}");
}

#[test]
fn a_restored_backup_has_the_retained_messages() {
    // Goal: a backup has what was acknowledged before it was taken; what came later is not there after it is restored.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    retain(&mut alice, "a/kept", "before", 1);
    retain(&mut alice, "a/gone", "x", 1);
    retain(&mut alice, "a/gone", "", 1);
    broker.kill9();
    let file = broker.data().with_file_name("all.backup");
    succeeds(&broker.run_on_data(&["backup", file.to_str().unwrap()]));
    broker.restart();
    retain(&mut RawClient::clean(&broker, V5, "alice"), "a/kept", "after", 1);
    broker.kill9();
    std::fs::rename(broker.data(), broker.data().with_file_name("before")).unwrap();
    succeeds(&broker.run_on_data(&["restore", file.to_str().unwrap()]));
    broker.restart();
    assert_eq!(texts(&all_retained(&broker, "a/#")), map([("a/kept", "before")]));
}

#[test]
fn twenty_thousand_retained_messages_come_back_whole_to_a_wildcard() {
    // Goal: after kill -9 a subscriber to `#` gets each once, in order, although the memory for them holds a few, and although it is slow.
    let mut broker = Broker::with_config("[router]\nretained_cache_bytes = \"200KiB\"\n");
    let mut alice = RawClient::clean(&broker, V5, "alice");
    let text = |n: usize| format!("{n} {:>200}", "x");
    let topic = |n: usize| format!("many/{:02}/{n:05}", n % 100);
    pipeline(&mut alice, (0..20_000).map(|n| retained(&topic(n), &text(n), 1)));
    broker.crash_and_restart();
    let all = all_retained(&broker, "#");
    assert!(all.is_sorted_by(|a, b| a.topic < b.topic), "each comes once, in order");
    let expected: BTreeMap<_, _> = (0..20_000).map(|n| (topic(n), text(n))).collect();
    assert!(texts(&all) == expected, "{} came", all.len());
    assert_eq!(all_retained(&broker, "many/07/+").len(), 200);
}

#[test]
fn a_flood_of_retained_messages_with_qos_0_waits_for_the_disk() {
    // Goal: what nobody waits for does not pile up: the publisher is read from more slowly, nothing is lost, and the last one is there.
    let mut broker = Broker::with_config("[store]\nuncommitted_bytes_max = \"64KiB\"\n");
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for n in 0..3_000 {
        alice.send_publish(retained("a/b", &format!("{n} {}", "x".repeat(2_000)), 0));
    }
    retain(&mut alice, "a/end", "x", 1);
    broker.crash_and_restart();
    let all = all_retained(&broker, "a/+");
    assert_eq!(all.len(), 2);
    assert!(all[0].text().starts_with("2999 "));
}

#[test]
fn a_damaged_retained_message_costs_no_other() {
    // Goal: the broker starts, names it in its log, and has the others; publishing again puts it right.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, V5, "alice");
    retain(&mut alice, "a/1", "x", 1);
    retain(&mut alice, "a/2", "x", 1);
    assert_eq!(broker.terminate().code, Some(0));
    let store = open_store(&broker.data(), &StoreOptions::default()).unwrap();
    let damaged = TableChange {
        table: Table::RETAINED,
        key: TableKey::new(&b"a/2"[..]).unwrap(),
        value: Some((&b"\x01no message"[..]).into()),
    };
    let batch = Batch {
        tables: vec![damaged],
        ..Batch::default()
    };
    store.commit(&batch).unwrap();
    store.close().unwrap();
    drop(store);
    broker.restart();
    broker.wait_for_log("a retained message is damaged");
    assert!(broker.stderr().contains("a/2"));
    assert_eq!(texts(&all_retained(&broker, "a/#")), map([("a/1", "x")]));
    retain(&mut RawClient::clean(&broker, V5, "alice"), "a/2", "y", 1);
    broker.crash_and_restart();
    assert_eq!(texts(&all_retained(&broker, "a/#")), map([("a/1", "x"), ("a/2", "y")]));
}
