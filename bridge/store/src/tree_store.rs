//! The store on disk: a log of commits, and the inboxes' own records, as keys and values of an ordered tree.
//!
//! A commit is one record of the log, because an engine's price is per key, and a commit has thousands of messages. What is still
//! there after some seconds moves from the log to the blocks of its inbox; until then it is in memory, too.
//!
//! ```text
//! commit ──▶ log ──durable──▶ index (memory) ──checkpoint──▶ blocks, by inbox ──durable──▶ log is cut
//! ```
//!
//! **Promise:** as [`super`] says: a commit that returned `Ok` survives a killed process and a power cut. After one failed
//! write or sync, or a panic of the engine, every call fails until the broker is restarted. **What can be lost or left:**
//! a crash can leave a commit without its end, which nobody acknowledged; it can leave pieces of a long message without their
//! beginning. The former is removed when the store is opened, the latter by the first checkpoint after a scan came by.

mod checkpointer;
mod holding;
mod opening;
mod reading;
mod reservation;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::acknowledged::Acknowledged;
use crate::directory::{DataDirectory, OpenError};
use crate::error::{Failure, Panicked, StoreError};
use crate::files::Files;
use crate::log::Log;
use crate::poison::Poison;
use crate::store::{Batch, HeldCommits, InboxRecord, OnFailure, Page, PageLimit, Store};
use crate::table::{Table, TableKey, TablePage};
use crate::tree::Tree;
use crate::trouble::Trouble;
use checkpointer::{Bell, Recent};
use inbox_types::{ClientId, Seq};
use opening::begin;

/// When messages move from the log to their inboxes' own records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// This long after they came.
    pub after: Duration,
    /// Sooner, when those that wait for it take about half of this in memory, in bytes. When they take all of it, commits wait.
    pub memory_bytes_max: usize,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        CheckpointOptions {
            after: Duration::from_secs(5),
            memory_bytes_max: 128 * 1024 * 1024,
        }
    }
}

/// The store of one data directory, which it keeps locked until it is closed.
#[derive(Debug)]
pub(crate) struct TreeStore<T: Tree> {
    shared: Arc<Shared<T>>,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
}

/// What the checkpointing thread shares with everyone else.
#[derive(Debug)]
struct Shared<T: Tree> {
    root: PathBuf,
    files: Arc<dyn Files>,
    options: CheckpointOptions,
    // Readers, the committer and the checkpointing thread share it; closing takes the tree out of it.
    open: RwLock<Option<Open<T>>>,
    // Held through a commit: one at a time.
    log: Mutex<Log>,
    // What is in the log. Taken for moments, never while a file or the tree is used.
    recent: Mutex<Recent>,
    // Whether the format of the directory has totals of inboxes. What is converted may be of one that has not.
    keeps_totals: bool,
    // Held by readers for a read, and by the checkpointing thread while it takes blocks apart and writes tables.
    reading: RwLock<()>,
    // Keys of messages of which a scan saw pieces and no beginning. Short: taken for one push.
    strays: Mutex<HashSet<Vec<u8>>>,
    // Why nothing works any more, and who is to be told.
    poison: Poison,
    bell: Bell,
}

/// Dropped in this order: the tree lets go of its files before the directory is unlocked.
#[derive(Debug)]
struct Open<T> {
    tree: T,
    acknowledged: Acknowledged,
    _directory: DataDirectory,
}

impl<T: Tree> TreeStore<T> {
    /// Opens the store that `tree` holds in `directory`, or makes one if it is new.
    pub(crate) fn open(mut directory: DataDirectory, tree: T, options: CheckpointOptions) -> Result<Self, OpenError> {
        // The engine may panic on the first page that it reads.
        let begun = catch_unwind(AssertUnwindSafe(|| begin(&tree, &directory)));
        let begun = begun.unwrap_or_else(|panic| Err(directory.damaged(Panicked::of(&*panic))))?;
        if directory.is_new() {
            directory.finish()?;
        }
        let shared = Arc::new(Shared {
            root: directory.root().to_owned(),
            files: directory.files(),
            options,
            open: RwLock::new(Some(Open {
                tree,
                acknowledged: begun.acknowledged,
                _directory: directory,
            })),
            log: Mutex::new(begun.log),
            recent: Mutex::new(begun.recent),
            keeps_totals: begun.keeps_totals,
            reading: RwLock::default(),
            strays: Mutex::default(),
            poison: Poison::default(),
            bell: Bell::default(),
        });
        let checkpointer = checkpointer::spawn(&shared).map_err(|why| OpenError::io(&shared.root, why))?;
        Ok(TreeStore {
            shared,
            checkpointer: Mutex::new(Some(checkpointer)),
        })
    }

    /// Breaks every later sync.
    #[cfg(test)]
    pub(crate) fn break_sync(&self) {
        self.shared.open.write().as_mut().unwrap().tree.break_sync();
        self.shared.log.lock().break_sync();
    }

