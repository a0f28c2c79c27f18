//! CONNECT and CONNACK: who is let in, who is not, and what either is told.

mod client_ids;
mod properties;

use std::io::{Read, Write};

use inbox_tests::{
    Broker, Connect, Packet, Props, PublishPacket, RawClient, Version, packet, property, string, subscribe,
};

use super::{BAD_STRINGS, ODD_STRINGS, connack_code};

const V311: Version = Version::V311;
const V5: Version = Version::V5;

/// A CONNECT with these flags and this payload, without properties; `body` is what follows the keep alive in MQTT 3.1.1.
fn connect(version: Version, flags: u8, body: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if version == V5 { &[0] } else { &[] };
    packet(
        0x10,
        &[b"\0\x04MQTT", &[version.level(), flags, 0, 0][..], properties, body].concat(),
    )
}

/// A CONNECT with these properties.
fn with(props: Props) -> Vec<u8> {
    Connect::new(V5, "rude").props(props).encode()
}

/// Sends each row as the first packet; `None` is the close without a CONNACK.
fn check(rows: &[(&str, Version, Vec<u8>, Option<u8>)]) {
    let broker = Broker::start();
    let mut witness = RawClient::clean(&broker, V5, "witness");
    for (what, version, bytes, code) in rows {
        assert_eq!(
            connack_code(&broker, *version, bytes),
            *code,
            "{what}, {version:?}: {bytes:02x?}"
        );
        witness.ping();
    }
}

#[test]
fn the_first_packet_is_connect() {
    // Goal: MQTT-3.1.0-1, MQTT-3.14.0-1, MQTT-3.1.0-1 of 3.1.1: any other first packet gets the close, and nothing
    // that MQTT would say.
    let mut rows = Vec::new();
    for version in Version::BOTH {
        for bytes in [
            PublishPacket::new("a/b", "x", 1, 1).encode(version),
            subscribe(version, 1, "a/b", 0, &Props::new()),
            inbox_tests::unsubscribe(version, 1, "a/b"),
            inbox_tests::ping(),
            inbox_tests::disconnect(version, 0, &Props::new()),
            packet(0x20, &[0, 0]),
            packet(0x40, &[0, 1]),
            vec![0xf0, 0],
        ] {
            rows.push(("not CONNECT", version, bytes, None));
        }
    }
    check(&rows);
}

#[test]
fn the_fixed_part_of_connect_is_checked() {
    // Goal: MQTT-3.1.2-1, MQTT-3.1.2-2, MQTT-3.1.2-3, MQTT-3.1.2-11, MQTT-3.1.2-12, MQTT-3.1.2-13, MQTT-3.1.4-1,
    // MQTT-3.2.2-7, MQTT-3.1.2-1 of 3.1.1, MQTT-3.1.2-2 of 3.1.1, MQTT-3.1.2-3 of 3.1.1, MQTT-3.1.2-11 of 3.1.1,
    // MQTT-3.1.2-13 of 3.1.1, MQTT-3.1.2-14 of 3.1.1, MQTT-3.1.2-15 of 3.1.1, MQTT-3.1.2-22 of 3.1.1,
    // MQTT-3.1.4-1 of 3.1.1, MQTT-3.2.2-5 of 3.1.1, MQTT-3.2.2-6 of 3.1.1: MQTT 3.1.1 has no return code for most of
    // it.
    let will = [string("w/t"), string("x")].concat();
    let will_5 = [&[0][..], &will].concat();
    let id = string("rude");
    let named = |name: &str, level: u8| packet(0x10, &[&string(name)[..], &[level, 2, 0, 0, 0], &id].concat());
    let mut rows = vec![
        ("another protocol", V5, named("MQTT5", 5), None),
        ("lower case", V5, named("mqtt", 5), None),
        ("a level of the future", V5, named("MQTT", 6), Some(0x84)),
        ("the highest level", V5, named("MQTT", 255), Some(0x84)),
        ("level 0", V311, named("MQTT", 0), Some(1)),
        ("level 2", V311, named("MQTT", 2), Some(1)),
        (
            "password without user name",
            V311,
            connect(V311, 0x42, &[&id[..], &string("p")].concat()),
            None,
        ),
        (
            "password without user name",
            V5,
            connect(V5, 0x42, &[&id[..], &string("p")].concat()),
            Some(0),
        ),
    ];
    for version in Version::BOTH {
        let malformed = (version == V5).then_some(0x81);
        let will = if version == V5 { &will_5 } else { &will };
        let with_will = [&id[..], will].concat();
        rows.extend([
            ("the reserved flag", version, connect(version, 0x03, &id), malformed),
            (
                "will QoS without a will",
                version,
                connect(version, 0x0a, &id),
                malformed,
            ),
            (
                "will retain without a will",
                version,
                connect(version, 0x22, &id),
                malformed,
            ),
            (
                "a will of QoS 3",
                version,
                connect(version, 0x1e, &with_will),
                malformed,
            ),
            ("a will of QoS 2", version, connect(version, 0x16, &with_will), Some(0)),
        ]);
    }
    check(&rows);
}

