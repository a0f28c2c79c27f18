//! One message on its way to an inbox.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::age::{Age, Expiry};
use crate::client_id::{ClientId, NOTICE_FROM};
pub use crate::clock::Micros;

/// A place in the acceptance order of an inbox (contract rule 6).
///
/// Taken from one broker-wide clock, in microseconds, that only moves forward; it is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Before every message.
    pub const ZERO: Seq = Seq(0);
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// MQTT quality of service (MQTT 5, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0.
    #[default]
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl Qos {
    /// The level that MQTT writes as 0, 1 or 2.
    pub fn from_u8(level: u8) -> Option<Self> {
        match level {
            0 => Some(Qos::AtMostOnce),
            1 => Some(Qos::AtLeastOnce),
            2 => Some(Qos::ExactlyOnce),
            _ => None,
        }
    }
}

/// The payload format indicator (MQTT 5, section 3.3.2.3.2, property 0x01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PayloadFormat {
    /// Bytes of no stated kind. It means what silence means, and is passed on nevertheless (MQTT-3.3.2-4).
    Bytes = 0,
    /// UTF-8 text.
    Utf8 = 1,
}

impl PayloadFormat {
    /// The value that MQTT writes as 0 or 1.
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(PayloadFormat::Bytes),
            1 => Some(PayloadFormat::Utf8),
            _ => None,
        }
    }
}

/// What a publisher says about its payload (MQTT 5, section 3.3.2.3); an MQTT 3.1.1 publisher says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Property 0x01.
    pub payload_format: Option<PayloadFormat>,
    /// Property 0x03.
    pub content_type: Option<Box<str>>,
    /// Property 0x08.
    pub response_topic: Option<Box<str>>,
    /// Property 0x09.
    pub correlation_data: Option<Bytes>,
    /// Property 0x26, in the publisher's order, without the names that inboxd sets itself.
    pub user: Vec<(Box<str>, Box<str>)>,
}

impl Properties {
    /// The first user property of this name.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        let named = self.user.iter().find(|(known, _)| **known == *name);
        named.map(|(_, value)| &**value)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Properties::default()
    }
}

/// A message as it was accepted. It does not change afterwards, so it is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sent it: the authenticated client ID.
    pub from: ClientId,
    /// The sender's user property `id`; without one, [`crate::message_id`] makes one from the seq.
    pub id: Option<Box<str>>,
    /// When the broker accepted it, by the system clock: for showing, and for nothing else.
    pub at: Micros,
    /// When it leaves the inbox undelivered.
    pub expiry: Expiry,
    /// The publisher's QoS.
    pub qos: Qos,
    /// The application's bytes.
    pub payload: Bytes,
    /// Boxed because most messages have none.
    pub properties: Option<Box<Properties>>,
}

/// The user property that says which earlier messages a message is to replace (contract rule 12).
pub const COLLAPSE: &str = "collapse";

impl Message {
    /// Of the earlier messages of its sender, those with the same key are to be replaced by it (contract rule 12).
    #[inline]
    pub fn collapse_key(&self) -> Option<&str> {
        self.properties.as_deref()?.user_property(COLLAPSE)
    }

    /// Whether its sender can repeat it, so that it is to be known again by its `id` (contract rule 8). What the broker itself says has one for its reader.
    #[inline]
    pub fn is_named(&self) -> bool {
        self.id.is_some() && self.from != *NOTICE_FROM
    }

    /// What this message counts towards byte limits: payload and everything that the sender added to it, in bytes.
    pub fn size(&self) -> usize {
        let id = self.id.as_ref().map_or(0, |id| id.len());
        let properties = self.properties.as_ref().map_or(0, |p| {
            p.content_type.as_ref().map_or(0, |s| s.len())
                + p.response_topic.as_ref().map_or(0, |s| s.len())
                + p.correlation_data.as_ref().map_or(0, |b| b.len())
                + p.user.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
        });
        self.payload.len() + id + properties
    }

    /// Whether its time is over in a store of this age.
    pub fn is_expired(&self, age: Age) -> bool {
        self.expiry.is_over(age)
    }
}

/// A message and its place in its inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The message.
    pub message: Arc<Message>,
}

/// The `id` that a recipient sees: the one of its sender, or, where that gave none, the seq in 16 hexadecimal digits.
pub fn message_id(own: Option<&str>, seq: Seq) -> String {
    own.map_or_else(|| format!("{:016x}", seq.0), str::to_owned)
}
