//! What one connection negotiated in CONNECT and CONNACK.

use std::sync::Arc;

use bytes::Bytes;
use inbox_types::Properties;

use super::aliases::Aliases;
use super::{Ending, Shared};
use crate::closed::Closed;
use crate::keeping::{PendingWill, Will};
use crate::session::MqttLimits;
use mqtt_codec::{Connect, Disconnect, MessageProperties, Version, encode, reason};

/// What a packet with a reason string holds beside it, in bytes: headers, lengths, packet identifier, reason code.
const BESIDE_REASON_STRING_BYTES: usize = 16;

/// The authentication method that there is (MQTT 5, section 4.12): its data are a JSON Web Token.
pub(crate) const TOKEN_METHOD: &str = "token";

/// The terms of a connection.
#[derive(Debug)]
pub struct Link {
    /// The protocol version that both speak.
    pub version: Version,
    /// In seconds, as granted; 0 is none.
    pub keep_alive: u16,
    /// In seconds, as granted; `u32::MAX` is for ever.
    pub session_expiry: u32,
    /// What is published when the client disappears.
    pub will: Option<Arc<PendingWill>>,
    /// QoS 1 and 2 messages that the client takes at a time.
    pub(super) receive_maximum: u16,
    /// In bytes.
    pub(crate) packet_bytes_max: u32,
    pub(super) aliases: Aliases,
    /// The client speaks MQTT 3.1.
    pub(super) is_v31: bool,
    /// CONNECT named the authentication method [`TOKEN_METHOD`].
    pub(super) has_method: bool,
    wants_reasons: bool,
    /// What CONNACK must say because it is not what the client asked for.
    changed_keep_alive: bool,
    changed_session_expiry: bool,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            version: Version::V311,
            keep_alive: 0,
            session_expiry: 0,
            will: None,
            receive_maximum: u16::MAX,
            packet_bytes_max: u32::MAX,
            aliases: Aliases::default(),
            is_v31: false,
            has_method: false,
            wants_reasons: false,
            changed_keep_alive: false,
            changed_session_expiry: false,
        }
    }
}

