//! Properties of MQTT 5 (section 2.2.2): reading them one by one, and those that describe a message.

use std::num::{NonZeroU16, NonZeroU32};

use inbox_types::PayloadFormat;

use super::DecodeError;
use super::topic::topic_name_fault;
use super::wire::Reader;

/// What a publisher says about its payload (MQTT 5, section 3.3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageProperties<'a> {
    /// Property 0x01.
    pub payload_format: Option<PayloadFormat>,
    /// In seconds. Property 0x02.
    pub message_expiry: Option<u32>,
    /// Property 0x03.
    pub content_type: Option<&'a str>,
    /// A valid topic name. Property 0x08.
    pub response_topic: Option<&'a str>,
    /// Property 0x09.
    pub correlation_data: Option<&'a [u8]>,
    /// Property 0x26, as often as it comes.
    pub user: UserProperties<'a>,
}

/// User properties, read when asked for, in the publisher's order (MQTT-3.3.2-18).
///
/// Two of them are equal when they were read from equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserProperties<'a> {
    /// A checked property block; empty when it has no user property.
    block: &'a [u8],
}

impl<'a> UserProperties<'a> {
    /// Names and values. A name can come more than once.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut reader = Reader::new(self.block);
        // Decoding went through all of the block, so the end is the only reason to stop.
        std::iter::from_fn(move || {
            while !reader.is_empty() {
                if let Property::User(name, value) = read_property(&mut reader).ok()? {
                    return Some((name, value));
                }
            }
            None
        })
    }

    /// Whether there is none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }
}

impl<'a> MessageProperties<'a> {
    /// Takes `property` if it describes a message; says whether it did.
    pub(super) fn take(&mut self, property: Property<'a>, block: &'a [u8]) -> Result<bool, DecodeError> {
        match property {
            Property::PayloadFormat(format) => self.payload_format = Some(format),
            Property::MessageExpiry(seconds) => self.message_expiry = Some(seconds),
            Property::ContentType(text) => self.content_type = Some(text),
            Property::ResponseTopic(topic) => {
                if let Some(fault) = topic_name_fault(topic) {
                    return Err(DecodeError::TopicNameInvalid(fault));
                }
                self.response_topic = Some(topic);
            }
            Property::CorrelationData(data) => self.correlation_data = Some(data),
            Property::User(..) => self.user = UserProperties { block },
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// One property that a client may send in some packet. Values that the specification forbids do not get this far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property<'a> {
    /// 0x01.
    PayloadFormat(PayloadFormat),
    /// 0x02.
    MessageExpiry(u32),
    /// 0x03.
    ContentType(&'a str),
    /// 0x08.
    ResponseTopic(&'a str),
    /// 0x09.
    CorrelationData(&'a [u8]),
    /// 0x0B.
    SubscriptionId(NonZeroU32),
    /// 0x11.
    SessionExpiry(u32),
    /// 0x15.
    AuthenticationMethod(&'a str),
    /// 0x16.
    AuthenticationData(&'a [u8]),
    /// 0x17.
    RequestProblemInformation(bool),
    /// 0x18.
    WillDelay(u32),
    /// 0x19.
    RequestResponseInformation(bool),
    /// 0x1C.
    ServerReference,
    /// 0x1F.
    ReasonString,
    /// 0x21.
    ReceiveMaximum(u16),
    /// 0x22.
    TopicAliasMaximum(u16),
    /// 0x23.
    TopicAlias(NonZeroU16),
    /// 0x26.
    User(&'a str, &'a str),
    /// 0x27.
    MaximumPacketSize(u32),
}

const USER_PROPERTY: u32 = 0x26;

/// The properties of one packet, each at most once but for user properties.
#[derive(Debug)]
pub(super) struct PropertyBlock<'a> {
    block: &'a [u8],
    rest: Reader<'a>,
    /// A bit for each identifier that came; they all are below 64.
    seen: u64,
}

impl<'a> PropertyBlock<'a> {
    /// Reads the property length and takes that many bytes from `reader`.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let length = reader.variable_byte_integer()?;
        let block = reader.take(length as usize)?;
        Ok(PropertyBlock {
            block,
            rest: Reader::new(block),
            seen: 0,
        })
    }

    /// All of the block.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.block
    }

    /// The next property; `None` at the end of the block.
    pub(super) fn next(&mut self) -> Result<Option<Property<'a>>, DecodeError> {
        let Some(&identifier) = self.rest.rest().first() else {
            return Ok(None);
        };
        let property = read_property(&mut self.rest)?;
        let bit = 1_u64.checked_shl(u32::from(identifier)).unwrap_or(0);
        if self.seen & bit != 0 && u32::from(identifier) != USER_PROPERTY {
            return Err(DecodeError::Protocol(
                "a property other than a user property comes twice (section 2.2.2.2)",
            ));
        }
        self.seen |= bit;
        Ok(Some(property))
    }
}

/// What a packet answers to a property that it must not have.
pub(super) const NOT_ALLOWED_HERE: DecodeError =
    DecodeError::Malformed("the packet holds a property that does not belong to its type (section 2.2.2.2)");

fn read_property<'a>(reader: &mut Reader<'a>) -> Result<Property<'a>, DecodeError> {
    Ok(match reader.variable_byte_integer()? {
        0x01 => Property::PayloadFormat(match flag(reader)? {
            true => PayloadFormat::Utf8,
            false => PayloadFormat::Bytes,
        }),
        0x02 => Property::MessageExpiry(reader.u32()?),
        0x03 => Property::ContentType(reader.string()?),
        0x08 => Property::ResponseTopic(reader.string()?),
        0x09 => Property::CorrelationData(reader.binary()?),
        0x0B => Property::SubscriptionId(NonZeroU32::new(reader.variable_byte_integer()?).ok_or(
            DecodeError::Protocol("a subscription identifier must not be 0 (section 3.8.2.1.2)"),
        )?),
        0x11 => Property::SessionExpiry(reader.u32()?),
        0x15 => Property::AuthenticationMethod(reader.string()?),
        0x16 => Property::AuthenticationData(reader.binary()?),
        0x17 => Property::RequestProblemInformation(flag(reader)?),
        0x18 => Property::WillDelay(reader.u32()?),
        0x19 => Property::RequestResponseInformation(flag(reader)?),
        0x1C => reader.string().map(|_| Property::ServerReference)?,
        0x1F => reader.string().map(|_| Property::ReasonString)?,
        0x21 => match reader.u16()? {
            0 => {
                return Err(DecodeError::Protocol(
                    "receive maximum must not be 0 (section 3.1.2.11.3)",
                ));
            }
            maximum => Property::ReceiveMaximum(maximum),
        },
        0x22 => Property::TopicAliasMaximum(reader.u16()?),
        0x23 => Property::TopicAlias(NonZeroU16::new(reader.u16()?).ok_or(DecodeError::TopicAliasInvalid)?),
        USER_PROPERTY => Property::User(reader.string()?, reader.string()?),
        0x27 => match reader.u32()? {
            0 => {
                return Err(DecodeError::Protocol(
                    "maximum packet size must not be 0 (section 3.1.2.11.4)",
                ));
            }
            maximum => Property::MaximumPacketSize(maximum),
        },
        // Only servers send these.
        0x12 | 0x13 | 0x1A | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => return Err(NOT_ALLOWED_HERE),
        _ => {
            return Err(DecodeError::Malformed(
                "the packet holds an unknown property (section 2.2.2.2)",
            ));
        }
    })
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Protocol(
            "a property that is a flag must be 0 or 1 (sections 3.1.2.11, 3.3.2.3.2)",
        )),
    }
}
