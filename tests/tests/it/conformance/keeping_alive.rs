//! Keep alive: whole packets count, and the broker's limit holds for everybody.

use std::thread;
use std::time::{Duration, Instant};

use inbox_tests::{Broker, Connect, PublishPacket, RawClient, Version, property};

#[test]
fn bytes_that_trickle_in_keep_nobody_alive() {
    // Goal: MQTT-3.1.2-22, MQTT-3.1.2-24 of 3.1.1: a packet that never ends is no packet. One byte of a PUBLISH every
    // 200 ms, at keep alive 1: the close comes after one and a half seconds, and not when the client stops.
    for version in Version::BOTH {
        let broker = Broker::start();
        let (mut client, _) = RawClient::connect(&broker, &Connect::new(version, "slow").keep_alive(1));
        let bytes = PublishPacket::new("a/b", "x".repeat(10_000), 0, 0).encode(version);
        let started = Instant::now();
        let mut sent = 0;
        while started.elapsed() < Duration::from_secs(5) {
            client.send_despite_close(&bytes[sent..=sent]);
            sent += 1;
            thread::sleep(Duration::from_millis(200));
        }
        client.expect_disconnect(&[0x8d]);
        assert!(sent < bytes.len());
    }
}

#[test]
fn packets_in_pieces_keep_a_client_alive() {
    // Goal: MQTT-3.1.2-22, the other side: a packet that is finished within the time counts, however many pieces it
    // came in. Eight seconds at keep alive 4 are more than the allowed silence of six, each packet takes two.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe("a/b", 0);
    let mut clients = Version::BOTH.map(|version| {
        let connect = Connect::new(version, &format!("pieces-{version:?}")).keep_alive(4);
        let bytes = PublishPacket::new("a/b", "x", 0, 0).encode(version);
        (RawClient::connect(&broker, &connect).0, bytes)
    });
    for _ in 0..4 {
        for (client, bytes) in &mut clients {
            client.send(&bytes[..bytes.len() / 2]);
        }
        thread::sleep(Duration::from_secs(2));
        for (client, bytes) in &mut clients {
            client.send(&bytes[bytes.len() / 2..]);
            assert_eq!(bob.texts(1), ["x"]);
        }
    }
    for (client, _) in &mut clients {
        client.ping();
    }
}

#[test]
fn the_longest_keep_alive_holds_for_both_versions() {
    // Goal: MQTT-3.1.2-22, MQTT-3.1.2-24 of 3.1.1 with `mqtt.keep_alive_max` = 3 s: MQTT 5 is told by Server Keep
    // Alive, MQTT 3.1.1 cannot be told; whoever asked for more, or for none, is closed after four and a half seconds
    // of silence, and whoever sends packets is not.
    let broker = Broker::with_config("[mqtt]\nkeep_alive_max = \"3s\"\n");
    let mut clients = Vec::new();
    for version in Version::BOTH {
        for keep_alive in [0, 600] {
            let id = format!("silent-{version:?}-{keep_alive}");
            let (client, connack) = RawClient::connect(&broker, &Connect::new(version, &id).keep_alive(keep_alive));
            let told = (version == Version::V5).then_some(3);
            assert_eq!(connack.props.number(property::SERVER_KEEP_ALIVE), told);
            clients.push(client);
        }
        let (_, connack) = RawClient::connect(&broker, &Connect::new(version, "granted").keep_alive(3));
        assert_eq!(connack.props.number(property::SERVER_KEEP_ALIVE), None);
    }
    let mut started = Instant::now();
    for _ in 0..6 {
        thread::sleep(Duration::from_secs(1));
        started = Instant::now();
        clients.iter_mut().for_each(RawClient::ping);
    }
    for client in &mut clients {
        client.expect_disconnect(&[0x8d]);
        let lived = started.elapsed();
        assert!(lived >= Duration::from_millis(4500), "after {lived:?} already");
    }
    broker.wait_for_log("mqtt.keep_alive_max");
}
