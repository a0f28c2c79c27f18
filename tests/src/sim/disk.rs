//! The disk of a simulated broker: the real store, its log, blocks and checkpoints, over files and a tree in memory.
//!
//! Between [`Disk::begin`] and [`Disk::end`] a batch is being written. A crash comes at any operation on a file or on the tree: in a commit,
//! in a checkpoint, and while the store is being opened again. What was not synced by then is kept in part, in any order.
//!
//! The disk looks at the store itself, too: every commit leaves its number in a table, and totals must be what there is.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use inbox_bridge::simulated::{Lack, SimStore};
use inbox_bridge::{
    Batch, ClientId, Failure, InboxRecord, Page, PageLimit, Seq, Store, StoreError, Table, TableChange, TableKey,
    TablePage, Trouble,
};

use super::random::Random;

/// See the module's documentation. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct State {
    machine: SimStore,
    /// Pages are made shorter than asked for, so that a short run sees many.
    page_messages_max: usize,
    failed: bool,
    /// What the next reads of mail and of totals lack, and how many of them.
    lacks: Option<(Trouble, usize)>,
    /// Commits that returned well.
    commits: u64,
}

impl Disk {
    pub(super) fn new(page_messages_max: usize) -> Self {
        let state = State {
            machine: SimStore::new().expect("a disk that is empty and works"),
            page_messages_max,
            failed: false,
            lacks: None,
            commits: 0,
        };
        Disk(Arc::new(Mutex::new(state)))
    }

    /// A batch is going to be written; there may be a checkpoint before it, or one that lacks something and changes nothing.
    pub(super) fn begin(&self, random: &mut Random) {
        if random.percent(10) {
            let lack = random.pick(&[
                None,
                None,
                Some(Lack::Descriptors),
                Some(Lack::Names),
                Some(Lack::Bytes),
            ]);
            let state = self.state();
            state.machine.set_lack(lack);
            let done = state.machine.checkpoint();
            state.machine.set_lack(None);
            let is_passing = lack.is_some() && matches!(done, Err(StoreError::Troubled(_)));
            assert!(done.is_ok() || is_passing, "{lack:?}: {done:?}");
        }
    }

    /// The batch is synced. The disk may have been full before, so that it was tried more than once.
    pub(super) fn end(&self, batch: &Batch, random: &mut Random) {
        let mut state = self.state();
        while random.percent(5) {
            state
                .machine
                .set_lack(Some(random.pick(&[Lack::Space, Lack::SpaceToCut])));
            let committed = state.commit(batch);
            assert!(
                matches!(committed, Err(StoreError::Troubled(Trouble::NoSpace))),
                "a full disk: {committed:?}"
            );
        }
        state.machine.set_lack(None);
        state.commit(batch).expect("the disk works");
    }

    /// Writing or syncing failed. Nothing works until the next start.
    pub(super) fn fail(&self) -> StoreError {
        self.state().failed = true;
        failed()
    }

    /// The machine stops while `batch` is being written, or while there is a checkpoint, and starts again.
    ///
    /// # Panics
    /// When the store breaks its promise.
    pub(super) fn crash(&self, batch: Option<&Batch>, random: &mut Random) {
        let mut state = self.state();
        let sure = state.commits;
        // A commit has few operations, a checkpoint many.
        let most = if random.percent(50) { 4 } else { 60 };
        let left = random.below(most);
        state.machine.power_off_after(left);
        // What fails here fails because the power is off, or because the disk was full before.
        if let Some(batch) = batch {
            if random.percent(10) {
                state
                    .machine
                    .set_lack(Some(random.pick(&[Lack::Space, Lack::SpaceToCut])));
                let _ = state.commit(batch);
                state.machine.set_lack(None);
            }
            let _ = state.commit(batch);
        }
        if random.percent(40) {
            let _ = state.machine.checkpoint();
        }
        for _ in 0..3 {
            let seed = random.below(usize::MAX) as u64;
            let again = random.percent(30).then(|| random.below(20));
            match state.machine.restart(seed, again) {
                Ok(()) if !state.machine.is_doomed() => break,
                Ok(()) => {}
                Err(why) => assert!(state.machine.is_off(), "the store does not open: {why}"),
            }
        }
        if state.machine.is_doomed() {
            let opened = state.machine.restart(0, None);
            opened.unwrap_or_else(|why| panic!("the store does not open: {why}"));
        }
        (state.failed, state.lacks) = (false, None);
        state.check(sure);
    }

