//! Tables: what is kept beside the messages, in the same commits.
//!
//! A table is an ordered map of short keys to values. A [`Batch`](crate::Batch) that changes one does so together with the messages
//! in it, or not at all: that is what a receipt, a cursor or a window of known `id`s needs.

use bytes::Bytes;

use inbox_types::{CLIENT_ID_BYTES_MAX, ClientId};

/// Longest key in a table, in bytes: a client ID and what tells its records apart.
pub const TABLE_KEY_BYTES_MAX: usize = CLIENT_ID_BYTES_MAX + 256;
/// Longest value in a table, in bytes: what an MQTT packet may have (MQTT 5, section 2.1.4).
pub const TABLE_VALUE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Which table. `docs/storage-format.md` says who keeps what in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(u8);

impl Table {
    /// Which `id` of which sender is where (contract rule 8).
    pub const DEDUPE: Table = Table(1);
    /// Receipts that a sender asked for.
    pub const RECEIPTS: Table = Table(2);
    /// How far a reader is in a channel.
    pub const CURSORS: Table = Table(3);
    /// Members of groups.
    pub const GROUPS: Table = Table(4);
    /// Ordinary sessions.
    pub const SESSIONS: Table = Table(5);
    /// Retained messages.
    pub const RETAINED: Table = Table(6);
    /// What the clocks said when the age of the store was noted (contract rule 5).
    pub const CLOCKS: Table = Table(7);

    /// Whom a client takes messages from, as it said itself.
    pub const SENDERS: Table = Table(8);
    /// Who wrote to whom, where strangers are limited.
    pub const ACQUAINTANCES: Table = Table(9);
    /// What the store says of itself: its epoch.
    pub const STORE: Table = Table(10);
    /// When the owners of inboxes were last there, by the age of the store, where inboxes are forgotten (contract rule 5).
    pub const SEEN: Table = Table(11);
    /// How many messages left an inbox unread (contract rule 5).
    pub const UNREAD: Table = Table(12);
    /// Wills that are not published yet.
    pub const WILLS: Table = Table(13);

    /// The key in [`Table::STORE`] that says since when [`Table::SEEN`] is kept without a gap.
    pub const SEEN_SINCE: &[u8] = b"seen-since";

    /// The table that a store on disk calls so; a newer build may know what it is for. There is no table 0.
    pub fn from_id(id: u8) -> Option<Self> {
        (id != 0).then_some(Table(id))
    }

    /// Its name on disk.
    pub fn id(self) -> u8 {
        self.0
    }

    /// Every table that there can be.
    pub(crate) fn all() -> impl Iterator<Item = Table> {
        (1..=u8::MAX).map(Table)
    }
}

/// A key in a table: 1 to [`TABLE_KEY_BYTES_MAX`] bytes. Keys order by their bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableKey(Bytes);

/// Why bytes are not a [`TableKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableKeyError {
    /// There are none.
    #[error("a key in a table must not be empty")]
    Empty,
    /// There are more than [`TABLE_KEY_BYTES_MAX`].
    #[error("the key has {0} bytes, and a table takes at most {TABLE_KEY_BYTES_MAX}; use a hash of it")]
    TooLong(usize),
}

impl TableKey {
    /// Checks a key.
    ///
    /// # Errors
    /// A key that is empty or too long.
    pub fn new(key: impl Into<Bytes>) -> Result<Self, TableKeyError> {
        let key = key.into();
        match key.len() {
            0 => Err(TableKeyError::Empty),
            n if n > TABLE_KEY_BYTES_MAX => Err(TableKeyError::TooLong(n)),
            _ => Ok(TableKey(key)),
        }
    }

    /// The key that is this client ID: every client ID is one.
    pub fn of(client: &ClientId) -> Self {
        TableKey(Bytes::copy_from_slice(client.as_str().as_bytes()))
    }

    /// Where the keys begin that begin with `prefix`, which may be empty.
    pub(crate) fn bound(prefix: &[u8]) -> Self {
        TableKey(Bytes::copy_from_slice(prefix))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a commit does to one key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: TableKey,
    /// Its value from now on, of at most [`TABLE_VALUE_BYTES_MAX`]; `None` when it has none. Removing what is not there is no error.
    pub value: Option<Bytes>,
}

/// One read of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TablePage {
    /// In the order of the keys.
    pub entries: Vec<(TableKey, Bytes)>,
    /// There was at least one more entry beyond the last of these.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a key that exists fits into every engine.
    #[test]
    fn a_key_that_exists_is_valid() {
        assert_eq!(TableKey::new(&b""[..]), Err(TableKeyError::Empty));
        let long = vec![7; TABLE_KEY_BYTES_MAX + 1];
        assert_eq!(TableKey::new(long.clone()), Err(TableKeyError::TooLong(long.len())));
        assert_eq!(TableKey::new(long[1..].to_vec()).unwrap().as_bytes(), &long[1..]);
    }
}
