//! A message as bytes: what every engine on disk stores as a value.
//!
//! An envelope is one version byte, the message's size as four bytes, and a MessagePack array; `docs/storage-format.md` has it
//! to the byte. The size comes first so that an inbox can be counted without decoding its messages. Decoding is
//! strict: bytes that [`encode_into`] would not have written are an error, never a guess.
//!
//! Version 1, of storage formats 1 and 2, said by the system clock when a message expires. Such a message waits anew from the
//! beginning of the store that it is converted into: nobody knows how far the clock was right.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use inbox_types::wire::{Bin, WireProperties};
use inbox_types::{Age, ClientId, ClientIdError, Expiry, Message, Micros, Qos};

/// The version byte of what [`encode_into`] writes.
pub(crate) const ENVELOPE_VERSION: u8 = 2;
/// What formats 1 and 2 wrote.
const ENVELOPE_VERSION_1: u8 = 1;
/// The version byte and the size.
const HEADER_BYTES: usize = 5;
/// How the MessagePack of a [`Wire`] begins: an array of its nine fields.
const WIRE_MARKER: u8 = 0x99;
/// How that of a [`Wire1`] does: it has eight.
const WIRE_MARKER_1: u8 = 0x98;

/// Why bytes are not an envelope.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// There is not even a header.
    #[error("it has {0} bytes, and an envelope has more than {HEADER_BYTES}; it was cut off")]
    Short(usize),
    /// The version byte is not ours.
    #[error("its version byte is {0}, and this build reads {ENVELOPE_VERSION}; a newer build may read it")]
    Version(u8),
    /// The MessagePack is cut off or holds something else.
    #[error("its MessagePack is not a message of its version ({0})")]
    Encoding(#[from] rmp_serde::decode::Error),
    /// It does not begin as its version does.
    #[error("its MessagePack begins with {0:#04x} and not with the array of a message")]
    Marker(u8),
    /// Bytes follow the message.
    #[error("{0} bytes follow the message; it was overwritten or put together wrongly")]
    Trailing(usize),
    /// The sender is not a client ID.
    #[error("its sender is not a client ID ({0})")]
    From(#[from] ClientIdError),
    /// No such QoS.
    #[error("its QoS is {0}, and there are 0, 1 and 2")]
    Qos(u8),
    /// The size in front is not the size of the message.
    #[error("it says that its message counts {stated} bytes, and it counts {actual}")]
    Size {
        /// What the header says.
        stated: usize,
        /// What the message has.
        actual: usize,
    },
}

/// Appends the envelope of `message` to `out`.
pub(crate) fn encode_into(message: &Message, out: &mut Vec<u8>) {
    let size = u32::try_from(message.size());
    let Ok(size) = size else {
        unreachable!("an MQTT packet has at most 256 MiB (MQTT 5, section 2.1.4)")
    };
    out.push(ENVELOPE_VERSION);
    out.extend_from_slice(&size.to_be_bytes());
    let written = rmp_serde::encode::write(out, &Wire::from(message));
    assert!(
        written.is_ok(),
        "a message is made of types that MessagePack has, and a Vec takes every write"
    );
}

/// The [`Message::size`] of the message in `bytes`, which may be only the beginning of an envelope.
pub(crate) fn size(bytes: &[u8]) -> Result<usize, EnvelopeError> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(EnvelopeError::Short(bytes.len()));
    };
    let [version, a, b, c, d] = *header;
    match version {
        ENVELOPE_VERSION | ENVELOPE_VERSION_1 => Ok(u32::from_be_bytes([a, b, c, d]) as usize),
        _ => Err(EnvelopeError::Version(version)),
    }
}

/// Reads an envelope. The message owns its bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Message, EnvelopeError> {
    let stated = size(bytes)?;
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let is_first_version = bytes.first() == Some(&ENVELOPE_VERSION_1);
    let wire: Wire<'_> = match body.first() {
        Some(&WIRE_MARKER) if !is_first_version => rmp_serde::from_slice(body)?,
        Some(&WIRE_MARKER_1) if is_first_version => rmp_serde::from_slice::<Wire1<'_>>(body)?.into(),
        Some(&marker) => return Err(EnvelopeError::Marker(marker)),
        None => return Err(EnvelopeError::Short(bytes.len())),
    };
    // The payload is the last field and borrows from `body`, so what follows it is what follows the message.
    let trailing = body.as_ptr_range().end as usize - wire.payload.0.as_ptr_range().end as usize;
    if trailing != 0 {
        return Err(EnvelopeError::Trailing(trailing));
    }
    let message = Message::try_from(wire)?;
    match message.size() {
        actual if actual == stated => Ok(message),
        actual => Err(EnvelopeError::Size { stated, actual }),
    }
}

/// The fields of version 2, in their order. A change of any kind is a new version.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    from: &'a str,
    id: Option<&'a str>,
    at: u64,
    accepted: u64,
    lives: u64,
    interval: Option<u32>,
    qos: u8,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    payload: Bin<'a>,
}

/// The fields of version 1.
#[derive(Deserialize)]
struct Wire1<'a> {
    from: &'a str,
    id: Option<&'a str>,
    at: u64,
    expires_at: u64,
    expiry_is_publishers: bool,
    qos: u8,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    payload: Bin<'a>,
}

impl<'a> From<Wire1<'a>> for Wire<'a> {
    fn from(first: Wire1<'a>) -> Self {
        let lives = first.expires_at.saturating_sub(first.at);
        let seconds = u32::try_from(lives.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Wire {
            from: first.from,
            id: first.id,
            at: first.at,
            accepted: 0,
            lives,
            interval: first.expiry_is_publishers.then_some(seconds),
            qos: first.qos,
            properties: first.properties,
            payload: first.payload,
        }
    }
}

impl<'a> From<&'a Message> for Wire<'a> {
    fn from(message: &'a Message) -> Self {
        Wire {
            from: message.from.as_str(),
            id: message.id.as_deref(),
            at: message.at.0,
            accepted: message.expiry.accepted().0,
            lives: message.expiry.lives(),
            interval: message.expiry.interval(),
            qos: message.qos as u8,
            properties: message.properties.as_deref().map(WireProperties::from),
            payload: Bin(&message.payload),
        }
    }
}

impl TryFrom<Wire<'_>> for Message {
    type Error = EnvelopeError;

    fn try_from(wire: Wire<'_>) -> Result<Self, EnvelopeError> {
        Ok(Message {
            from: ClientId::new(wire.from)?,
            id: wire.id.map(Into::into),
            at: Micros(wire.at),
            expiry: Expiry::of(Age(wire.accepted), wire.lives, wire.interval),
            qos: Qos::from_u8(wire.qos).ok_or(EnvelopeError::Qos(wire.qos))?,
            payload: Bytes::copy_from_slice(wire.payload.0),
            properties: wire.properties.map(|properties| Box::new(properties.into())),
        })
    }
}

#[cfg(test)]
mod tests;
