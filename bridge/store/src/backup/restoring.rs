//! From a backup to a data directory.
//!
//! **Promise:** the directory appears under its name when all of it is durable and was read back; until then it has another name,
//! [`UNFINISHED`] at its end, and after an error nothing of it is left. No seq that the broker of the backup has given out, or gives out
//! later, is given again (contract rule 6), see [`SEQS_SKIPPED`].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::BackupReadError;
use super::reading::{self, BackupSummary, Part};
use super::{BATCH_ENTRIES, PAGE, PAGE_INBOXES};
use crate::copying::Converted;
use crate::directory::OpenError;
use crate::epoch;
use crate::error::StoreError;
use crate::open::{StoreOptions, open_store};
use crate::store::{Batch, Store};
use crate::table::{Table, TableChange, TableKey};
use crate::target::{Target, TargetError};
use inbox_types::{Epoch, Micros, Seq};

/// Ends the name of a directory that is not finished.
const UNFINISHED: &str = ".restoring";
/// Commits are gathered to about so many bytes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How many seqs are passed over, beyond everything that the backup and the system clock know of: as many as one year has microseconds.
/// The broker of the backup went on giving out seqs, which nobody here knows; they follow its clock, and a clock's jump up to one
/// year. So they are below this, unless both its clock and this one are wrong by years.
const SEQS_SKIPPED: u64 = 366 * 24 * 3600 * 1_000_000;
/// A system clock above this is not believed: see `SeqClock` of the inboxes, which follows none either.
const CLOCK_MAX: u64 = 1 << 52;

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// What is to keep the inboxes.
    pub store: StoreOptions,
    /// The new epoch.
    pub epoch: Epoch,
    /// The system clock now.
    pub now: Micros,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// What the directory holds, as it was read back.
    pub held: Converted,
    /// What the backup says of itself.
    pub backup: BackupSummary,
}

/// Why a backup was not restored. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something in the directory.
    #[error(
        "{} is not empty, and may be the data of a broker; give a directory that does not exist or is empty, or move this one away",
        .dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// An earlier attempt was killed.
    #[error("{} is what an interrupted restore left; remove it, and try again", .dir.display())]
    Interrupted {
        /// The directory, under its unfinished name.
        dir: PathBuf,
    },
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupReadError),
    /// The directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store in it failed.
    #[error("the store in {}: {why}", .dir.display())]
    Store {
        /// The directory, under its unfinished name.
        dir: PathBuf,
        /// What the store says.
        why: StoreError,
    },
    /// What was written is not what was read.
    #[error("what was written to {} is not what was read from it again; check the disk, and try again", .dir.display())]
    Different {
        /// The directory, under its unfinished name.
        dir: PathBuf,
    },
}

/// Makes a data directory in `to` from a backup, with a new epoch. `progress` is told what was written so far.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore_backup(
    input: &mut dyn Read,
    to: &Path,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(Converted),
) -> Result<Restored, RestoreError> {
    let target = Target::check(to, UNFINISHED).map_err(|why| match why {
        TargetError::NotEmpty => RestoreError::NotEmpty { dir: to.to_owned() },
        TargetError::Interrupted(dir) => RestoreError::Interrupted { dir },
        TargetError::Io(why) => why.into(),
    })?;
    let restored = restore(input, &target.unfinished, options, progress).and_then(|restored| {
        target.finish()?;
        Ok(restored)
    });
    if restored.is_err() {
        // What cannot be removed is named as such by the next attempt.
        let _ = std::fs::remove_dir_all(&target.unfinished);
    }
    restored
}

fn restore(
    input: &mut dyn Read,
    dir: &Path,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(Converted),
) -> Result<Restored, RestoreError> {
    let failed = |why| RestoreError::Store {
        dir: dir.to_owned(),
        why,
    };
    let store = open_store(dir, &options.store)?;
    let mut builder = Builder {
        store: Arc::clone(&store),
        failed: &failed,
        highest: Seq::ZERO,
        batch: Batch::default(),
        batch_bytes: 0,
        done: Converted::default(),
        progress,
    };
    let backup = reading::read(input, &mut |part| match part {
        Part::Copied(batch) => builder.copied(batch),
        Part::Commit(batch) => builder.commit(batch),
    })?;
    builder.flush()?;
    let reserved = store.reserved().map_err(failed)?;
    // Who came after the backup is not known: whoever is idle from now on is.
    let seen_since = TableKey::new(Table::SEEN_SINCE).ok().map(|key| TableChange {
        table: Table::STORE,
        key,
        value: None,
    });
    let renewed = Batch {
        tables: epoch::change(options.epoch).into_iter().chain(seen_since).collect(),
        reserve: Some(beyond(reserved, options.now)),
        ..Batch::default()
    };
    store.commit(&renewed).map_err(failed)?;
    let written = totals(&*store).map_err(failed)?;
    store.close().map_err(failed)?;
    drop(builder);
    drop(store);
    // What is on the disk counts.
    let store = open_store(dir, &options.store)?;
    let held = count(&*store).map_err(failed)?;
    store.close().map_err(failed)?;
    match held == written {
        true => Ok(Restored { held, backup }),
        false => Err(RestoreError::Different { dir: dir.to_owned() }),
    }
}

