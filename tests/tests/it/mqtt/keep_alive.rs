//! Keep alive (section 3.1.2.10).

use std::thread;
use std::time::{Duration, Instant};

use inbox_tests::{Broker, Connect, RawClient, Version};

#[test]
fn a_silent_client_is_closed_after_one_and_a_half_times_the_keep_alive() {
    // Goal: MQTT-3.1.2-22: not before 1.5 s at keep alive 1, and 0x8D in MQTT 5. The upper bound is the deadline.
    for version in Version::BOTH {
        let broker = Broker::start();
        let started = Instant::now();
        let (mut client, _) = RawClient::connect(&broker, &Connect::new(version, "silent").keep_alive(1));
        client.expect_disconnect(&[0x8d]);
        let lived = started.elapsed();
        assert!(lived >= Duration::from_millis(1500), "closed after {lived:?} already");
    }
}

#[test]
fn any_packet_keeps_a_client_alive() {
    // Goal: PINGREQ and PUBLISH count (section 3.1.2.10): nine seconds at keep alive 3 are twice the allowed silence.
    let broker = Broker::start();
    let (mut client, _) = RawClient::connect(&broker, &Connect::new(Version::V311, "alive").keep_alive(3));
    for i in 0..9 {
        thread::sleep(Duration::from_secs(1));
        if i % 2 == 0 {
            client.ping()
        } else {
            client.publish("a/b", "x", 0)
        }
    }
    client.ping();
}

#[test]
fn keep_alive_0_turns_it_off() {
    // Goal: section 3.1.2.10: a client with keep alive 0 is served after it was silent for a while.
    let broker = Broker::start();
    let mut clients: Vec<_> = Version::BOTH
        .map(|version| RawClient::clean(&broker, version, &format!("{version:?}")))
        .into();
    thread::sleep(Duration::from_secs(3));
    clients.iter_mut().for_each(RawClient::ping);
}

#[test]
fn what_the_broker_sends_does_not_keep_a_client_alive() {
    // Goal: only the client's packets count (MQTT-3.1.2-22), however busy its inbox is.
    let broker = Broker::start();
    let (mut bob, _) = RawClient::connect(&broker, &Connect::new(Version::V5, "bob").keep_alive(1));
    bob.subscribe("bob", 0);
    let stop = Instant::now() + Duration::from_secs(4);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    while Instant::now() < stop {
        alice.publish("bob", "noise", 0);
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(bob.wait_for_disconnect().0, 0x8d);
}
