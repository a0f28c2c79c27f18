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

/// The entries of a table whose keys begin with a prefix, in order, a page at a time: it may be large. After an error there are no more.
pub struct Entries<'s> {
    store: &'s dyn Store,
    table: Table,
    prefix: &'s [u8],
    page: std::vec::IntoIter<(TableKey, Bytes)>,
    /// Where the next page begins.
    after: Option<TableKey>,
    is_last: bool,
}

/// Everything that is kept in a table.
pub fn entries(store: &dyn Store, table: Table) -> Entries<'_> {
    entries_of(store, table, b"")
}

/// Those of its keys that begin with `prefix`.
pub fn entries_of<'s>(store: &'s dyn Store, table: Table, prefix: &'s [u8]) -> Entries<'s> {
    Entries {
        store,
        table,
        prefix,
        page: Vec::new().into_iter(),
        after: None,
        is_last: false,
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(TableKey, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            if self.is_last {
                return None;
            }
            match self.store.scan(self.table, self.prefix, self.after.as_ref(), PAGE) {
                Ok(page) => {
                    self.after = page.entries.last().map(|(key, _)| key.clone());
                    self.is_last = !page.more || self.after.is_none();
                    self.page = page.entries.into_iter();
                }
                Err(error) => {
                    self.is_last = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

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
    for entry in entries_of(store, table, prefix) {
        let (key, value) = entry?;
        if each(&key, &value).is_break() {
            break;
        }
    }
    Ok(())
}

/// A number as a value: eight bytes, big-endian.
pub(crate) fn number(number: u64) -> Bytes {
    number.to_be_bytes().to_vec().into()
}

/// Reads one; `None` of anything else.
pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}
