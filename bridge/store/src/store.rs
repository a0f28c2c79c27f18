//! What a store is asked, and what it answers.

use inbox_types::{ClientId, Entry, Seq};

use crate::error::StoreError;

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
    /// The sum of [`inbox_types::Message::size`], in bytes.
    pub bytes: u64,
}

impl InboxRecord {
    /// Counts one message more, of this [`inbox_types::Message::size`].
    pub(crate) fn add(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
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
