//! The door to fjall 3.1.13, a log-structured merge tree on disk. No other file names that crate.
//!
//! **Promise:** that of [`Tree`]. **What can be lost:** what the disk damages afterwards, and what was in a sealed journal that
//! somebody removed. A journal that was cut off or changed is noticed: a sealed one by [`journal`], and the last one by the store,
//! which finds that one of the last commits is not there.
//!
//! fjall writes to a journal and to tables in memory, and moves the latter to files behind the journal's back. It syncs its files,
//! its manifests and the directories that they are in. What it does not do by itself, and this file does:
//! * The names of its keyspaces' own directories are not synced when they are made.
//! * It refuses a journal whose last write, of which nobody was told that it is safe, was half kept by a power cut. So such an end
//!   is cut off before.
//! * It takes a keyspace without its manifest for one that was never finished, and removes it. So files are looked for before.
//! * A writer that waits for its background thread waits for ever when that has failed. So writers wait here, and look.
//! * Each write into a full table in memory asks that thread for another one, until its queue is full, and then it waits for ever
//!   for a place in its own queue. So fjall is never told that a table is full; writers replace it here.
//! * Killed while it replaces a manifest, it leaves a temporary file.

mod journal;

use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use ::fjall::compaction::Leveled;
use ::fjall::{AbstractTree, Database, Error, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Slice};

use parking_lot::Mutex;

use crate::directory::{DataDirectory, FileDamage, OpenError, sync_dir};
use crate::error::{EngineError, Panicked};
use crate::tree::{Pair, Tree, TreeError, VALUE_BYTES_MAX};
use journal::JournalError;

/// The one keyspace that there is, and the directory that fjall gives to it; its own is before it.
const KEYSPACE: &str = "inboxes";
const KEYSPACE_DIRS: [&str; 2] = ["keyspaces/0", "keyspaces/1"];
/// Begins the names of temporary files.
const TEMPORARY: &str = ".tmp";

/// A table in memory becomes a file when it is larger than this, in bytes.
const MEMTABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// So many of these files are merged at once with as much again of older ones. What leaves the log is gone by then, and is not
/// written another time; fewer or larger ones would be merged with more that stays.
const MERGED_FILES: u8 = 8;
const FILE_BYTES: u64 = MEMTABLE_BYTES_MAX;
/// fjall wants at least this. It begins another journal at 64 MB, and removes one when all of it is in tables.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
const WORKER_THREADS: usize = 1;

/// Writers wait while there are so many tables in memory that are to become files. fjall's own limit is 4.
const SEALED_TABLES_MAX: usize = 3;
/// Writers wait while there are so many files that are to be merged. fjall's own limit is 30, and it slows down at 20.
const FRESH_FILES_MAX: usize = 18;
const WAIT: Duration = Duration::from_millis(2);

/// What can be set about fjall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FjallOptions {
    /// Memory for blocks of files that are read, in bytes.
    pub cache_bytes: u64,
    /// Tables whose file is kept open.
    pub open_tables_max: usize,
}

impl Default for FjallOptions {
    fn default() -> Self {
        FjallOptions {
            cache_bytes: 32 * 1024 * 1024,
            open_tables_max: 128,
        }
    }
}

/// fjall as a [`Tree`].
pub(crate) struct FjallTree {
    keyspace: Keyspace,
    db: Database,
    // Held while a table in memory gives way to another, so that it is not done twice.
    rotating: Mutex<()>,
    #[cfg(test)]
    is_broken: bool,
}

impl std::fmt::Debug for FjallTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallTree").finish_non_exhaustive()
    }
}

impl FjallTree {
    /// Opens the tree in `directory`, or makes a new one there. Everything that it made is durable.
    pub(crate) fn open(directory: &DataDirectory, options: FjallOptions) -> Result<Self, OpenError> {
        let dir = &*directory.engine_dir();
        if !directory.is_new() {
            check_there(directory)?;
            KEYSPACE_DIRS
                .iter()
                .try_for_each(|keyspace| remove_temporary_files(&dir.join(keyspace)))
                .map_err(|why| OpenError::io(dir, why))?;
            journal::check(dir).map_err(|error| match error {
                JournalError::Io { path, why } => OpenError::io(&path, why),
                JournalError::Damaged(damage) => directory.damaged(damage),
            })?;
        }
        let opened = catch_unwind(AssertUnwindSafe(|| open_keyspace(dir, options)));
        let (db, keyspace) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(open_error(directory, error)),
            Err(panic) => return Err(directory.damaged(EngineError(says(Panicked::of(&*panic))))),
        };
        let tree = FjallTree {
            keyspace,
            db,
            rotating: Mutex::new(()),
            #[cfg(test)]
            is_broken: false,
        };
        tree.sync().map_err(|why| directory.damaged(EngineError(why)))?;
        sync_dir(&dir.join("keyspaces"))?;
        sync_dir(dir)?;
        Ok(tree)
    }

    /// Begins another table in memory when the one that there is is full, and waits until the background thread has caught up, or
    /// failed.
    fn make_room(&self) -> Result<(), TreeError> {
        let is_full = || self.keyspace.tree.active_memtable().size() > MEMTABLE_BYTES_MAX;
        if is_full() {
            let _one_at_a_time = self.rotating.lock();
            if is_full() {
                self.keyspace.rotate_memtable()?;
            }
        }
        while self.keyspace.sealed_memtable_count() >= SEALED_TABLES_MAX
            || self.keyspace.l0_table_count() >= FRESH_FILES_MAX
        {
            // It fails when they have.
            self.db.persist(PersistMode::Buffer)?;
            thread::sleep(WAIT);
        }
        Ok(())
    }
}

