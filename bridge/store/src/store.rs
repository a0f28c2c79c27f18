//! What a store is asked, and what it answers.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{HoldError, StoreError};
use crate::table::{Table, TableChange, TableKey, TablePage};
use crate::trouble::Trouble;
use inbox_types::{ClientId, Entry, Seq};

/// What one commit makes durable: all of it, or after a crash none of it. Puts have effect before removals, and changes of
/// tables in their order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// New messages. A key appears at most once, and never again after it was removed.
    pub puts: Vec<(ClientId, Entry)>,
    /// Messages that leave their inbox. Removing what is not there is no error.
    pub removals: Vec<(ClientId, Seq)>,
    /// Changes of tables.
    pub tables: Vec<TableChange>,
    /// No seq above this has been given to anyone (contract rule 6). It never goes down.
    pub reserve: Option<Seq>,
    /// How long this store has been in use, whatever the system clock said, in whole microseconds. It never goes down.
    pub age: Option<Duration>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
            && self.removals.is_empty()
            && self.tables.is_empty()
            && self.reserve.is_none()
            && self.age.is_none()
    }
}

/// What an inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxRecord {
    /// Messages.
    pub messages: u64,
    /// The sum of [`inbox_types::Message::size`], in bytes.
    pub bytes: u64,
}

impl InboxRecord {
    /// Counts one message more, of this [`inbox_types::Message::size`].
    pub(crate) fn add(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
    }

    /// What both hold.
    pub(crate) fn plus(self, other: InboxRecord) -> InboxRecord {
        InboxRecord {
            messages: self.messages.saturating_add(other.messages),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left without the other; `None` when the other holds more.
    pub(crate) fn minus(self, other: InboxRecord) -> Option<InboxRecord> {
        Some(InboxRecord {
            messages: self.messages.checked_sub(other.messages)?,
            bytes: self.bytes.checked_sub(other.bytes)?,
        })
    }
}

/// How much one read returns at most. The first entry is returned whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Messages, at least 1.
    pub messages: usize,
    /// The sum of their [`inbox_types::Message::size`].
    pub bytes: usize,
}

/// Who is told that a store failed.
pub type OnFailure = Box<dyn FnOnce(&StoreError) + Send>;

/// Commits that are held on to while a backup runs: see [`Store::hold_commits`].
pub trait HeldCommits {
    /// The last commit before those that are held. Everything up to it is seen by every read from now on.
    fn after(&self) -> u64;
    /// Whether they still are, and there is room for more.
    ///
    /// # Errors
    /// They were taken away, or would be soon.
    fn check(&self) -> Result<(), HoldError>;
    /// Hands each commit up to now to `each`, in order: its number, and the commit as the log keeps it. Gives the last number.
    ///
    /// # Errors
    /// They were taken away, the log cannot be read, or `each` failed.
    fn read(&self, each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> Result<u64, HoldError>;
}

/// A durable map from (inbox, seq) to message.
pub trait Store: Send + Sync + 'static {
    /// Makes `batch` durable. One caller at a time. After [`StoreError::Troubled`] nothing was changed: it, or another one, may be tried.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
    /// How long the last commit waited until the disk had it (fsync); `None` where no disk is waited for.
    fn last_sync(&self) -> Option<Duration> {
        None
    }
    /// Entries of `inbox` with a seq above `after`, in order. [`Page::more`] says whether there are others beyond them.
    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError>;
    /// Places of messages of `inbox` above `after`, in order, at most `limit`. It does not read the messages, so it works
    /// where one of them is damaged: this is how an inbox is purged.
    fn seqs(&self, inbox: &ClientId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let page = self.read(
            inbox,
            after,
            PageLimit {
                messages: limit.max(1),
                bytes: usize::MAX,
            },
        )?;
        Ok(page.entries.iter().map(|entry| entry.seq).take(limit).collect())
    }
    /// What `inbox` holds; `None` when it holds nothing. A damaged message counts too. The store keeps totals, so no message of an
    /// inbox is read for this that rests (one that is just being emptied is counted).
    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError>;
    /// Inboxes that hold something, after `after` in byte order, at most `limit`.
    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError>;
    /// The largest reservation that was committed.
    fn reserved(&self) -> Result<Seq, StoreError>;
    /// The largest age that was committed.
    fn age(&self) -> Result<Duration, StoreError>;
    /// The value of a key in a table.
    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError>;
    /// Entries of a table whose keys begin with `prefix` and are above `after`, in order; `limit` counts entries, and the bytes of
    /// their values. It sees whole commits only.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError>;
    /// Bytes of memory, roughly, that the store takes beside its engine's caches. They come down with the next checkpoint.
    fn memory_bytes(&self) -> usize {
        0
    }
    /// Has `tell` called once when the store fails, by whichever thread meets the failure; at once, if it has failed. Nobody else may call the
    /// store then, so whoever waits for it must be told.
    fn on_failure(&self, _tell: OnFailure) {}
    /// Why new messages should be refused for now, until it can make room for them again. Reading and removing go on.
    fn trouble(&self) -> Option<Trouble> {
        None
    }
    /// Bytes that the file system of the store has left; `None` where that means nothing.
    fn disk_free_bytes(&self) -> Option<u64>;
    /// Holds on to every commit that comes from now on, until what it gives is dropped: a backup needs them. It is taken away when the
    /// disk has less than so many bytes left.
    fn hold_commits(&self, disk_free_bytes_min: u64) -> Result<Box<dyn HeldCommits>, StoreError>;
    /// Closes the store; everything committed stays. Later calls may fail.
    fn close(&self) -> Result<(), StoreError>;
}

/// One read: entries in order, and whether the inbox held more beyond them at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In seq order.
    pub entries: Vec<Entry>,
    /// There was at least one more entry beyond the last of these.
    pub more: bool,
}
