//! Wills in the store, as long as they may have to be published: what a crash finds there is published if the client does not come back.

use std::sync::Arc;

use access::{Account, Identity};
use bytes::Bytes;
use inbox_types::wire::{Bin, WireProperties};
use inbox_types::{Age, ClientId, MemoryBudget, Properties, Qos};
use pubsub::SessionKey;
use serde::{Deserialize, Serialize};

use super::records::{RecordError, read, write};

/// What a key has behind the client ID: NUL, when the connection began, of which session it is, and which one of that session's.
const BEHIND_ID: usize = 1 + size_of::<u64>() + size_of::<u64>() + size_of::<u32>();

/// A will message (MQTT 5, section 3.1.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it goes: a valid topic name.
    pub topic: Box<str>,
    /// With which QoS it is published.
    pub qos: Qos,
    /// Whether it is to be retained.
    pub retain: bool,
    /// In seconds.
    pub delay: u32,
    /// In seconds.
    pub message_expiry: Option<u32>,
    /// The application's bytes.
    pub payload: Bytes,
    /// Boxed because most wills have none.
    pub properties: Option<Box<Properties>>,
}

/// What can be made of a record.
#[derive(Debug)]
pub enum FoundWill {
    /// A will.
    Will(Box<RestoredWill>),
    /// Nothing. It is to go.
    Damaged(Bytes),
    /// Nothing that this build knows. It stays.
    Unknown,
}

/// A will that the store has.
#[derive(Debug, PartialEq, Eq)]
pub struct RestoredWill {
    pub(crate) key: Bytes,
    pub(crate) who: Identity,
    pub(crate) will: Will,
    /// `None` if the client had its connection when the broker ended.
    pub(crate) due: Option<Age>,
}

#[derive(Serialize, Deserialize)]
struct WillWire<'a> {
    user: Option<&'a str>,
    roles: Vec<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
    topic: &'a str,
    qos: u8,
    retain: bool,
    delay: u32,
    message_expiry: Option<u32>,
    #[serde(borrow)]
    properties: Option<WireProperties<'a>>,
    #[serde(borrow)]
    payload: Bin<'a>,
    due: Option<u64>,
}

/// Where the will of the connection is that began at that age of the store, the `nth` of its session: behind those of earlier ones, also where the system clock is set back.
pub(crate) fn will_key(id: &ClientId, begins: Age, session: SessionKey, nth: u32) -> Bytes {
    let id = id.as_str().as_bytes();
    let (begins, session) = (begins.0.to_be_bytes(), session.0.to_be_bytes());
    [id, &[0], &begins, &session, &nth.to_be_bytes()].concat().into()
}

/// What tells the connection from every other one of its client.
pub(super) fn connection_of(key: &[u8]) -> Option<&[u8]> {
    key.get(key.len().checked_sub(BEHIND_ID - 1)?..)
}

pub(crate) fn write_will(who: &Identity, will: &Will, due: Option<Age>) -> Bytes {
    let attributes = who.attributes().iter();
    write(&WillWire {
        user: who.user(),
        roles: who.roles().iter().map(|role| &**role).collect(),
        attributes: attributes.map(|(name, value)| (&**name, &**value)).collect(),
        topic: &will.topic,
        qos: will.qos as u8,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        properties: will.properties.as_deref().map(WireProperties::from),
        payload: Bin(&will.payload),
        due: due.map(|due| due.0),
    })
}

/// Reads a record. Its payload counts against `budget`.
pub fn found_will(key: &[u8], value: &[u8], budget: &Arc<MemoryBudget>) -> FoundWill {
    match read_will(key, value, budget) {
        Ok(will) => FoundWill::Will(Box::new(will)),
        Err(why) => {
            let key = Bytes::copy_from_slice(key);
            tracing::error!(?key, %why, "the record of a will cannot be read: it is not published");
            match why {
                RecordError::Version(_) => FoundWill::Unknown,
                _ => FoundWill::Damaged(key),
            }
        }
    }
}

