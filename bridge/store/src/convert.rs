//! Moving a stopped broker's messages into another directory, engine or format.
//!
//! **Promise:** no message of the source is changed or removed, and its format stays what it is. The target appears under its name
//! when all of it is durable and was read back; until then it has another name, [`UNFINISHED`] at its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::copying::{self, Converted, Portions};
use crate::directory::{DataDirectory, OpenError};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::open::open_tree;
use crate::open::{StoreOptions, open_store};
use crate::store::{InboxRecord, PageLimit, Store};
use crate::table::{Table, TableKey, TablePage};
use crate::target::{Target, TargetError};
use crate::tree_store::CheckpointOptions;
use inbox_types::{ClientId, Seq};

/// Ends the name of a target that is not finished.
const UNFINISHED: &str = ".converting";
/// What is read at once.
const PAGE: PageLimit = PageLimit {
    messages: 512,
    bytes: 4 * 1024 * 1024,
};
const PAGE_INBOXES: usize = 512;
const PORTIONS: Portions = Portions {
    page: PAGE,
    page_inboxes: PAGE_INBOXES,
    batch_entries: 4096,
    batch_bytes: 8 * 1024 * 1024,
};

/// Why a conversion ended early. The source is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The source, or the target, could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One of the stores failed.
    #[error("the store in {}: {why}", .dir.display())]
    Store {
        /// The source, or the target under its unfinished name.
        dir: PathBuf,
        /// What the store says.
        why: StoreError,
    },
    /// There is something in the target's place already.
    #[error("{} is there already; give a directory that does not exist, or is empty", .dir.display())]
    NotEmpty {
        /// The target.
        dir: PathBuf,
    },
    /// The target is in the source.
    #[error("{} is in the directory that is to be read; give one outside of it", .dir.display())]
    Inside {
        /// The target.
        dir: PathBuf,
    },
    /// An earlier conversion left its target.
    #[error("{} is what an interrupted conversion left; remove it, and try again", .dir.display())]
    Interrupted {
        /// The target, under its unfinished name.
        dir: PathBuf,
    },
    /// What was written is not what was read.
    #[error("what was written is not what was read{inbox}; check the disk, remove {}, and try again", .dir.display())]
    Different {
        /// The first inbox that differs, as part of the sentence.
        inbox: String,
        /// The target, under its unfinished name.
        dir: PathBuf,
    },
}

/// Writes every message of the store in `from` to a new one in `to`, which `options` describe. `progress` is told what was written
/// so far, every few thousand messages. Returns what there was, and the source's engine.
///
/// # Errors
/// See [`ConvertError`]. A source that a process has open is refused.
pub fn convert(
    from: &Path,
    to: &Path,
    options: &StoreOptions,
    progress: &mut dyn FnMut(Converted),
) -> Result<(Converted, Engine), ConvertError> {
    let made = check_target(from, to)?;
    let unfinished = &made.unfinished;
    let (directory, engine) = DataDirectory::open_source(from)?;
    let source_options = StoreOptions {
        engine,
        // Nothing is moved within the source.
        checkpoint: CheckpointOptions {
            after: Duration::from_secs(10 * 365 * 24 * 3600),
            memory_bytes_max: usize::MAX,
        },
        ..*options
    };
    let source = Side::new(from, open_tree(directory, &source_options)?);
    let target = Side::new(unfinished, open_store(unfinished, options)?);
    let converted = copy(&source, &target, progress)?;
    target.close()?;
    // What is on the disk counts.
    let target = Side::new(unfinished, open_store(unfinished, options)?);
    compare(&source, &target)?;
    target.close()?;
    source.close()?;
    made.finish()?;
    Ok((converted, engine))
}

/// Where the target is written, if there is nothing in its place.
fn check_target(from: &Path, to: &Path) -> Result<Target, ConvertError> {
    let dir = || to.to_owned();
    let target = Target::check(to, UNFINISHED).map_err(|why| match why {
        TargetError::NotEmpty => ConvertError::NotEmpty { dir: dir() },
        TargetError::Interrupted(dir) => ConvertError::Interrupted { dir },
        TargetError::Io(why) => why.into(),
    })?;
    match target.is_in(from) {
        true => Err(ConvertError::Inside { dir: dir() }),
        false => Ok(target),
    }
}

/// A store, and where it is.
struct Side<'a> {
    dir: &'a Path,
    store: Arc<dyn Store>,
}

impl<'a> Side<'a> {
    fn new(dir: &'a Path, store: Arc<dyn Store>) -> Self {
        Side { dir, store }
    }

    fn failed(&self, why: StoreError) -> ConvertError {
        let dir = self.dir.to_owned();
        ConvertError::Store { dir, why }
    }

    fn inboxes(&self, after: Option<&ClientId>) -> Result<Vec<(ClientId, InboxRecord)>, ConvertError> {
        self.store.inboxes(after, PAGE_INBOXES).map_err(|why| self.failed(why))
    }

    fn reserved(&self) -> Result<(Seq, Duration), ConvertError> {
        let reserved = self.store.reserved().and_then(|seq| Ok((seq, self.store.age()?)));
        reserved.map_err(|why| self.failed(why))
    }

    fn scan(&self, table: Table, after: Option<&TableKey>) -> Result<TablePage, ConvertError> {
        self.store.scan(table, &[], after, PAGE).map_err(|why| self.failed(why))
    }

    fn close(self) -> Result<(), ConvertError> {
        self.store.close().map_err(|why| self.failed(why))
    }
}

fn copy(source: &Side<'_>, target: &Side<'_>, progress: &mut dyn FnMut(Converted)) -> Result<Converted, ConvertError> {
    let failed = |why| source.failed(why);
    let (copied, _keys) = copying::copy(&*source.store, PORTIONS, &failed, &mut |batch, copied| {
        target.store.commit(batch).map_err(|why| target.failed(why))?;
        progress(copied);
        Ok(())
    })?;
    Ok(copied)
}

/// Checks that both stores have the same inboxes, with as many messages and bytes in each, the same tables and the same reservation.
fn compare(source: &Side<'_>, target: &Side<'_>) -> Result<(), ConvertError> {
    let different = |inbox: Option<&ClientId>| ConvertError::Different {
        inbox: inbox.map_or_else(String::new, |inbox| format!(": inbox {inbox:?}")),
        dir: target.dir.to_owned(),
    };
    let mut last = None;
    loop {
        let (ours, theirs) = (source.inboxes(last.as_ref())?, target.inboxes(last.as_ref())?);
        if let Some((one, other)) = ours.iter().zip(&theirs).find(|(one, other)| one != other) {
            return Err(different(Some((&one.0).min(&other.0))));
        }
        if ours.len() != theirs.len() {
            let more = ours.get(theirs.len()).or(theirs.get(ours.len()));
            return Err(different(more.map(|(inbox, _)| inbox)));
        }
        match ours.last() {
            Some((inbox, _)) => last = Some(inbox.clone()),
            None => break,
        }
    }
    for table in Table::all() {
        let mut after = None;
        loop {
            let (ours, theirs) = (source.scan(table, after.as_ref())?, target.scan(table, after.as_ref())?);
            if ours != theirs {
                return Err(different(None));
            }
            if !ours.more {
                break;
            }
            after = ours.entries.last().map(|(key, _)| key.clone());
        }
    }
    match source.reserved()? == target.reserved()? {
        true => Ok(()),
        false => Err(different(None)),
    }
}
