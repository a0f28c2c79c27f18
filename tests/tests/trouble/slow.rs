//! A disk whose syncs take long: PUBACKs of messages that must be written wait, and nothing else does.
//!
//! Compared is what happens between an event and another, not how long it takes: while one PUBACK is due, everything else is
//! asked for and comes.

use std::time::Duration;

use inbox_bridge::Engine;
use inbox_tests::power::{Disk, Mount};
use inbox_tests::{AckKind, Connect, Packet, PublishPacket, RawClient, Version};

use crate::broker_on;

/// Ended by the test, when it has seen what it came for.
const FOR_EVER: Duration = Duration::from_secs(3600);

#[test]
fn while_a_sync_hangs_only_pubacks_of_stored_messages_wait() {
    // Goal: with a PUBACK outstanding because of a sync: 50 pings are answered, new clients of both versions connect and
    // subscribe, 50 messages travel between online clients with QoS 0, 1 and 2 and are acknowledged (contract rule 3: the
    // reader's acknowledgement is enough), stored mail is replayed, and ordinary topics work.
    let mount = Mount::new(&Disk::new());
    let broker = broker_on(&mount, Engine::Sled, "1m");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for i in 0..20 {
        alice.publish("carol", format!("stored {i}"), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 2);
    let mut dora = RawClient::reader(&broker, Version::V311, "dora", 1);

    mount.disk().delay_syncs(FOR_EVER);
    let waiting = alice.send_publish(PublishPacket::new("absent", "must be on disk", 1, 0));
    for _ in 0..50 {
        alice.ping();
    }
    let mut erin = RawClient::clean(&broker, Version::V311, "erin");
    for i in 0..50 {
        let qos = (i % 3) as u8;
        let text = format!("live {i}");
        let packet = erin.send_publish(PublishPacket::new("bob", &text, qos, 0));
        let message = bob.receive();
        assert_eq!(message.text(), text);
        bob.acknowledge(&message);
        finish(&mut erin, qos, packet);
        erin.publish("dora", &text, 0);
        assert_eq!(dora.receive().text(), text);
    }
    for version in Version::BOTH {
        let (mut late, _) = RawClient::connect(&broker, &Connect::new(version, "late"));
        late.subscribe("late", 1);
        late.subscribe("news/#", 0);
        late.publish("news/today", "ordinary", 1);
        assert_eq!(late.receive().text(), "ordinary");
    }
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    for i in 0..20 {
        assert_eq!(carol.receive_and_ack().text(), format!("stored {i}"));
    }
    alice.expect_nothing();

    mount.disk().delay_syncs(Duration::ZERO);
    assert_eq!(alice.ack(AckKind::PubAck, waiting).reason, 0);
    let mut absent = RawClient::reader(&broker, Version::V5, "absent", 1);
    assert_eq!(absent.texts(1), ["must be on disk"]);
}

#[test]
fn deliveries_do_not_wait_for_a_sync_that_hangs() {
    // Goal: a reader that does not acknowledge gets its messages all the same (the commit follows, the PUBACK waits for it).
    let mount = Mount::new(&Disk::new());
    let broker = broker_on(&mount, Engine::Sled, "1m");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    mount.disk().delay_syncs(FOR_EVER);
    let ids: Vec<u16> = (0..80)
        .map(|i| alice.send_publish(PublishPacket::new("bob", i.to_string(), 1, 0)))
        .collect();
    for i in 0..80 {
        assert_eq!(bob.receive().text(), i.to_string());
    }
    alice.expect_nothing();
    mount.disk().delay_syncs(Duration::ZERO);
    for id in ids {
        assert_eq!(alice.ack(AckKind::PubAck, id).reason, 0);
    }
}

#[test]
fn while_syncs_hang_the_pings_overtake_the_pubacks() {
    // Goal: what a very slow disk looks like. Two messages one after the other, each with a sync that takes as long as the test wants: pings that
    // are sent after a message are answered before it, and both messages are acknowledged in the end.
    let mount = Mount::new(&Disk::new());
    let broker = broker_on(&mount, Engine::Sled, "1m");
    let mut alice = RawClient::clean(&broker, Version::V311, "alice");
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    for round in 0..2 {
        mount.disk().delay_syncs(FOR_EVER);
        let id = alice.send_publish(PublishPacket::new("absent", round.to_string(), 1, 0));
        for _ in 0..20 {
            alice.send(&inbox_tests::ping());
            bob.ping();
        }
        for _ in 0..20 {
            let answer = alice.next();
            assert!(matches!(answer, Packet::PingResp), "alice got {answer:?}");
        }
        mount.disk().delay_syncs(Duration::ZERO);
        assert_eq!(alice.ack(AckKind::PubAck, id).reason, 0);
    }
    let mut absent = RawClient::reader(&broker, Version::V5, "absent", 1);
    assert_eq!(absent.texts(2), ["0", "1"]);
}

fn finish(client: &mut RawClient, qos: u8, packet: u16) {
    match qos {
        0 => {}
        1 => assert_eq!(client.ack(AckKind::PubAck, packet).reason, 0),
        _ => {
            assert_eq!(client.ack(AckKind::PubRec, packet).reason, 0);
            client.send(&inbox_tests::pubrel(packet));
            client.ack(AckKind::PubComp, packet);
        }
    }
}
