//! Memory follows what is configured, not how many clients do not read: many of each kind, and the broker's resident memory.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use inbox_tests::{
    AckKind, Broker, BrokerOptions, Connect, Props, PublishPacket, RawClient, Version, Will, subscribe, wait_until,
};

use crate::{Service, memory_kib, size, took_at_most};

/// What these tests send mostly: as large as `mqtt.message_bytes_max` allows, nearly.
const LARGE: usize = 1_000_000;

/// Clients that have sent CONNECT and SUBSCRIBE to `filter`, and never read.
fn deaf(broker: &Broker, number: usize, filter: impl Fn(usize) -> String, qos: impl Fn(usize) -> u8) -> Vec<TcpStream> {
    let clients = (0..number).map(|n| {
        let mut stream = broker.socket("mqtt");
        let version = Version::BOTH[n % 2];
        let subscription = subscribe(version, 1, filter(n), qos(n), &Props::new());
        let connect = Connect::new(version, &format!("deaf-{n}")).encode();
        stream.write_all(&[connect, subscription].concat()).unwrap();
        stream
    });
    clients.collect()
}

/// Publishes `payload` to `topic` and waits for the answer, which is a success.
fn send(client: &mut RawClient, topic: &str, payload: &[u8]) {
    client.publish(topic, payload, 1);
}

#[test]
fn readers_that_take_no_bytes_hold_one_message_each() {
    // Goal: 60 readers (200 in the soak) that attach and never read from their sockets, with 12 messages of 1 MB each, with QoS 0, 1
    // and 2 granted: each holds one message, the rest is in the store, and is there in order for a reader that reads.
    let readers = size(60, 200);
    let broker = Broker::with_config("[store]\ncache_bytes = \"32MiB\"\n");
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let streams = deaf(&broker, readers, |n| format!("deaf-{n}"), |n| (n % 3) as u8);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let rest = vec![b'x'; LARGE];
    for round in 0..12 {
        for n in 0..readers {
            send(
                &mut alice,
                &format!("deaf-{n}"),
                &[round.to_string().as_bytes(), b" ", &rest].concat(),
            );
        }
        service.goes_on();
    }
    // One message each; the engine's cache, the log's index (128 MiB) and what waits for the disk come on top.
    took_at_most(&broker, before, readers + 400);
    drop(streams);
    let mut reader = RawClient::reader(&broker, Version::V5, "deaf-40", 1);
    for round in 0..12 {
        let text = reader.receive_and_ack();
        assert!(
            text.text().starts_with(&format!("{round} ")),
            "round {round} is missing"
        );
    }
    service.end();
}

