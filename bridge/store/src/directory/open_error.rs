//! Why a data directory could not be opened.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::manifest::{CONVERTIBLE, FORMAT, MANIFEST};

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path names something else.
    #[error("{} is not a directory; give the path of a directory, or of one to be created", .dir.display())]
    NotADirectory {
        /// The path that was given.
        dir: PathBuf,
    },
    /// Somebody else's files are in it.
    #[error("{} belongs to {owner}, not to inboxd; give an empty or a new directory", .dir.display())]
    Foreign {
        /// The path that was given.
        dir: PathBuf,
        /// Whose files they are.
        owner: Owner,
    },
    /// Another version of inboxd wrote it.
    #[error(
        "{} has storage format {found}, and this build runs on format {FORMAT}; {}",
        .dir.display(),
        other_format_advice(*found, .dir)
    )]
    OtherFormat {
        /// The path that was given.
        dir: PathBuf,
        /// The format that its manifest names.
        found: u64,
    },
    /// It was written by another engine.
    #[error(
        "{} was written by the engine {found:?}, and {wanted:?} is configured; set store.engine = {found:?} in the configuration file, or \
         INBOXD_STORE__ENGINE={found} in the environment, or give another directory",
        .dir.display()
    )]
    OtherEngine {
        /// The path that was given.
        dir: PathBuf,
        /// The engine that its manifest names.
        found: String,
        /// The engine that was asked for.
        wanted: &'static str,
    },
    /// It was written by an engine that this build does not have.
    #[error("{} was written by the engine {found:?}, which this build does not have", .dir.display())]
    UnknownEngine {
        /// The path that was given.
        dir: PathBuf,
        /// The engine that its manifest names.
        found: String,
    },
    /// There is nothing to be read.
    #[error("there is no store in {}; give the data directory of a stopped broker", .dir.display())]
    Missing {
        /// The path that was given.
        dir: PathBuf,
    },
    /// A process has it open.
    #[error("another process has {} open; stop that inboxd first, or give another directory", .dir.display())]
    Locked {
        /// The path that was given.
        dir: PathBuf,
    },
    /// The operating system does not let us write.
    #[error("cannot write to {} ({why}); check its owner and permissions, and that it is not mounted read-only", .path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// The operating system does not let us read, or the disk fails.
    #[error("cannot use {} ({why}); check its permissions, the disk, and the space left on it", .path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// What is in it is ours, and broken.
    #[error(
        "the store in {} is damaged ({why}); restore it from a backup, or move it away to start with empty inboxes",
        .dir.display()
    )]
    Damaged {
        /// The path that was given.
        dir: PathBuf,
        /// What is wrong with it.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
}

/// Who put files into a directory that inboxd did not make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Owner {
    /// The program that a manifest names.
    #[error("{0:?}")]
    Program(Box<str>),
    /// Nobody says so; this is one of the files.
    #[error("whoever put {0:?} there without a file {MANIFEST}")]
    Of(Box<str>),
}

/// What is wrong with a file of an engine: left alone, the engine would quietly make it anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileDamage {
    /// It holds nothing.
    #[error("its file {} is empty", .0.display())]
    Empty(PathBuf),
    /// It is not there.
    #[error("its file {} is missing", .0.display())]
    Missing(PathBuf),
}

impl OpenError {
    /// What is in `dir` is ours, and broken.
    pub(crate) fn damaged(dir: &Path, why: impl Error + Send + Sync + 'static) -> Self {
        OpenError::Damaged {
            dir: dir.to_owned(),
            why: Box::new(why),
        }
    }

    /// Sorts what the operating system said about `path`.
    pub(crate) fn io(path: &Path, why: io::Error) -> Self {
        let path = path.to_owned();
        match why.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::Unwritable { path, why },
            _ => OpenError::Io { path, why },
        }
    }
}

fn other_format_advice(found: u64, dir: &Path) -> String {
    match CONVERTIBLE.contains(&found) {
        true => format!(
            "move its messages to a new directory with `inboxd store convert --from {0} --to {0}.new`, and start the broker on that",
            dir.display()
        ),
        false => "start the version of inboxd that wrote it, or give another directory".to_owned(),
    }
}
