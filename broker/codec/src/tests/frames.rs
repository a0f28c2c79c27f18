//! Fixed headers.

use super::{BOTH, accept, packet, refuse};
use crate::{DecodeError, Packet, PacketType, Version, decode, frame};

#[test]
fn a_packet_ends_where_its_remaining_length_says() {
    // Goal: packets are cut out of a stream without looking into them (section 2.1.4), however the stream is cut.
    for remaining in [0_usize, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let mut bytes = vec![0x30];
        let mut rest = remaining;
        loop {
            let more = if rest > 127 { 0x80 } else { 0 };
            bytes.push((rest % 128) as u8 | more);
            rest /= 128;
            if more == 0 {
                break;
            }
        }
        for header in 0..bytes.len() {
            assert_eq!(frame(&bytes[..header], usize::MAX), Ok(None));
        }
        let total = bytes.len() + remaining;
        bytes.resize(total, 0);
        assert_eq!(frame(&bytes, total), Ok(Some(total)));
        if remaining > 0 {
            assert_eq!(frame(&bytes[..total - 1], total), Ok(None));
        }
        bytes.extend([0xC0, 0x00]);
        assert_eq!(
            frame(&bytes, total),
            Ok(Some(total)),
            "what follows belongs to the next packet"
        );
    }
}

#[test]
fn a_packet_that_is_too_large_is_refused_by_its_header() {
    // Goal: the limit holds before the body is there to be buffered (MQTT-3.2.2-15, reason 0x95).
    let header = [0x30, 0x80, 0x01];
    assert_eq!(frame(&header, 131), Ok(None));
    assert_eq!(frame(&header, 130), Err(DecodeError::TooLarge { bytes: 131, max: 130 }));
    assert_eq!(
        frame(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 1 << 20).map_err(|e| e.reason_code()),
        Err(0x95)
    );
}

#[test]
fn a_remaining_length_that_lies_is_malformed() {
    // Goal: at most four bytes, and no more than needed (section 1.5.5, MQTT-1.5.5-1), and the truth.
    for bytes in [
        &[0x30, 0x80, 0x80, 0x80, 0x80][..],
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[0xC0, 0x80, 0x00],
        &[0xC0, 0x80, 0x80, 0x00],
        &[0x30, 0x85, 0x00],
    ] {
        assert_eq!(
            frame(bytes, usize::MAX).map_err(|e| e.reason_code()),
            Err(0x81),
            "{bytes:02x?}"
        );
        assert_eq!(refuse(Version::V5, bytes), 0x81);
    }
    for bytes in [
        &[][..],
        &[0xC0],
        &[0xC0, 0x80],
        &[0xC0, 1],
        &[0xC0, 0, 0],
        &[0x30, 3, 0, 1, b't', 0],
    ] {
        assert_eq!(refuse(Version::V5, bytes), 0x81, "{bytes:02x?}");
        assert_eq!(refuse(Version::V311, bytes), 0x81, "{bytes:02x?}");
    }
}

#[test]
fn wrong_flags_are_refused_by_the_first_byte() {
    // Goal: MQTT-2.1.3-1 for every type and every combination of flags, in `frame` and in `decode`.
    for first in 0..=u8::MAX {
        let good = match (first >> 4, first & 0x0F) {
            (0, _) => false,
            // DUP needs a QoS (MQTT-3.3.1-2) and there is no QoS 3 (MQTT-3.3.1-4).
            (3, flags) => flags & 0b0110 != 0b0110 && flags & 0b1110 != 0b1000,
            (6 | 8 | 10, flags) => flags == 2,
            (_, flags) => flags == 0,
        };
        let framed = frame(&[first], 1 << 20).map_err(|e| e.reason_code());
        assert_eq!(
            framed,
            if good { Ok(None) } else { Err(0x81) },
            "first byte {first:#04x}"
        );
        if !good {
            assert_eq!(refuse(Version::V5, &[first, 0]), 0x81);
            assert_eq!(refuse(Version::V311, &[first, 0]), 0x81);
        }
    }
}

#[test]
fn what_a_client_must_not_send_is_named() {
    // Goal: a second CONNECT (MQTT-3.1.0-2) and packets of servers reach the session as what they are.
    for version in BOTH {
        for (first, packet_type) in [
            (0x10, PacketType::Connect),
            (0x20, PacketType::ConnAck),
            (0x90, PacketType::SubAck),
            (0xB0, PacketType::UnsubAck),
            (0xD0, PacketType::PingResp),
        ] {
            assert_eq!(
                accept(version, &packet(first, &[b"what ever"])),
                Packet::Unexpected(packet_type)
            );
        }
    }
}

#[test]
fn a_ping_has_nothing_in_it() {
    // Goal: PINGREQ is two bytes (section 3.12).
    for version in BOTH {
        assert_eq!(decode(version, &[0xC0, 0]), Ok(Packet::PingReq));
        assert_eq!(refuse(version, &[0xC0, 1, 0]), 0x81);
    }
}
