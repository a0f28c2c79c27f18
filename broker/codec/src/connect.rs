//! CONNECT (MQTT 5, section 3.1).

use inbox_types::Qos;

use super::properties::{MessageProperties, NOT_ALLOWED_HERE, Property, PropertyBlock};
use super::topic::topic_name_fault;
use super::wire::Reader;
use super::{DecodeError, PacketType, Version, frame};

/// A client asks to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that the client speaks from here on.
    pub version: Version,
    /// The client speaks MQTT 3.1, which is served as 3.1.1 but for a few differences.
    pub is_v31: bool,
    /// Clean start; clean session in MQTT 3.1.1.
    pub clean_start: bool,
    /// In seconds; 0 turns it off.
    pub keep_alive: u16,
    /// May be empty; whether that is accepted is the session's to say (MQTT-3.1.3-6; 3.1.1: MQTT-3.1.3-7, -8).
    pub client_id: &'a str,
    /// What is published when the client disappears.
    pub will: Option<Will<'a>>,
    /// The user name.
    pub username: Option<&'a str>,
    /// The password, which in MQTT 5 can come without a user name.
    pub password: Option<&'a [u8]>,
    /// The defaults in MQTT 3.1.1.
    pub properties: ConnectProperties<'a>,
}

/// The properties of CONNECT (MQTT 5, section 3.1.2.11). Its user properties have no meaning here and are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectProperties<'a> {
    /// In seconds; `u32::MAX` is "never". Property 0x11.
    pub session_expiry: Option<u32>,
    /// At least 1. Property 0x21.
    pub receive_maximum: Option<u16>,
    /// In bytes, at least 1. Property 0x27.
    pub maximum_packet_size: Option<u32>,
    /// The highest alias that the broker may use; 0 is none. Property 0x22.
    pub topic_alias_maximum: u16,
    /// Property 0x19; false unless asked for.
    pub request_response_information: bool,
    /// Property 0x17; true unless declined. When false, only PUBLISH, CONNACK and DISCONNECT may carry a reason string
    /// or user properties (MQTT-3.1.2-29).
    pub request_problem_information: bool,
    /// Property 0x15.
    pub authentication_method: Option<&'a str>,
    /// Property 0x16; only there with a method.
    pub authentication_data: Option<&'a [u8]>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        ConnectProperties {
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

/// The will message of a client (MQTT 5, section 3.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// The QoS to publish it with.
    pub qos: Qos,
    /// Whether it is to be retained.
    pub retain: bool,
    /// A valid topic name.
    pub topic: &'a str,
    /// The application's bytes.
    pub payload: &'a [u8],
    /// Will delay interval in seconds. Property 0x18.
    pub delay: u32,
    /// What else is said about it.
    pub properties: MessageProperties<'a>,
}

/// Decodes the first packet of a connection, which names the protocol version.
///
/// `packet` is one whole packet, as [`super::frame`] measured it.
///
/// # Errors
/// [`DecodeError::Protocol`] when it is no CONNECT (MQTT-3.1.0-1), [`DecodeError::UnsupportedVersion`] for other
/// versions of MQTT, and every other rule that it breaks. [`peek_version`] tells whether and how to answer.
pub fn decode_connect(packet: &[u8]) -> Result<Connect<'_>, DecodeError> {
    let (packet_type, _, mut reader) = frame::split(packet, frame::Flags::Strict)?;
    if packet_type != PacketType::Connect {
        return Err(DecodeError::Protocol(
            "the first packet of a connection must be CONNECT (MQTT-3.1.0-1)",
        ));
    }
    let protocol = protocol(&mut reader)?;
    let (version, is_v31) = (protocol.version(), protocol == Protocol::V31);
    let flags = Flags::read(&mut reader, version)?;
    let keep_alive = reader.u16()?;
    let properties = match version {
        Version::V311 => ConnectProperties::default(),
        Version::V5 => connect_properties(&mut reader)?,
    };
    let client_id = reader.string()?;
    let will = match flags.will {
        Some((qos, retain)) => Some(will(&mut reader, version, qos, retain)?),
        None => None,
    };
    let username = if flags.username { Some(reader.string()?) } else { None };
    let password = if flags.password { Some(reader.binary()?) } else { None };
    reader.end()?;
    Ok(Connect {
        version,
        is_v31,
        clean_start: flags.clean_start,
        keep_alive,
        client_id,
        will,
        username,
        password,
        properties,
    })
}

/// The version that a broken CONNECT claims to speak, so that it can be refused in that version; `None` when it is no
/// CONNECT of a version that the broker speaks, or not enough of it is there.
pub fn peek_version(packet: &[u8]) -> Option<Version> {
    let mut reader = Reader::new(packet);
    let first = reader.u8().ok()?;
    if PacketType::of_first_byte(first) != Some(PacketType::Connect) {
        return None;
    }
    reader.variable_byte_integer().ok()?;
    Some(protocol(&mut reader).ok()?.version())
}

