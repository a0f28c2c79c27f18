//! How many messages left inboxes unread, as the store counts them (contract rule 5).

use std::sync::atomic::Ordering;

use inbox_store::{PageLimit, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{ClientId, Now};

use super::Hub;
use crate::mailbox::unread::change;
use crate::tables::read_number;

impl Hub {
    /// Whether nothing ever left an inbox unread that is not in memory, so that the store need not be asked.
    pub(super) fn knows_unread(&self) -> bool {
        !self.counts_unread.load(Ordering::Relaxed)
    }

    /// Tells an inbox what the store counts.
    pub(super) fn read_unread(&self, store: &dyn Store, inbox: &ClientId, now: Now) -> Result<(), StoreError> {
        let stored = stored_unread(store, inbox)?;
        self.step_existing(inbox, now, |mailbox, cx, fx| mailbox.unread_read(stored, cx, fx));
        Ok(())
    }

    /// A client is erased: the number goes with it, and so does its name in that table.
    pub fn erase_unread(&self, inbox: &ClientId) {
        self.step_existing(inbox, self.clock.now(), |mailbox, _, _| mailbox.erase_unread());
        self.keep(Table::UNREAD, TableKey::of(inbox), None, None);
    }
}

/// Whether `store` counts any.
pub(super) fn counts_unread(store: &dyn Store) -> Result<bool, StoreError> {
    let limit = PageLimit { messages: 1, bytes: 1 };
    Ok(!store.scan(Table::UNREAD, b"", None, limit)?.entries.is_empty())
}

/// How many of `inbox` left unread, durably.
pub(super) fn stored_unread(store: &dyn Store, inbox: &ClientId) -> Result<u64, StoreError> {
    let count = store.get(Table::UNREAD, &TableKey::of(inbox))?;
    Ok(count.as_deref().and_then(read_number).unwrap_or_default())
}

/// What counts that `more` messages leave `inbox` unread: for the batch that removes them, of a store that nobody else uses.
///
/// # Errors
/// The store cannot be read.
pub fn count_unread(store: &dyn Store, inbox: &ClientId, more: u64) -> Result<TableChange, StoreError> {
    Ok(change(inbox, stored_unread(store, inbox)? + more))
}
