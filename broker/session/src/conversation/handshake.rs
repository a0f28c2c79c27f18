//! From the first bytes of a connection to a CONNECT that can be accepted, or a refusal.

use std::net::SocketAddr;

use access::{Action, Credentials, Denied, Identity};
use bytes::Bytes;
use inbox_types::ClientId;
use rand::RngCore;

use crate::address::Destination;
use crate::refusals::Cause;
use crate::session::{Link, Shared};
use mqtt_codec::{Connect, DecodeError, Version, encode, reason};

/// Set in the protocol level by a client that is another broker.
const BRIDGE: u8 = 0x80;

/// Why nobody is let in while the memory budget is used up.
const OUT_OF_MEMORY: &str = "the broker's memory budget is used up; connect again later, or raise memory.budget";

/// A client whose CONNECT can be accepted, and that does not have its session yet.
pub(super) struct Admitted {
    /// Taken when it is to be found out who it is.
    pub(super) credentials: Option<Credentials>,
    /// Known then.
    pub(super) identity: Option<Identity>,
    pub(super) id_is_assigned: bool,
    pub(super) clean_start: bool,
    pub(super) link: Link,
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the connection ended before CONNECT was complete")]
    Lost,
    #[error("a connection sent no CONNECT within mqtt.connect_timeout")]
    Late,
    #[error("the first packet is not CONNECT (MQTT-3.1.0-1)")]
    NotConnect,
    #[error(transparent)]
    Malformed(DecodeError),
    #[error("{why}")]
    Declined { reason: u8, why: String },
}

impl Refused {
    /// Why the broker said no; `None` when it was the client that went away.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self {
            Refused::Lost => None,
            Refused::Late => Some(Cause::ConnectTimeout),
            Refused::NotConnect => Some(Cause::NotConnect),
            Refused::Malformed(error) => Some(Cause::from(error)),
            Refused::Declined { reason, .. } => Some(Cause::of_connect(*reason)),
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        let reason = match denied {
            Denied::BrokersId => reason::CLIENT_IDENTIFIER_NOT_VALID,
            Denied::Undecided => reason::SERVER_UNAVAILABLE,
            _ => reason::NOT_AUTHORIZED,
        };
        Refused::Declined {
            reason,
            why: denied.to_string(),
        }
    }
}

/// The client with `link` is who the authenticator says, and may connect. The answer to one that may not is appended to `out`.
pub(super) fn identified(
    decided: Result<Identity, Denied>,
    link: &Link,
    shared: &Shared,
    out: &mut Vec<u8>,
) -> Result<Identity, Refused> {
    let may_connect = decided.and_then(|who| shared.access.decide(&who, Action::Connect).map(|()| who));
    may_connect.map_err(|denied| {
        let refused = Refused::from(denied);
        if let Refused::Declined { reason, why } = &refused {
            answer(out, link.version, *reason, why, link.packet_bytes_max);
        }
        refused
    })
}

/// Looks for CONNECT at the start of `received`. Gives the client and the length of its packet; `None`: more must come. The answer to
/// a client that is refused is appended to `out`, where MQTT has one.
pub(super) fn read_connect(
    received: &[u8],
    peer: SocketAddr,
    shared: &Shared,
    out: &mut Vec<u8>,
) -> Result<Option<(Box<Admitted>, usize)>, Refused> {
    if received.first().is_some_and(|first| first >> 4 != 1) {
        return Err(Refused::NotConnect);
    }
    let framed = mqtt_codec::frame(received, shared.packet_bytes_max);
    let Some(length) = framed.map_err(|error| refuse_malformed(out, received, error))? else {
        return Ok(None);
    };
    let bytes = received.get(..length).unwrap_or_default();
    let connect = mqtt_codec::decode_connect(bytes).map_err(|error| refuse_malformed(out, bytes, error))?;
    let admitted = match shared.hub.is_out_of_memory() {
        true => {
            shared.metrics.connects_refused_memory.add(1);
            let (reason, why) = (reason::QUOTA_EXCEEDED, OUT_OF_MEMORY.into());
            Err(Refused::Declined { reason, why })
        }
        false => admit(&connect, shared),
    };
    match admitted {
        Ok((id, id_is_assigned)) => {
            let admitted = Admitted {
                credentials: Some(Credentials {
                    client_id: id,
                    peer,
                    user: connect.username.map(Box::from),
                    password: connect.password.map(Bytes::copy_from_slice),
                }),
                identity: None,
                id_is_assigned,
                clean_start: connect.clean_start,
                link: Link::new(&connect, &shared.mqtt),
            };
            Ok(Some((Box::new(admitted), length)))
        }
        Err(refused) => {
            if let Refused::Declined { reason, why } = &refused {
                let packet_bytes_max = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
                answer(out, connect.version, *reason, why, packet_bytes_max);
            }
            Err(refused)
        }
    }
}

