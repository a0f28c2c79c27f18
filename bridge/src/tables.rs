//! Going through tables of the store, and numbers as they are kept there.

use std::ops::ControlFlow;

use bytes::Bytes;
use inbox_store::{PageLimit, Store, StoreError, Table, TableKey};
use inbox_types::PAGE_BYTES_MAX;

/// Entries read at a time.
const PAGE: PageLimit = PageLimit {
    messages: 1024,
    bytes: PAGE_BYTES_MAX,
};

/// Shows `each` the entries of a table whose keys begin with `prefix`, in order, until it has seen enough.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn walk(
    store: &dyn Store,
    table: Table,
    prefix: &[u8],
    mut each: impl FnMut(&TableKey, &Bytes) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut after: Option<TableKey> = None;
    loop {
        let page = store.scan(table, prefix, after.as_ref(), PAGE)?;
        for (key, value) in &page.entries {
            if each(key, value).is_break() {
                return Ok(());
            }
        }
        after = page.entries.last().map(|(key, _)| key.clone());
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
}

/// A number as a value: eight bytes, big-endian.
pub(crate) fn number(number: u64) -> Bytes {
    number.to_be_bytes().to_vec().into()
}

/// Reads one; `None` of anything else.
pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}
