//! PUBLISH as clients send it (MQTT 5, section 3.3).

use std::num::NonZeroU16;

use inbox_types::Qos;

use super::properties::{MessageProperties, NOT_ALLOWED_HERE, Property, PropertyBlock};
use super::topic::topic_name_fault;
use super::wire::{self, Reader};
use super::{DecodeError, PacketId, Version};

/// A message from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// It may have been sent before; never set with QoS 0.
    pub dup: bool,
    /// The QoS of this transfer.
    pub qos: Qos,
    /// Whether it is to be retained.
    pub retain: bool,
    /// A valid topic name; empty (MQTT 5 only) when `topic_alias` stands for it.
    pub topic: &'a str,
    /// There exactly when the QoS is 1 or 2.
    pub packet_id: Option<PacketId>,
    /// Property 0x23. Whether it is within the broker's maximum is the session's to say.
    pub topic_alias: Option<NonZeroU16>,
    /// What is said about the payload; nothing in MQTT 3.1.1.
    pub properties: MessageProperties<'a>,
    /// The application's bytes.
    pub payload: &'a [u8],
}

/// Decodes what follows the fixed header. `flags` have been checked ([`super::frame`]).
#[inline]
pub(super) fn decode<'a>(version: Version, flags: u8, mut reader: Reader<'a>) -> Result<Publish<'a>, DecodeError> {
    let qos = Qos::from_u8((flags >> 1) & 0b11)
        .ok_or(DecodeError::Malformed("PUBLISH must not have QoS 3 (MQTT-3.3.1-4)"))?;
    let topic = reader.string()?;
    let packet_id = match qos {
        Qos::AtMostOnce => None,
        Qos::AtLeastOnce | Qos::ExactlyOnce => Some(reader.packet_id()?),
    };
    let mut topic_alias = None;
    let mut properties = MessageProperties::default();
    if version == Version::V5 {
        let mut block = PropertyBlock::read(&mut reader)?;
        while let Some(property) = block.next()? {
            match property {
                Property::TopicAlias(alias) => topic_alias = Some(alias),
                Property::SubscriptionId(_) => {
                    return Err(DecodeError::Protocol(
                        "PUBLISH of a client must not have a subscription identifier (MQTT-3.3.4-6)",
                    ));
                }
                property if properties.take(property, block.bytes())? => {}
                _ => return Err(NOT_ALLOWED_HERE),
            }
        }
    }
    if topic.is_empty() && version == Version::V5 {
        if topic_alias.is_none() {
            return Err(DecodeError::Protocol(
                "PUBLISH must have a topic name or a topic alias (section 3.3.2.1)",
            ));
        }
    } else if let Some(fault) = topic_name_fault(topic) {
        return Err(DecodeError::TopicNameInvalid(fault));
    }
    Ok(Publish {
        dup: flags & 0b1000 != 0,
        qos,
        retain: flags & 0b0001 != 0,
        topic,
        packet_id,
        topic_alias,
        properties,
        payload: reader.rest(),
    })
}

/// A PUBLISH of MQTT 3.1.1 of which the end of the payload may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunPublish<'a> {
    /// Its payload is what is there.
    pub publish: Publish<'a>,
    /// Bytes of the buffer that belong to it.
    pub used: usize,
    /// Bytes of the payload that are to come.
    pub left: usize,
}

/// Decodes the beginning of a PUBLISH of MQTT 3.1.1, for one that is too large to be taken as a whole. `None` when the fields before its
/// payload are not all there.
///
/// # Errors
/// What is there breaks the protocol. The first byte must have been checked by [`super::frame`].
pub fn begin_publish(buf: &[u8]) -> Result<Option<BegunPublish<'_>>, DecodeError> {
    let Some((&first, rest)) = buf.split_first() else {
        return Ok(None);
    };
    let Some((remaining, length_bytes)) = wire::variable_byte_integer(rest)? else {
        return Ok(None);
    };
    let remaining = remaining as usize;
    let body = rest.get(length_bytes..).unwrap_or_default();
    let body = body.get(..remaining).unwrap_or(body);
    let topic_bytes = match body {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ if body.len() < remaining => return Ok(None),
        _ => 0,
    };
    // The topic's length, the topic, and a packet identifier, which QoS 0 does not have.
    if body.len() < remaining.min(2 + topic_bytes + 2) {
        return Ok(None);
    }
    Ok(Some(BegunPublish {
        publish: decode(Version::V311, first & 0x0F, Reader::new(body))?,
        used: 1 + length_bytes + body.len(),
        left: remaining - body.len(),
    }))
}
