//! How much a client may take (`[quota]`).

use inbox_tests::{AckKind, Broker, Connect, PublishPacket, RawClient, Version, wait_until};

/// Connects, and gives what CONNACK says.
fn connect(broker: &Broker, version: Version, id: &str) -> (RawClient, u8) {
    let mut client = RawClient::open(broker, version);
    client.send(&Connect::new(version, id).encode());
    let code = client.connack().code;
    (client, code)
}

#[test]
fn an_address_with_too_many_connections_is_told_so() {
    // Goal: one connection more than quota.connections_per_address allows is told by CONNACK 0x97 (MQTT 3.1.1: 3), and closed; when another one
    // has gone, a client is let in again.
    let broker = Broker::with_config("[quota]\nconnections_per_address = 2\n");
    for version in Version::BOTH {
        let mut held = Vec::new();
        wait_until("two clients are let in", || {
            let (client, code) = connect(&broker, version, &format!("client-{}", held.len()));
            held.extend((code == 0).then_some(client));
            held.len() == 2
        });
        let (mut third, code) = connect(&broker, version, "third");
        assert_eq!(code, if version == Version::V5 { 0x97 } else { 3 });
        third.expect_close();
        drop((third, held.pop()));
        wait_until("a place that was left is free", || {
            connect(&broker, version, "again").1 == 0
        });
    }
    broker.wait_for_log("quota.connections_per_address");
}

#[test]
fn an_address_that_connects_too_fast_is_told_so() {
    // Goal: quota.connects_per_second: of 20 connections one after the other some are let in, and some are told 0x9F (MQTT 3.1.1: 3).
    let broker = Broker::with_config("[quota]\nconnects_per_second = 1\n");
    for version in Version::BOTH {
        let refusal = if version == Version::V5 { 0x9F } else { 3 };
        wait_until("a client is let in", || connect(&broker, version, "client").1 == 0);
        let codes: Vec<u8> = (0..20).map(|_| connect(&broker, version, "client").1).collect();
        assert!(codes.contains(&refusal), "{codes:?}");
        assert!(codes.iter().all(|code| [0, refusal].contains(code)), "{codes:?}");
    }
}

#[test]
fn who_publishes_too_fast_is_slowed_down_and_loses_nothing() {
    // Goal: 100 publishes at once where 50 a second are allowed: each is acknowledged, in order, and none is lost; the pace of one client
    // is not that of another.
    let broker = Broker::with_config("[quota]\npublishes_per_second = 50\n");
    for version in Version::BOTH {
        let mut alice = RawClient::clean(&broker, version, "alice");
        let mut bob = RawClient::reader(&broker, version, "bob", 1);
        let ids: Vec<u16> = (0..100)
            .map(|n: u32| alice.send_publish(PublishPacket::new("bob", n.to_string(), 1, 0)))
            .collect();
        RawClient::clean(&broker, version, "carol").publish("dave", "at once", 1);
        for id in ids {
            assert_eq!(alice.ack(AckKind::PubAck, id).packet_id, id);
        }
        let wanted: Vec<String> = (0..100).map(|n: u32| n.to_string()).collect();
        assert_eq!(bob.texts(100), wanted);
        alice.ping();
    }
}
