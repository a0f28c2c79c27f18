//! MQTT 3.1, the predecessor of 3.1.1: served as 3.1.1, with its differences.

use inbox_tests::{Broker, Packet, RawClient, Version, packet, string};

/// CONNECT of MQTT 3.1.
fn connect(level: u8, clean: bool, id: &str) -> Vec<u8> {
    let body = [string("MQIsdp"), vec![level, u8::from(clean) << 1, 0, 60], string(id)].concat();
    packet(0x10, &body)
}

fn client(broker: &Broker, clean: bool, id: &str) -> (RawClient, bool) {
    let mut client = RawClient::open(broker, Version::V311);
    client.send(&connect(3, clean, id));
    let connack = client.connack();
    assert_eq!(connack.code, 0, "{id}");
    (client, connack.session_present)
}

#[test]
fn a_client_of_mqtt_3_1_sends_reads_and_comes_back() {
    // Goal: mail and ordinary topics with QoS 1 and 2, a client ID of more than 23 characters as other brokers take it, and a session
    // that is resumed although its CONNACK cannot say so (3.1, section 3.2).
    let broker = Broker::start();
    let long = "a-device-with-a-rather-long-name-of-its-own";
    let (mut old, _) = client(&broker, false, long);
    assert_eq!(old.subscribe(long, 2).codes, [2]);
    assert_eq!(old.subscribe("a/b", 1).codes, [1]);
    let mut new = RawClient::clean(&broker, Version::V5, "new");
    new.publish(long, "mail", 2);
    assert_eq!(old.receive_and_ack().text(), "mail");
    old.publish("new", "answer", 1);
    new.subscribe("new", 1);
    assert_eq!(new.receive_and_ack().text(), "answer");
    old.disconnect();
    new.publish("a/b", "kept", 1);
    let (mut old, present) = client(&broker, false, long);
    assert!(!present, "the byte is reserved in 3.1");
    assert_eq!(old.receive_and_ack().text(), "kept");
}

#[test]
fn what_is_sent_again_may_have_dup_set() {
    // Goal: 3.1, section 2.1: SUBSCRIBE, UNSUBSCRIBE and PUBREL carry DUP when they are repeated. 3.1.1 calls that malformed.
    let broker = Broker::start();
    let (mut old, _) = client(&broker, true, "old");
    old.send(&packet(0x8a, &[vec![0, 9], string("a/b"), vec![1]].concat()));
    assert!(matches!(old.next(), Packet::SubAck(suback) if suback.codes == [1]));
    old.send(&packet(0x6a, &[0, 5]));
    assert!(matches!(old.next(), Packet::Ack(_)));
    let mut strict = RawClient::clean(&broker, Version::V311, "strict");
    strict.send(&packet(0x8a, &[vec![0, 9], string("a/b"), vec![1]].concat()));
    strict.expect_close();
}

#[test]
fn other_levels_are_answered_in_the_words_of_3_1_1() {
    // Goal: bridges of Mosquitto set the highest bit (0x83, 0x84); a client without an ID is told 2 (3.1 has no assigned ones).
    let broker = Broker::start();
    for (level, id, code) in [(0x83, "bridge", 1), (4, "mixed", 1), (3, "", 2)] {
        let mut client = RawClient::open(&broker, Version::V311);
        client.send(&connect(level, true, id));
        assert_eq!(client.connack().code, code, "level {level:#x}, id {id:?}");
    }
    let body = [string("MQTT"), vec![0x84, 2, 0, 60], string("bridge")].concat();
    let mut client = RawClient::open(&broker, Version::V311);
    client.send(&packet(0x10, &body));
    assert_eq!(client.connack().code, 1);
}
