//! A network connection.

use std::collections::VecDeque;

use inboxd::single::ConnId;

use crate::sim::client::mail_of;
use crate::sim::oracle::Said;
use crate::{Packet, Version};

/// One network connection.
pub(super) struct Link {
    /// Of those with mail, or of those of ordinary topics.
    pub(super) client: usize,
    pub(super) is_ordinary: bool,
    pub(super) version: Version,
    /// `None` when the broker has ended it.
    pub(super) conn: Option<ConnId>,
    /// The client has given it up: what it sent may still arrive.
    pub(super) is_cut: bool,
    /// To the broker, and how much of it has arrived.
    pub(super) up: Vec<u8>,
    pub(super) arrived: usize,
    /// What the bytes of `up` mean, and where each packet ends.
    pub(super) said: VecDeque<(usize, Said)>,
    /// Of the broker's out buffer: how much the oracle has seen; and the start of a packet of which it has not seen the end.
    pub(super) seen: usize,
    pub(super) partial: Vec<u8>,
    /// Written by the broker, and not with the client.
    pub(super) down: VecDeque<u8>,
    /// With the client, and not a whole packet.
    pub(super) got: Vec<u8>,
}

impl Link {
    /// One that has begun.
    pub(super) fn new(client: usize, version: Version, conn: ConnId, is_ordinary: bool) -> Self {
        Link {
            client,
            is_ordinary,
            version,
            conn: Some(conn),
            is_cut: false,
            up: Vec::new(),
            arrived: 0,
            said: VecDeque::new(),
            seen: 0,
            partial: Vec::new(),
            down: VecDeque::new(),
            got: Vec::new(),
        }
    }

    /// Of its client.
    pub(super) fn name(&self) -> String {
        let kind = if self.is_ordinary { "t/" } else { "c" };
        format!("{kind}{}", self.client)
    }
}

/// What the trace says of a packet.
pub(super) fn show(packet: &Packet) -> String {
    match packet {
        Packet::ConnAck(connack) => format!(
            "CONNACK {:#04x}, session present {}",
            connack.code, connack.session_present
        ),
        Packet::Publish(publish) => format!(
            "PUBLISH {} QoS {} id {}{}{}",
            mail_of(&publish.payload).map_or_else(
                || "?".into(),
                |mail| {
                    let kind = if publish.payload.starts_with(b"o") { "o" } else { "m" };
                    format!("{kind}{mail}")
                }
            ),
            publish.qos,
            publish.packet_id,
            if publish.dup { " DUP" } else { "" },
            if publish.retain { " RETAIN" } else { "" },
        ),
        Packet::Ack(ack) => format!("{:?} {} {:#04x}", ack.kind, ack.packet_id, ack.reason),
        Packet::SubAck(suback) => format!("SUBACK {} {:02x?}", suback.packet_id, suback.codes),
        Packet::UnsubAck(unsuback) => format!("UNSUBACK {} {:02x?}", unsuback.packet_id, unsuback.codes),
        Packet::PingResp => "PINGRESP".into(),
        Packet::Disconnect(reason, _) => format!("DISCONNECT {reason:#04x}"),
        Packet::Auth(reason, _) => format!("AUTH {reason:#04x}"),
    }
}
