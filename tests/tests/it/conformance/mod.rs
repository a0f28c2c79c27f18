//! Conformance: what MQTT 3.1.1 and MQTT 5 demand of a broker, as tables of bytes and answers.
//!
//! `docs/conformance.md` lists every numbered statement of both specifications, with the tests that hold the broker to it, or with the
//! reason why there is none. The module `document` keeps that page and these tests of one mind. Where a behaviour was tested before this
//! suite existed, the page names that test, and it is not repeated here.
//!
//! A statement is cited as `MQTT-3.1.2-3`, and as `MQTT-3.1.2-3 of 3.1.1` where MQTT 3.1.1 has it under that number.

mod closing;
mod connecting;
mod delivering;
mod document;
mod exchanges;
mod keeping_alive;
mod packet_size;
mod payload_format;
mod retaining;
mod subscribing;

use inbox_tests::{Broker, Packet, RawClient, Version};

/// Strings that are not UTF-8 as MQTT wants it, and why.
pub(crate) const BAD_STRINGS: [(&str, &[u8]); 7] = [
    ("a byte that UTF-8 does not have", b"a\xff"),
    ("a character that is cut off", b"a\xe2\x82"),
    ("an overlong NUL", b"\xc0\x80"),
    ("a surrogate", b"\xed\xa0\x80"),
    ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("a code point above U+10FFFF", b"\xf4\x90\x80\x80"),
    ("U+0000", b"a\0b"),
];

/// Strings that look odd and are allowed: control characters, non-characters and a zero width no-break space at the start.
pub(crate) const ODD_STRINGS: [&str; 5] = ["\u{1}", "\u{9f}", "\u{ffff}", "\u{10fffe}", "\u{feff}a"];

/// What a fresh connection is told when it sends `bytes` after CONNACK: `None` for a close without a word.
pub(crate) fn last_word(broker: &Broker, version: Version, bytes: &[u8]) -> Option<u8> {
    let mut client = RawClient::clean(broker, version, "rude");
    client.send_despite_close(bytes);
    loop {
        match client.next_or_close() {
            Some(Packet::Disconnect(reason, _)) => {
                client.expect_close();
                return Some(reason);
            }
            Some(Packet::Publish(_)) => {}
            Some(other) => panic!("{bytes:02x?} is answered with {other:?}"),
            None => return None,
        }
    }
}

/// The same for the first packet of a connection: the code of CONNACK.
pub(crate) fn connack_code(broker: &Broker, version: Version, bytes: &[u8]) -> Option<u8> {
    let mut client = RawClient::open(broker, version);
    client.send_despite_close(bytes);
    match client.next_or_close() {
        Some(Packet::ConnAck(connack)) => {
            if connack.code != 0 {
                assert!(!connack.session_present, "a refusal says session present: {bytes:02x?}");
                client.expect_close();
            }
            Some(connack.code)
        }
        Some(other) => panic!("{bytes:02x?} is answered with {other:?}"),
        None => None,
    }
}