/// The Maximum Packet Size that a broken CONNECT of MQTT 5 states, so that its refusal can keep to it (MQTT-3.1.2-24); `None` when
/// it states none, or not where it can be read.
pub fn peek_maximum_packet_size(packet: &[u8]) -> Option<u32> {
    let (_, _, mut reader) = frame::split(packet, frame::Flags::Strict).ok()?;
    if protocol(&mut reader).ok()? != Protocol::V5 {
        return None;
    }
    let (_flags, _keep_alive) = (reader.u8().ok()?, reader.u16().ok()?);
    let mut block = PropertyBlock::read(&mut reader).ok()?;
    let mut stated = None;
    while let Ok(Some(property)) = block.next() {
        if let Property::MaximumPacketSize(bytes) = property {
            stated = Some(bytes);
        }
    }
    stated
}

/// What the connect flags say (MQTT 5, section 3.1.2.3).
struct Flags {
    clean_start: bool,
    will: Option<(Qos, bool)>,
    username: bool,
    password: bool,
}

impl Flags {
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let byte = reader.u8()?;
        let set = |bit: u8| byte & (1 << bit) != 0;
        if set(0) {
            return Err(DecodeError::Malformed(
                "the reserved flag of CONNECT must be 0 (MQTT-3.1.2-3)",
            ));
        }
        let will_qos = Qos::from_u8((byte >> 3) & 0b11).ok_or(DecodeError::Malformed(
            "the will of CONNECT must not have QoS 3 (MQTT-3.1.2-12)",
        ))?;
        let will_retain = set(5);
        let will = set(2).then_some((will_qos, will_retain));
        if will.is_none() && will_qos != Qos::AtMostOnce {
            return Err(DecodeError::Malformed(
                "CONNECT without a will must have will QoS 0 (MQTT-3.1.2-11)",
            ));
        }
        if will.is_none() && will_retain {
            return Err(DecodeError::Malformed(
                "CONNECT without a will must have will retain 0 (MQTT-3.1.2-13)",
            ));
        }
        let (username, password) = (set(7), set(6));
        if version == Version::V311 && password && !username {
            return Err(DecodeError::Malformed(
                "CONNECT of MQTT 3.1.1 must not have a password without a user name (3.1.1: MQTT-3.1.2-22)",
            ));
        }
        Ok(Flags {
            clean_start: set(1),
            will,
            username,
            password,
        })
    }
}

/// What the first bytes of CONNECT can say that the broker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    V31,
    V311,
    V5,
}

impl Protocol {
    /// MQTT 3.1 has the packets of 3.1.1.
    fn version(self) -> Version {
        match self {
            Protocol::V31 | Protocol::V311 => Version::V311,
            Protocol::V5 => Version::V5,
        }
    }
}

/// Protocol name and level (MQTT 5, sections 3.1.2.1 and 3.1.2.2; MQTT 3.1, section 3.1).
fn protocol(reader: &mut Reader<'_>) -> Result<Protocol, DecodeError> {
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::Malformed(
            "the protocol name of CONNECT must be MQTT (MQTT-3.1.2-1), or MQIsdp in MQTT 3.1",
        ));
    }
    match (name, reader.u8()?) {
        (b"MQIsdp", 3) => Ok(Protocol::V31),
        (b"MQTT", 4) => Ok(Protocol::V311),
        (b"MQTT", 5) => Ok(Protocol::V5),
        (_, level) => Err(DecodeError::UnsupportedVersion(level)),
    }
}

fn connect_properties<'a>(reader: &mut Reader<'a>) -> Result<ConnectProperties<'a>, DecodeError> {
    let mut properties = ConnectProperties::default();
    let mut block = PropertyBlock::read(reader)?;
    while let Some(property) = block.next()? {
        match property {
            Property::SessionExpiry(seconds) => properties.session_expiry = Some(seconds),
            Property::ReceiveMaximum(maximum) => properties.receive_maximum = Some(maximum),
            Property::MaximumPacketSize(bytes) => properties.maximum_packet_size = Some(bytes),
            Property::TopicAliasMaximum(maximum) => properties.topic_alias_maximum = maximum,
            Property::RequestResponseInformation(wanted) => properties.request_response_information = wanted,
            Property::RequestProblemInformation(wanted) => properties.request_problem_information = wanted,
            Property::AuthenticationMethod(method) => properties.authentication_method = Some(method),
            Property::AuthenticationData(data) => properties.authentication_data = Some(data),
            Property::User(..) => {}
            _ => return Err(NOT_ALLOWED_HERE),
        }
    }
    if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
        return Err(DecodeError::Protocol(
            "CONNECT must not have authentication data without an authentication method (section 3.1.2.11.10)",
        ));
    }
    Ok(properties)
}

fn will<'a>(reader: &mut Reader<'a>, version: Version, qos: Qos, retain: bool) -> Result<Will<'a>, DecodeError> {
    let mut delay = 0;
    let mut properties = MessageProperties::default();
    if version == Version::V5 {
        let mut block = PropertyBlock::read(reader)?;
        while let Some(property) = block.next()? {
            match property {
                Property::WillDelay(seconds) => delay = seconds,
                property if properties.take(property, block.bytes())? => {}
                _ => return Err(NOT_ALLOWED_HERE),
            }
        }
    }
    let topic = reader.string()?;
    if let Some(fault) = topic_name_fault(topic) {
        return Err(DecodeError::TopicNameInvalid(fault));
    }
    Ok(Will {
        qos,
        retain,
        topic,
        payload: reader.binary()?,
        delay,
        properties,
    })
}
