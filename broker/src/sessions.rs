//! Sessions that the store has: brought back when the broker starts.

use std::sync::Arc;

use inbox_bridge::{Kept, PAGE_BYTES_MAX, PageLimit, Store, StoreError, Table, TableKey};
use mqtt_session::{Found, Restoring, SessionTable, Sessions, Shared};

/// Entries that are read at a time.
const PAGE: PageLimit = PageLimit {
    messages: 4_096,
    bytes: PAGE_BYTES_MAX,
};

/// Brings back every kept session, before anybody connects: its subscriptions are made, and what waited for it waits again.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn restore(table: &SessionTable, store: &dyn Store) -> Result<(), StoreError> {
    let mut entries = Entries::of(store);
    while let Some(found) = entries.next()? {
        if table.restore(found).await.is_err() {
            // Ordinary topics have stopped, which the log tells.
            return Ok(());
        }
    }
    let sessions = table.restored().await;
    if sessions > 0 {
        tracing::info!(sessions, "kept sessions go on");
    }
    Ok(())
}

/// The same without a router: ordinary topics lead nowhere.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn restore_alone(store: &dyn Store, shared: &Arc<Shared>) -> Result<Sessions, StoreError> {
    let mut sessions = Sessions::default();
    let mut entries = Entries::of(store);
    while let Some(found) = entries.next()? {
        match found {
            Found::Session(restored) => sessions.restore(*restored, shared).remains.forget(),
            Found::Remains(prefix) => shared.node.inboxes.forget(Kept::Session, prefix),
        }
    }
    Ok(sessions)
}

/// What the store has of sessions, one after the other.
struct Entries<'s> {
    store: &'s dyn Store,
    restoring: Option<Restoring>,
    page: std::vec::IntoIter<(TableKey, bytes::Bytes)>,
    after: Option<TableKey>,
    is_last: bool,
}

impl<'s> Entries<'s> {
    fn of(store: &'s dyn Store) -> Self {
        Entries {
            store,
            restoring: Some(Restoring::default()),
            page: Vec::new().into_iter(),
            after: None,
            is_last: false,
        }
    }

    /// The next session, or what is left of one; `None` when that was all.
    ///
    /// # Errors
    /// The store cannot be read.
    fn next(&mut self) -> Result<Option<Found>, StoreError> {
        loop {
            let Some(restoring) = &mut self.restoring else {
                return Ok(None);
            };
            if let Some(found) = self
                .page
                .by_ref()
                .find_map(|(key, value)| restoring.take(key.as_bytes(), &value))
            {
                return Ok(Some(found));
            }
            if self.is_last {
                return Ok(self.restoring.take().and_then(Restoring::end));
            }
            let page = self.store.scan(Table::SESSIONS, b"", self.after.as_ref(), PAGE)?;
            self.after = page.entries.last().map(|(key, _)| key.clone());
            self.is_last = !page.more || self.after.is_none();
            self.page = page.entries.into_iter();
        }
    }
}
