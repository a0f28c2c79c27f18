//! Bytes that mean nothing, or nearly nothing.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{BOTH, packet};
use crate::topic::TopicFilter;
use crate::{Connect, Packet, decode, decode_connect, frame, peek_maximum_packet_size, peek_version};

/// Goes through everything that is read lazily.
fn walk(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::Publish(publish) => publish.properties.user.iter().count(),
        Packet::Subscribe(subscribe) => subscribe.filters.iter().count(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().count(),
        _ => 0,
    }
}

fn walk_will(connect: &Connect<'_>) -> usize {
    connect.will.map_or(0, |will| will.properties.user.iter().count())
}

fn try_everything(bytes: &[u8]) {
    let _ = peek_version(bytes);
    let _ = peek_maximum_packet_size(bytes);
    if let Ok(connect) = decode_connect(bytes) {
        walk_will(&connect);
    }
    for version in BOTH {
        if let Ok(packet) = decode(version, bytes) {
            walk(&packet);
        }
    }
    if let Ok(Some(length)) = frame(bytes, 1 << 20) {
        assert!(length <= bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Goal: no bytes make the decoder panic, and a frame is never longer than what is there.
    #[test]
    fn noise_does_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        try_everything(&bytes);
    }

    /// Goal: the same behind a good fixed header, where noise gets further.
    #[test]
    fn noise_in_a_good_frame_does_no_harm(first in any::<u8>(), body in vec(any::<u8>(), 0..127)) {
        try_everything(&packet(first, &[&body]));
    }

    /// Goal: the same behind a good start of a CONNECT.
    #[test]
    fn noise_in_a_connect_does_no_harm(level in 4..=5_u8, flags in any::<u8>(), body in vec(0..40_u8, 0..110)) {
        try_everything(&packet(0x10, &[b"\0\x04MQTT", &[level, flags & 0xFE, 0, 60], &body]));
    }

    /// Goal: the same with bytes that often are property identifiers and short lengths.
    #[test]
    fn nearly_good_packets_do_no_harm(first in any::<u8>(), body in vec(0..48_u8, 0..60)) {
        try_everything(&packet(first, &[&[0, 1, b't'], &body]));
    }

    /// Goal: any string is a filter or is refused, and a filter that exists matches without a panic.
    #[test]
    fn any_string_is_a_filter_or_not(text in "[a$/+#\\PC]{0,12}", topic in "[a$/\\PC]{0,12}") {
        if let Ok(filter) = TopicFilter::parse(&text) {
            let _ = filter.matches(&topic);
            prop_assert_eq!(filter.as_str(), text.as_str());
            if !filter.has_wildcards() {
                prop_assert!(filter.matches(filter.filter()));
            }
        }
    }
}
