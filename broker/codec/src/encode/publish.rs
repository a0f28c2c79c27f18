//! PUBLISH for a client (MQTT 5, section 3.3): the packet that a broker sends most, so it is measured once, reserved once
//! and written in place.

use inbox_types::{PayloadFormat, Qos};

use super::write::{
    binary_len, put_binary, put_u16, put_user, put_variable_byte_integer, user_len, variable_byte_integer_len,
};
use crate::wire::VARIABLE_BYTE_INTEGER_MAX;
use crate::{PacketId, Version};

/// What to put into a PUBLISH. Everything between `packet_id` and `payload` is for MQTT 5 only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublishOut<'a> {
    /// It may have been sent before; not sent with QoS 0 (MQTT-3.3.1-2).
    pub dup: bool,
    /// The QoS of this transfer.
    pub qos: Qos,
    /// RETAIN as the client is to see it.
    pub retain: bool,
    /// A valid topic name; empty when `topic_alias`, sent before, stands for it.
    pub topic: &'a str,
    /// Must be there when the QoS is 1 or 2; not sent with QoS 0.
    pub packet_id: Option<PacketId>,
    /// Not 0. Property 0x23.
    pub topic_alias: Option<u16>,
    /// Of every subscription that matched and has one. Property 0x0B.
    pub subscription_ids: &'a [u32],
    /// What is left of it, in seconds. Property 0x02.
    pub message_expiry: Option<u32>,
    /// Property 0x01.
    pub payload_format: Option<PayloadFormat>,
    /// Property 0x03.
    pub content_type: Option<&'a str>,
    /// Property 0x08.
    pub response_topic: Option<&'a str>,
    /// Property 0x09.
    pub correlation_data: Option<&'a [u8]>,
    /// The broker's own user properties, sent before the publisher's. Property 0x26.
    pub own_user: &'a [(&'a str, &'a str)],
    /// The publisher's user properties, in its order (MQTT-3.3.2-18). Property 0x26.
    pub user: &'a [(Box<str>, Box<str>)],
    /// The application's bytes.
    pub payload: &'a [u8],
}

/// Appends a PUBLISH. One that is larger than MQTT can express (268,435,460 bytes) is not appended: ask [`publish_len`]
/// where that is possible.
pub fn publish(out: &mut Vec<u8>, version: Version, publish: &PublishOut<'_>) {
    let sizes = Sizes::of(version, publish);
    if sizes.remaining > VARIABLE_BYTE_INTEGER_MAX {
        return;
    }
    out.reserve(sizes.packet());
    out.push(first_byte(publish));
    put_variable_byte_integer(out, sizes.remaining);
    put_binary(out, publish.topic.as_bytes());
    if let Some(packet_id) = packet_id(publish) {
        put_u16(out, packet_id.get());
    }
    if version == Version::V5 {
        put_variable_byte_integer(out, sizes.properties);
        if sizes.properties != 0 {
            put_properties(out, publish);
        }
    }
    out.extend_from_slice(publish.payload);
}

/// The bytes that [`publish`] would append, fixed header included: what the client's maximum packet size is about
/// (MQTT-3.1.2-24).
pub fn publish_len(version: Version, publish: &PublishOut<'_>) -> usize {
    Sizes::of(version, publish).packet()
}

struct Sizes {
    /// Of the properties, without their length; 0 in MQTT 3.1.1.
    properties: usize,
    /// Of everything after the fixed header.
    remaining: usize,
}

impl Sizes {
    fn of(version: Version, publish: &PublishOut<'_>) -> Self {
        let packet_id_len = if packet_id(publish).is_some() { 2 } else { 0 };
        let (properties, length_len) = match version {
            Version::V311 => (0, 0),
            Version::V5 => {
                let properties = properties_len(publish);
                (properties, variable_byte_integer_len(properties))
            }
        };
        let topic_len = binary_len(publish.topic.as_bytes());
        Sizes {
            properties,
            remaining: topic_len + packet_id_len + length_len + properties + publish.payload.len(),
        }
    }

    fn packet(&self) -> usize {
        1 + variable_byte_integer_len(self.remaining) + self.remaining
    }
}

/// The packet identifier to send. A QoS 1 or 2 message without one is a mistake of the caller; it goes out as QoS 0,
/// because a packet without the identifier that its flags promise would garble the rest of the connection.
fn packet_id(publish: &PublishOut<'_>) -> Option<PacketId> {
    debug_assert!(
        publish.qos == Qos::AtMostOnce || publish.packet_id.is_some(),
        "a PUBLISH of QoS 1 or 2 must have a packet identifier"
    );
    publish.packet_id.filter(|_| publish.qos != Qos::AtMostOnce)
}

fn first_byte(publish: &PublishOut<'_>) -> u8 {
    let flags = match packet_id(publish) {
        Some(_) => (u8::from(publish.dup) << 3) | ((publish.qos as u8) << 1),
        None => 0,
    };
    0x30 | flags | u8::from(publish.retain)
}

fn properties_len(publish: &PublishOut<'_>) -> usize {
    let mut length = 0;
    if publish.payload_format.is_some() {
        length += 2;
    }
    if publish.message_expiry.is_some() {
        length += 5;
    }
    if publish.topic_alias.is_some() {
        length += 3;
    }
    for data in [
        publish.response_topic.map(str::as_bytes),
        publish.correlation_data,
        publish.content_type.map(str::as_bytes),
    ]
    .into_iter()
    .flatten()
    {
        length += 1 + binary_len(data);
    }
    for &id in publish.subscription_ids {
        length += 1 + variable_byte_integer_len(id as usize);
    }
    for (name, value) in publish.own_user {
        length += user_len(name, value);
    }
    for (name, value) in publish.user {
        length += user_len(name, value);
    }
    length
}

/// Appends what [`properties_len`] measured.
fn put_properties(out: &mut Vec<u8>, publish: &PublishOut<'_>) {
    if let Some(format) = publish.payload_format {
        out.extend_from_slice(&[0x01, format as u8]);
    }
    if let Some(seconds) = publish.message_expiry {
        out.push(0x02);
        out.extend_from_slice(&seconds.to_be_bytes());
    }
    if let Some(alias) = publish.topic_alias {
        out.push(0x23);
        put_u16(out, alias);
    }
    if let Some(topic) = publish.response_topic {
        out.push(0x08);
        put_binary(out, topic.as_bytes());
    }
    if let Some(data) = publish.correlation_data {
        out.push(0x09);
        put_binary(out, data);
    }
    if let Some(content_type) = publish.content_type {
        out.push(0x03);
        put_binary(out, content_type.as_bytes());
    }
    for &id in publish.subscription_ids {
        out.push(0x0B);
        put_variable_byte_integer(out, id as usize);
    }
    for (name, value) in publish.own_user {
        put_user(out, name, value);
    }
    for (name, value) in publish.user {
        put_user(out, name, value);
    }
}
