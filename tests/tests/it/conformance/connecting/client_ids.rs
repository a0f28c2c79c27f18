//! Client IDs in CONNECT: those that must be allowed, those that are not, and those that the broker makes up.

use std::collections::HashSet;

use inbox_tests::{Broker, Connect, RawClient, Version, property};

use super::{V5, V311, check};

#[test]
fn client_ids_that_everybody_must_allow_are_allowed() {
    // Goal: MQTT-3.1.3-5, MQTT-3.1.3-2, MQTT-3.1.3-5 of 3.1.1, MQTT-3.1.3-2 of 3.1.1: letters and digits, 1 to 23 of
    // them; and two IDs that differ in case are two clients.
    let broker = Broker::start();
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let ids = ["a", "0", "Z", &all[..23], &all[23..46], &all[39..]];
    for version in Version::BOTH {
        for id in ids {
            RawClient::clean(&broker, version, id).disconnect();
        }
        let mut lower = RawClient::clean(&broker, version, "a");
        RawClient::clean(&broker, version, "A").ping();
        lower.ping();
    }
}

#[test]
fn client_ids_that_are_refused_are_told_so() {
    // Goal: MQTT-3.1.3-8, MQTT-3.1.3-8 of 3.1.1, MQTT-3.1.3-9 of 3.1.1, MQTT-3.1.3-7 of 3.1.1: too long, or empty
    // where MQTT 3.1.1 forbids it.
    let long = "x".repeat(1025);
    let mut unclean = Connect::new(V311, "");
    unclean.clean = false;
    check(&[
        ("too long", V311, Connect::new(V311, &long).encode(), Some(2)),
        ("too long", V5, Connect::new(V5, &long).encode(), Some(0x85)),
        ("empty, not clean", V311, unclean.encode(), Some(2)),
        ("empty, clean", V311, Connect::new(V311, "").encode(), Some(0)),
    ]);
}

#[test]
fn assigned_client_ids_are_new_and_told() {
    // Goal: MQTT-3.1.3-6, MQTT-3.1.3-7, MQTT-3.2.2-16, MQTT-3.1.3-6 of 3.1.1: each of twenty connections without an
    // ID is a client of its own, with clean start and without, and its session can be resumed under the name that it
    // was told.
    let broker = Broker::start();
    let mut names = HashSet::new();
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut connect = Connect::persistent(V5, "");
        connect.clean = n % 2 == 0;
        let (client, connack) = RawClient::connect(&broker, &connect);
        let name = connack
            .props
            .text(property::ASSIGNED_CLIENT_ID)
            .expect("the name is told")
            .to_owned();
        assert!(names.insert(name.clone()), "{name} was given twice");
        clients.push((client, name));
    }
    let (client, name) = clients.remove(0);
    client.disconnect();
    assert!(
        RawClient::connect(&broker, &Connect::persistent(V5, &name))
            .1
            .session_present
    );
    for _ in 0..2 {
        clients.push((RawClient::clean(&broker, V311, ""), String::new()));
    }
    clients.iter_mut().for_each(|(client, _)| client.ping());
}
