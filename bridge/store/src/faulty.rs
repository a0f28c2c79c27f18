//! A store that fails when it is told to, around any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::{Failure, StoreError};
use crate::poison::Poison;
use crate::store::{Batch, HeldCommits, InboxRecord, OnFailure, Page, PageLimit, Store};
use crate::table::{Table, TableKey, TablePage};
use crate::trouble::Trouble;
use inbox_types::{ClientId, Seq};

/// Called before a commit or a read, to delay it or to look at the world in the middle of it.
type Hook = Arc<dyn Fn() + Send + Sync>;

/// Wraps a store, and fails or delays what a test asks it to. After a failed commit it is poisoned, as every store is.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    commits: Countdown,
    reads: Countdown,
    before_commit: Mutex<Option<Hook>>,
    before_read: Mutex<Option<Hook>>,
    poison: Arc<Poison>,
    trouble: Mutex<Option<Trouble>>,
    is_full: AtomicBool,
    refused_commits: AtomicU64,
}

/// Calls until the one that fails; 0 when none will.
#[derive(Default)]
struct Countdown(AtomicU64);

impl FaultyStore {
    /// A store that does what `inner` does, for now.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let poison = Arc::new(Poison::default());
        // Whoever asks this store to tell is told of failures of both.
        inner.on_failure(Box::new({
            let poison = poison.clone();
            move |error| {
                if let StoreError::Failed(why) = error {
                    poison.set(why.clone());
                    poison.tell();
                }
            }
        }));
        FaultyStore {
            inner,
            commits: Countdown::default(),
            reads: Countdown::default(),
            before_commit: Mutex::default(),
            before_read: Mutex::default(),
            poison,
            trouble: Mutex::default(),
            is_full: AtomicBool::new(false),
            refused_commits: AtomicU64::new(0),
        }
    }

    /// The `n`-th commit from now, from 1, fails without reaching the inner store, and poisons this one. 0: none.
    pub fn fail_commit(&self, n: u64) {
        self.commits.0.store(n, Ordering::SeqCst);
    }

    /// The `n`-th read, count or listing from now, from 1, fails. It does not poison. 0: none.
    pub fn fail_read(&self, n: u64) {
        self.reads.0.store(n, Ordering::SeqCst);
    }

    /// From now on there is no space for commits, or there is again: they fail, and can be tried again.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// From now on the store lacks something, or nothing any more: new messages are to be refused, and reads fail and can be tried again.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock() = trouble;
    }

    /// Commits that found no space.
    pub fn refused_commits(&self) -> u64 {
        self.refused_commits.load(Ordering::SeqCst)
    }

    /// `hook` runs before every commit, on the committing thread.
    pub fn before_commit(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.before_commit.lock() = Some(Arc::new(hook));
    }

    /// `hook` runs before every read, count or listing, on the reading thread.
    pub fn before_read(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.before_read.lock() = Some(Arc::new(hook));
    }

    fn reading(&self) -> Result<(), StoreError> {
        run(&self.before_read);
        self.poison.check()?;
        if let Some(trouble) = *self.trouble.lock() {
            return Err(StoreError::Troubled(trouble));
        }
        match self.reads.is_over() {
            true => Err(Failure::Injected.into()),
            false => Ok(()),
        }
    }
}

impl Store for FaultyStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        run(&self.before_commit);
        if self.commits.is_over() {
            let error = self.poison.fail(Failure::Injected);
            self.poison.tell();
            return Err(error);
        }
        self.poison.check()?;
        if self.is_full.load(Ordering::SeqCst) {
            self.refused_commits.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Troubled(Trouble::NoSpace));
        }
        self.inner.commit(batch)
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        self.reading()?;
        self.inner.read(inbox, after, limit)
    }

    fn seqs(&self, inbox: &ClientId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        self.reading()?;
        self.inner.seqs(inbox, after, limit)
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        self.reading()?;
        self.inner.inbox(inbox)
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        self.reading()?;
        self.inner.inboxes(after, limit)
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        self.poison.check()?;
        self.inner.reserved()
    }

    fn age(&self) -> Result<Duration, StoreError> {
        self.poison.check()?;
        self.inner.age()
    }

    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        self.reading()?;
        self.inner.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        self.reading()?;
        self.inner.scan(table, prefix, after, limit)
    }

    fn on_failure(&self, tell: OnFailure) {
        self.poison.on_failure(tell);
    }

    fn trouble(&self) -> Option<Trouble> {
        let no_space = self.is_full.load(Ordering::SeqCst).then_some(Trouble::NoSpace);
        no_space.or(*self.trouble.lock()).or_else(|| self.inner.trouble())
    }

    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        self.inner.disk_free_bytes()
    }

    fn hold_commits(&self, disk_free_bytes_min: u64) -> Result<Box<dyn HeldCommits>, StoreError> {
        self.inner.hold_commits(disk_free_bytes_min)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

impl Countdown {
    /// Counts one call, and says whether it is the one that fails.
    fn is_over(&self) -> bool {
        let counted = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        counted == Ok(1)
    }
}

/// Runs a hook without holding its lock, so that a hook may block while another is set.
fn run(hook: &Mutex<Option<Hook>>) {
    let hook = hook.lock().clone();
    if let Some(hook) = hook {
        hook();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::contract::{self, batch_of, id, seqs};

    /// Goal: with no fault set, the wrapper is invisible.
    #[test]
    fn without_faults_it_keeps_the_contract() {
        contract::run(|| {
            let last = Mutex::new(Arc::new(MemoryStore::new()));
            Box::new(move || {
                let mut last = last.lock();
                *last = Arc::new(last.crash_image());
                Arc::new(FaultyStore::new(last.clone()))
            })
        });
    }

    /// Goal: the n-th commit fails and poisons; the n-th read fails and does not; hooks see each call.
    #[test]
    fn it_fails_what_it_is_told_to() {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let calls = Arc::new(AtomicU64::new(0));
        let (commits, reads) = (calls.clone(), calls.clone());
        store.before_commit(move || _ = commits.fetch_add(1, Ordering::SeqCst));
        store.before_read(move || _ = reads.fetch_add(100, Ordering::SeqCst));
        store.fail_read(2);
        assert!(store.inbox(&id("bob")).is_ok());
        assert!(store.inbox(&id("bob")).is_err());
        assert!(store.inbox(&id("bob")).is_ok());
        store.fail_commit(2);
        store.commit(&batch_of("bob", 1..=1)).unwrap();
        assert_eq!(seqs(&store, &id("bob")), [1]);
        contract::poisoned_by_next_commit(&store, &batch_of("bob", 2..=2));
        assert!(calls.load(Ordering::SeqCst) > 400);
    }
}
