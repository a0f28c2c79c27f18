//! The epoch of a store: a random number, made with the store, that tells whether its inboxes go on where they were.

use crate::error::StoreError;
use crate::store::{Batch, Store};
use crate::table::{Table, TableChange, TableKey};
use inbox_types::Epoch;

/// The epoch of `store`. One that has none yet is given `fresh`.
///
/// # Errors
/// Those of the store.
pub fn keep_epoch(store: &dyn Store, fresh: Epoch) -> Result<Epoch, StoreError> {
    if let Some(epoch) = epoch_of(store)? {
        return Ok(epoch);
    }
    store.commit(&Batch {
        tables: change(fresh).into_iter().collect(),
        ..Batch::default()
    })?;
    Ok(fresh)
}

/// The epoch of `store`, if it was given one. What is damaged is none: clients are better told too much than too little.
///
/// # Errors
/// Those of the store.
pub fn epoch_of(store: &dyn Store) -> Result<Option<Epoch>, StoreError> {
    let Some(key) = key() else { return Ok(None) };
    let value = store.get(Table::STORE, &key)?;
    let bytes = value.and_then(|value| <[u8; 8]>::try_from(value.as_ref()).ok());
    Ok(bytes.map(|bytes| Epoch::from_random(u64::from_be_bytes(bytes))))
}

/// What gives a store this epoch.
pub(crate) fn change(epoch: Epoch) -> Option<TableChange> {
    key().map(|key| TableChange {
        table: Table::STORE,
        key,
        value: Some(epoch.get().to_be_bytes().to_vec().into()),
    })
}

fn key() -> Option<TableKey> {
    TableKey::new(&b"epoch"[..]).ok()
}