impl Tree for FjallTree {
    type Slice = Slice;

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        assert!(
            value.len() <= VALUE_BYTES_MAX,
            "larger values are cut into pieces by the store"
        );
        self.make_room()?;
        Ok(self.keyspace.insert(key, value)?)
    }

    fn remove(&self, key: &[u8]) -> Result<(), TreeError> {
        self.make_room()?;
        Ok(self.keyspace.remove(key)?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Slice>, TreeError> {
        self.keyspace.get(key).map_err(of_read)
    }

    fn range(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair<Self>, TreeError>> {
        let range = self.keyspace.range::<Vec<u8>, _>((from, to));
        range.map(|item| item.into_inner().map_err(of_read))
    }

    fn sync(&self) -> Result<(), TreeError> {
        #[cfg(test)]
        if self.is_broken {
            return Err(TreeError::Disk(io::Error::other("broken for a test")));
        }
        // fdatasync: that the journal has grown is made durable, too; only times are not.
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    #[cfg(test)]
    fn break_sync(&mut self) {
        self.is_broken = true;
    }
}

impl Drop for FjallTree {
    fn drop(&mut self) {
        // One of fjall's threads may let go of the journal after the directory is unlocked; it must not write to it any more.
        // Should this fail, nothing is lost that was promised.
        let _ = self.db.persist(PersistMode::Buffer);
    }
}

fn open_keyspace(dir: &Path, options: FjallOptions) -> ::fjall::Result<(Database, Keyspace)> {
    let db = Database::builder(dir)
        .cache_size(options.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES_MAX)
        .max_cached_files(Some(options.open_tables_max))
        .worker_threads(WORKER_THREADS)
        // The promise asks for the committer's syncs and no others.
        .manual_journal_persist(true)
        .open()?;
    let compaction = Leveled::default()
        .with_l0_threshold(MERGED_FILES)
        .with_table_target_size(FILE_BYTES);
    let keyspace = db.keyspace(KEYSPACE, || {
        KeyspaceCreateOptions::default()
            .manual_journal_persist(true)
            // Never: see above.
            .max_memtable_size(u64::MAX)
            .compaction_strategy(Arc::new(compaction))
            // Single keys are read where they are known to be, so filters would only take memory.
            .expect_point_read_hits(true)
    })?;
    Ok((db, keyspace))
}

/// fjall would quietly make anew what is missing, and remove what belongs to it.
fn check_there(directory: &DataDirectory) -> Result<(), OpenError> {
    let dir = directory.engine_dir();
    let manifests = KEYSPACE_DIRS.map(|keyspace| dir.join(keyspace).join("current"));
    for file in [&dir.join("version")].into_iter().chain(&manifests) {
        match fs::metadata(file) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(directory.damaged(FileDamage::Empty(file.clone()))),
            Err(why) if why.kind() == ErrorKind::NotFound => {
                return Err(directory.damaged(FileDamage::Missing(file.clone())));
            }
            Err(why) => return Err(OpenError::io(file, why)),
        }
    }
    Ok(())
}

fn remove_temporary_files(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(TEMPORARY))
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_error(directory: &DataDirectory, error: Error) -> OpenError {
    match error {
        // Files that are too short: reading past the end, or before the beginning.
        Error::Io(why) | Error::Storage(LsmError::Io(why))
            if !matches!(why.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidInput) =>
        {
            OpenError::io(&directory.engine_dir(), why)
        }
        other => directory.damaged(EngineError(says(other))),
    }
}

fn of_read(error: Error) -> TreeError {
    match error {
        Error::Io(why) | Error::Storage(LsmError::Io(why)) => TreeError::of_read(why),
        other => other.into(),
    }
}

fn says(said: impl std::error::Error + Send + Sync + 'static) -> TreeError {
    TreeError::Engine {
        engine: "fjall",
        said: Box::new(said),
    }
}

impl From<Error> for TreeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(why) | Error::Storage(LsmError::Io(why)) => why.into(),
            Error::Poisoned => TreeError::GaveUp { engine: "fjall" },
            other => says(other),
        }
    }
}
