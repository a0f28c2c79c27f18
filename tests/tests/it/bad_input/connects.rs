//! Before and around CONNECT (section 3.1 of both specifications).

use inbox_tests::{Connect, Props, PublishPacket, RawClient, Version, packet, string, subscribe};

use super::{Witness, ends, refused};

#[test]
fn half_a_packet_holds_nobody_up() {
    // Goal: a client that sends half a packet, or nothing at all, waits alone; when it goes, nothing has happened.
    let mut witness = Witness::start();
    let mut halves = Vec::new();
    for version in Version::BOTH {
        halves.push(RawClient::open(&witness.broker, version));
        let mut client = RawClient::open(&witness.broker, version);
        client.send(&Connect::new(version, "half").encode()[..7]);
        halves.push(client);
        let mut client = RawClient::clean(&witness.broker, version, &format!("half-{version:?}"));
        let publish = PublishPacket::new("witness", "must not arrive", 1, 1).encode(version);
        client.send(&publish[..publish.len() - 1]);
        halves.push(client);
    }
    witness.is_served();
    drop(halves);
    witness.end();
}

#[test]
fn a_client_that_never_sends_connect_is_closed() {
    // Goal: section 3.1: the server closes after a reasonable time; here `mqtt.connect_timeout` = 1 s.
    let config = "[mqtt]\nconnect_timeout = \"1s\"\n";
    let mut witness = Witness::with(inbox_tests::Broker::with_config(config));
    let mut silent = RawClient::open(&witness.broker, Version::V311);
    let mut slow = RawClient::open(&witness.broker, Version::V311);
    slow.send(&[0x10, 50]);
    silent.expect_close();
    slow.expect_close();
    witness.is_served();
    witness.end();
}

#[test]
fn a_packet_before_connect_closes_the_connection() {
    // Goal: MQTT-3.1.0-1; the version is not known yet, so there is nothing to answer in.
    let mut witness = Witness::start();
    let packets = [
        PublishPacket::new("witness", "x", 1, 1).encode(Version::V311),
        subscribe(Version::V311, 1, "witness", 1, &Props::new()),
        inbox_tests::ping(),
        vec![0xe0, 0],
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec(),
        vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
    ];
    for bytes in packets {
        let mut client = RawClient::open(&witness.broker, Version::V311);
        client.send_despite_close(&bytes);
        client.expect_close();
        witness.is_served();
    }
    witness.end();
}

#[test]
fn a_second_connect_ends_the_connection() {
    // Goal: MQTT-3.1.0-2.
    let mut witness = Witness::start();
    for version in Version::BOTH {
        ends(
            &mut witness,
            version,
            "CONNECT",
            &Connect::new(version, "rude").encode(),
            &[0x82],
        );
    }
    witness.end();
}

#[test]
fn other_protocol_levels_are_refused() {
    // Goal: MQTT-3.1.2-2: levels 3, 6 and 9 are answered with 0x84, or 0x01 in the words of 3.1.1, or closed.
    let mut witness = Witness::start();
    for level in [0, 3, 6, 9, 255] {
        let mut bytes = Connect::new(Version::V311, "rude").encode();
        bytes[8] = level;
        // A version that comes after 5 is answered in the words of 5.
        let version = if level > 5 { Version::V5 } else { Version::V311 };
        let code = refused(&mut witness, version, &bytes);
        assert!(
            [None, Some(0x84), Some(0x01)].contains(&code),
            "level {level}: {code:?}"
        );
    }
    // MQTT 3.1 names itself MQIsdp, with level 3.
    let body = [string("MQIsdp"), vec![4, 2, 0, 60], string("old")].concat();
    let code = refused(&mut witness, Version::V311, &packet(0x10, &body));
    assert!([None, Some(0x84), Some(0x01)].contains(&code), "MQIsdp: {code:?}");
    let body = [string("MQXX"), vec![4, 2, 0, 60], string("other")].concat();
    let code = refused(&mut witness, Version::V311, &packet(0x10, &body));
    assert!([None, Some(0x84), Some(0x01)].contains(&code), "MQXX: {code:?}");
    witness.end();
}

#[test]
fn malformed_connects_are_refused() {
    // Goal: section 3.1.2 and 3.1.3: the reserved flag (MQTT-3.1.2-3), will flags that contradict each other
    // (MQTT-3.1.2-11 to -14), a client ID that is not UTF-8, holds NUL (MQTT-1.5.4-1, -2) or is too long (0x85, 2).
    let mut witness = Witness::start();
    for version in Version::BOTH {
        let bad: &[Option<u8>] = match version {
            Version::V311 => &[None],
            Version::V5 => &[None, Some(0x81), Some(0x82)],
        };
        let with_flags = |flags: u8| {
            let mut bytes = Connect::new(version, "rude").encode();
            bytes[9] = flags;
            bytes
        };
        for flags in [0x03, 0x02 | 0x08, 0x02 | 0x20, 0x02 | 0x04 | 0x18] {
            let code = refused(&mut witness, version, &with_flags(flags));
            assert!(bad.contains(&code), "flags {flags:#04x}: {code:?}");
        }
        for id in [b"\xff\xfe".as_slice(), b"a\0b", b"\xed\xa0\x80"] {
            let mut body = [string("MQTT"), vec![version.level(), 2, 0, 0]].concat();
            if version == Version::V5 {
                body.push(0);
            }
            body.extend(string(id));
            let code = refused(&mut witness, version, &packet(0x10, &body));
            // Return code 2 and reason 0x85 say the same in better words.
            let named = code == Some(0x85) || (version == Version::V311 && code == Some(2));
            assert!(named || bad.contains(&code), "client ID {id:02x?}: {code:?}");
        }
        let code = refused(
            &mut witness,
            version,
            &Connect::new(version, &"x".repeat(2000)).encode(),
        );
        let expected = if version == Version::V5 { 0x85 } else { 2 };
        assert_eq!(code, Some(expected), "a client ID of 2000 bytes");
        let cut = Connect::new(version, "rude").encode();
        let cut = packet(0x10, &cut[2..cut.len() - 2]);
        assert!(
            bad.contains(&refused(&mut witness, version, &cut)),
            "a client ID beyond the packet"
        );
    }
    witness.end();
}

#[test]
fn a_largest_client_id_is_served() {
    // Goal: the limit is 1,024 bytes; a name of just that length has an inbox.
    let mut witness = Witness::start();
    let name = "x".repeat(1024);
    let mut client = RawClient::reader(&witness.broker, Version::V5, &name, 1);
    client.publish(&name, "self", 1);
    assert_eq!(client.texts(1), ["self"]);
    witness.is_served();
    witness.end();
}
