//! From the bytes of one packet to a [`Packet`].

use super::frame::Flags;
use super::{AckKind, DecodeError, Packet, PacketType, Version, ack, frame, publish, subscribe};

/// Decodes one whole packet, as [`super::frame`] measured it, of a client that has connected with `version`.
///
/// # Errors
/// Every rule of the specification that the packet breaks by itself. What a client must not send at all is no error
/// here but [`Packet::Unexpected`].
pub fn decode(version: Version, packet: &[u8]) -> Result<Packet<'_>, DecodeError> {
    decode_with(version, packet, Flags::Strict)
}

/// As [`decode`], of a client that has connected with MQTT 3.1, which otherwise has the packets of 3.1.1.
///
/// # Errors
/// As [`decode`].
pub fn decode_v31(packet: &[u8]) -> Result<Packet<'_>, DecodeError> {
    decode_with(Version::V311, packet, Flags::V31)
}

#[inline]
fn decode_with(version: Version, packet: &[u8], flags: Flags) -> Result<Packet<'_>, DecodeError> {
    let (packet_type, flags, reader) = frame::split(packet, flags)?;
    match packet_type {
        PacketType::Publish => publish::decode(version, flags, reader).map(Packet::Publish),
        PacketType::PubAck => ack::decode_ack(version, AckKind::PubAck, reader).map(Packet::PubAck),
        PacketType::PubRec => ack::decode_ack(version, AckKind::PubRec, reader).map(Packet::PubRec),
        PacketType::PubRel => ack::decode_ack(version, AckKind::PubRel, reader).map(Packet::PubRel),
        PacketType::PubComp => ack::decode_ack(version, AckKind::PubComp, reader).map(Packet::PubComp),
        PacketType::Subscribe => subscribe::decode_subscribe(version, reader).map(Packet::Subscribe),
        PacketType::Unsubscribe => subscribe::decode_unsubscribe(version, reader).map(Packet::Unsubscribe),
        PacketType::PingReq => reader.end().map(|()| Packet::PingReq),
        PacketType::Disconnect => ack::decode_disconnect(version, reader).map(Packet::Disconnect),
        PacketType::Auth => ack::decode_auth(version, reader).map(Packet::Auth),
        PacketType::Connect
        | PacketType::ConnAck
        | PacketType::SubAck
        | PacketType::UnsubAck
        | PacketType::PingResp => Ok(Packet::Unexpected(packet_type)),
    }
}
