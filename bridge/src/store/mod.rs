//! Where inboxes are kept.
//!
//! **Promise:** when [`Store::commit`] returns `Ok`, everything in the batch survives a killed process and a power cut, in
//! every engine but the memory one. A batch is not promised to be atomic: after a crash in the middle of a commit any
//! part of it may be there, and none of it has been acknowledged to anyone.
//!
//! All calls block; they belong on threads that may.

mod acknowledged;
mod blocks;
mod checkpoint;
mod chunk;
mod convert;
mod directory;
mod envelope;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod fjall;
mod frame;
mod index;
mod key;
mod log;
mod manifest;
mod memory;
mod open;
#[cfg(feature = "testing")]
pub mod raw;
mod record;
mod sled;
mod tree;
mod tree_store;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(test)]
mod tests;

use crate::client_id::ClientId;
use crate::message::{Entry, Seq};

pub use convert::{ConvertError, Converted, convert};
pub use directory::OpenError;
#[cfg(any(test, feature = "testing"))]
pub use faulty::FaultyStore;
pub use fjall::FjallOptions;
pub use memory::{FaultPlan, MemoryStore};
pub use open::{Engine, StoreOptions, open_store};
pub use sled::SledOptions;
pub use tree_store::CheckpointOptions;

/// What one commit makes durable, in this order: puts, then removals, then the reservation.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// New messages. A key appears at most once, and never again after it was removed.
    pub puts: Vec<(ClientId, Entry)>,
    /// Messages that leave their inbox. Removing what is not there is no error.
    pub removals: Vec<(ClientId, Seq)>,
    /// No seq above this has been given to anyone (contract rule 6). It never goes down.
    pub reserve: Option<Seq>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty() && self.reserve.is_none()
    }
}

/// What an inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxRecord {
    /// Messages.
    pub messages: u64,
    /// The sum of [`crate::Message::size`], in bytes.
    pub bytes: u64,
}

impl InboxRecord {
    /// Counts one message more, of this [`crate::Message::size`].
    fn add(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
    }
}

/// How much one read returns at most. The first entry is returned whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Messages, at least 1.
    pub messages: usize,
    /// The sum of their [`crate::Message::size`].
    pub bytes: usize,
}

/// Why a store could not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the engine refused. The store is poisoned from now on: every later commit fails too
    /// (a failed fsync must not be retried).
    #[error("the store failed ({0}); nothing more is acknowledged until the broker is restarted")]
    Failed(String),
    /// A record cannot be read. `inboxd inbox purge` removes the inbox that holds it.
    #[error("a record of inbox {inbox:?} is damaged ({why}); `inboxd inbox purge` removes that inbox")]
    Damaged {
        /// Whose inbox.
        inbox: ClientId,
        /// What is wrong with it.
        why: String,
    },
}

/// A durable map from (inbox, seq) to message.
pub trait Store: Send + Sync + 'static {
    /// Makes `batch` durable. One caller at a time.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
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
    /// What `inbox` holds, counted from its messages; `None` when it holds nothing. A damaged message counts too.
    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError>;
    /// Inboxes that hold something, after `after` in byte order, at most `limit`.
    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError>;
    /// The largest reservation that was committed.
    fn reserved(&self) -> Result<Seq, StoreError>;
    /// Bytes that the file system of the store has left; `None` where that means nothing.
    fn disk_free_bytes(&self) -> Option<u64>;
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
