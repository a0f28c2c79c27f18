//! The MQTT 3.1.1 and MQTT 5 codec, as a server needs it: packets of clients are decoded, packets for clients are
//! encoded.
//!
//! No I/O and no session state. Decoding borrows from the packet and allocates nothing; encoding appends to a vector.
//! It is strict: what the specification calls malformed or a protocol error is a [`DecodeError`] with the reason code
//! to answer, and no input makes it panic. Both versions give the same types, so a session knows one kind of packet.
//!
//! Rules that need state are the session's: which packet identifiers are in use, whether a topic alias is known, what
//! was negotiated, whether a client ID may be empty, and the syntax of topic filters ([`TopicFilter`]).
//!
//! ```text
//! bytes ──frame──▶ one packet ──decode_connect / decode──▶ Connect, Packet
//! ConnAck, PublishOut, … ──encode::connack, encode::publish, …──▶ bytes
//! ```

mod ack;
mod connect;
mod decode;
pub mod encode;
mod error;
mod frame;
mod properties;
mod publish;
pub mod reason;
mod subscribe;
mod topic;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU16;

pub use ack::{Ack, Auth, Disconnect};
pub use connect::{Connect, ConnectProperties, Will, decode_connect, peek_maximum_packet_size, peek_version};
pub use decode::{decode, decode_v31};
pub use encode::{AckKind, ConnAck, PublishOut};
pub use error::DecodeError;
pub use frame::{frame, frame_v31};
pub use properties::{MessageProperties, UserProperties};
pub use publish::{BegunPublish, Publish, begin_publish};
pub use subscribe::{
    RetainHandling, Subscribe, SubscribeFilters, SubscriptionOptions, Unsubscribe, UnsubscribeFilters,
};
pub use topic::{FilterError, TopicFilter, topic_name_fault};

/// A protocol version that inboxd speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// The kind of a control packet (MQTT 5, table 2-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Client to server, first and once.
    Connect = 1,
    /// Server to client.
    ConnAck = 2,
    /// Both ways.
    Publish = 3,
    /// Both ways; answers a PUBLISH of QoS 1.
    PubAck = 4,
    /// Both ways; answers a PUBLISH of QoS 2.
    PubRec = 5,
    /// Both ways; answers PUBREC.
    PubRel = 6,
    /// Both ways; answers PUBREL.
    PubComp = 7,
    /// Client to server.
    Subscribe = 8,
    /// Server to client.
    SubAck = 9,
    /// Client to server.
    Unsubscribe = 10,
    /// Server to client.
    UnsubAck = 11,
    /// Client to server.
    PingReq = 12,
    /// Server to client.
    PingResp = 13,
    /// Client to server in MQTT 3.1.1, both ways in MQTT 5.
    Disconnect = 14,
    /// Both ways, MQTT 5 only.
    Auth = 15,
}

impl PacketType {
    /// The type in the high four bits of a packet's first byte; `None` for the reserved type 0.
    pub const fn of_first_byte(first: u8) -> Option<Self> {
        Some(match first >> 4 {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }
}

/// A packet identifier: 1 to 65,535 (MQTT-2.2.1-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The smallest identifier.
    pub const MIN: PacketId = PacketId(NonZeroU16::MIN);

    /// `None` for 0, which is no identifier.
    pub fn new(id: u16) -> Option<Self> {
        NonZeroU16::new(id).map(PacketId)
    }

    /// As it is on the wire.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// The identifier after this one; 1 comes after 65,535.
    pub fn next(self) -> Self {
        self.0.checked_add(1).map_or(PacketId::MIN, PacketId)
    }

    /// How often [`PacketId::next`] leads from here to `other`: 0 to 65,534 times.
    pub fn steps_to(self, other: Self) -> u16 {
        let (from, to) = (self.get(), other.get());
        match to.checked_sub(from) {
            Some(steps) => steps,
            None => u16::MAX - (from - to),
        }
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A packet that a client sent after its CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A message.
    Publish(Publish<'a>),
    /// The client has a QoS 1 message.
    PubAck(Ack),
    /// The client has a QoS 2 message, or refuses it (reason 0x80 and above).
    PubRec(Ack),
    /// The client will not send that QoS 2 message again.
    PubRel(Ack),
    /// The client is done with a QoS 2 message.
    PubComp(Ack),
    /// Filters to subscribe to.
    Subscribe(Subscribe<'a>),
    /// Filters to unsubscribe from.
    Unsubscribe(Unsubscribe<'a>),
    /// To be answered with PINGRESP.
    PingReq,
    /// The client is leaving.
    Disconnect(Disconnect),
    /// A step of extended authentication (MQTT 5 only).
    Auth(Auth<'a>),
    /// What only a server sends, or a second CONNECT: always a protocol error (MQTT-3.1.0-2). Its body was not looked at.
    Unexpected(PacketType),
}
