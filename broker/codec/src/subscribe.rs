//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, sections 3.8 and 3.10).

use std::num::NonZeroU32;

use inbox_types::Qos;

use super::properties::{NOT_ALLOWED_HERE, Property, PropertyBlock};
use super::topic::SHARE_PREFIX;
use super::wire::Reader;
use super::{DecodeError, PacketId, Version};

/// A client asks for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// To be answered with SUBACK.
    pub packet_id: PacketId,
    /// Property 0x0B: goes with every message that one of these filters matched.
    pub subscription_id: Option<NonZeroU32>,
    /// At least one.
    pub filters: SubscribeFilters<'a>,
}

/// What a client wants of one subscription (MQTT 5, section 3.8.3.1); MQTT 3.1.1 only has the QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionOptions {
    /// The highest QoS to deliver with.
    pub qos: Qos,
    /// Not the client's own messages.
    pub no_local: bool,
    /// Forward the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// Which retained messages to send at once.
    pub retain_handling: RetainHandling,
}

/// When a subscription begins with the retained messages that it matches (MQTT 5, section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// Always; the way of MQTT 3.1.1.
    #[default]
    Send = 0,
    /// Only when the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The filters of a SUBSCRIBE, read when asked for. They are strings of MQTT, not yet valid filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeFilters<'a> {
    version: Version,
    payload: &'a [u8],
}

/// A client wants no more messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// To be answered with UNSUBACK.
    pub packet_id: PacketId,
    /// At least one.
    pub filters: UnsubscribeFilters<'a>,
}

/// The filters of an UNSUBSCRIBE, read when asked for. They are strings of MQTT, not yet valid filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubscribeFilters<'a> {
    payload: &'a [u8],
}

impl<'a> SubscribeFilters<'a> {
    /// In the order of the packet, which is the order of the codes in SUBACK (MQTT-3.8.4-6).
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, SubscriptionOptions)> + use<'a> {
        let version = self.version;
        let mut reader = Reader::new(self.payload);
        // Decoding went through all of them, so the end is the only reason to stop.
        std::iter::from_fn(move || read_filter(version, &mut reader).ok())
    }
}

impl<'a> UnsubscribeFilters<'a> {
    /// In the order of the packet, which is the order of the codes in UNSUBACK (MQTT-3.11.3-1).
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.payload);
        std::iter::from_fn(move || reader.string().ok())
    }
}

/// Decodes what follows the fixed header of a SUBSCRIBE.
pub(super) fn decode_subscribe<'a>(version: Version, mut reader: Reader<'a>) -> Result<Subscribe<'a>, DecodeError> {
    let packet_id = reader.packet_id()?;
    let mut subscription_id = None;
    if version == Version::V5 {
        let mut block = PropertyBlock::read(&mut reader)?;
        while let Some(property) = block.next()? {
            match property {
                Property::SubscriptionId(id) => subscription_id = Some(id),
                Property::User(..) => {}
                _ => return Err(NOT_ALLOWED_HERE),
            }
        }
    }
    let filters = SubscribeFilters {
        version,
        payload: reader.rest(),
    };
    if reader.is_empty() {
        return Err(DecodeError::Protocol(
            "SUBSCRIBE must have at least one topic filter (MQTT-3.8.3-2)",
        ));
    }
    while !reader.is_empty() {
        read_filter(version, &mut reader)?;
    }
    Ok(Subscribe {
        packet_id,
        subscription_id,
        filters,
    })
}

/// Decodes what follows the fixed header of an UNSUBSCRIBE.
pub(super) fn decode_unsubscribe<'a>(version: Version, mut reader: Reader<'a>) -> Result<Unsubscribe<'a>, DecodeError> {
    let packet_id = reader.packet_id()?;
    if version == Version::V5 {
        let mut block = PropertyBlock::read(&mut reader)?;
        while let Some(property) = block.next()? {
            let Property::User(..) = property else {
                return Err(NOT_ALLOWED_HERE);
            };
        }
    }
    let filters = UnsubscribeFilters { payload: reader.rest() };
    if reader.is_empty() {
        return Err(DecodeError::Protocol(
            "UNSUBSCRIBE must have at least one topic filter (MQTT-3.10.3-2)",
        ));
    }
    while !reader.is_empty() {
        reader.string()?;
    }
    Ok(Unsubscribe { packet_id, filters })
}

fn read_filter<'a>(version: Version, reader: &mut Reader<'a>) -> Result<(&'a str, SubscriptionOptions), DecodeError> {
    let filter = reader.string()?;
    let byte = reader.u8()?;
    let reserved = match version {
        Version::V311 => 0b1111_1100,
        Version::V5 => 0b1100_0000,
    };
    if byte & reserved != 0 {
        return Err(DecodeError::Malformed(
            "the reserved bits of the options in SUBSCRIBE must be 0 (MQTT-3.8.3-5, 3.1.1: MQTT-3.8.3-4)",
        ));
    }
    let qos = Qos::from_u8(byte & 0b11).ok_or(match version {
        Version::V311 => DecodeError::Malformed("SUBSCRIBE must not ask for QoS 3 (3.1.1: MQTT-3.8.3-4)"),
        Version::V5 => DecodeError::Protocol("SUBSCRIBE must not ask for QoS 3 (section 3.8.3.1)"),
    })?;
    let retain_handling = match (byte >> 4) & 0b11 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => {
            return Err(DecodeError::Protocol(
                "SUBSCRIBE must not ask for retain handling 3 (section 3.8.3.1)",
            ));
        }
    };
    let no_local = byte & 0b0100 != 0;
    if no_local && filter.starts_with(SHARE_PREFIX) {
        return Err(DecodeError::Protocol(
            "a shared subscription must not have no local set (MQTT-3.8.3-4)",
        ));
    }
    let retain_as_published = byte & 0b1000 != 0;
    Ok((
        filter,
        SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    ))
}
