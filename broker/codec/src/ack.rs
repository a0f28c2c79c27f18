//! The packets that say little: PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH (MQTT 5, sections 3.4 to 3.7, 3.14
//! and 3.15).

use super::properties::{NOT_ALLOWED_HERE, Property, PropertyBlock};
use super::wire::Reader;
use super::{AckKind, DecodeError, PacketId, Version, reason};

/// PUBACK, PUBREC, PUBREL or PUBCOMP. A reason string and user properties are checked and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Of the message that it is about.
    pub packet_id: PacketId,
    /// One that the specification lists for the packet; 0 (success) when it is left out, and in MQTT 3.1.1.
    pub reason: u8,
}

/// The client is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// One that the specification lists for DISCONNECT. With 0 the will is dropped (MQTT-3.14.4-3).
    pub reason: u8,
    /// In seconds; replaces that of CONNECT, unless that was 0 (section 3.14.2.2.2). Property 0x11.
    pub session_expiry: Option<u32>,
}

/// A step of extended authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// 0x00, 0x18 or 0x19.
    pub reason: u8,
    /// Property 0x15; left out only together with everything else, which means reason 0x00.
    pub authentication_method: Option<&'a str>,
    /// Property 0x16.
    pub authentication_data: Option<&'a [u8]>,
}

/// Decodes what follows the fixed header of an acknowledgement: in MQTT 5 a packet identifier, then perhaps a reason,
/// then perhaps properties (section 3.4.2).
pub(super) fn decode_ack(version: Version, kind: AckKind, mut reader: Reader<'_>) -> Result<Ack, DecodeError> {
    let packet_id = reader.packet_id()?;
    let mut reason = reason::SUCCESS;
    if version == Version::V5 && !reader.is_empty() {
        reason = reader.u8()?;
        if !ack_can_say(kind, reason) {
            return Err(DecodeError::Protocol(
                "an acknowledgement must have one of the reason codes of its packet type (MQTT-3.4.2-1, MQTT-3.5.2-1, \
                 MQTT-3.6.2-1, MQTT-3.7.2-1)",
            ));
        }
        if !reader.is_empty() {
            let mut block = PropertyBlock::read(&mut reader)?;
            while let Some(property) = block.next()? {
                let (Property::ReasonString | Property::User(..)) = property else {
                    return Err(NOT_ALLOWED_HERE);
                };
            }
        }
    }
    reader.end()?;
    Ok(Ack { packet_id, reason })
}

/// Decodes what follows the fixed header of a DISCONNECT.
pub(super) fn decode_disconnect(version: Version, mut reader: Reader<'_>) -> Result<Disconnect, DecodeError> {
    let mut disconnect = Disconnect {
        reason: reason::SUCCESS,
        session_expiry: None,
    };
    if version == Version::V5 && !reader.is_empty() {
        disconnect.reason = reader.u8()?;
        if !disconnect_can_say(disconnect.reason) {
            return Err(DecodeError::Protocol(
                "DISCONNECT must have one of the reason codes of its packet type (MQTT-3.14.2-1)",
            ));
        }
        if !reader.is_empty() {
            let mut block = PropertyBlock::read(&mut reader)?;
            while let Some(property) = block.next()? {
                match property {
                    Property::SessionExpiry(seconds) => disconnect.session_expiry = Some(seconds),
                    Property::ReasonString | Property::ServerReference | Property::User(..) => {}
                    _ => return Err(NOT_ALLOWED_HERE),
                }
            }
        }
    }
    reader.end()?;
    Ok(disconnect)
}

/// Decodes what follows the fixed header of an AUTH.
pub(super) fn decode_auth<'a>(version: Version, mut reader: Reader<'a>) -> Result<Auth<'a>, DecodeError> {
    if version == Version::V311 {
        return Err(DecodeError::Malformed(
            "packet type 15 is reserved in MQTT 3.1.1 (3.1.1: section 2.2.1)",
        ));
    }
    let mut auth = Auth {
        reason: reason::SUCCESS,
        authentication_method: None,
        authentication_data: None,
    };
    if reader.is_empty() {
        return Ok(auth);
    }
    auth.reason = reader.u8()?;
    if !matches!(
        auth.reason,
        reason::SUCCESS | reason::CONTINUE_AUTHENTICATION | reason::REAUTHENTICATE
    ) {
        return Err(DecodeError::Protocol(
            "AUTH must have one of the reason codes of its packet type (MQTT-3.15.2-1)",
        ));
    }
    let mut block = PropertyBlock::read(&mut reader)?;
    while let Some(property) = block.next()? {
        match property {
            Property::AuthenticationMethod(method) => auth.authentication_method = Some(method),
            Property::AuthenticationData(data) => auth.authentication_data = Some(data),
            Property::ReasonString | Property::User(..) => {}
            _ => return Err(NOT_ALLOWED_HERE),
        }
    }
    reader.end()?;
    if auth.authentication_method.is_none() {
        return Err(DecodeError::Protocol(
            "AUTH must name the authentication method (section 3.15.2.2.2)",
        ));
    }
    Ok(auth)
}

fn ack_can_say(kind: AckKind, reason: u8) -> bool {
    match kind {
        AckKind::PubAck | AckKind::PubRec => matches!(
            reason,
            reason::SUCCESS
                | reason::NO_MATCHING_SUBSCRIBERS
                | reason::UNSPECIFIED_ERROR
                | reason::IMPLEMENTATION_SPECIFIC_ERROR
                | reason::NOT_AUTHORIZED
                | reason::TOPIC_NAME_INVALID
                | reason::PACKET_IDENTIFIER_IN_USE
                | reason::QUOTA_EXCEEDED
                | reason::PAYLOAD_FORMAT_INVALID
        ),
        AckKind::PubRel | AckKind::PubComp => matches!(reason, reason::SUCCESS | reason::PACKET_IDENTIFIER_NOT_FOUND),
    }
}

/// All of table 3.14.2-1, also what only servers have a use for: the will is published then, as with any error.
fn disconnect_can_say(reason: u8) -> bool {
    matches!(
        reason,
        reason::SUCCESS | reason::DISCONNECT_WITH_WILL
            | reason::UNSPECIFIED_ERROR..=reason::IMPLEMENTATION_SPECIFIC_ERROR
            | reason::NOT_AUTHORIZED
            | reason::SERVER_BUSY
            | reason::SERVER_SHUTTING_DOWN
            | reason::KEEP_ALIVE_TIMEOUT..=reason::TOPIC_NAME_INVALID
            | reason::RECEIVE_MAXIMUM_EXCEEDED..=reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
    )
}
