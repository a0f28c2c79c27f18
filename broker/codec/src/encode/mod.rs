//! Packets for clients, appended to a vector.
//!
//! Strings and binary data must have at most 65,535 bytes, as everything that came from a decoded packet has. What is
//! longer is a mistake of the caller; it is cut, so that the client can still read the packets that follow.

mod publish;
mod write;

pub use publish::{PublishOut, publish, publish_len};

use super::{PacketId, Version, reason};
use write::{
    Property, block_len, properties_len, put_properties, put_u16, put_variable_byte_integer, variable_byte_integer_len,
};

/// CONNACK (MQTT 5, section 3.2). What is `None` or 0 is not sent. Everything but the first two is for MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnAck<'a> {
    /// Sent as false when the reason is not success (MQTT-3.2.2-6).
    pub session_present: bool,
    /// An MQTT 5 reason code; MQTT 3.1.1 is sent the return code that means the same.
    pub reason: u8,
    /// In seconds, when it is not what the client asked for. Property 0x11.
    pub session_expiry: Option<u32>,
    /// Not 0. Property 0x21.
    pub receive_maximum: Option<u16>,
    /// In bytes, not 0. Property 0x27.
    pub maximum_packet_size: Option<u32>,
    /// False says that nothing can be retained. Property 0x25.
    pub retain_available: Option<bool>,
    /// Property 0x12.
    pub assigned_client_id: Option<&'a str>,
    /// Property 0x22.
    pub topic_alias_maximum: u16,
    /// Property 0x1F.
    pub reason_string: Option<&'a str>,
    /// In seconds, when it is not what the client asked for. Property 0x13.
    pub server_keep_alive: Option<u16>,
    /// Property 0x15.
    pub authentication_method: Option<&'a str>,
    /// Name and value. Property 0x26.
    pub user: Option<(&'a str, &'a str)>,
}

/// Which acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "these are the names of the packets")]
pub enum AckKind {
    /// PUBACK.
    PubAck,
    /// PUBREC.
    PubRec,
    /// PUBREL.
    PubRel,
    /// PUBCOMP.
    PubComp,
}

/// Appends a CONNACK. MQTT 3.1.1 has no return code for some reasons (a malformed packet, say): then nothing is
/// appended, and the connection is to be closed without one (3.1.1: MQTT-3.2.2-6).
pub fn connack(out: &mut Vec<u8>, version: Version, connack: &ConnAck<'_>) {
    let session_present = u8::from(connack.session_present && connack.reason == reason::SUCCESS);
    match version {
        Version::V311 => {
            if let Some(code) = return_code(connack.reason) {
                out.extend_from_slice(&[0x20, 2, session_present, code]);
            }
        }
        Version::V5 => {
            let alias_maximum = Some(connack.topic_alias_maximum).filter(|&maximum| maximum != 0);
            let properties = [
                connack.session_expiry.map(|seconds| Property::U32(0x11, seconds)),
                connack.receive_maximum.map(|maximum| Property::U16(0x21, maximum)),
                connack.maximum_packet_size.map(|bytes| Property::U32(0x27, bytes)),
                connack
                    .retain_available
                    .map(|is_available| Property::U8(0x25, is_available.into())),
                connack.assigned_client_id.map(|id| Property::Text(0x12, id)),
                alias_maximum.map(|maximum| Property::U16(0x22, maximum)),
                connack.reason_string.map(|text| Property::Text(0x1F, text)),
                connack.server_keep_alive.map(|seconds| Property::U16(0x13, seconds)),
                connack.authentication_method.map(|method| Property::Text(0x15, method)),
                connack.user.map(|(name, value)| Property::User(name, value)),
            ];
            let properties = || properties.iter().flatten().copied();
            put_header(out, 0x20, 2 + block_len(properties_len(properties())));
            out.extend_from_slice(&[session_present, connack.reason]);
            put_properties(out, properties());
        }
    }
}

/// Appends a PUBACK, PUBREC, PUBREL or PUBCOMP. MQTT 3.1.1 only has the packet identifier.
///
/// A client that declined problem information must be sent no reason string and no user properties (MQTT-3.1.2-29), and
/// neither one that they would take beyond its maximum packet size (MQTT-3.4.2-2): the caller's to see to.
pub fn ack(
    out: &mut Vec<u8>,
    version: Version,
    kind: AckKind,
    packet_id: PacketId,
    reason: u8,
    reason_string: Option<&str>,
    user: &[(&str, &str)],
) {
    let first = match kind {
        AckKind::PubAck => 0x40,
        AckKind::PubRec => 0x50,
        AckKind::PubRel => 0x62,
        AckKind::PubComp => 0x70,
    };
    let [high, low] = packet_id.get().to_be_bytes();
    let says_more = version == Version::V5 && (reason_string.is_some() || !user.is_empty());
    if version == Version::V311 || (reason == reason::SUCCESS && !says_more) {
        out.extend_from_slice(&[first, 2, high, low]);
    } else if !says_more {
        out.extend_from_slice(&[first, 3, high, low, reason]);
    } else {
        let properties = || {
            let user = user.iter().map(|&(name, value)| Property::User(name, value));
            reason_string
                .map(|text| Property::Text(0x1F, text))
                .into_iter()
                .chain(user)
        };
        put_header(out, first, 3 + block_len(properties_len(properties())));
        out.extend_from_slice(&[high, low, reason]);
        put_properties(out, properties());
    }
}

