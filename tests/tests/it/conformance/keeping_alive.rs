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
    // came in.
    for version in Version::BOTH {
        let broker = Broker::start();
        let mut bob = RawClient::clean(&broker, Version::V5, "bob");
        bob.subscribe("a/b", 0);
        let (mut client, _) = RawClient::connect(&broker, &Connect::new(version, "pieces").keep_alive(1));
        let bytes = PublishPacket::new("a/b", "x", 0, 0).encode(version);
        for _ in 0..4 {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            client.send(first);
            thread::sleep(Duration::from_millis(900));
            client.send(second);
            assert_eq!(bob.texts(1), ["x"]);
        }
        client.ping();
    }
}

#[test]
fn the_longest_keep_alive_holds_for_both_versions() {
    // Goal: MQTT-3.1.2-22, MQTT-3.1.2-24 of 3.1.1 with `mqtt.keep_alive_max` = 1 s: MQTT 5 is told by Server Keep
    // Alive, MQTT 3.1.1 cannot be told; whoever asked for more, or for none, is closed after one and a half seconds
    // of silence, and whoever sends packets is not.
    let broker = Broker::with_config("[mqtt]\nkeep_alive_max = \"1s\"\n");
    for version in Version::BOTH {
        for keep_alive in [0, 600] {
            let (mut client, connack) =
                RawClient::connect(&broker, &Connect::new(version, "silent").keep_alive(keep_alive));
            let told = (version == Version::V5).then_some(1);
            assert_eq!(connack.props.number(property::SERVER_KEEP_ALIVE), told);
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(700));
                client.ping();
            }
            let started = Instant::now();
            client.expect_disconnect(&[0x8d]);
            assert!(
                started.elapsed() >= Duration::from_millis(1400),
                "after {:?} already",
                started.elapsed()
            );
        }
        let (_, connack) = RawClient::connect(&broker, &Connect::new(version, "granted").keep_alive(1));
        assert_eq!(connack.props.number(property::SERVER_KEEP_ALIVE), None);
    }
    broker.wait_for_log("mqtt.keep_alive_max");
}
