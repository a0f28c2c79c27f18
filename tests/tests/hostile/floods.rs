//! Floods of what every client may do a little of.

use std::thread;

use inbox_tests::{
    AckKind, Broker, Packet, Props, PublishPacket, RawClient, Version, packet, string, subscribe, unsubscribe,
};

use crate::{Service, memory_kib, size, took_at_most};

#[test]
fn subscription_storms_are_bounded() {
    // Goal: clients that subscribe to and unsubscribe from filter after filter, and with thousands of filters in one packet,
    // some of 60,000 bytes: limits per session hold, everything is answered, and what is unsubscribed is forgotten.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    thread::scope(|scope| {
        for n in 0..4 {
            let broker = &broker;
            scope.spawn(move || storm(broker, n));
        }
        for _ in 0..10 {
            service.goes_on();
        }
    });
    took_at_most(&broker, before, 128);
    service.end();
}

fn storm(broker: &Broker, n: usize) {
    let version = Version::BOTH[n % 2];
    let mut client = RawClient::clean(broker, version, &format!("stormer-{n}"));
    for round in 0..size(300, 10_000) {
        let filter = format!("storm/{n}/{round}/+/#");
        assert_eq!(client.subscribe(&filter, 1).codes.len(), 1);
        client.unsubscribe(&filter);
    }
    for _ in 0..size(3, 50) {
        let mut body = vec![0, 1];
        if version == Version::V5 {
            body.push(0);
        }
        let long = "x".repeat(60_000);
        let filters = (0..5000)
            .map(|i| format!("many/{n}/{i}/#"))
            .chain((0..5).map(|i| format!("{i}/{long}")));
        for filter in filters {
            body.extend(string(filter));
            body.push(1);
        }
        client.send(&packet(0x82, &body));
        let codes = client.wait_for("SUBACK", |packet| match packet {
            Packet::SubAck(suback) => Some(suback.codes.len()),
            _ => None,
        });
        assert_eq!(codes, 5005, "each filter is answered");
    }
    // Without waiting for an answer, and the same filter.
    for _ in 0..1000 {
        client.send(&subscribe(version, 7, "storm/same", 0, &Props::new()));
        client.send(&unsubscribe(version, 8, "storm/same"));
    }
    client.ping();
}

#[test]
fn publishing_to_very_many_inboxes_costs_no_memory_for_each() {
    // Goal: an inbox costs disk, and no memory once it is idle: after publishes to 50,000 inboxes of clients
    // that do not exist (a million in the soak) the memory is bounded by the caches, and the messages are there.
    let inboxes = size(50_000, 1_000_000);
    let publishers = 4;
    let broker = Broker::with_config("[store]\ncache_bytes = \"32MiB\"\n");
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    thread::scope(|scope| {
        for publisher in 0..publishers {
            let broker = &broker;
            scope.spawn(move || {
                let version = Version::BOTH[publisher % 2];
                let mut client = RawClient::clean(broker, version, &format!("sprayer-{publisher}"));
                let mut sent = (publisher..inboxes).step_by(publishers).map(|n| {
                    // Spread over the keys, and to be found again.
                    (n, format!("victim-{:08x}-{n}", (n as u32).wrapping_mul(2_654_435_761)))
                });
                let mut in_flight = std::collections::VecDeque::new();
                loop {
                    while in_flight.len() < 200 {
                        let Some((n, inbox)) = sent.next() else { break };
                        in_flight.push_back(client.send_publish(PublishPacket::new(inbox, n.to_string(), 1, 0)));
                    }
                    let Some(id) = in_flight.pop_front() else { break };
                    assert_eq!(client.ack(AckKind::PubAck, id).reason, 0);
                }
            });
        }
        service.goes_on();
    });
    service.goes_on();
    // With a KiB for each it would be 50 MiB more than the cache.
    took_at_most(&broker, before, size(72, 320));
    for n in [0, 1, inboxes / 2, inboxes - 1] {
        let name = format!("victim-{:08x}-{n}", (n as u32).wrapping_mul(2_654_435_761));
        let mut reader = RawClient::reader(&broker, Version::V311, &name, 1);
        assert_eq!(reader.texts(1), [n.to_string()]);
    }
    service.end();
}
