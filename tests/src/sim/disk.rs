//! A disk that takes its time, fails, and forgets in a crash what it had not synced.
//!
//! It keeps what can be read apart from what is durable. Between [`Disk::begin`] and [`Disk::end`] a batch may be readable
//! and is not durable; a crash in between keeps all of it or nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use inbox_bridge::{
    Batch, ClientId, Entry, InboxRecord, Page, PageLimit, Seq, Store, StoreError, Table, TableChange, TableKey,
    TablePage,
};

use super::random::Random;

/// See the module's documentation. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct State {
    readable: Image,
    durable: Image,
    /// Pages are made shorter than asked for, so that a short run sees many.
    page_messages_max: usize,
    failed: bool,
}

#[derive(Clone, Default)]
struct Image {
    entries: BTreeMap<(ClientId, Seq), Entry>,
    tables: BTreeMap<(Table, TableKey), Bytes>,
    reserved: Seq,
    age: Duration,
}

impl Image {
    fn apply(&mut self, batch: &Batch) {
        for (inbox, entry) in &batch.puts {
            self.entries.insert((inbox.clone(), entry.seq), entry.clone());
        }
        for (inbox, seq) in &batch.removals {
            self.entries.remove(&(inbox.clone(), *seq));
        }
        for TableChange { table, key, value } in &batch.tables {
            let place = (*table, key.clone());
            match value {
                Some(value) => _ = self.tables.insert(place, value.clone()),
                None => _ = self.tables.remove(&place),
            }
        }
        self.reserved = self.reserved.max(batch.reserve.unwrap_or_default());
        self.age = self.age.max(batch.age.unwrap_or_default());
    }

    fn inbox(&self, inbox: &ClientId, after: Seq) -> impl Iterator<Item = &Entry> {
        let from = Bound::Excluded((inbox.clone(), after));
        let to = Bound::Included((inbox.clone(), Seq(u64::MAX)));
        self.entries.range((from, to)).map(|(_, entry)| entry)
    }
}

impl Disk {
    pub(super) fn new(page_messages_max: usize) -> Self {
        let state = State {
            readable: Image::default(),
            durable: Image::default(),
            page_messages_max,
            failed: false,
        };
        Disk(Arc::new(Mutex::new(state)))
    }

    /// A batch is being written, and can be read from now on, or from its end on.
    pub(super) fn begin(&self, batch: &Batch, random: &mut Random) {
        if random.percent(50) {
            self.state().readable.apply(batch);
        }
    }

    /// The batch is synced.
    pub(super) fn end(&self, batch: &Batch) {
        let mut state = self.state();
        state.readable.apply(batch);
        state.durable.apply(batch);
    }

    /// Writing or syncing failed. Nothing works until the next start.
    pub(super) fn fail(&self) -> StoreError {
        self.state().failed = true;
        StoreError::Failed("a simulated disk error".into())
    }

    /// The machine stops while `batch` is being written, and starts again. All of it is there, or nothing.
    pub(super) fn crash(&self, batch: Option<&Batch>, random: &mut Random) {
        let mut state = self.state();
        if let Some(batch) = batch.filter(|_| random.percent(50)) {
            state.durable.apply(batch);
        }
        state.readable = state.durable.clone();
        state.failed = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn checked(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match state.failed {
            true => Err(StoreError::Failed("a simulated disk error".into())),
            false => Ok(state),
        }
    }
}

impl Store for Disk {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        drop(self.checked()?);
        self.end(batch);
        Ok(())
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        let state = self.checked()?;
        let most = limit.messages.min(state.page_messages_max);
        let mut page = Page::default();
        for entry in state.readable.inbox(inbox, after) {
            if page.entries.len() == most {
                page.more = true;
                break;
            }
            page.entries.push(entry.clone());
        }
        Ok(page)
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        let state = self.checked()?;
        let mut record = InboxRecord::default();
        for entry in state.readable.inbox(inbox, Seq::ZERO) {
            record.messages += 1;
            record.bytes += entry.message.size() as u64;
        }
        Ok((record.messages > 0).then_some(record))
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        let state = self.checked()?;
        let mut all: Vec<(ClientId, InboxRecord)> = Vec::new();
        for ((inbox, _), entry) in &state.readable.entries {
            if after.is_some_and(|after| inbox <= after) {
                continue;
            }
            if all.last().is_none_or(|(last, _)| last != inbox) {
                if all.len() == limit {
                    break;
                }
                all.push((inbox.clone(), InboxRecord::default()));
            }
            let (_, record) = all.last_mut().unwrap();
            record.messages += 1;
            record.bytes += entry.message.size() as u64;
        }
        Ok(all)
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        Ok(self.checked()?.readable.reserved)
    }

    fn age(&self) -> Result<Duration, StoreError> {
        Ok(self.checked()?.readable.age)
    }

    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.checked()?.readable.tables.get(&(table, key.clone())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        let state = self.checked()?;
        let mut page = TablePage::default();
        for ((in_table, key), value) in &state.readable.tables {
            let is_wanted = *in_table == table && key.as_bytes().starts_with(prefix);
            if !is_wanted || after.is_some_and(|after| key <= after) {
                continue;
            }
            if page.entries.len() == limit.messages.min(state.page_messages_max) {
                page.more = true;
                break;
            }
            page.entries.push((key.clone(), value.clone()));
        }
        Ok(page)
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        None
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
