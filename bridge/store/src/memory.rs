//! A store in memory: for tests, and for knowing what a crash leaves.
//!
//! It keeps two images, what was written and what is durable. They differ only where a [`FaultPlan`] says so, as the
//! disk of a machine differs from what its processes see. [`MemoryStore::crash_image`] is the machine after the power
//! came back.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use crate::error::{Failure, HoldError, StoreError};
use crate::frame;
use crate::poison::Poison;
use crate::store::{Batch, HeldCommits, InboxRecord, OnFailure, Page, PageLimit, Store};
use crate::table::{Table, TableChange, TableKey, TablePage};
use inbox_types::{ClientId, Entry, Seq};

/// What goes wrong, by the number of the commit, from 1. Nothing does by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultPlan {
    /// This commit fails, and the store is poisoned.
    pub fail_commit: Option<u64>,
    /// Whether the failing commit becomes durable all the same: as a whole, as a batch is atomic.
    pub keeps_failed: bool,
    /// Commits after this one succeed and are not durable: the power failed after sync n, and nobody knows yet.
    pub freeze_after: Option<u64>,
}

/// A store that is gone with its process. See the module's text for its two images.
#[derive(Debug, Default)]
pub struct MemoryStore {
    // One lock: its users are tests, where simple beats fast.
    state: Arc<Mutex<State>>,
    poison: Poison,
}

#[derive(Debug, Default)]
struct State {
    written: Image,
    durable: Image,
    commits: u64,
    plan: FaultPlan,
    disk_free_bytes: Option<u64>,
    /// Backups that run, and the commits since the first of them began.
    holds: usize,
    held: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone, Default)]
struct Image {
    entries: BTreeMap<(ClientId, Seq), Entry>,
    tables: BTreeMap<(Table, TableKey), Bytes>,
    reserved: Seq,
    age: Duration,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Sets what will go wrong. Commits are counted from the store's beginning.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.state.lock().plan = plan;
    }

    /// Sets what [`Store::disk_free_bytes`] answers.
    pub fn set_disk_free_bytes(&self, bytes: Option<u64>) {
        self.state.lock().disk_free_bytes = bytes;
    }

    /// Commits so far, the failed one included.
    pub fn commits(&self) -> u64 {
        self.state.lock().commits
    }

    /// The store that a restart would find if the machine crashed now. It has no faults planned.
    pub fn crash_image(&self) -> MemoryStore {
        let durable = self.state.lock().durable.clone();
        let state = State {
            written: durable.clone(),
            durable,
            ..State::default()
        };
        MemoryStore {
            state: Arc::new(Mutex::new(state)),
            poison: Poison::default(),
        }
    }

    /// What it holds, unless it failed.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock();
        self.poison.check().map(|()| state)
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.commits += 1;
        let (commit, plan) = (state.commits, state.plan);
        if plan.fail_commit == Some(commit) {
            if plan.keeps_failed {
                state.durable.apply(batch);
            }
            let error = self.poison.fail(Failure::Injected);
            drop(state);
            self.poison.tell();
            return Err(error);
        }
        if state.holds > 0 {
            let mut frame = Vec::new();
            frame::encode_into(batch, &mut frame);
            state.held.push((commit, frame));
        }
        state.written.apply(batch);
        if plan.freeze_after.is_none_or(|last| commit <= last) {
            state.durable.apply(batch);
        }
        Ok(())
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        let state = self.state()?;
        let mut page = Page::default();
        let mut bytes = 0;
        for entry in state.written.inbox(inbox, after) {
            bytes += entry.message.size();
            let is_full = page.entries.len() >= limit.messages || bytes > limit.bytes;
            if is_full && !page.entries.is_empty() {
                page.more = true;
                break;
            }
            page.entries.push(entry.clone());
        }
        Ok(page)
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        let state = self.state()?;
        let mut record = InboxRecord::default();
        state
            .written
            .inbox(inbox, Seq::ZERO)
            .for_each(|entry| record.add(entry.message.size()));
        Ok((record.messages > 0).then_some(record))
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        let state = self.state()?;
        let mut all: Vec<(ClientId, InboxRecord)> = Vec::new();
        let from = after.map_or(Bound::Unbounded, |after| {
            Bound::Excluded((after.clone(), Seq(u64::MAX)))
        });
        for ((inbox, _), entry) in state.written.entries.range((from, Bound::Unbounded)) {
            let is_full = all.len() >= limit;
            match all.last_mut() {
                Some((last, record)) if last == inbox => record.add(entry.message.size()),
                _ if is_full => break,
                _ => {
                    let mut record = InboxRecord::default();
                    record.add(entry.message.size());
                    all.push((inbox.clone(), record));
                }
            }
        }
        Ok(all)
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        Ok(self.state()?.written.reserved)
    }

    fn age(&self) -> Result<Duration, StoreError> {
        Ok(self.state()?.written.age)
    }

    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        let state = self.state()?;
        Ok(state.written.tables.get(&(table, key.clone())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        let state = self.state()?;
        let (mut page, mut bytes) = (TablePage::default(), 0);
        for (key, value) in state.written.table(table, prefix, after) {
            bytes += value.len();
            let is_full = page.entries.len() >= limit.messages || bytes > limit.bytes;
            if is_full && !page.entries.is_empty() {
                page.more = true;
                break;
            }
            page.entries.push((key.clone(), value.clone()));
        }
        Ok(page)
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        self.state.lock().disk_free_bytes
    }

    fn hold_commits(&self, disk_free_bytes_min: u64) -> Result<Box<dyn HeldCommits>, StoreError> {
        let mut state = self.state()?;
        state.holds += 1;
        Ok(Box::new(Held {
            after: state.commits,
            state: Arc::clone(&self.state),
            disk_free_bytes_min,
        }))
    }

    fn on_failure(&self, tell: OnFailure) {
        self.poison.on_failure(tell);
    }

    fn close(&self) -> Result<(), StoreError> {
        self.poison.check()
    }
}

