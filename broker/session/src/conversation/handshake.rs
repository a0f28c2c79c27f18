//! From the first bytes of a connection to a CONNECT that can be accepted, or a refusal.

use access::{Action, Credentials, Denied, Identity, Origin};
use bytes::Bytes;
use inbox_types::{ClientId, EventKind};
use rand::RngCore;

use crate::closed::Closed;
use crate::declined::Declined;
use crate::refusals::Cause;
use crate::session::{Link, Shared, TOKEN_METHOD};
use intake::Destination;
use mqtt_codec::{Connect, DecodeError, Version, encode};

/// Set in the protocol level by a client that is another broker.
const BRIDGE: u8 = 0x80;

/// So much is kept of what a client says it is.
const CLAIM_CHARS_MAX: usize = 256;

/// A client whose CONNECT can be accepted, and that does not have its session yet.
pub(super) struct Admitted {
    /// Taken when it is to be found out who it is.
    pub(super) credentials: Option<Credentials>,
    /// Known then.
    pub(super) identity: Option<Identity>,
    pub(super) id_is_assigned: bool,
    pub(super) clean_start: bool,
    pub(super) link: Link,
    /// What it says about itself, for whoever is told if it is not let in after all.
    pub(super) claim: Claim,
}

/// Who a client says it is: empty where nobody is told.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) client: Option<Box<str>>,
    pub(super) user: Option<Box<str>>,
}

impl Claim {
    fn of(connect: &Connect<'_>) -> Self {
        // Others keep it for a while: no client is to make them keep much.
        let cut = |text: &str| text.chars().take(CLAIM_CHARS_MAX).collect::<Box<str>>();
        Claim {
            client: Some(cut(connect.client_id)).filter(|id| !id.is_empty()),
            user: connect.username.map(cut),
        }
    }
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the connection ended before CONNECT was complete")]
    Lost,
    #[error(transparent)]
    Closed(Closed),
}

impl Refused {
    /// Why the broker said no; `None` when it was the client that went away.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self {
            Refused::Lost => None,
            Refused::Closed(closed) => Some(Cause::of_connect(closed)),
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
    may_connect.map_err(|denied| decline(denied.into(), link, out))
}

/// Does not let in the client with `link`. The answer is appended to `out`.
pub(super) fn decline(declined: Declined, link: &Link, out: &mut Vec<u8>) -> Refused {
    answer(out, link.version, declined.into(), link.packet_bytes_max)
}

/// Looks for CONNECT at the start of `received`. Gives the client and the length of its packet; `None`: more must come. The answer to
/// a client that is refused is appended to `out`, where MQTT has one, and `claim` is then who it says it is.
pub(super) fn read_connect(
    received: &[u8],
    origin: &mut Origin,
    shared: &Shared,
    out: &mut Vec<u8>,
    claim: &mut Claim,
) -> Result<Option<(Box<Admitted>, usize)>, Refused> {
    if received.first().is_some_and(|first| first >> 4 != 1) {
        return Err(Refused::Closed(Closed::NotConnect));
    }
    let framed = mqtt_codec::frame(received, shared.packet_bytes_max);
    let Some(length) = framed.map_err(|error| refuse_malformed(out, received, error))? else {
        return Ok(None);
    };
    let bytes = received.get(..length).unwrap_or_default();
    let connect = mqtt_codec::decode_connect(bytes).map_err(|error| refuse_malformed(out, bytes, error))?;
    if shared.node.events.is_wanted(EventKind::TurnedAway) {
        *claim = Claim::of(&connect);
    }
    let admitted = match shared.node.budgets.are_used_up() {
        true => {
            shared.metrics.connects_refused_memory.add(1);
            Err(Declined::MemoryFull)
        }
        false => admit(&connect, shared),
    };
    match admitted {
        Ok((id, id_is_assigned)) => {
            let admitted = Admitted {
                credentials: Some(credentials(&connect, id, id_is_assigned, origin)),
                identity: None,
                id_is_assigned,
                clean_start: connect.clean_start,
                link: Link::new(&connect, &shared.mqtt),
                claim: std::mem::take(claim),
            };
            Ok(Some((Box::new(admitted), length)))
        }
        Err(declined) => {
            let packet_bytes_max = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
            Err(answer(out, connect.version, declined.into(), packet_bytes_max))
        }
    }
}

