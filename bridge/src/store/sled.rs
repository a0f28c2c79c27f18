//! The door to sled 0.34.7, an ordered map on disk. No other file names that crate.
//!
//! **Promise:** what was written before [`SledTree::sync`] returned survives a killed process and a power cut. **What can
//! be lost:** what the disk damages afterwards. sled takes a damaged place in what was logged since the last opening for the
//! end of a write that a crash cut short, and drops what follows it; the store notices when the last commit is among that.
//!
//! What sled does not do by itself, and this file does:
//! * Its `flush` writes the log without making the disk keep it. A sync ends with an fdatasync, through a second handle.
//! * It moves live pages and reuses their old places, counting on that same flush. So a caller syncs before it has written
//!   a segment's worth ([`SYNC_WEIGHT_MAX`]): a place is reused only after the log has moved on by more than that.
//! * A page of more than a quarter of a segment goes to a file of its own, which sled never syncs, writes anew for every
//!   tenth change to the page, and can leave behind. With values of at most [`VALUE_BYTES_MAX`], no page is that large.
//! * Killed while it opens, it can leave a half-written snapshot, and then refuses to open. Its rename is the commit
//!   point, so such a file is removed before.
//! * It panics on some damage. Opening catches that here; the store catches it everywhere else.

use std::fs::{self, File};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::directory::{DataDirectory, OpenError, sync_dir};
use crate::limits::CLIENT_ID_BYTES_MAX;

/// A key or a value: bytes that are cheap to clone.
pub(crate) type Slice = ::sled::IVec;

/// Largest value that may be inserted, in bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 16 * 1024 + 16;
/// How much [`weight`] may be written between two syncs.
pub(crate) const SYNC_WEIGHT_MAX: usize = SEGMENT_BYTES / 4 * 3;

/// The unit in which sled allocates its log.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;
/// A leaf splits at 17 entries and may just have taken in a neighbour of 3.
const LEAF_ENTRIES_MAX: usize = 24;
/// An inner page splits at 257 entries and may just have taken in a neighbour of 63.
const INNER_ENTRIES_MAX: usize = 324;
/// A client ID, what the store adds to it, and what sled adds to that.
const KEY_BYTES_MAX: usize = CLIENT_ID_BYTES_MAX + 64;
const PAGE_BYTES_MAX: usize = SEGMENT_BYTES / 4 - 64;

const _: () = assert!(LEAF_ENTRIES_MAX * (VALUE_BYTES_MAX + KEY_BYTES_MAX) <= PAGE_BYTES_MAX);
const _: () = assert!(INNER_ENTRIES_MAX * KEY_BYTES_MAX <= PAGE_BYTES_MAX);

/// How often, and how far apart, a lock that this process's last use of the directory still holds is asked for again.
const LOCK_TRIES: usize = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// What can be set about sled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SledOptions {
    /// Memory for pages read and written, in bytes.
    pub cache_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        SledOptions {
            cache_bytes: 128 * 1024 * 1024,
        }
    }
}

/// What sled, or the disk under it, said when it failed. No use of the tree after this is safe.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SledError(String);

/// An ordered map on disk. One thread writes; any may read meanwhile.
#[derive(Debug)]
pub(crate) struct SledTree {
    db: ::sled::Db,
    log: File,
    blobs: PathBuf,
}

impl SledTree {
    /// Opens the tree in `directory`, or makes a new one there. Everything that it made is durable.
    pub(crate) fn open(directory: &DataDirectory, options: SledOptions) -> Result<Self, OpenError> {
        let dir = &*directory.engine_dir();
        let log = dir.join("db");
        if !directory.is_new() {
            check_there(directory, [&log, &dir.join("conf")])?;
            remove_half_written_snapshots(dir).map_err(|why| OpenError::io(dir, why))?;
        }
        let config = ::sled::Config::new()
            .path(dir)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(options.cache_bytes)
            // The mode changes nothing in this version; the promise asks for the committer's flushes and no others.
            .mode(::sled::Mode::HighThroughput)
            .flush_every_ms(None);
        let db = open_patiently(&config, directory)?;
        let open_log = File::open(&log).map_err(|why| OpenError::io(&log, why))?;
        let tree = SledTree {
            db,
            log: open_log,
            blobs: dir.join("blobs"),
        };
        tree.sync().map_err(|why| directory.damaged(why.0))?;
        let conf = dir.join("conf");
        File::open(&conf)
            .and_then(|conf| conf.sync_all())
            .map_err(|why| OpenError::io(&conf, why))?;
        sync_dir(&tree.blobs)?;
        sync_dir(dir)?;
        Ok(tree)
    }