    /// Moves everything that is in the log now to the blocks.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn try_checkpoint(&self) -> Result<(), StoreError> {
        self.shared.checkpoint()
    }

    /// The same, where it cannot fail.
    #[cfg(test)]
    pub(crate) fn checkpoint(&self) {
        self.try_checkpoint().unwrap();
    }

    fn end_checkpointer(&self) {
        self.shared.end();
        if let Some(checkpointer) = self.checkpointer.lock().take() {
            let _panicked = checkpointer.join();
        }
    }
}

impl<T: Tree> Drop for TreeStore<T> {
    fn drop(&mut self) {
        self.end_checkpointer();
    }
}

impl<T: Tree> Shared<T> {
    /// Runs `work` on what is open. Whatever the engine does in it, panics included, comes out as an error.
    fn with<R>(&self, work: impl FnOnce(&Open<T>) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let open = self.open.read();
        self.poison.check()?;
        let Some(open) = open.as_ref() else {
            return Err(Failure::Closed.into());
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(open)));
        let done = done.unwrap_or_else(|panic| Err(Failure::from(Panicked::of(&*panic)).into()));
        done.map_err(|error| match error {
            StoreError::Failed(why) => self.fail(why),
            passing => passing,
        })
    }

    /// Ends every later call. The first reason is the one that explains the rest.
    fn fail(&self, why: impl Into<Arc<Failure>>) -> StoreError {
        let error = self.poison.fail(why);
        self.wake();
        self.poison.tell();
        error
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.root).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn write(&self, open: &Open<T>, log: &mut Log, batch: &Batch) -> Result<(), StoreError> {
        let commit = self.appended(log.append(batch))?;
        // From here on the caller may believe it, so from here on its loss must be noticed.
        match open.acknowledged.set(commit) {
            // A file system that writes nothing in place, and is full. An older number is no mistake: there is one after a power cut, too.
            Err(why) if Trouble::of(&why).is_some() => {}
            written => written.map_err(Failure::Acknowledged)?,
        }
        self.apply(batch, log.bytes());
        Ok(())
    }
}

impl<T: Tree> Store for TreeStore<T> {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.shared.wait_for_room();
        let mut log = self.shared.log.lock();
        self.shared.with(|open| match batch.is_empty() {
            true => Ok(()),
            false => self.shared.write(open, &mut log, batch),
        })
    }

    fn last_sync(&self) -> Option<Duration> {
        Some(self.shared.log.lock().last_sync())
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        self.shared
            .with(|Open { tree, .. }| self.shared.page(tree, inbox, after, limit))
    }

    fn seqs(&self, inbox: &ClientId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let mut seqs = Vec::new();
        self.shared.with(|Open { tree, .. }| {
            self.shared.visit(tree, inbox, after, limit, |found| {
                if seqs.len() < limit {
                    seqs.push(found.seq());
                }
                Ok(match seqs.len() < limit {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                })
            })
        })?;
        Ok(seqs)
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        let record = self.shared.with(|Open { tree, .. }| self.shared.record(tree, inbox))?;
        Ok((record.messages > 0).then_some(record))
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        self.shared.with(|Open { tree, .. }| {
            let mut all: Vec<(ClientId, InboxRecord)> = Vec::new();
            let mut last = after.cloned();
            while all.len() < limit
                && let Some(inbox) = self.shared.next_inbox(tree, last.as_ref())?
            {
                let record = self.shared.record(tree, &inbox)?;
                if record.messages > 0 {
                    all.push((inbox.clone(), record));
                }
                last = Some(inbox);
            }
            Ok(all)
        })
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        self.shared.with(|_| Ok(self.shared.recent.lock().reserved))
    }

    fn age(&self) -> Result<Duration, StoreError> {
        self.shared.with(|_| Ok(self.shared.recent.lock().age))
    }

    fn get(&self, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        self.shared
            .with(|Open { tree, .. }| self.shared.value(tree, table, key))
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        self.shared
            .with(|Open { tree, .. }| self.shared.table_page(tree, table, prefix, after, limit))
    }

    fn memory_bytes(&self) -> usize {
        self.shared.recent.lock().index.weight()
    }

    fn on_failure(&self, tell: OnFailure) {
        self.shared.poison.on_failure(tell);
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.refuses()
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        self.shared.disk_free_bytes()
    }

    fn hold_commits(&self, disk_free_bytes_min: u64) -> Result<Box<dyn HeldCommits>, StoreError> {
        holding::hold(&self.shared, disk_free_bytes_min)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.end_checkpointer();
        let synced = self.shared.with(|Open { tree, .. }| Ok(tree.sync()?));
        let open = self.shared.open.write().take();
        // sled writes once more when it is dropped, and panics if it cannot; everything promised is on the disk by now.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(open)));
        match dropped {
            Ok(()) => synced,
            Err(panic) => synced.and(Err(Failure::from(Panicked::of(&*panic)).into())),
        }
    }
}