    /// The next reads lack something; then it is there again.
    pub(super) fn lack(&self, trouble: Trouble, reads: usize) {
        self.state().lacks = Some((trouble, reads));
    }

    /// Whether the next read lacks something.
    pub(super) fn lacks(&self) -> bool {
        self.state().lacks.is_some()
    }

    /// What is there of an inbox, whatever reads lack.
    pub(super) fn holds(&self, inbox: &ClientId) -> Result<InboxRecord, StoreError> {
        let state = self.checked()?;
        Ok(state.machine.store().inbox(inbox)?.unwrap_or_default())
    }

    /// For a read of mail or totals.
    fn readable(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.checked()?;
        match state.lacks.take() {
            Some((trouble, left)) => {
                state.lacks = (left > 1).then_some((trouble, left - 1));
                Err(StoreError::Troubled(trouble))
            }
            None => Ok(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|panicked| panicked.into_inner())
    }

    fn checked(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match state.failed {
            true => Err(failed()),
            false => Ok(state),
        }
    }
}

fn failed() -> StoreError {
    Failure::Injected.into()
}

/// What commit `number` says in a table. Some values are kept in pieces.
fn witness(number: u64) -> TableChange {
    let times = if number.is_multiple_of(9) { 2500 } else { 1 };
    TableChange {
        table: Table::CURSORS,
        key: TableKey::new(&b"commits"[..]).expect("a short key"),
        value: Some(number.to_be_bytes().repeat(times).into()),
    }
}

impl State {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut batch = batch.clone();
        batch.tables.push(witness(self.commits + 1));
        self.machine.store().commit(&batch)?;
        self.commits += 1;
        Ok(())
    }

    /// After a crash: all of what was committed is there, perhaps with the commit that was under way, and totals are true.
    fn check(&mut self, sure: u64) {
        let store = self.machine.store();
        let told = store.get(Table::CURSORS, &witness(0).key).expect("the disk works");
        let found = (sure..=sure + 1).find(|&number| told == witness(number).value.filter(|_| number > 0));
        let Some(found) = found else {
            panic!(
                "{sure} commits returned well, and the table says {:?}",
                told.map(|told| told.slice(..8))
            );
        };
        let mut last = None;
        while let Some((inbox, record)) = store.inboxes(last.as_ref(), 1).expect("the disk works").pop() {
            let limit = PageLimit {
                messages: usize::MAX,
                bytes: usize::MAX,
            };
            let page = store.read(&inbox, Seq::ZERO, limit).expect("the disk works");
            let counted = InboxRecord {
                messages: page.entries.len() as u64,
                bytes: page.entries.iter().map(|entry| entry.message.size() as u64).sum(),
            };
            assert_eq!(record, counted, "the totals of {inbox}");
            last = Some(inbox);
        }
        self.commits = found;
    }
}

impl Store for Disk {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.checked()?.commit(batch)
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        let state = self.readable()?;
        let limit = PageLimit {
            messages: limit.messages.min(state.page_messages_max),
            bytes: usize::MAX,
        };
        state.machine.store().read(inbox, after, limit)
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        self.readable()?.machine.store().inbox(inbox)
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        self.checked()?.machine.store().inboxes(after, limit)
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        self.checked()?.machine.store().reserved()
    }

    fn age(&self) -> Result<Duration, StoreError> {
        self.checked()?.machine.store().age()
    }

    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        self.checked()?.machine.store().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        self.checked()?.machine.store().scan(table, prefix, after, limit)
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        None
    }

    fn hold_commits(&self, disk_free_bytes_min: u64) -> Result<Box<dyn inbox_bridge::HeldCommits>, StoreError> {
        self.checked()?.machine.store().hold_commits(disk_free_bytes_min)
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