fn read_will(key: &[u8], value: &[u8], budget: &Arc<MemoryBudget>) -> Result<RestoredWill, RecordError> {
    let wire: WillWire<'_> = read(value)?;
    let id_bytes = key.len().checked_sub(BEHIND_ID);
    let id = id_bytes.and_then(|id_bytes| str::from_utf8(key.get(..id_bytes)?).ok());
    let id = id.and_then(|id| ClientId::new(id).ok());
    let id = id.ok_or(RecordError::Value("a client ID"))?;
    let attributes = wire.attributes.into_iter();
    let account = wire.user.map(|user| Account {
        user: user.into(),
        roles: wire.roles.into_iter().map(Box::from).collect(),
        attributes: attributes.map(|(name, value)| (name.into(), value.into())).collect(),
        ..Account::default()
    });
    Ok(RestoredWill {
        key: Bytes::copy_from_slice(key),
        who: match account {
            Some(account) => Identity::of(id, Arc::new(account)),
            None => Identity::anonymous(id),
        },
        will: Will {
            topic: wire.topic.into(),
            qos: Qos::from_u8(wire.qos).ok_or(RecordError::Value("a QoS"))?,
            retain: wire.retain,
            delay: wire.delay,
            message_expiry: wire.message_expiry,
            payload: budget.payload(wire.payload.0),
            properties: wire.properties.map(|wire| Box::new(wire.into())),
        },
        due: wire.due.map(Age),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget() -> Arc<MemoryBudget> {
        MemoryBudget::new(usize::MAX)
    }

    fn who(user: Option<&str>) -> Identity {
        let id = ClientId::new("bob/ü").unwrap();
        let Some(user) = user else {
            return Identity::anonymous(id);
        };
        let account = Account {
            user: user.into(),
            roles: vec!["ops".into(), "".into()],
            attributes: vec![("place".into(), "roof".into())],
            ..Account::default()
        };
        Identity::of(id, Arc::new(account))
    }

    fn key(who: &Identity, nth: u32) -> Bytes {
        will_key(who.client_id(), Age(7), SessionKey(u64::MAX), nth)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            user in prop::option::of("[a-z]{0,9}"), topic in "[a-z/]{1,20}", qos in 0..3_u8, retain: bool, delay: u32,
            message_expiry: Option<u32>, payload: Vec<u8>, due: Option<u64>, nth: u32
        ) {
            // Goal: a record says after a restart what it said before, and whose will it is.
            let (who, due, qos) = (who(user.as_deref()), due.map(Age), Qos::from_u8(qos).unwrap());
            let (topic, payload, properties) = (topic.into(), payload.into(), None);
            let will = Will { topic, qos, retain, delay, message_expiry, payload, properties };
            let key = key(&who, nth);
            let read = read_will(&key, &write_will(&who, &will, due), &budget()).unwrap();
            prop_assert_eq!(read, RestoredWill { key, who, will, due });
        }

        #[test]
        fn damage_is_an_error(cut: prop::sample::Index, at: prop::sample::Index, bit in 0..8_u32) {
            // Goal: a record that is cut off is never taken for one; one with a flipped bit is refused or is another one, and nothing panics.
            let will = Will {
                topic: "a/b".into(),
                qos: Qos::AtLeastOnce,
                retain: true,
                delay: 9,
                message_expiry: None,
                payload: Bytes::from_static(b"gone"),
                properties: None,
            };
            let who = who(Some("bob"));
            let written = write_will(&who, &will, None);
            let cut_off = found_will(&key(&who, 1), &written[..cut.index(written.len())], &budget());
            prop_assert!(!matches!(cut_off, FoundWill::Will(_)));
            let mut flipped = written.to_vec();
            flipped[at.index(written.len())] ^= 1 << bit;
            if let Ok(read) = read_will(&key(&who, 1), &flipped, &budget()) {
                prop_assert_eq!(write_will(&read.who, &read.will, read.due), flipped);
            }
            prop_assert!(read_will(b"short", &written, &budget()).is_err());
        }
    }
}