#[test]
fn the_payload_of_connect_is_what_its_flags_say() {
    // Goal: MQTT-3.1.2-9, MQTT-3.1.2-16, MQTT-3.1.2-17, MQTT-3.1.2-18, MQTT-3.1.2-19, MQTT-3.1.3-1, MQTT-3.1.3-3,
    // MQTT-3.1.2-9 of 3.1.1, MQTT-3.1.2-18 of 3.1.1, MQTT-3.1.2-19 of 3.1.1, MQTT-3.1.2-20 of 3.1.1,
    // MQTT-3.1.2-21 of 3.1.1, MQTT-3.1.3-1 of 3.1.1, MQTT-3.1.3-3 of 3.1.1: a field too few and a field too many are
    // malformed, all of them in their order are not.
    let (id, user, password) = (string("rude"), string("u"), string("p"));
    let mut rows = Vec::new();
    for version in Version::BOTH {
        let malformed = (version == V5).then_some(0x81);
        let will: Vec<u8> = [&[0][usize::from(version == V311)..], &string("w/t"), &string("x")].concat();
        let all = [&id[..], &will, &user, &password].concat();
        rows.extend([
            ("everything", version, connect(version, 0xc6, &all), Some(0)),
            ("no client ID", version, connect(version, 0x02, &[]), malformed),
            ("no will", version, connect(version, 0x06, &id), malformed),
            (
                "no will payload",
                version,
                connect(version, 0x06, &all[..all.len() - 9]),
                malformed,
            ),
            ("no user name", version, connect(version, 0x82, &id), malformed),
            (
                "no password",
                version,
                connect(version, 0xc2, &[&id[..], &user].concat()),
                malformed,
            ),
            (
                "a will too many",
                version,
                connect(version, 0x02, &[&id[..], &will].concat()),
                malformed,
            ),
            (
                "a user name too many",
                version,
                connect(version, 0x02, &[&id[..], &user].concat()),
                malformed,
            ),
            (
                "a password too many",
                version,
                connect(version, 0x82, &[&id[..], &user, &password].concat()),
                malformed,
            ),
        ]);
    }
    check(&rows);
}

#[test]
fn strings_of_connect_must_be_utf_8() {
    // Goal: MQTT-1.5.4-1, MQTT-1.5.4-2, MQTT-3.1.3-4, MQTT-3.1.3-11, MQTT-3.1.3-12, MQTT-3.1.3-4 of 3.1.1,
    // MQTT-3.1.3-10 of 3.1.1, MQTT-3.1.3-11 of 3.1.1: client ID, will topic, user name; payload of the will and
    // password are any bytes.
    let id = string("rude");
    let mut rows = Vec::new();
    for version in Version::BOTH {
        let malformed = (version == V5).then_some(0x81);
        let none: &[u8] = if version == V5 { &[0] } else { &[] };
        for (why, text) in BAD_STRINGS {
            let bad = string(text);
            rows.extend([
                (why, version, connect(version, 0x02, &bad), malformed),
                (
                    why,
                    version,
                    connect(version, 0x06, &[&id[..], none, &bad, &string("x")].concat()),
                    malformed,
                ),
                (
                    why,
                    version,
                    connect(version, 0x82, &[&id[..], &bad].concat()),
                    malformed,
                ),
                (
                    why,
                    version,
                    connect(version, 0x06, &[&id[..], none, &string("w/t"), &bad].concat()),
                    Some(0),
                ),
                (
                    why,
                    version,
                    connect(version, 0xc2, &[&id[..], &string("u"), &bad].concat()),
                    Some(0),
                ),
            ]);
        }
        for odd in ODD_STRINGS {
            rows.push((
                "odd",
                version,
                connect(version, 0x82, &[string(odd), string(odd)].concat()),
                Some(0),
            ));
        }
        let refused = if version == V5 { Some(0x90) } else { None };
        for topic in ["", "a/#", "+"] {
            let will = [&id[..], none, &string(topic), &string("x")].concat();
            rows.push(("will topic", version, connect(version, 0x06, &will), refused));
        }
    }
    check(&rows);
}

