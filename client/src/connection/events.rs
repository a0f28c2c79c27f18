//! What comes from rumqttc, in our terms.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as CodecError, QoS};
use rumqttc::v5::{ConnectionError, Event, EventLoop, StateError};

use super::Writer;
use super::tls::fault_of_certificate;
use crate::error::{Lost, LostWhy, StopReason};

/// rumqttc's own clock for pings is set to this.
const NEVER: Duration = Duration::from_secs(36_000);

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum Happened {
    Connected(Broker),
    /// Whether the own inbox is granted.
    Subscribed(bool),
    /// A publish has this packet identifier.
    Written(u16),
    /// Another request was written.
    Wrote,
    /// PINGREQ was written.
    Asked,
    Answered {
        packet_id: u16,
        reply: Reply,
    },
    Delivered(Incoming),
    /// PINGRESP, or something of no interest.
    Heard,
    SaidGoodbye,
    /// A publish is held back until its packet identifier is free.
    Postponed,
}

/// What the broker says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broker {
    pub(crate) epoch: Option<String>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) packet_bytes_max: Option<usize>,
    pub(crate) keep_alive: Option<Duration>,
}

/// The answer to a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    pub(crate) told: Option<Box<str>>,
    pub(crate) seq: Option<u64>,
    pub(crate) state: Option<String>,
}

/// A delivery.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) retain: bool,
    pub(crate) payload: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Another attempt would end in the same way.
    Stopped(StopReason),
    /// It may pass.
    Lost(Lost),
}

/// The way in.
pub(crate) struct Reader {
    events: EventLoop,
}

impl Reader {
    pub(super) fn new(events: EventLoop) -> Self {
        Reader { events }
    }

    /// What happens next. May be given up only while [`Writer::is_idle`], and, before it connected, for good.
    pub(crate) async fn next(&mut self) -> Result<Happened, Failed> {
        let event = self.events.poll().await.map_err(failed)?;
        let happened = translated(event);
        match &happened {
            Happened::Connected(_) => drop(self.events.options.set_keep_alive(NEVER)),
            // Whether it is answered is for the heartbeat to say, also while a publish is postponed.
            Happened::Asked => {
                self.events.state.await_pingresp = false;
                self.events.state.collision_ping_count = 0;
            }
            _ => {}
        }
        Ok(happened)
    }

    /// Gives rumqttc what goes beside its channel.
    pub(crate) fn take_beside(&mut self, writer: &mut Writer) {
        writer.unwritten += writer.beside.len();
        self.events.pending.extend(writer.beside.drain(..));
    }

    /// What came together with the end of the connection, and was not told.
    pub(crate) fn rest(&mut self) -> Vec<Happened> {
        self.events.state.events.drain(..).map(translated).collect()
    }
}

fn translated(event: Event) -> Happened {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => Happened::Connected(broker(connack)),
        Event::Incoming(Packet::SubAck(suback)) => {
            let code = suback.return_codes.first();
            Happened::Subscribed(matches!(code, Some(SubscribeReasonCode::Success(_))))
        }
        Event::Incoming(Packet::PubAck(puback)) => Happened::Answered {
            packet_id: puback.pkid,
            reply: reply(puback),
        },
        Event::Incoming(Packet::Publish(publish)) => Happened::Delivered(incoming(publish)),
        Event::Incoming(_) => Happened::Heard,
        Event::Outgoing(Outgoing::Publish(packet_id)) => Happened::Written(packet_id),
        Event::Outgoing(Outgoing::PingReq) => Happened::Asked,
        Event::Outgoing(Outgoing::Disconnect) => Happened::SaidGoodbye,
        Event::Outgoing(Outgoing::AwaitAck(_)) => Happened::Postponed,
        Event::Outgoing(_) => Happened::Wrote,
    }
}

fn broker(connack: ConnAck) -> Broker {
    let Some(properties) = connack.properties else {
        return Broker::default();
    };
    Broker {
        epoch: take(&properties.user_properties, "epoch"),
        receive_maximum: properties.receive_max,
        packet_bytes_max: properties.max_packet_size.and_then(|bytes| bytes.try_into().ok()),
        keep_alive: properties.server_keep_alive.map(|s| Duration::from_secs(s.into())),
    }
}

