//! Where one packet ends and the next begins (MQTT 5, section 2.1).

use super::wire::{self, Reader};
use super::{DecodeError, PacketType};

/// The total length of the first packet in `buf` in bytes, fixed header included; `None` when it is not all there yet.
///
/// # Errors
/// As soon as the bytes that say so are there: [`DecodeError::Malformed`] for packet type 0, wrong flags
/// (MQTT-2.1.3-1) and a remaining length of more than four bytes or more bytes than needed (MQTT-1.5.5-1), and
/// [`DecodeError::TooLarge`] for a packet of more than `packet_bytes_max` bytes, fixed header included.
pub fn frame(buf: &[u8], packet_bytes_max: usize) -> Result<Option<usize>, DecodeError> {
    measure(buf, packet_bytes_max, Flags::Strict)
}

/// As [`frame`], of a client of MQTT 3.1.
///
/// # Errors
/// As [`frame`].
pub fn frame_v31(buf: &[u8], packet_bytes_max: usize) -> Result<Option<usize>, DecodeError> {
    measure(buf, packet_bytes_max, Flags::V31)
}

/// Which flags the first byte of a packet may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    /// Those of MQTT 3.1.1 and 5.
    Strict,
    /// MQTT 3.1 sets DUP on what is sent again, PUBREL, SUBSCRIBE and UNSUBSCRIBE included (3.1, section 2.1).
    V31,
}

impl Flags {
    /// The first byte as the later versions want it.
    #[inline]
    fn of(self, first: u8) -> u8 {
        match (self, PacketType::of_first_byte(first)) {
            (Flags::V31, Some(PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe)) => first & !0b1000,
            _ => first,
        }
    }
}

// Inlined, so that each version has its own: the flags are known there.
#[inline]
fn measure(buf: &[u8], packet_bytes_max: usize, flags: Flags) -> Result<Option<usize>, DecodeError> {
    let Some((&first, rest)) = buf.split_first() else {
        return Ok(None);
    };
    packet_type(flags.of(first))?;
    let Some((remaining, length_bytes)) = wire::variable_byte_integer(rest)? else {
        return Ok(None);
    };
    let bytes = 1 + length_bytes + remaining as usize;
    if bytes > packet_bytes_max {
        return Err(DecodeError::TooLarge {
            bytes,
            max: packet_bytes_max,
        });
    }
    Ok((buf.len() >= bytes).then_some(bytes))
}

/// Splits a whole packet into its type, the flags of its first byte, and what follows the fixed header.
#[inline]
pub(super) fn split(packet: &[u8], flags: Flags) -> Result<(PacketType, u8, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(packet);
    let first = flags.of(reader.u8()?);
    let packet_type = packet_type(first)?;
    let remaining = reader.variable_byte_integer()?;
    if reader.rest().len() != remaining as usize {
        return Err(DecodeError::Malformed(
            "the remaining length is not the length of the packet (section 2.1.4)",
        ));
    }
    Ok((packet_type, first & 0x0F, reader))
}

/// The packet type of a first byte whose flags are right for it.
#[inline]
fn packet_type(first: u8) -> Result<PacketType, DecodeError> {
    // Every packet is looked at twice: where it ends, and what it says.
    match RIGHT.get(usize::from(first)) {
        Some(Some(packet_type)) => Ok(*packet_type),
        _ => checked(first),
    }
}

/// What each first byte means whose flags are right.
#[expect(
    clippy::indexing_slicing,
    reason = "an index out of range does not compile in a constant"
)]
static RIGHT: [Option<PacketType>; 256] = {
    let mut right = [None; 256];
    let mut first = 0;
    while first < right.len() {
        if let Ok(packet_type) = checked(first as u8) {
            right[first] = Some(packet_type);
        }
        first += 1;
    }
    right
};

const fn checked(first: u8) -> Result<PacketType, DecodeError> {
    let Some(packet_type) = PacketType::of_first_byte(first) else {
        return Err(DecodeError::Malformed("packet type 0 is reserved (section 2.1.2)"));
    };
    let flags = first & 0x0F;
    match packet_type {
        PacketType::Publish if flags & 0b0110 == 0b0110 => {
            Err(DecodeError::Malformed("PUBLISH must not have QoS 3 (MQTT-3.3.1-4)"))
        }
        PacketType::Publish if flags & 0b1110 == 0b1000 => Err(DecodeError::Malformed(
            "PUBLISH of QoS 0 must not have DUP set (MQTT-3.3.1-2)",
        )),
        PacketType::Publish => Ok(packet_type),
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe if flags == 0b0010 => Ok(packet_type),
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => Err(DecodeError::Malformed(
            "the flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE must be 2 (MQTT-2.1.3-1)",
        )),
        _ if flags == 0 => Ok(packet_type),
        _ => Err(DecodeError::Malformed(
            "the reserved flags of the fixed header must be 0 (MQTT-2.1.3-1)",
        )),
    }
}
