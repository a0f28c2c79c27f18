//! A copy of an open store as one stream of bytes, and back.
//!
//! ```text
//! hold on to commits after N0 ──▶ copy inboxes and tables, page by page ──▶ append commits N0+1..=N1 ──▶ end, with counts
//! ```
//!
//! **Promise:** what is restored is exactly what the store held after commit N1: whole commits, and all of them. While the copy is made
//! the store goes on, so a page may be of any commit from N0 to N1. That does not matter: whatever was put, removed or changed
//! since N0 is said by the commits that follow, and the last word about a message or a key counts.
//!
//! **What is not in it:** the configuration, and what was accepted and not yet committed; nobody was told that it was safe.

mod format;
#[cfg(feature = "testing")]
pub(crate) mod fuzzing;
mod reading;
mod restoring;

use std::io::{self, Write};

use crate::copying::{self, Converted, Portions};
use crate::epoch;
use crate::error::{HoldError, StoreError};
use crate::store::{PageLimit, Store};
use format::{Begin, End, Kind, Writer};
use inbox_types::Micros;

pub use format::{BackupReadError, FormatError};
pub use reading::{BackupSummary, verify_backup};
pub use restoring::{RestoreError, RestoreOptions, Restored, restore_backup};

/// What is read at once.
const PAGE: PageLimit = PageLimit {
    // Tests want several pages of an inbox.
    messages: if cfg!(test) { 5 } else { 512 },
    bytes: 1024 * 1024,
};
const PAGE_INBOXES: usize = if cfg!(test) { 2 } else { 256 };
/// A record of what was copied is of about so much, in messages or keys, and bytes.
const BATCH_ENTRIES: usize = 2048;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
const PORTIONS: Portions = Portions {
    page: PAGE,
    page_inboxes: PAGE_INBOXES,
    batch_entries: BATCH_ENTRIES,
    batch_bytes: BATCH_BYTES,
};

/// What a backup should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupOptions {
    /// The system clock now: it is written down, and nothing goes by it.
    pub created_at: Micros,
    /// It ends with an error when the disk of the store has less than so many bytes left.
    pub disk_free_bytes_min: u64,
}

/// Why there is no backup. The store is as it was; what was written is not whole, and says so to whoever reads it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What was read could not be written.
    #[error("the backup could not be written: {0}")]
    Write(#[source] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was committed meanwhile is not there any more.
    #[error("{0}")]
    Commits(#[source] HoldError),
}

impl From<HoldError> for BackupError {
    fn from(why: HoldError) -> Self {
        match why {
            HoldError::Write(why) => BackupError::Write(why),
            HoldError::Store(why) => BackupError::Store(why),
            why => BackupError::Commits(why),
        }
    }
}

/// What was written to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackedUp {
    /// Inboxes, and messages in them, as they were copied. What was committed meanwhile is not counted here.
    pub copied: Converted,
    /// Commits that were made while it was copied.
    pub commits: u64,
    /// How long the backup is, in bytes.
    pub bytes: u64,
}

/// Writes a backup of `store`, which may be in use, to `out`, in many small pieces: buffer it. `progress` is told what was copied so far, every few thousand messages. It
/// needs a few megabytes of memory, and disk space for what is committed while it runs.
///
/// # Errors
/// See [`BackupError`]. `out` ends without its last record then, and is no backup.
pub fn write_backup(
    store: &dyn Store,
    out: &mut dyn Write,
    options: &BackupOptions,
    progress: &mut dyn FnMut(Converted),
) -> Result<BackedUp, BackupError> {
    let held = store.hold_commits(options.disk_free_bytes_min)?;
    let mut writer = Writer::new(out).map_err(BackupError::Write)?;
    let begin = Begin {
        after: held.after(),
        created_at: options.created_at,
        epoch: epoch::epoch_of(store)?,
    };
    writer
        .write(Kind::Begin, &begin.to_bytes())
        .map_err(BackupError::Write)?;
    let (copied, keys) = copying::copy(store, PORTIONS, &BackupError::from, &mut |batch, copied| {
        held.check()?;
        writer.write_copied(batch).map_err(BackupError::Write)?;
        progress(copied);
        Ok(())
    })?;
    let mut commits = 0;
    let last = held.read(&mut |number, frame| {
        commits += 1;
        writer.write_commit(number, frame)
    })?;
    let end = End {
        copied,
        keys,
        commits,
        last,
    };
    let bytes = writer.finish(end).map_err(BackupError::Write)?;
    Ok(BackedUp { copied, commits, bytes })
}