    /// Sets the value of `key`.
    pub(crate) fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), SledError> {
        assert!(
            value.len() <= VALUE_BYTES_MAX,
            "larger values are cut into pieces by the store"
        );
        self.db.insert(key, value)?;
        Ok(())
    }

    /// Removes `key`, and returns its value if it had one.
    pub(crate) fn remove(&self, key: &[u8]) -> Result<Option<Slice>, SledError> {
        Ok(self.db.remove(key)?)
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Slice>, SledError> {
        Ok(self.db.get(key)?)
    }

    /// What is in `range`, in order. What is written meanwhile may or may not be seen.
    pub(crate) fn range(&self, range: impl RangeBounds<Vec<u8>>) -> SledRange {
        let (from, to): (Bound<Vec<u8>>, Bound<Vec<u8>>) = (range.start_bound().cloned(), range.end_bound().cloned());
        SledRange(self.db.range((from, to)))
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> Result<(), SledError> {
        self.db.flush()?;
        // No page is large enough for a file of its own. Should sled think otherwise, the file must not be forgotten.
        for blob in fs::read_dir(&self.blobs)? {
            File::open(blob?.path())?.sync_all()?;
            File::open(&self.blobs)?.sync_all()?;
        }
        Ok(self.log.sync_data()?)
    }

    /// Breaks every later [`sync`](Self::sync): a null device cannot be synced.
    #[cfg(test)]
    pub(crate) fn break_sync(&mut self) {
        self.log = File::open("/dev/null").unwrap();
    }
}

/// How much the log grows, at most and roughly, when a key with a value of `value_bytes` is inserted or removed: the
/// change itself, and its share of the pages that sled writes anew.
pub(crate) fn weight(value_bytes: usize) -> usize {
    1024 + 4 * value_bytes
}

/// Keys and values in order.
pub(crate) struct SledRange(::sled::Iter);

impl Iterator for SledRange {
    type Item = Result<(Slice, Slice), SledError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map_err(SledError::from))
    }
}

impl From<::sled::Error> for SledError {
    fn from(error: ::sled::Error) -> Self {
        SledError(error.to_string())
    }
}

impl From<io::Error> for SledError {
    fn from(error: io::Error) -> Self {
        SledError(error.to_string())
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    // Only the first line: a sentence for an operator, not a report for a developer.
    text.and_then(|text| text.lines().next())
        .unwrap_or("it panicked")
        .to_owned()
}

/// sled would quietly make anew what is missing.
fn check_there(directory: &DataDirectory, files: [&Path; 2]) -> Result<(), OpenError> {
    for file in files {
        match fs::metadata(file) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(directory.damaged(format!("its file {} is empty", file.display()))),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(directory.damaged(format!("its file {} is missing", file.display())));
            }
            Err(why) => return Err(OpenError::io(file, why)),
        }
    }
    Ok(())
}

fn remove_half_written_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating"))
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The data directory's own lock is held, so only a thread of ours that is still letting go can hold sled's.
fn open_patiently(config: &::sled::Config, directory: &DataDirectory) -> Result<::sled::Db, OpenError> {
    for _ in 1..LOCK_TRIES {
        match open_once(config, directory) {
            Err(OpenError::Io { why, .. }) if why.to_string().contains("acquire lock") => thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    open_once(config, directory)
}

fn open_once(config: &::sled::Config, directory: &DataDirectory) -> Result<::sled::Db, OpenError> {
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(::sled::Error::Io(why))) => Err(OpenError::io(&directory.engine_dir(), why)),
        Ok(Err(error)) => Err(directory.damaged(format!("sled says: {error}"))),
        Err(panic) => Err(directory.damaged(format!("sled says: {}", panic_text(&*panic)))),
    }
}