#[test]
fn a_reader_that_takes_its_bytes_slowly_gets_all_of_them() {
    // Goal: rule 4: what is held back because the client has not taken its bytes follows when it does: 40 messages of 300,000
    // bytes, of which the client reads one now and then, with a window that has room for all.
    let broker = Broker::start();
    let mut reader = RawClient::reader(&broker, Version::V5, "slow", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let rest = vec![b'x'; 300_000];
    for round in 0..40 {
        send(
            &mut alice,
            "slow",
            &[round.to_string().as_bytes(), b" ", &rest].concat(),
        );
    }
    let mut unacknowledged = Vec::new();
    for round in 0..40 {
        if round % 10 == 0 {
            thread::sleep(Duration::from_millis(50));
        }
        let publish = reader.receive();
        assert!(
            publish.text().starts_with(&format!("{round} ")),
            "round {round} is missing"
        );
        unacknowledged.push(publish);
    }
    for publish in &unacknowledged {
        reader.acknowledge(publish);
    }
    reader.ping();
    reader.expect_nothing();
}

#[test]
fn ordinary_messages_for_clients_that_do_not_read_are_bounded_by_bytes() {
    // Goal: 20 subscribers (200 in the soak) to topics of their own, QoS 1, that never read, and 40 messages of 1 MB for each:
    // a session keeps `mqtt.queue_bytes_max` of them that wait, and as many that it has not acknowledged.
    let readers = size(20, 200);
    let broker = Broker::with_config("[mqtt]\nqueue_bytes_max = \"2MiB\"\n");
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let streams = deaf(&broker, readers, |n| format!("deaf/{n}"), |_| 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = vec![b'x'; LARGE];
    for _ in 0..40 {
        for n in 0..readers {
            send(&mut alice, &format!("deaf/{n}"), &payload);
        }
    }
    service.goes_on();
    took_at_most(&broker, before, 7 * readers + 64);
    drop(streams);
    service.end();
}

#[test]
fn one_ordinary_message_for_many_is_in_memory_once() {
    // Goal: 100 subscribers of one topic that never read: what waits for all of them is shared.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let streams = deaf(&broker, 100, |_| "deaf/all".into(), |_| 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = vec![b'x'; LARGE];
    for _ in 0..30 {
        send(&mut alice, "deaf/all", &payload);
    }
    service.goes_on();
    // One encoded for each, and 16 that wait; beyond, they are dropped.
    took_at_most(&broker, before, 100 * 2 + 64);
    drop(streams);
    service.end();
}

#[test]
fn retained_messages_for_clients_that_do_not_read_are_in_memory_once() {
    // Goal: 60 retained messages of 1 MB, and 60 subscribers (200 in the soak) to all of them that never read.
    let readers = size(60, 200);
    let broker = Broker::start();
    let service = Service::start(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = vec![b'x'; LARGE];
    let before = memory_kib(&broker);
    for n in 0..60 {
        alice.publish_packet(PublishPacket::new(format!("kept/{n}"), &payload, 1, 0).retain());
    }
    let streams = deaf(&broker, readers, |_| "kept/#".into(), |_| 1);
    service.goes_on();
    took_at_most(&broker, before, 60 + 2 * readers + 64);
    drop(streams);
    service.end();
}

#[test]
fn qos_2_halves_hold_no_payloads() {
    // Goal: 50 sessions (500 in the soak), each with 1,000 publishes of 1,000 bytes that are received and never released, and with a
    // message that it was sent and never completed: what is kept of a half is its packet identifier.
    let sessions = size(50, 500);
    // What is durable of a session is in the store's memory until its next checkpoint, which is a limit of its own.
    let broker = Broker::start_with(BrokerOptions {
        config: Some("[mqtt]\ndurable_sessions = false\n".to_owned()),
        ..BrokerOptions::default()
    });
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let payload = vec![b'x'; 1000];
    let clients: Vec<RawClient> = (0..sessions)
        .map(|n| {
            let version = Version::BOTH[n % 2];
            let mut client = RawClient::connect(&broker, &Connect::persistent(version, &format!("half-{n}"))).0;
            client.subscribe(&format!("halves/{n}"), 2);
            client.send_publish(PublishPacket::new(format!("halves/{n}"), vec![b'y'; LARGE], 2, 0));
            let publish = client.receive();
            client.send(&inbox_tests::ack(0x50, publish.packet_id));
            for _ in 0..999 {
                let id = client.send_publish(PublishPacket::new("halves/nobody", &payload, 2, 0));
                assert_eq!(client.ack(AckKind::PubRec, id).packet_id, id);
            }
            client
        })
        .collect();
    service.goes_on();
    // 100 KiB for a session; with the messages it would be 2 MB.
    took_at_most(&broker, before, sessions / 10 + 64);
    drop(clients);
    service.end();
}

#[test]
fn wills_of_many_clients_take_their_own_size() {
    // Goal: 500 clients (5,000 in the soak) with a will of 60,000 bytes: a will costs its bytes, once more while it is in the store's memory, and no more.
    let number = size(500, 5000);
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let clients: Vec<RawClient> = (0..number)
        .map(|n| {
            let mut will = Will::new("w/x", "");
            will.payload = vec![b'x'; 60_000];
            RawClient::connect(
                &broker,
                &Connect::new(Version::BOTH[n % 2], &format!("willing-{n}")).will(will),
            )
            .0
        })
        .collect();
    service.goes_on();
    took_at_most(&broker, before, 2 * number * 60_000 / (1024 * 1024) + 32);
    drop(clients);
    service.end();
}

/// A broker whose clients may make it keep about 100 MiB.
fn short_of_memory() -> Broker {
    Broker::with_config("[memory]\nbudget = \"192MiB\"\n[store]\ncache_bytes = \"64MiB\"\n")
}

#[test]
fn packets_that_are_not_whole_take_a_part_of_the_budget() {
    // Goal: 300 clients (3,000 in the soak), a third of which never finish CONNECT, send 1 MB of a packet that has more: they
    // take a quarter of the budget, those beyond are closed, and others are served.
    let broker = short_of_memory();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let mut will = Will::new("w/x", "");
    will.payload = vec![b'x'; 60_000];
    let mut connect = Connect::new(Version::V5, "never").will(will).encode();
    connect.truncate(60_000);
    let mut publish = PublishPacket::new("never/whole", vec![b'x'; LARGE], 1, 1).encode(Version::V5);
    publish.truncate(LARGE - 1);
    let mut clients: Vec<TcpStream> = Vec::new();
    for n in 0..size(300, 3000) {
        let mut stream = broker.socket("mqtt");
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let bytes = match n % 3 {
            0 => connect.clone(),
            _ => [
                Connect::new(Version::BOTH[n % 2], &format!("halver-{n}")).encode(),
                publish.clone(),
            ]
            .concat(),
        };
        // The broker may close it, or stop to read.
        let _ = stream.write_all(&bytes);
        clients.push(stream);
        if n % 50 == 0 {
            service.goes_on();
        }
    }
    service.goes_on();
    took_at_most(&broker, before, 128);
    drop(clients);
    service.end();
}

#[test]
fn the_budget_slows_down_then_refuses_and_then_goes_on() {
    // Goal: ordinary messages of 1 MB wait for subscribers that never read until the budget is used up: then a publish is refused
    // with 0x97, and a client is not let in; once the subscribers are gone, both are taken again.
    let broker = short_of_memory();
    let before = memory_kib(&broker);
    let streams = deaf(&broker, 40, |n| format!("deaf/{n}"), |_| 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = vec![b'x'; LARGE];
    let mut sent = 0;
    let refused = loop {
        let publish = PublishPacket::new(format!("deaf/{}", sent % 40), &payload, 1, 0);
        let answer = alice.publish_packet(publish).unwrap();
        if answer.reason >= 0x80 {
            break answer;
        }
        sent += 1;
        assert!(sent < 1000, "a thousand messages of 1 MB were taken");
    };
    assert_eq!(refused.reason, 0x97);
    broker.wait_for_log("memory is scarce");
    broker.wait_for_log("the memory budget is used up");
    let mut stranger = RawClient::open(&broker, Version::V5);
    stranger.send(&Connect::new(Version::V5, "stranger").encode());
    assert_eq!(stranger.connack().code, 0x97);
    took_at_most(&broker, before, 256);
    drop(streams);
    wait_until("the budget is free, because nobody holds anything", || {
        let publish = PublishPacket::new("deaf/0", &payload, 1, 0);
        alice.publish_packet(publish).unwrap().reason < 0x80
    });
    RawClient::clean(&broker, Version::V5, "stranger").ping();
}