/// Appends a SUBACK with one code per filter. MQTT 3.1.1 is sent 0x80 for every code from 0x80 on.
pub fn suback(out: &mut Vec<u8>, version: Version, packet_id: PacketId, codes: &[u8], reason_string: Option<&str>) {
    match version {
        Version::V311 => {
            put_header(out, 0x90, 2 + codes.len());
            put_u16(out, packet_id.get());
            out.extend(codes.iter().map(|&code| code.min(reason::UNSPECIFIED_ERROR)));
        }
        Version::V5 => {
            let properties = || reason_string.map(|text| Property::Text(0x1F, text)).into_iter();
            put_header(out, 0x90, 2 + block_len(properties_len(properties())) + codes.len());
            put_u16(out, packet_id.get());
            put_properties(out, properties());
            out.extend_from_slice(codes);
        }
    }
}

/// Appends an UNSUBACK with one code per filter; MQTT 3.1.1 has no codes.
pub fn unsuback(out: &mut Vec<u8>, version: Version, packet_id: PacketId, codes: &[u8]) {
    let [high, low] = packet_id.get().to_be_bytes();
    match version {
        Version::V311 => out.extend_from_slice(&[0xB0, 2, high, low]),
        Version::V5 => {
            put_header(out, 0xB0, 3 + codes.len());
            out.extend_from_slice(&[high, low, 0]);
            out.extend_from_slice(codes);
        }
    }
}

/// The bytes of a SUBACK or UNSUBACK of MQTT 5 with `codes` reason codes and no reason string.
pub fn codes_len(codes: usize) -> usize {
    let remaining = 3 + codes;
    1 + variable_byte_integer_len(remaining) + remaining
}

/// Appends an AUTH, which MQTT 5 alone has. `method` is the one of CONNECT (MQTT-4.12.0-5).
pub fn auth(out: &mut Vec<u8>, reason: u8, method: &str) {
    let properties = [Property::Text(0x15, method)];
    put_header(out, 0xF0, 1 + block_len(properties_len(properties)));
    out.push(reason);
    put_properties(out, properties);
}

/// Appends a PINGRESP.
pub fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

/// Appends a DISCONNECT, or nothing in MQTT 3.1.1, where a server only closes.
pub fn disconnect(out: &mut Vec<u8>, version: Version, reason: u8, reason_string: Option<&str>) {
    match (version, reason_string) {
        (Version::V311, _) => {}
        (Version::V5, None) if reason == reason::SUCCESS => out.extend_from_slice(&[0xE0, 0]),
        (Version::V5, None) => out.extend_from_slice(&[0xE0, 1, reason]),
        (Version::V5, Some(text)) => {
            let properties = [Property::Text(0x1F, text)];
            put_header(out, 0xE0, 1 + block_len(properties_len(properties)));
            out.push(reason);
            put_properties(out, properties);
        }
    }
}

fn put_header(out: &mut Vec<u8>, first: u8, remaining: usize) {
    out.push(first);
    put_variable_byte_integer(out, remaining);
}

/// The CONNACK return code of MQTT 3.1.1 (its table 3.1) for a reason code of MQTT 5, where there is one.
fn return_code(reason: u8) -> Option<u8> {
    match reason {
        reason::SUCCESS => Some(0),
        reason::UNSUPPORTED_PROTOCOL_VERSION => Some(1),
        reason::CLIENT_IDENTIFIER_NOT_VALID => Some(2),
        reason::SERVER_UNAVAILABLE
        | reason::SERVER_BUSY
        | reason::SERVER_SHUTTING_DOWN
        | reason::QUOTA_EXCEEDED
        | reason::CONNECTION_RATE_EXCEEDED
        | reason::USE_ANOTHER_SERVER
        | reason::SERVER_MOVED => Some(3),
        reason::BAD_USER_NAME_OR_PASSWORD => Some(4),
        reason::NOT_AUTHORIZED | reason::BANNED | reason::BAD_AUTHENTICATION_METHOD => Some(5),
        _ => None,
    }
}
