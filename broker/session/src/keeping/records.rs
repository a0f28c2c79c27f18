//! What is kept of a session, as bytes: a version byte and a MessagePack array. `docs/storage-format.md` has them to the byte. Reading is strict: what was
//! not written here is an error, never a guess.

use std::io;
use std::sync::Arc;

use arcstr::ArcStr;
use bytes::Bytes;
use inbox_types::wire::{Bin, WireExpiry, WireProperties};
use inbox_types::{ClientId, Expiry, MemoryBudget, Qos};
use mqtt_codec::{RetainHandling, SubscriptionOptions};
use pubsub::OrdinaryMessage;
use serde::{Deserialize, Serialize};

/// Of every record here.
const VERSION: u8 = 1;
/// What says something by its being there: MessagePack's nil. Of a place, that the client has its message, and is to release it.
const NIL: [u8; 2] = [VERSION, 0xc0];
/// Set in the number of the subscription, whose QoS is 2, where a message is one of those that were retained: a QoS of 3 there is not.
const RETAINED: u32 = 1;
/// The bits of that QoS.
const QOS: u32 = 3;

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// Another build wrote it.
    #[error("its version is {0:?}, and this build reads {VERSION}; a newer build may read it")]
    Version(Option<u8>),
    /// It is cut off, or holds something else.
    #[error("its MessagePack is not what its key says ({0})")]
    Encoding(#[from] rmp_serde::decode::Error),
    /// It means something, and is not how that is written.
    #[error("its bytes are not those that are written for what they say; it was overwritten or put together wrongly")]
    Form,
    /// A value that there is not.
    #[error("it has a value that no record has: {0}")]
    Value(&'static str),
}

/// What a session is, beside what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// For how long it is kept without a connection, in seconds; `u32::MAX` is for ever.
    pub(crate) expiry: u32,
    /// The age of the store when its last connection ended, in microseconds; `None` while it has one.
    pub(crate) left: Option<u64>,
    /// Where it is sent mail with QoS 2: the packet identifiers that may be in use, from the first to the one before the second. Earlier builds have those of
    /// ordinary messages in it, too.
    pub(crate) packet_ids: Option<(u16, u16)>,
}

/// A subscription; its number is in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptSubscription {
    /// As the client wrote it.
    pub(crate) filter: ArcStr,
    /// With the QoS that was granted.
    pub(crate) options: SubscriptionOptions,
    /// MQTT 5 property 0x0B.
    pub(crate) subscription_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct SubscriptionWire<'a> {
    filter: &'a str,
    /// As MQTT 5 writes them (section 3.8.3.1).
    options: u8,
    subscription_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct QueuedWire<'a> {
    subscription: u32,
    topic: &'a str,
    from: &'a str,
    retain: bool,
    qos: u8,
    expiry: Option<WireExpiry>,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    #[serde(borrow)]
    payload: Bin<'a>,
}

pub(super) fn write_head(head: &Head) -> Bytes {
    write(head)
}

pub(super) fn read_head(bytes: &[u8]) -> Result<Head, RecordError> {
    read(bytes)
}

pub(super) fn write_subscription(kept: &KeptSubscription) -> Bytes {
    let options = kept.options;
    write(&SubscriptionWire {
        filter: &kept.filter,
        options: options.qos as u8
            | u8::from(options.no_local) << 2
            | u8::from(options.retain_as_published) << 3
            | (options.retain_handling as u8) << 4,
        subscription_id: kept.subscription_id,
    })
}

pub(super) fn read_subscription(bytes: &[u8]) -> Result<KeptSubscription, RecordError> {
    let wire: SubscriptionWire<'_> = read(bytes)?;
    let retain_handling = match wire.options >> 4 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(RecordError::Value("subscription options")),
    };
    Ok(KeptSubscription {
        filter: wire.filter.into(),
        options: SubscriptionOptions {
            qos: Qos::from_u8(wire.options & 3).ok_or(RecordError::Value("a QoS"))?,
            no_local: wire.options & 4 != 0,
            retain_as_published: wire.options & 8 != 0,
            retain_handling,
        },
        subscription_id: wire.subscription_id,
    })
}

/// What says something by its being there.
pub(super) fn write_nil() -> Bytes {
    Bytes::from_static(&NIL)
}

/// Whether that is all.
pub(super) fn is_nil(bytes: &[u8]) -> bool {
    bytes == NIL
}

/// One that is `retained` is for a subscription with QoS 2.
pub(super) fn write_queued(subscription: u32, retained: bool, message: &OrdinaryMessage) -> Bytes {
    write(&QueuedWire {
        subscription: if retained {
            subscription | RETAINED
        } else {
            subscription
        },
        topic: &message.topic,
        from: message.from.as_str(),
        retain: message.retain,
        qos: message.qos as u8,
        expiry: message.expiry.map(WireExpiry::from),
        properties: message.properties.as_deref().map(WireProperties::from),
        payload: Bin(&message.payload),
    })
}

/// The number of the subscription, whether the message is one of those that were retained, and the message, whose payload counts against `budget`.
pub(super) fn read_queued(
    bytes: &[u8],
    budget: &Arc<MemoryBudget>,
) -> Result<(u32, bool, OrdinaryMessage), RecordError> {
    let wire: QueuedWire<'_> = read(bytes)?;
    let message = OrdinaryMessage {
        topic: wire.topic.into(),
        retain: wire.retain,
        qos: Qos::from_u8(wire.qos).ok_or(RecordError::Value("a QoS"))?,
        from: ClientId::new(wire.from).map_err(|_| RecordError::Value("a client ID"))?,
        expiry: wire.expiry.map(Expiry::from),
        payload: budget.payload(wire.payload.0),
        properties: wire.properties.map(|wire| Box::new(wire.into())),
    };
    let retained = wire.subscription & QOS == QOS;
    let subscription = if retained {
        wire.subscription - RETAINED
    } else {
        wire.subscription
    };
    Ok((subscription, retained, message))
}

pub(super) fn write(record: &impl Serialize) -> Bytes {
    let mut out = vec![VERSION];
    let written = rmp_serde::encode::write(&mut out, record);
    assert!(
        written.is_ok(),
        "a record is made of types that MessagePack has, and a Vec takes every write"
    );
    out.into()
}

pub(super) fn read<'a, R: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Result<R, RecordError> {
    let Some((&VERSION, body)) = bytes.split_first() else {
        return Err(RecordError::Version(bytes.first().copied()));
    };
    let record: R = rmp_serde::from_slice(body)?;
    // Bytes may follow it, for example.
    let mut expected = Expected(body);
    let is_same = rmp_serde::encode::write(&mut expected, &record).is_ok() && expected.0.is_empty();
    is_same.then_some(record).ok_or(RecordError::Form)
}

/// Takes these bytes only.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