fn credentials(connect: &Connect<'_>, client_id: ClientId, id_is_assigned: bool, origin: &mut Origin) -> Credentials {
    let mut credentials = Credentials {
        client_id,
        id_is_assigned,
        origin: origin.hand_over(),
        user: connect.username.map(Box::from),
        password: connect.password.map(Bytes::copy_from_slice),
    };
    if connect.properties.authentication_method.is_some() {
        // The method says what counts; what is no text is no token.
        let token = str::from_utf8(connect.properties.authentication_data.unwrap_or_default());
        credentials.origin.token = Some(token.unwrap_or_default().into());
        credentials.password = None;
    }
    credentials
}

/// The client ID that `connect` asks for or is given, and whether it was given; or why it is not let in.
fn admit(connect: &Connect<'_>, shared: &Shared) -> Result<(ClientId, bool), Declined> {
    match connect.properties.authentication_method {
        None => {}
        Some(TOKEN_METHOD) if shared.access.takes_tokens() => {}
        Some(_) => return Err(Declined::AuthenticationMethod),
    }
    if let Some(will) = &connect.will {
        if let Destination::Forbidden(why) = shared.names.destination(will.topic) {
            return Err(Declined::WillTopic(why));
        }
        if will.retain && !shared.retains && !will_is_mail(connect.version, shared.names.destination(will.topic)) {
            return Err(Declined::WillRetained);
        }
        let max = shared.mqtt.message_bytes_max;
        if will.payload.len() > max {
            return Err(Declined::WillTooLarge { max });
        }
    }
    let id = client_id(connect)?;
    let assigned = id.1.then_some(id.0.as_str());
    if !Link::new(connect, &shared.mqtt).fits_connack(assigned, shared) {
        return Err(Declined::AnswerTooLarge);
    }
    Ok(id)
}

/// Whether the RETAIN flag of a will means nothing, as on any message to an inbox (contract rule 1). An MQTT 5 client is told that it
/// must not set it at all.
fn will_is_mail(version: Version, destination: Destination) -> bool {
    version == Version::V311 && matches!(destination, Destination::Inbox(_))
}

fn client_id(connect: &Connect<'_>) -> Result<(ClientId, bool), Declined> {
    if connect.client_id.is_empty() {
        if connect.version == Version::V311 && !connect.clean_start {
            return Err(Declined::NamelessSession);
        }
        if connect.is_v31 {
            return Err(Declined::NamelessV31);
        }
        return match ClientId::new(&made_up_id()) {
            Ok(id) => Ok((id, true)),
            Err(error) => Err(Declined::MadeUpId(error)),
        };
    }
    match ClientId::new(connect.client_id) {
        Ok(id) => Ok((id, false)),
        Err(error) => Err(error.into()),
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
    let Some(version) = version else {
        return Refused::Closed(error.into());
    };
    let packet_bytes_max = mqtt_codec::peek_maximum_packet_size(packet).unwrap_or(u32::MAX);
    answer(out, version, error.into(), packet_bytes_max)
}

/// Says no, with the reason string if it fits (MQTT-3.2.2-19). A client whose Maximum Packet Size not even the shortest CONNACK fits
/// is told nothing (MQTT-3.1.2-24).
fn answer(out: &mut Vec<u8>, version: Version, closed: Closed, packet_bytes_max: u32) -> Refused {
    let (reason, why) = (closed.reason_code(), closed.to_string());
    for reason_string in [Some(why.as_str()), None] {
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
            break;
        }
        out.clear();
    }
    Refused::Closed(closed)
}
