//! Why a store could not do what it was asked to.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use inbox_types::{ClientId, Seq};

use crate::acknowledged::ACKNOWLEDGED;
use crate::envelope::EnvelopeError;
use crate::tree::TreeError;
use crate::trouble::Trouble;

/// Why a store could not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is for good. The store is poisoned from now on: every later commit fails too (a failed fsync must not be retried).
    #[error("the store failed ({0}); nothing more is acknowledged until the broker is restarted")]
    Failed(#[source] Arc<Failure>),
    /// It passes: something is missing for now. Nothing was changed, and it can be tried again.
    #[error("the store cannot do this for now: {0}")]
    Troubled(#[source] Trouble),
    /// A record cannot be read. `inboxd inbox purge` removes the inbox that holds it.
    #[error("a record of inbox {inbox:?} is damaged ({why}); `inboxd inbox purge` removes that inbox")]
    Damaged {
        /// Whose inbox.
        inbox: ClientId,
        /// What is wrong with it.
        #[source]
        why: Arc<Damage>,
    },
}

impl From<Failure> for StoreError {
    fn from(why: Failure) -> Self {
        StoreError::Failed(Arc::new(why))
    }
}

impl From<TreeError> for StoreError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Lacking(trouble) => StoreError::Troubled(trouble),
            error => Failure::Engine(EngineError(error)).into(),
        }
    }
}

/// Why a store failed for good.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    // The disk: the operator must act.
    /// The log could not be written, synced or cut.
    #[error("its log: {0}")]
    Log(#[source] io::Error),
    /// A commit found no space, or too little of something else, until the end of the process came.
    #[error("what was to be written at the end could not be: {0}")]
    Unwritten(#[source] Trouble),
    /// The number of the last acknowledged commit could not be written.
    #[error("file {ACKNOWLEDGED}: {0}")]
    Acknowledged(#[source] io::Error),
    /// The engine, or the disk under it.
    #[error(transparent)]
    Engine(EngineError),

    // The data are not as inboxd wrote them: the operator must act, with a backup.
    /// The engine holds what cannot be.
    #[error(transparent)]
    Foreign(#[from] ForeignRecord),

    // A mistake of ours, or of an engine.
    /// The engine panicked, or the store did.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// A thread of the inboxes panicked.
    #[error("a thread of the inboxes panicked")]
    InboxesPanicked,
    /// The store cannot be believed: a commit does not read records, and said that one is damaged.
    #[error("a commit says what only a read can say: {0}")]
    Unexpected(#[source] Box<StoreError>),

    // The caller.
    /// The store was closed before.
    #[error("it was closed")]
    Closed,
    /// A test asked for it.
    #[error("an injected fault")]
    Injected,
}

/// Why the commits that a backup needs are not there.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Room for new mail comes first.
    #[error(
        "the disk of the data directory has less than {disk_free_bytes_min} bytes left, and what comes in while a backup runs must be kept \
         there until it ends; make room, and try again"
    )]
    NoRoom {
        /// So much is not touched.
        disk_free_bytes_min: u64,
    },
    /// The log cannot be read.
    #[error("the log of the store cannot be read: {0}")]
    Log(#[from] UnreadableLog),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read could not be written.
    #[error("{0}")]
    Write(#[source] io::Error),
}

/// A part of the log that cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableLog {
    /// What the operating system said.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        why: io::Error,
    },
    /// It is not what was written.
    #[error("{}: it is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// What an engine said when it failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EngineError(pub(crate) TreeError);

/// What a panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Panicked {
    text: Box<str>,
}

impl Panicked {
    /// Its first line: a sentence for an operator, not a report for a developer.
    pub(crate) fn of(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        let line = text.and_then(|text| text.lines().next());
        Panicked {
            text: line.unwrap_or("it panicked").into(),
        }
    }
}

/// A record in the engine that inboxd cannot have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignRecord {
    /// Its key is none of ours.
    #[error("it holds the key {}, which inboxd did not write", .key.escape_ascii())]
    Key {
        /// The key.
        key: Vec<u8>,
    },
    /// A number is longer or shorter than it should be.
    #[error("{} has {bytes} bytes, which no number has that inboxd keeps there", .key.escape_ascii())]
    Number {
        /// Under this key.
        key: Vec<u8>,
        /// So long it is.
        bytes: usize,
    },
    /// A value in a table is not as it should be.
    #[error("the value of {} in table {table} is damaged", .key.escape_ascii())]
    TableValue {
        /// Of this key.
        key: Vec<u8>,
        /// The number of the table.
        table: u8,
    },
    /// A message that is to be written anew cannot say its size.
    #[error("an envelope of {inbox:?} cannot be read")]
    Envelope {
        /// Whose message.
        inbox: ClientId,
    },
}

/// What is wrong with a message in the blocks of an inbox.
#[derive(Debug, thiserror::Error)]
#[error("seq {seq}: {kind}")]
pub struct Damage {
    /// Its place.
    pub seq: Seq,
    #[source]
    pub(crate) kind: DamageKind,
}

impl Damage {
    /// The message at this place has no beginning that can be read.
    pub fn cut_off(seq: Seq) -> Self {
        Damage {
            seq,
            kind: DamageKind::FirstValue,
        }
    }
}

/// See [`Damage`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum DamageKind {
    /// A chunk.
    #[error("its directory does not fit it")]
    Directory,
    /// The first value of a message that is cut into pieces.
    #[error("its first value was cut off")]
    FirstValue,
    /// A piece is not there.
    #[error("its piece {0} is missing")]
    PieceMissing(u32),
    /// The pieces are not as long as the first value says.
    #[error("it has {actual} bytes instead of {stated}")]
    Length { stated: usize, actual: usize },
    /// The message itself.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}