/// The reservation to begin with: everything up to it may have been given out.
fn beyond(reserved: Seq, now: Micros) -> Seq {
    let now = if now.0 <= CLOCK_MAX { now.0 } else { 0 };
    Seq(reserved.0.max(now).saturating_add(SEQS_SKIPPED))
}

/// Writes the parts of a backup to a new store.
struct Builder<'a> {
    store: Arc<dyn Store>,
    failed: &'a dyn Fn(StoreError) -> RestoreError,
    /// No seq above this was copied.
    highest: Seq,
    /// Commits that are gathered.
    batch: Batch,
    batch_bytes: usize,
    done: Converted,
    progress: &'a mut dyn FnMut(Converted),
}

impl Builder<'_> {
    fn copied(&mut self, batch: Batch) -> Result<(), RestoreError> {
        let seqs = batch.puts.iter().map(|(_, entry)| entry.seq);
        self.highest = seqs.fold(self.highest, Seq::max);
        self.done.messages += batch.puts.len() as u64;
        self.store.commit(&batch).map_err(self.failed)?;
        (self.progress)(self.done);
        Ok(())
    }

    /// Commits in order become one: a message is put once ever, so no removal comes before its put, and of a key in a table the last
    /// change counts.
    fn commit(&mut self, commit: Batch) -> Result<(), RestoreError> {
        for (inbox, entry) in commit.puts {
            // It may have come before its page was copied, and then it is there.
            let before = Seq(entry.seq.0.saturating_sub(1));
            let is_there = entry.seq <= self.highest
                && self.store.seqs(&inbox, before, 1).map_err(self.failed)?.first() == Some(&entry.seq);
            if !is_there {
                self.batch_bytes += entry.message.size();
                self.batch.puts.push((inbox, entry));
            }
        }
        self.batch_bytes += commit.tables.iter().map(change_size).sum::<usize>();
        self.batch.removals.extend(commit.removals);
        self.batch.tables.extend(commit.tables);
        self.batch.reserve = self.batch.reserve.max(commit.reserve);
        self.batch.age = self.batch.age.max(commit.age);
        let entries = self.batch.puts.len() + self.batch.removals.len() + self.batch.tables.len();
        match entries >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        self.done.messages += self.batch.puts.len() as u64;
        self.store.commit(&self.batch).map_err(self.failed)?;
        self.batch = Batch::default();
        self.batch_bytes = 0;
        (self.progress)(self.done);
        Ok(())
    }
}

fn change_size(change: &TableChange) -> usize {
    change.value.as_ref().map_or(0, |value| value.len())
}

/// What the totals of all inboxes say.
fn totals(store: &dyn Store) -> Result<Converted, StoreError> {
    let mut all = Converted::default();
    let mut inboxes = store.inboxes(None, PAGE_INBOXES)?;
    while let Some((last, _)) = inboxes.last() {
        for (_, record) in &inboxes {
            all.inboxes += 1;
            all.messages += record.messages;
            all.bytes += record.bytes;
        }
        inboxes = store.inboxes(Some(last), PAGE_INBOXES)?;
    }
    Ok(all)
}

/// What is found when everything is read.
fn count(store: &dyn Store) -> Result<Converted, StoreError> {
    let mut all = Converted::default();
    let mut inboxes = store.inboxes(None, PAGE_INBOXES)?;
    while let Some((last, _)) = inboxes.last() {
        for (inbox, _) in &inboxes {
            all.inboxes += 1;
            let mut after = Seq::ZERO;
            loop {
                let page = store.read(inbox, after, PAGE)?;
                all.messages += page.entries.len() as u64;
                let sizes = page.entries.iter().map(|entry| entry.message.size() as u64);
                all.bytes += sizes.sum::<u64>();
                after = page.entries.last().map_or(after, |last| last.seq);
                if !page.more {
                    break;
                }
            }
        }
        inboxes = store.inboxes(Some(last), PAGE_INBOXES)?;
    }
    Ok(all)
}
