//! The door to sled 0.34.7, an ordered map on disk. No other file names that crate.
//!
//! **Promise:** that of [`Tree`]. **What can be lost:** what the disk damages afterwards. sled takes a damaged place in what
//! was logged since the last opening for the end of a write that a crash cut short, and drops what follows it; the store notices
//! when one of the last commits is among that.
//!
//! What sled does not do by itself, and this file does:
//! * Its `flush` writes the log without making the disk keep it. A sync ends with an fdatasync, through a second handle.
//! * It moves live pages and reuses their old places, counting on that same flush. So a write syncs when about a segment's
//!   worth was written since the last sync ([`SYNC_WEIGHT_MAX`]): a place is reused only after the log has moved on by more.
//! * A page of more than a quarter of a segment goes to a file of its own, which sled never syncs, writes anew for every
//!   tenth change to the page, and can leave behind. With values of at most [`VALUE_BYTES_MAX`], no page is that large.
//! * Killed while it opens, it can leave a half-written snapshot, and then refuses to open. Its rename is the commit
//!   point, so such a file is removed before.
//! * It panics on some damage. Opening catches that here; the store catches it everywhere else.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::Dir;

use crate::directory::{DataDirectory, FileDamage, OpenError, sync_dir};
use crate::error::{EngineError, Panicked};
use crate::table::TABLE_KEY_BYTES_MAX;
use crate::tree::{Pair, Tree, TreeError, VALUE_BYTES_MAX};
use inbox_types::CLIENT_ID_BYTES_MAX;

/// How much [`weight`] may be written between two syncs.
const SYNC_WEIGHT_MAX: usize = SEGMENT_BYTES / 4 * 3;

/// The unit in which sled allocates its log.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;
/// A leaf splits at 17 entries and may just have taken in a neighbour of 3.
const LEAF_ENTRIES_MAX: usize = 24;
/// An inner page splits at 257 entries and may just have taken in a neighbour of 63.
const INNER_ENTRIES_MAX: usize = 324;
/// A client ID or a table's key, what the store adds to it, and what sled adds to that.
const KEY_BYTES_MAX: usize = TABLE_KEY_BYTES_MAX + 64;
const PAGE_BYTES_MAX: usize = SEGMENT_BYTES / 4 - 64;

const _: () = assert!(LEAF_ENTRIES_MAX * (VALUE_BYTES_MAX + KEY_BYTES_MAX) <= PAGE_BYTES_MAX);
const _: () = assert!(CLIENT_ID_BYTES_MAX <= TABLE_KEY_BYTES_MAX);
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

/// sled as a [`Tree`].
#[derive(Debug)]
pub(crate) struct SledTree {
    db: ::sled::Db,
    log: File,
    blobs: PathBuf,
    // Held open, for a sync must not need a descriptor; locked for one look.
    blob_names: Mutex<Dir>,
    /// What was written since the last sync began, by [`weight`].
    unsynced: AtomicUsize,
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
        let blobs = dir.join("blobs");
        let blob_names = File::open(&blobs)
            .and_then(|dir| Dir::new(dir).map_err(io::Error::from))
            .map_err(|why| OpenError::io(&blobs, why))?;
        let tree = SledTree {
            db,
            log: open_log,
            blobs,
            blob_names: Mutex::new(blob_names),
            unsynced: AtomicUsize::new(0),
        };
        tree.sync().map_err(|why| directory.damaged(EngineError(why)))?;
        let conf = dir.join("conf");
        File::open(&conf)
            .and_then(|conf| conf.sync_all())
            .map_err(|why| OpenError::io(&conf, why))?;
        sync_dir(&tree.blobs)?;
        sync_dir(dir)?;
        Ok(tree)
    }

    fn wrote(&self, value_bytes: usize) -> Result<(), TreeError> {
        let weight = weight(value_bytes);
        match self.unsynced.fetch_add(weight, Relaxed) + weight > SYNC_WEIGHT_MAX {
            true => self.sync(),
            false => Ok(()),
        }
    }
}

impl Tree for SledTree {
    type Slice = ::sled::IVec;

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        assert!(
            value.len() <= VALUE_BYTES_MAX,
            "larger values are cut into pieces by the store"
        );
        self.db.insert(key, value)?;
        self.wrote(value.len())
    }

    fn remove(&self, key: &[u8]) -> Result<(), TreeError> {
        let removed = self.db.remove(key)?;
        self.wrote(removed.map_or(0, |value| value.len()))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Self::Slice>, TreeError> {
        self.db.get(key).map_err(of_read)
    }

    fn range(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair<Self>, TreeError>> {
        let range = self.db.range((from, to));
        range.map(|item| item.map_err(of_read))
    }

    fn sync(&self) -> Result<(), TreeError> {
        // Before the flush: what another thread writes during it counts towards the next one.
        self.unsynced.store(0, Relaxed);
        self.db.flush()?;
        // No page is large enough for a file of its own. Should sled think otherwise, the file must not be forgotten.
        let mut names = self.blob_names.lock();
        names.rewind();
        for name in names.by_ref() {
            let name = name.map_err(io::Error::from)?;
            let name = OsStr::from_bytes(name.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            File::open(self.blobs.join(name))?.sync_all()?;
            File::open(&self.blobs)?.sync_all()?;
        }
        Ok(self.log.sync_data()?)
    }

    /// A null device cannot be synced.
    #[cfg(test)]
    fn break_sync(&mut self) {
        self.log = File::open("/dev/null").unwrap();
    }
}

/// How much the log grows, at most and roughly, when a key with a value of `value_bytes` is inserted or removed: the
/// change itself, and its share of the pages that sled writes anew.
fn weight(value_bytes: usize) -> usize {
    1024 + 4 * value_bytes
}

fn says(said: impl std::error::Error + Send + Sync + 'static) -> TreeError {
    TreeError::Engine {
        engine: "sled",
        said: Box::new(said),
    }
}

impl From<::sled::Error> for TreeError {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Io(why) => TreeError::Disk(why),
            other => says(other),
        }
    }
}

fn of_read(error: ::sled::Error) -> TreeError {
    match error {
        ::sled::Error::Io(why) => TreeError::of_read(why),
        other => other.into(),
    }
}

/// sled would quietly make anew what is missing.
fn check_there(directory: &DataDirectory, files: [&Path; 2]) -> Result<(), OpenError> {
    for file in files {
        match fs::metadata(file) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(directory.damaged(FileDamage::Empty(file.to_owned()))),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Err(directory.damaged(FileDamage::Missing(file.to_owned())));
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
        Ok(Err(error)) => Err(directory.damaged(EngineError(says(error)))),
        Err(panic) => Err(directory.damaged(EngineError(says(Panicked::of(&*panic))))),
    }
}
