//! Everything that a store holds, in batches, as conversions and backups copy it.

use bytes::Bytes;
use inbox_types::{ClientId, Entry, Seq};

use crate::error::StoreError;
use crate::store::{Batch, PageLimit, Store};
use crate::table::{Table, TableChange, TableKey};

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Converted {
    /// Inboxes that hold something.
    pub inboxes: u64,
    /// Their messages.
    pub messages: u64,
    /// The sum of [`inbox_types::Message::size`], in bytes.
    pub bytes: u64,
}

/// How much is read at once, and how much is about a batch: messages or keys, and bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portions {
    pub(crate) page: PageLimit,
    pub(crate) page_inboxes: usize,
    pub(crate) batch_entries: usize,
    pub(crate) batch_bytes: usize,
}

/// Takes a batch, and what was copied with it so far.
type Take<'a, E> = &'a mut dyn FnMut(&Batch, Converted) -> Result<(), E>;

/// Reads everything in `source`, page by page, and hands it to `take`: messages, then tables, and with the last of them the reservation and
/// the age. `failed` says what of the source could not be read. Gives what there was, and how many keys.
pub(crate) fn copy<E>(
    source: &dyn Store,
    portions: Portions,
    failed: &dyn Fn(StoreError) -> E,
    take: Take<'_, E>,
) -> Result<(Converted, u64), E> {
    let mut copier = Copier {
        source,
        portions,
        failed,
        take,
        batch: Batch::default(),
        batch_bytes: 0,
        done: Converted::default(),
        keys: 0,
    };
    copier.inboxes()?;
    Table::all().try_for_each(|table| copier.table(table))?;
    copier.finish()
}

struct Copier<'a, E> {
    source: &'a dyn Store,
    portions: Portions,
    failed: &'a dyn Fn(StoreError) -> E,
    take: Take<'a, E>,
    batch: Batch,
    batch_bytes: usize,
    done: Converted,
    keys: u64,
}

impl<E> Copier<'_, E> {
    fn inboxes(&mut self) -> Result<(), E> {
        let most = self.portions.page_inboxes;
        let mut inboxes = self.source.inboxes(None, most).map_err(self.failed)?;
        while let Some((last, _)) = inboxes.last() {
            for (inbox, _) in &inboxes {
                self.inbox(inbox)?;
            }
            inboxes = self.source.inboxes(Some(last), most).map_err(self.failed)?;
        }
        Ok(())
    }

    fn inbox(&mut self, inbox: &ClientId) -> Result<(), E> {
        self.done.inboxes += 1;
        let mut after = Seq::ZERO;
        loop {
            let page = self
                .source
                .read(inbox, after, self.portions.page)
                .map_err(self.failed)?;
            after = page.entries.last().map_or(after, |last| last.seq);
            for entry in page.entries {
                self.put(inbox, entry)?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn table(&mut self, table: Table) -> Result<(), E> {
        let mut after = None;
        loop {
            let page = self.source.scan(table, &[], after.as_ref(), self.portions.page);
            let page = page.map_err(self.failed)?;
            after = page.entries.last().map(|(key, _)| key.clone());
            for (key, value) in page.entries {
                self.change(table, key, value)?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn put(&mut self, inbox: &ClientId, entry: Entry) -> Result<(), E> {
        let size = entry.message.size();
        self.done.messages += 1;
        self.done.bytes += size as u64;
        self.batch_bytes += size;
        self.batch.puts.push((inbox.clone(), entry));
        self.flush_if_full()
    }

    fn change(&mut self, table: Table, key: TableKey, value: Bytes) -> Result<(), E> {
        self.keys += 1;
        self.batch_bytes += value.len();
        let value = Some(value);
        self.batch.tables.push(TableChange { table, key, value });
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), E> {
        let entries = self.batch.puts.len() + self.batch.tables.len();
        match entries >= self.portions.batch_entries || self.batch_bytes >= self.portions.batch_bytes {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), E> {
        (self.take)(&self.batch, self.done)?;
        self.batch = Batch::default();
        self.batch_bytes = 0;
        Ok(())
    }

    /// What every store has from its first moment on.
    fn finish(mut self) -> Result<(Converted, u64), E> {
        let reserved = self.source.reserved().map_err(self.failed)?;
        let age = self.source.age().map_err(self.failed)?;
        self.batch.reserve = (reserved > Seq::ZERO).then_some(reserved);
        self.batch.age = (!age.is_zero()).then_some(age);
        self.flush()?;
        Ok((self.done, self.keys))
    }
}