fn reply(puback: PubAck) -> Reply {
    let properties = puback.properties;
    let user = properties
        .as_ref()
        .map(|properties| properties.user_properties.as_slice());
    let user = user.unwrap_or_default();
    Reply {
        code: match puback.reason {
            PubAckReason::Success => 0x00,
            PubAckReason::NoMatchingSubscribers => 0x10,
            PubAckReason::UnspecifiedError => 0x80,
            PubAckReason::ImplementationSpecificError => 0x83,
            PubAckReason::NotAuthorized => 0x87,
            PubAckReason::TopicNameInvalid => 0x90,
            PubAckReason::PacketIdentifierInUse => 0x91,
            PubAckReason::QuotaExceeded => 0x97,
            PubAckReason::PayloadFormatInvalid => 0x99,
        },
        seq: take(user, "seq").and_then(|seq| seq.parse().ok()),
        state: take(user, "state"),
        told: properties
            .and_then(|properties| properties.reason_string)
            .map(Box::from),
    }
}

fn incoming(publish: Publish) -> Incoming {
    let properties = publish.properties.unwrap_or_default();
    Incoming {
        packet_id: if publish.qos == QoS::AtMostOnce {
            0
        } else {
            publish.pkid
        },
        retain: publish.retain,
        payload: publish.payload,
        content_type: properties.content_type,
        user_properties: properties.user_properties,
    }
}

fn take(user_properties: &[(String, String)], name: &str) -> Option<String> {
    let found = user_properties.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.clone())
}

fn failed(error: ConnectionError) -> Failed {
    if let Some(fault) = fault_of_certificate(&error) {
        return Failed::Stopped(StopReason::Certificate(fault));
    }
    let lost = |why| Failed::Lost(lost(why, Some(error.to_string())));
    match &error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(error) => ended(error),
        ConnectionError::Timeout(_) => Failed::Lost(Lost {
            why: LostWhy::TimedOut,
            told: None,
        }),
        ConnectionError::Tls(_) => lost(LostWhy::Tls),
        ConnectionError::Websocket(_) | ConnectionError::WsConnect(_) | ConnectionError::ResponseValidation(_) => {
            lost(LostWhy::WebSocket)
        }
        ConnectionError::Io(_) | ConnectionError::InvalidUrl(_) | ConnectionError::RequestsDone => {
            lost(LostWhy::Network)
        }
        ConnectionError::NotConnAck(_) => lost(LostWhy::Protocol),
    }
}

fn lost(why: LostWhy, told: Option<String>) -> Lost {
    Lost {
        why,
        told: told.map(Box::from),
    }
}

/// CONNACK says no.
fn refused(code: ConnectReturnCode) -> Failed {
    let broker = |code| Failed::Lost(lost(LostWhy::Broker { code }, None));
    match code {
        ConnectReturnCode::BadUserNamePassword => Failed::Stopped(StopReason::BadCredentials),
        ConnectReturnCode::NotAuthorized => Failed::Stopped(StopReason::NotAuthorized),
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
            Failed::Stopped(StopReason::ClientIdRefused)
        }
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            Failed::Stopped(StopReason::Refused { code: 0x84 })
        }
        ConnectReturnCode::Banned => Failed::Stopped(StopReason::Refused { code: 0x8a }),
        ConnectReturnCode::BadAuthenticationMethod => Failed::Stopped(StopReason::Refused { code: 0x8c }),
        ConnectReturnCode::PacketTooLarge => Failed::Stopped(StopReason::Refused { code: 0x95 }),
        ConnectReturnCode::ServerUnavailable | ConnectReturnCode::ServiceUnavailable => broker(0x88),
        ConnectReturnCode::ServerBusy => broker(0x89),
        ConnectReturnCode::QuotaExceeded => broker(0x97),
        ConnectReturnCode::UseAnotherServer => broker(0x9c),
        ConnectReturnCode::ServerMoved => broker(0x9d),
        ConnectReturnCode::ConnectionRateExceeded => broker(0x9f),
        ConnectReturnCode::ImplementationSpecificError => broker(0x83),
        _ => broker(0x80),
    }
}

/// A connection that was made came to its end.
fn ended(error: &StateError) -> Failed {
    match error {
        StateError::ServerDisconnect {
            reason_code,
            reason_string,
        } => match *reason_code as u8 {
            0x8e => Failed::Stopped(StopReason::TakenOver),
            code => Failed::Lost(lost(LostWhy::Broker { code }, reason_string.clone())),
        },
        // The codec has no word of its own for errors of the socket.
        StateError::Io(_) | StateError::ConnectionAborted | StateError::Deserialization(CodecError::Io(_)) => {
            Failed::Lost(lost(LostWhy::Network, Some(error.to_string())))
        }
        _ => Failed::Lost(lost(LostWhy::Protocol, Some(error.to_string()))),
    }
}
