//! One connection to the broker: the only folder that names rumqttc.
//!
//! **Promise:** what is answered belongs to the publish that has this packet identifier on this connection, and an acknowledgement goes out on the
//! connection that delivered its message, or not at all.
//!
//! What rumqttc is used for, and what not:
//!
//! * Every connection has an event loop of its own. What rumqttc would send again after a reconnection, its packet identifiers and events that it
//!   had read but not told belong to one connection; over connections the outbox is in charge.
//! * Its event loop must not be interrupted while it writes, or a packet that it counts as sent is lost. So [`Reader::next`] may be
//!   given up only while [`Writer::is_idle`].
//! * It sends PINGREQ by its own clock, also where there was traffic, and finds a dead link after two of them. The heartbeat is ours
//!   (`heartbeat.rs`): its ping goes the way that rumqttc has for packets to be sent again (`pending`), rumqttc's clock is set to ten hours once it is connected, and it is
//!   told that each ping was answered. The Keep Alive in CONNECT cannot be less than 5 s.
//! * Its PUBACKs for deliveries have no reason code, so a rejection goes the same way as a ping, which costs it up to a millisecond.
//! * While its window is full, it sends nothing at all, acknowledgements included; so ours is smaller by one.
//! * Where CONNACK refuses, its reason string is not told. A packet over the broker's Maximum Packet Size would end the connection, so it is
//!   measured before.
//! * Where a broker answers out of order, a publish may have to wait until its packet identifier is free, and everything else with it; pings go on.
//! * An IPv6 address cannot be the host of a URL with TLS.

mod events;
mod settings;
mod tls;

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{PubAck, PubAckReason, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Request};
use tracing::warn;

use crate::outbox::Order;
pub(crate) use events::{Broker, Failed, Happened, Incoming, Reader, Reply};
pub(crate) use settings::Settings;

/// Room for a packet identifier and a length that is longer than thought.
const SLACK_BYTES: usize = 8;

/// What is published.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) is_text: bool,
    pub(crate) expiry_s: Option<u32>,
    pub(crate) response_topic: Option<String>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// Why something was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpublished {
    /// The broker takes no packet of that size.
    TooLarge,
    /// The connection is at its end.
    Ended,
}

/// The way out.
#[derive(Debug)]
pub(crate) struct Writer {
    client: AsyncClient,
    /// Publishes without an answer that the connection allows.
    window: usize,
    packet_bytes_max: Option<usize>,
    /// Requests that were given to the event loop, and not written yet.
    unwritten: usize,
    /// Pings of ours that were not written yet: rumqttc sends one of its own at the beginning.
    asks: usize,
    /// A publish waits until its packet identifier is free; nothing else is written meanwhile.
    is_postponed: bool,
    /// Publishes that have no packet identifier yet, in the order of their requests.
    unnumbered: VecDeque<Order>,
    unanswered: HashMap<u16, Order>,
    /// What goes the way of packets to be sent again.
    beside: VecDeque<Request>,
}

impl Writer {
    /// What the broker allows.
    pub(crate) fn allow(&mut self, broker: &Broker) {
        let most = broker.receive_maximum.map_or(usize::MAX, usize::from);
        self.window = self.window.min(most.saturating_sub(1).max(1));
        self.packet_bytes_max = broker.packet_bytes_max;
    }