/// What a backup holds on to.
struct Held {
    state: Arc<Mutex<State>>,
    after: u64,
    disk_free_bytes_min: u64,
}

impl HeldCommits for Held {
    fn after(&self) -> u64 {
        self.after
    }

    fn check(&self) -> Result<(), HoldError> {
        let disk_free_bytes_min = self.disk_free_bytes_min;
        match self.state.lock().disk_free_bytes {
            Some(free) if free < disk_free_bytes_min => Err(HoldError::NoRoom { disk_free_bytes_min }),
            _ => Ok(()),
        }
    }

    fn read(&self, each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> Result<u64, HoldError> {
        self.check()?;
        let (held, last) = {
            let state = self.state.lock();
            (state.held.clone(), state.commits)
        };
        for (commit, frame) in held.iter().filter(|(commit, _)| *commit > self.after) {
            each(*commit, frame).map_err(HoldError::Write)?;
        }
        Ok(last)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.holds -= 1;
        if state.holds == 0 {
            state.held.clear();
        }
    }
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

    fn table<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&TableKey>,
    ) -> impl Iterator<Item = (&'a TableKey, &'a Bytes)> + use<'a> {
        let from = match after.filter(|after| after.as_bytes() >= prefix) {
            Some(after) => Bound::Excluded((table, after.clone())),
            None => Bound::Included((table, TableKey::bound(prefix))),
        };
        let range = self.tables.range((from, Bound::Unbounded));
        range
            .take_while(move |((in_table, key), _)| *in_table == table && key.as_bytes().starts_with(prefix))
            .map(|((_, key), value)| (key, value))
    }

    fn inbox<'a>(&'a self, inbox: &ClientId, after: Seq) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let from = Bound::Excluded((inbox.clone(), after));
        let to = Bound::Included((inbox.clone(), Seq(u64::MAX)));
        // A range from after the last seq to it would be empty, and BTreeMap panics on those it thinks reversed.
        let range = (after < Seq(u64::MAX)).then(|| self.entries.range((from, to)));
        range.into_iter().flatten().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract::{self, batch_of, id, seqs};

    /// Goal: the memory engine keeps the contract of every engine, and reopens as a process that was killed does.
    #[test]
    fn the_memory_store_keeps_the_contract() {
        contract::run(|| {
            let last = Mutex::new(Arc::new(MemoryStore::new()));
            Box::new(move || {
                let mut last = last.lock();
                *last = Arc::new(last.crash_image());
                last.clone()
            })
        });
    }

    /// Goal: a failed commit poisons the store, and all of it or nothing is there after the crash, as the plan says.
    #[test]
    fn a_planned_failure_poisons() {
        for (keeps_failed, found) in [(false, vec![1, 2]), (true, vec![1, 2, 3, 4, 5])] {
            let store = MemoryStore::new();
            store.set_plan(FaultPlan {
                fail_commit: Some(2),
                keeps_failed,
                ..FaultPlan::default()
            });
            store.commit(&batch_of("bob", 1..=2)).unwrap();
            contract::poisoned_by_next_commit(&store, &batch_of("bob", 3..=5));
            assert_eq!(seqs(&store.crash_image(), &id("bob")), found);
        }
    }

    /// Goal: the crash image holds what was durable when the power failed, though later commits said yes.
    #[test]
    fn a_frozen_disk_forgets() {
        let store = MemoryStore::new();
        store.set_plan(FaultPlan {
            freeze_after: Some(1),
            ..FaultPlan::default()
        });
        store.commit(&batch_of("bob", 1..=2)).unwrap();
        store.commit(&batch_of("bob", 3..=4)).unwrap();
        assert_eq!(seqs(&store, &id("bob")), [1, 2, 3, 4]);
        assert_eq!(seqs(&store.crash_image(), &id("bob")), [1, 2]);
        assert_eq!(store.commits(), 2);
    }
}
