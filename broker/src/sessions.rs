//! Sessions that the store has: brought back when the broker starts.

use std::panic::resume_unwind;
use std::sync::Arc;

use inbox_bridge::{Entries, MemoryBudget, Store, StoreError, Table, entries};
use mqtt_session::{Found, FoundWill, Restoring, SessionTable, Shared, found_will};
use tokio::sync::mpsc;
use tokio::task::JoinError;

/// Sessions that are read before those ahead of them are back.
const READ_AHEAD: usize = 256;

/// Brings back every kept session, before anybody connects: its subscriptions are made, and what waited for it waits again. The wills that the store has are
/// published if their clients do not come back.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn restore(table: &SessionTable, shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    for found in Stored::all(store, shared) {
        if table.restore(found?).await.is_err() {
            // Ordinary topics have stopped, which the log tells.
            return Ok(());
        }
    }
    finish(table, shared, store).await
}

/// The same, while a thread of its own reads: that takes as long as what follows.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn restore_meanwhile(
    table: &SessionTable,
    shared: &Arc<Shared>,
    store: Arc<dyn Store>,
) -> Result<(), StoreError> {
    let (give, mut all) = mpsc::channel(READ_AHEAD);
    let (read_from, of) = (store.clone(), shared.clone());
    let reading = tokio::task::spawn_blocking(move || {
        // An error means that nobody wants more.
        let _stopped = Stored::all(&*read_from, &of).try_for_each(|found| give.blocking_send(found));
    });
    while let Some(found) = all.recv().await {
        if table.restore(found?).await.is_err() {
            return Ok(());
        }
    }
    if let Err(Ok(panic)) = reading.await.map_err(JoinError::try_into_panic) {
        resume_unwind(panic);
    }
    finish(table, shared, &*store).await
}

async fn finish(table: &SessionTable, shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    for found in wills(store, shared) {
        table.restore_will(found?).await;
    }
    let sessions = table.restored().await;
    if sessions > 0 {
        tracing::info!(sessions, "kept sessions go on");
    }
    Ok(())
}

/// The wills that the store has.
fn wills(store: &dyn Store, shared: &Shared) -> impl Iterator<Item = Result<FoundWill, StoreError>> {
    entries(store, Table::WILLS).map(|entry| {
        let (key, value) = entry?;
        Ok(found_will(key.as_bytes(), &value, &shared.node.budgets.all))
    })
}

/// What the store has of sessions, one after the other: each, or what is left of one.
pub(crate) struct Stored<'s> {
    entries: Entries<'s>,
    /// There until the last one was given.
    restoring: Option<Restoring>,
}

impl<'s> Stored<'s> {
    /// Those of these entries. What waits for them counts against `budget`.
    pub(crate) fn of(entries: Entries<'s>, budget: &Arc<MemoryBudget>) -> Self {
        Stored {
            entries,
            restoring: Some(Restoring::new(budget)),
        }
    }

    fn all(store: &'s dyn Store, shared: &Shared) -> Self {
        Stored::of(entries(store, Table::SESSIONS), &shared.node.budgets.all)
    }
}

impl Iterator for Stored<'_> {
    type Item = Result<Found, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let restoring = self.restoring.as_mut()?;
        for entry in self.entries.by_ref() {
            match entry {
                Err(error) => return Some(Err(error)),
                Ok((key, value)) => {
                    if let Some(found) = restoring.take(key.as_bytes(), &value) {
                        return Some(Ok(found));
                    }
                }
            }
        }
        self.restoring.take().and_then(Restoring::end).map(Ok)
    }
}
