//! What the store asks of an engine: an ordered map on disk.
//!
//! The store keeps its log, and does checkpoints, in the same way on every engine; an engine is a door of one file to a library.

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::ops::Bound;

use crate::trouble::Trouble;

/// Largest value that may be inserted, in bytes. sled sets it: see there.
pub(crate) const VALUE_BYTES_MAX: usize = 16 * 1024 + 16;

/// What the engine, or the disk under it, said when it failed. No use of the tree after this is safe, unless it was a trouble.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// A read lacks something for now, and nothing was changed. Never said of a write or a sync.
    #[error(transparent)]
    Lacking(Trouble),
    /// The disk: the operator must act.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The engine had an error of the disk before, and does nothing any more.
    #[error("{engine} gave up after an error of the disk, which the log names")]
    GaveUp {
        /// Its name.
        engine: &'static str,
    },
    /// What it keeps is damaged, or it made a mistake.
    #[error("{engine} says: {said}")]
    Engine {
        /// Its name.
        engine: &'static str,
        /// What it said.
        #[source]
        said: Box<dyn Error + Send + Sync>,
    },
}

impl TreeError {
    /// A read failed.
    pub(crate) fn of_read(why: io::Error) -> Self {
        match Trouble::of(&why) {
            Some(trouble) => TreeError::Lacking(trouble),
            None => TreeError::Disk(why),
        }
    }
}

/// Key and value.
pub(crate) type Pair<T> = (<T as Tree>::Slice, <T as Tree>::Slice);

/// An ordered map on disk. Threads may write and read at the same time; each key has one writer.
///
/// **Promise:** what was written before [`Tree::sync`] returned survives a killed process and a power cut. After a crash
/// the map may hold any beginning of what was written since, in the order in which it was written.
pub(crate) trait Tree: Debug + Send + Sync + 'static {
    /// A key or a value: bytes that are cheap to clone.
    type Slice: AsRef<[u8]> + Clone + Send;

    /// Sets the value of `key`, of at most [`VALUE_BYTES_MAX`].
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), TreeError>;

    /// Removes `key`, if it is there.
    fn remove(&self, key: &[u8]) -> Result<(), TreeError>;

    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Self::Slice>, TreeError>;

    /// What lies between two keys, in order. What is written meanwhile may or may not be seen.
    fn range(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair<Self>, TreeError>>;

    /// Makes everything written so far durable.
    fn sync(&self) -> Result<(), TreeError>;

    /// Breaks every later [`sync`](Self::sync).
    #[cfg(test)]
    fn break_sync(&mut self);
}
