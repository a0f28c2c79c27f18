//! Clients that misuse their sockets: they never read, or announce what they never send.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use inbox_tests::{Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, subscribe};

use crate::{Service, memory_kib, size, took_at_most};

/// Writes until nothing has been taken for a second, or `max` bytes were, or the broker closed. What it takes is bounded by
/// the system's buffers when the broker has stopped to read.
fn flood(stream: &mut TcpStream, bytes: &[u8], max: usize, service: &Service) -> usize {
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut written = 0;
    while written < max {
        let at = written % bytes.len();
        match stream.write(&bytes[at..]) {
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => break,
        }
    }
    service.goes_on();
    written
}

fn connected(broker: &Broker, version: Version, name: &str) -> TcpStream {
    let mut stream = broker.socket("mqtt");
    stream.write_all(&Connect::new(version, name).encode()).unwrap();
    stream
}

#[test]
fn a_reader_that_never_reads_from_its_socket_is_bounded() {
    // Goal: 10 such readers of both versions, with QoS 0, 1 and 2 granted, and on an ordinary topic; 330 MB are sent to them.
    // The broker holds windows and no more; what has QoS 1 waits in the store, and is there for a reader that reads.
    let config = "[mqtt]\nin_flight_max = 10\nqueue_messages_max = 10\n[store]\ncache_bytes = \"16MiB\"\n";
    let broker = Broker::with_config(config);
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let deaf: Vec<TcpStream> = (0..10)
        .map(|n| {
            let version = Version::BOTH[n % 2];
            let name = format!("deaf-{n}");
            let mut stream = connected(&broker, version, &name);
            let qos = (n % 3) as u8;
            stream
                .write_all(&subscribe(version, 1, &name, qos, &Props::new()))
                .unwrap();
            stream
                .write_all(&subscribe(version, 2, "deaf/all", 1, &Props::new()))
                .unwrap();
            stream
        })
        .collect();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let payload = vec![b'x'; 300_000];
    let rounds = size(100, 1000);
    for round in 0..rounds {
        for n in 0..deaf.len() {
            alice.publish(
                &format!("deaf-{n}"),
                [round.to_string().as_bytes(), b" ", &payload].concat(),
                1,
            );
        }
        alice.publish("deaf/all", &payload, 0);
        if round % 10 == 0 {
            service.goes_on();
        }
    }
    // 10 windows of 10 messages are 30 MB. The store takes 128 MiB for what is in its log and about 100 MB for sled, however much
    // is in it.
    took_at_most(&broker, before, 300);
    drop(deaf);
    let mut reader = RawClient::reader(&broker, Version::V5, "deaf-1", 1);
    for round in 0..rounds {
        let text = reader.receive_and_ack();
        assert!(
            text.text().starts_with(&format!("{round} ")),
            "round {round} is missing"
        );
    }
    service.end();
}

#[test]
fn a_publisher_that_never_reads_its_pubacks_is_stopped() {
    // Goal: QoS 1 and 2, both versions: when nobody takes the PUBACKs the broker stops to read, or ends the connection because
    // the receive maximum is exceeded (MQTT 5: 0x93), instead of keeping answers without end. The same for PINGREQs.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    for version in Version::BOTH {
        for (qos, topic) in [(1, "greedy"), (2, "greedy"), (1, "greedy/ordinary")] {
            let mut bytes = Vec::new();
            for id in 1..=60_000 {
                bytes.extend(PublishPacket::new(topic, "x", qos, id).encode(version));
            }
            let mut stream = connected(&broker, version, "greedy publisher");
            flood(&mut stream, &bytes, size(2, 20) * bytes.len(), &service);
        }
        let mut stream = connected(&broker, version, "greedy pinger");
        let pings = inbox_tests::ping().repeat(100_000);
        let max = 64 * 1024 * 1024;
        let written = flood(&mut stream, &pings, max, &service);
        assert!(
            written < max,
            "pings were taken without end although nobody reads the answers"
        );
    }
    took_at_most(&broker, before, 128);
    service.end();
}

#[test]
fn packets_that_claim_256_megabytes_are_refused_at_once() {
    // Goal: a remaining length of 268,435,455 is over the limit whatever it is the length of, and nothing is set aside for it.
    // 100 clients, before and after CONNECT, with some MB behind it.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let junk = vec![0; 100_000];
    for n in 0..100 {
        let first = [0x10, 0x32, 0x82, 0xa2, 0x40, 0xf0][n % 6];
        let mut claim = vec![first, 0xff, 0xff, 0xff, 0x7f];
        claim.extend(&junk);
        let version = Version::BOTH[n / 2 % 2];
        if n % 2 == 0 {
            let mut client = RawClient::open(&broker, version);
            client.send_despite_close(&claim);
            while client.next_or_close().is_some() {}
        } else {
            let mut client = RawClient::clean(&broker, version, &format!("claimer-{n}"));
            client.send_despite_close(&claim);
            match client.next_or_close() {
                Some(Packet::Disconnect(reason, _)) => assert!([0x81, 0x82, 0x95].contains(&reason), "{reason:#04x}"),
                None => {}
                Some(other) => panic!("a claim of 256 MB was answered by {other:?}"),
            }
        }
    }
    service.goes_on();
    took_at_most(&broker, before, 32);
    service.end();
}

#[test]
fn packets_that_claim_what_is_allowed_and_never_come_are_bounded() {
    // Goal: 200 clients announce a PUBLISH of 1 MB, which is allowed, and send 10 bytes of it: the memory is for what came, and
    // not for what was announced.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let mut announced = PublishPacket::new("never", vec![b'x'; 1_000_000], 1, 1).encode(Version::V5);
    announced.truncate(10);
    let clients: Vec<RawClient> = (0..200)
        .map(|n| {
            let mut client = RawClient::clean(&broker, Version::V5, &format!("announcer-{n}"));
            client.send(&announced);
            client
        })
        .collect();
    service.goes_on();
    took_at_most(&broker, before, 32);
    drop(clients);
    service.end();
}
