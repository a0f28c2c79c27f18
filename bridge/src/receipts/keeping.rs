//! Receipts as the store keeps them, in the table [`Table::RECEIPTS`]. `docs/storage-format.md` has it.
//!
//! * `01` and a number that counts up: receipts that one message is to tell.
//! * `02`, a client ID, `00` and a seq: a message that this client acknowledged, whose sender waits to be told that it was read.

use bytes::Bytes;
use inbox_store::{Table, TableChange, TableKey};
use inbox_types::{Age, ClientId, Message, Seq};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Address, Deed, Telling};

/// Before the MessagePack of what is unread.
const UNREAD_FORMAT: u8 = 1;
/// Before that of what a message is to tell.
const TELLING_FORMAT: u8 = 2;
const DEEDS: u8 = 1;
const UNREAD: u8 = 2;

/// What the keys of all receipts begin with.
pub(crate) const ALL_DEEDS: &[u8] = &[DEEDS];
/// What the keys of everything unread begin with.
pub(crate) const ALL_UNREAD: &[u8] = &[UNREAD];

/// A message that was acknowledged, and whose sender waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unread {
    pub(crate) to: Address,
    pub(crate) from: Box<str>,
    pub(crate) id: Option<Box<str>>,
    /// The age of the store when it was acknowledged.
    pub(crate) since: u64,
}

impl Unread {
    /// What is needed of `message`, which asks for receipts.
    pub(crate) fn of(message: &Message, since: Age) -> Option<Self> {
        Some(Unread {
            to: Address::of(message)?.into(),
            from: message.from.as_str().into(),
            id: message.id.clone(),
            since: since.0,
        })
    }
}

/// Receipts are kept, or forgotten.
pub(crate) fn deed_change(number: u64, telling: Option<&Telling>) -> TableChange {
    let key = [ALL_DEEDS, &number.to_be_bytes()].concat();
    change(key, telling.map(|telling| write(TELLING_FORMAT, telling)))
}

/// Reads them; `None` when it is something else.
pub(crate) fn read_deed(key: &TableKey, value: &[u8]) -> Option<Deed> {
    let number = key.as_bytes().strip_prefix(ALL_DEEDS)?.try_into().ok()?;
    Some(Deed {
        number: u64::from_be_bytes(number),
        telling: read(TELLING_FORMAT, value)?,
    })
}

/// What the keys of everything unread of one client begin with.
pub(crate) fn unread_prefix(inbox: &ClientId) -> Vec<u8> {
    [ALL_UNREAD, inbox.as_str().as_bytes(), &[0]].concat()
}

/// The key of one message.
pub(crate) fn unread_key(inbox: &ClientId, seq: Seq) -> Vec<u8> {
    [unread_prefix(inbox).as_slice(), &seq.0.to_be_bytes()].concat()
}

/// It is kept, or forgotten.
pub(crate) fn unread_change(key: Vec<u8>, value: Option<&Unread>) -> TableChange {
    change(key, value.map(|unread| write(UNREAD_FORMAT, unread)))
}

/// Reads one: whose it is, its seq, and what is kept; `None` when it is none.
pub(crate) fn read_unread(key: &TableKey, value: &[u8]) -> Option<(ClientId, Seq, Unread)> {
    let (rest, seq) = key.as_bytes().strip_prefix(ALL_UNREAD)?.split_last_chunk()?;
    let inbox = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
    Some((
        ClientId::new(inbox).ok()?,
        Seq(u64::from_be_bytes(*seq)),
        read(UNREAD_FORMAT, value)?,
    ))
}

fn change(key: Vec<u8>, value: Option<Bytes>) -> TableChange {
    let Ok(key) = TableKey::new(key) else {
        unreachable!("a client ID has at most 1,024 bytes, and a key may have 256 more");
    };
    TableChange {
        table: Table::RECEIPTS,
        key,
        value,
    }
}

fn write<T: Serialize>(format: u8, what: &T) -> Bytes {
    let mut value = vec![format];
    let written = rmp_serde::encode::write(&mut value, what);
    assert!(
        written.is_ok(),
        "receipts are made of types that MessagePack has, and a Vec takes every write"
    );
    value.into()
}

fn read<T: DeserializeOwned>(format: u8, value: &[u8]) -> Option<T> {
    rmp_serde::from_slice(value.strip_prefix(&[format])?).ok()
}