    /// Whether another publish may be under way.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.unnumbered.len() + self.unanswered.len() < self.window.min(most)
    }

    /// Whether the event loop waits, and may be interrupted.
    pub(crate) fn is_idle(&self) -> bool {
        self.unwritten == 0 || self.is_postponed
    }

    /// Whether something waits until the event loop can be interrupted.
    pub(crate) fn wants_beside(&self) -> bool {
        !self.beside.is_empty()
    }

    pub(crate) fn subscribe(&mut self, topic: &str) {
        let requested = self.client.try_subscribe(topic, QoS::AtLeastOnce);
        self.requested(requested.is_ok());
    }

    pub(crate) fn publish(&mut self, order: Order, outgoing: Outgoing) -> Result<(), Unpublished> {
        let properties = PublishProperties {
            payload_format_indicator: outgoing.is_text.then_some(1),
            message_expiry_interval: outgoing.expiry_s,
            response_topic: outgoing.response_topic,
            content_type: outgoing.content_type,
            user_properties: outgoing.user_properties,
            ..PublishProperties::default()
        };
        let packet = Publish::new(
            outgoing.topic.as_str(),
            QoS::AtLeastOnce,
            outgoing.payload.clone(),
            Some(properties.clone()),
        );
        if self
            .packet_bytes_max
            .is_some_and(|most| packet.size() + SLACK_BYTES > most)
        {
            return Err(Unpublished::TooLarge);
        }
        let requested = self.client.try_publish_with_properties(
            outgoing.topic,
            QoS::AtLeastOnce,
            false,
            outgoing.payload,
            properties,
        );
        if requested.is_err() {
            return Err(Unpublished::Ended);
        }
        self.unwritten += 1;
        self.unnumbered.push_back(order);
        Ok(())
    }

    /// PUBACK 0x00 for a delivery.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) {
        // Only the identifier goes into a PUBACK.
        let delivery = Publish {
            pkid: packet_id,
            qos: QoS::AtLeastOnce,
            ..Publish::default()
        };
        let requested = self.client.try_ack(&delivery);
        self.requested(requested.is_ok());
    }

    /// PUBACK 0x83 for a delivery: it leaves the inbox unwanted.
    pub(crate) fn reject(&mut self, packet_id: u16) {
        let mut puback = PubAck::new(packet_id, None);
        puback.reason = PubAckReason::ImplementationSpecificError;
        self.beside.push_back(Request::PubAck(puback));
    }

    /// PINGREQ.
    pub(crate) fn ask(&mut self) {
        self.asks += 1;
        self.beside.push_back(Request::PingReq);
    }

    /// DISCONNECT.
    pub(crate) fn say_goodbye(&mut self) {
        let requested = self.client.try_disconnect();
        self.requested(requested.is_ok());
    }

    /// A publish was written, and has this packet identifier.
    pub(crate) fn written(&mut self, packet_id: u16) {
        self.wrote();
        self.is_postponed = false;
        if let Some(order) = self.unnumbered.pop_front() {
            self.unanswered.insert(packet_id, order);
        }
    }

    /// A publish is held back.
    pub(crate) fn postponed(&mut self) {
        self.is_postponed = true;
    }

    /// A ping was written.
    pub(crate) fn asked(&mut self) {
        if self.asks > 0 {
            self.asks -= 1;
            self.wrote();
        }
    }

    /// Something else was written.
    pub(crate) fn wrote(&mut self) {
        self.unwritten = self.unwritten.saturating_sub(1);
    }

    /// Which publish is answered.
    pub(crate) fn answered(&mut self, packet_id: u16) -> Option<Order> {
        self.unanswered.remove(&packet_id)
    }

    fn requested(&mut self, is_requested: bool) {
        // The channel has room for everything that can wait; without its other end there is nothing to say.
        match is_requested {
            true => self.unwritten += 1,
            false => warn!("a request found the connection at its end"),
        }
    }
}

/// Begins a connection, which is made by the first [`Reader::next`].
pub(crate) fn open(settings: &Settings) -> (Writer, Reader) {
    // Our window is smaller than rumqttc's, by one.
    let in_flight = settings.in_flight_max.saturating_add(1).max(2);
    // Publishes, acknowledgements, one subscription and one goodbye.
    let requests_max = usize::from(in_flight) + 2 * usize::from(settings.window) + 16;
    let (client, events) = AsyncClient::new(settings.for_rumqttc(in_flight), requests_max);
    let writer = Writer {
        client,
        window: usize::from(in_flight - 1),
        packet_bytes_max: None,
        unwritten: 0,
        asks: 0,
        is_postponed: false,
        unnumbered: VecDeque::new(),
        unanswered: HashMap::new(),
        beside: VecDeque::new(),
    };
    (writer, Reader::new(events))
}