impl Link {
    /// The version of MQTT, for people: `3.1`, `3.1.1` or `5`.
    pub fn protocol(&self) -> &'static str {
        match self.version {
            Version::V5 => "5",
            Version::V311 if self.is_v31 => "3.1",
            Version::V311 => "3.1.1",
        }
    }

    /// Grants what `connect` asks for, within the limits.
    pub fn new(connect: &Connect<'_>, mqtt: &MqttLimits) -> Self {
        let properties = &connect.properties;
        let wanted_expiry = match connect.version {
            // MQTT 3.1.1 sessions that are not clean have no end (3.1.1, section 3.1.2.4); here, the longest there is.
            Version::V311 if connect.clean_start => 0,
            Version::V311 => u32::MAX,
            Version::V5 => properties.session_expiry.unwrap_or(0),
        };
        let expiry_max = seconds(mqtt.session_expiry_max);
        let keep_alive_max = mqtt
            .keep_alive_max
            .map_or(u16::MAX, |max| u16::try_from(max.as_secs()).unwrap_or(u16::MAX));
        let changed_keep_alive =
            mqtt.keep_alive_max.is_some() && (connect.keep_alive == 0 || connect.keep_alive > keep_alive_max);
        Link {
            version: connect.version,
            // MQTT 3.1.1 cannot tell its clients of another keep alive than the one they chose. It holds for them nevertheless: a server
            // may end a silent connection at any time (3.1.1, section 3.1.2.10), and whoever set a maximum wants to know who is there.
            keep_alive: if changed_keep_alive {
                keep_alive_max
            } else {
                connect.keep_alive
            },
            session_expiry: wanted_expiry.min(expiry_max),
            will: connect.will.as_ref().map(|will| {
                Arc::new(PendingWill::new(Will {
                    topic: will.topic.into(),
                    qos: will.qos,
                    retain: will.retain,
                    delay: will.delay,
                    message_expiry: will.properties.message_expiry,
                    payload: Bytes::copy_from_slice(will.payload),
                    properties: own_properties(&will.properties),
                }))
            }),
            receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX),
            packet_bytes_max: properties.maximum_packet_size.unwrap_or(u32::MAX),
            aliases: Aliases::new(properties.topic_alias_maximum),
            is_v31: connect.is_v31,
            has_method: properties.authentication_method.is_some(),
            wants_reasons: properties.request_problem_information,
            changed_keep_alive,
            changed_session_expiry: wanted_expiry > expiry_max,
        }
    }

    /// Why the connection ends when its client was silent for too long.
    pub fn why_silence_ends(&self) -> Closed {
        if self.changed_keep_alive && self.version == Version::V311 {
            Closed::SilentForLess
        } else {
            Closed::Silent
        }
    }

    /// `why`, if the client wants reason strings in acknowledgements (MQTT-3.1.2-29) and it fits beside `codes` reason codes.
    pub(super) fn reason_string<'w>(&self, why: &'w str, codes: usize) -> Option<&'w str> {
        (self.wants_reasons && self.fits_reason(why, codes)).then_some(why)
    }

    /// Whether the client wants user properties in acknowledgements (MQTT-3.1.2-29), and these fit.
    pub(super) fn fits_user(&self, user: &[(&str, &str)]) -> bool {
        // Five bytes beside the texts of each: a number for what it is, and two lengths.
        let bytes: usize = user.iter().map(|(name, value)| name.len() + value.len() + 5).sum();
        self.version == Version::V5
            && self.wants_reasons
            && bytes + BESIDE_REASON_STRING_BYTES <= self.packet_bytes_max as usize
    }

    /// Whether a reason string would not make a packet larger than the client's Maximum Packet Size (MQTT-3.4.2-2, MQTT-3.14.2-3,
    /// and their siblings).
    pub(super) fn fits_reason(&self, why: &str, codes: usize) -> bool {
        why.len() + codes + BESIDE_REASON_STRING_BYTES <= self.packet_bytes_max as usize
    }

    /// Whether the answer to a SUBSCRIBE or UNSUBSCRIBE of `filters` fits the client's Maximum Packet Size. To be asked before
    /// anything is done: what cannot be answered is not done, either.
    pub(super) fn check_codes(&self, filters: usize) -> Result<(), Ending> {
        if encode::codes_len(filters) <= self.packet_bytes_max as usize {
            return Ok(());
        }
        Err(Closed::AnswerTooLarge.into())
    }

    /// Whether CONNACK fits the client's Maximum Packet Size (MQTT-3.1.2-24).
    pub fn fits_connack(&self, assigned_client_id: Option<&str>, shared: &Shared) -> bool {
        let mut connack = Vec::new();
        self.write_connack(&mut connack, false, assigned_client_id, shared);
        connack.len() <= self.packet_bytes_max as usize
    }

    pub(super) fn write_connack(
        &self,
        out: &mut Vec<u8>,
        session_present: bool,
        assigned_client_id: Option<&str>,
        shared: &Shared,
    ) {
        let epoch = shared.node.epoch.map(|epoch| epoch.to_string());
        let mut connack = encode::ConnAck {
            // That byte is reserved in MQTT 3.1 (section 3.2).
            session_present: session_present && !self.is_v31,
            reason: reason::SUCCESS,
            session_expiry: self.changed_session_expiry.then_some(self.session_expiry),
            receive_maximum: Some(shared.mqtt.unacknowledged_publishes_max),
            maximum_packet_size: u32::try_from(shared.packet_bytes_max).ok(),
            retain_available: (!shared.retains).then_some(false),
            assigned_client_id,
            topic_alias_maximum: shared.mqtt.topic_alias_max,
            reason_string: None,
            authentication_method: self.has_method.then_some(TOKEN_METHOD),
            server_keep_alive: self.changed_keep_alive.then_some(self.keep_alive),
            user: epoch.as_deref().map(|epoch| ("epoch", epoch)),
        };
        let start = out.len();
        encode::connack(out, self.version, &connack);
        if out.len() - start > self.packet_bytes_max as usize {
            // A server need not say it, and must not say more than fits (MQTT-3.2.2-20).
            connack.user = None;
            out.truncate(start);
            encode::connack(out, self.version, &connack);
        }
    }

    /// The client says DISCONNECT.
    pub(super) fn disconnect(&mut self, disconnect: Disconnect, mqtt: &MqttLimits) -> Ending {
        if let Some(expiry) = disconnect.session_expiry {
            if self.session_expiry == 0 && expiry != 0 {
                return Closed::LateSessionExpiry.into();
            }
            self.session_expiry = expiry.min(seconds(mqtt.session_expiry_max));
        }
        Ending::Left {
            with_will: disconnect.reason != reason::SUCCESS,
        }
    }

    pub(super) fn forget_aliases(&mut self) {
        self.aliases = Aliases::default();
    }
}

/// What a publisher said about its payload, as kept.
pub(super) fn own_properties(said: &MessageProperties<'_>) -> Option<Box<Properties>> {
    let silent = MessageProperties {
        message_expiry: said.message_expiry,
        ..MessageProperties::default()
    };
    if *said == silent {
        return None;
    }
    let properties = Properties {
        payload_format: said.payload_format,
        content_type: said.content_type.map(Box::from),
        response_topic: said.response_topic.map(Box::from),
        correlation_data: said.correlation_data.map(Bytes::copy_from_slice),
        user: said
            .user
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    };
    (!properties.is_empty()).then(|| Box::new(properties))
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