/// The client ID that `connect` asks for or is given, and whether it was given; or why it is not let in.
fn admit(connect: &Connect<'_>, shared: &Shared) -> Result<(ClientId, bool), Refused> {
    let declined = |reason, why: String| Err(Refused::Declined { reason, why });
    if connect.properties.authentication_method.is_some() {
        return declined(
            reason::BAD_AUTHENTICATION_METHOD,
            "this broker knows no authentication methods; leave the property out".into(),
        );
    }
    if let Some(will) = &connect.will {
        if let Destination::Forbidden(why) = shared.names.destination(will.topic) {
            return declined(
                reason::TOPIC_NAME_INVALID,
                format!("the will cannot be published: {why}"),
            );
        }
        if will.retain && !shared.retains && !will_is_mail(connect.version, shared.names.destination(will.topic)) {
            return declined(
                reason::RETAIN_NOT_SUPPORTED,
                "the will is to be retained, and this broker retains nothing: router.retained_messages_max or \
                 router.retained_bytes_max is 0 (MQTT-3.2.2-13)"
                    .into(),
            );
        }
        if will.payload.len() > shared.mqtt.message_bytes_max {
            let max = shared.mqtt.message_bytes_max;
            return declined(
                reason::PACKET_TOO_LARGE,
                format!("the will's payload is larger than {max} bytes"),
            );
        }
    }
    let id = client_id(connect)?;
    let assigned = id.1.then_some(id.0.as_str());
    if !Link::new(connect, &shared.mqtt).fits_connack(assigned, shared) {
        return declined(
            reason::PACKET_TOO_LARGE,
            "CONNACK is larger than the client's Maximum Packet Size".into(),
        );
    }
    Ok(id)
}

/// Whether the RETAIN flag of a will means nothing, as on any message to an inbox (contract rule 1). An MQTT 5 client is told that it
/// must not set it at all.
fn will_is_mail(version: Version, destination: Destination) -> bool {
    version == Version::V311 && matches!(destination, Destination::Inbox(_))
}

fn client_id(connect: &Connect<'_>) -> Result<(ClientId, bool), Refused> {
    let declined = |reason, why: String| Err(Refused::Declined { reason, why });
    if connect.client_id.is_empty() {
        if connect.version == Version::V311 && !connect.clean_start {
            return declined(
                reason::CLIENT_IDENTIFIER_NOT_VALID,
                "a session that is not clean needs a client ID (MQTT-3.1.3-8 of MQTT 3.1.1)".into(),
            );
        }
        if connect.is_v31 {
            return declined(
                reason::CLIENT_IDENTIFIER_NOT_VALID,
                "MQTT 3.1 needs a client ID (section 3.1)".into(),
            );
        }
        return match ClientId::new(&made_up_id()) {
            Ok(id) => Ok((id, true)),
            Err(error) => declined(reason::UNSPECIFIED_ERROR, error.to_string()),
        };
    }
    match ClientId::new(connect.client_id) {
        Ok(id) => Ok((id, false)),
        Err(error) => declined(reason::CLIENT_IDENTIFIER_NOT_VALID, error.to_string()),
    }
}

/// An ID that nobody has: 128 random bits (MQTT-3.1.3-6).
fn made_up_id() -> String {
    let mut bits = [0; 16];
    rand::rng().fill_bytes(&mut bits);
    format!("auto-{:032x}", u128::from_be_bytes(bits))
}

fn refuse_malformed(out: &mut Vec<u8>, packet: &[u8], error: DecodeError) -> Refused {
    let version = match error {
        // Older versions than 5 are told in the way of 3.1.1, newer ones in the way of 5 (MQTT-3.1.2-2). Bridges of Mosquitto set the
        // highest bit of the level.
        DecodeError::UnsupportedVersion(level) if level & !BRIDGE < 5 => Some(Version::V311),
        DecodeError::UnsupportedVersion(_) => Some(Version::V5),
        _ => mqtt_codec::peek_version(packet),
    };
    if let Some(version) = version {
        let packet_bytes_max = mqtt_codec::peek_maximum_packet_size(packet).unwrap_or(u32::MAX);
        answer(out, version, error.reason_code(), &error.to_string(), packet_bytes_max);
    }
    Refused::Malformed(error)
}

/// Says no, with the reason string if it fits (MQTT-3.2.2-19). A client whose Maximum Packet Size not even the shortest CONNACK fits
/// is told nothing (MQTT-3.1.2-24).
fn answer(out: &mut Vec<u8>, version: Version, reason: u8, why: &str, packet_bytes_max: u32) {
    for reason_string in [Some(why), None] {
        encode::connack(
            out,
            version,
            &encode::ConnAck {
                reason,
                reason_string,
                ..encode::ConnAck::default()
            },
        );
        if out.len() <= packet_bytes_max as usize {
            return;
        }
        out.clear();
    }
}
