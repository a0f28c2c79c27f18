//! PUBLISH as clients send it (MQTT 5, section 3.3).

use std::num::NonZeroU16;

use inbox_types::Qos;

use super::properties::{MessageProperties, NOT_ALLOWED_HERE, Property, PropertyBlock};
use super::topic::topic_name_fault;
use super::wire::Reader;
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