#[test]
fn nothing_behind_a_refused_connect_is_processed() {
    // Goal: MQTT-3.1.4-2, MQTT-3.1.4-6, MQTT-3.1.4-5 of 3.1.1, MQTT-3.2.2-5 of 3.1.1: a publish in the same segment
    // as a CONNECT that is refused reaches nobody.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, V5, "bob", 1);
    bob.subscribe("a/b", 1);
    let long = "x".repeat(1025);
    for version in Version::BOTH {
        for topic in ["bob", "a/b"] {
            let mut bytes = Connect::new(version, &long).encode();
            bytes.extend(PublishPacket::new(topic, "smuggled", 1, 1).encode(version));
            assert!(connack_code(&broker, version, &bytes).is_some_and(|code| code != 0));
        }
    }
    bob.expect_nothing();
}

#[test]
fn connack_is_the_first_packet_and_comes_once() {
    // Goal: MQTT-3.2.0-1, MQTT-3.2.0-2, MQTT-3.2.2-1, MQTT-3.2.2-8, MQTT-3.1.4-5, MQTT-3.2.0-1 of 3.1.1,
    // MQTT-3.1.4-4 of 3.1.1: a client whose session has mail and ordinary messages waiting, and that sends a packet
    // behind CONNECT at once, sees CONNACK before anything else; its flags are 0 or 1.
    let broker = Broker::start();
    for version in Version::BOTH {
        let id = format!("bob{}", version.level());
        let kept = Connect::persistent(version, &id);
        let (mut bob, _) = RawClient::connect(&broker, &kept);
        bob.subscribe(&id, 1);
        bob.subscribe("a/b", 1);
        bob.vanish();
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish(&id, "mail", 1);
        alice.publish("a/b", "ordinary", 1);

        let mut stream = broker.socket("mqtt");
        stream
            .write_all(&[kept.encode(), inbox_tests::ping()].concat())
            .unwrap();
        let mut first = [0; 4];
        stream.read_exact(&mut first).unwrap();
        let (code, flags) = (first[3], first[2]);
        assert_eq!((first[0], code), (0x20, 0), "{version:?}");
        assert_eq!(flags, 1, "session present, and nothing else, {version:?}");
        drop(stream);

        let mut bob = RawClient::open(&broker, version);
        bob.send(&[kept.encode(), inbox_tests::ping()].concat());
        let mut seen = Vec::new();
        while seen
            .iter()
            .filter(|packet| matches!(packet, Packet::Publish(_)))
            .count()
            < 2
        {
            seen.push(bob.next());
        }
        let connacks = seen
            .iter()
            .filter(|packet| matches!(packet, Packet::ConnAck(_)))
            .count();
        assert_eq!(connacks, 1, "{seen:?}");
        assert!(matches!(seen[0], Packet::ConnAck(_)), "{seen:?}");
    }
}

#[test]
fn connack_says_nothing_that_nobody_asked_for() {
    // Goal: MQTT-3.1.2-28, MQTT-4.12.0-6, MQTT-3.2.2-22: without being asked there is no response information, no
    // authentication method and no server keep alive; and a client that asks for response information is served.
    let broker = Broker::start();
    for props in [
        Props::new(),
        Props::new().byte(property::REQUEST_RESPONSE, 0),
        Props::new().byte(property::REQUEST_RESPONSE, 1),
    ] {
        let connect = Connect::new(V5, "alice").props(props).keep_alive(600);
        let (_, connack) = RawClient::connect(&broker, &connect);
        for id in [
            property::RESPONSE_INFORMATION,
            property::AUTHENTICATION_METHOD,
            property::ASSIGNED_CLIENT_ID,
        ] {
            assert_eq!(connack.props.text(id), None, "{connack:?}");
        }
        assert_eq!(connack.props.number(property::SERVER_KEEP_ALIVE), None);
    }
}
