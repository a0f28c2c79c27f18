//! The data directory: whose it is, in which format, and who has it open.
//!
//! **Promise:** a directory that is not ours to use is refused by name and left as it was: no file in it is created or
//! changed. Creating one can be interrupted at any point and is begun again by the next open; nothing was acknowledged
//! before it was finished, so nothing is lost.
//!
//! ```text
//! absent ──mkdir──▶ empty ──lock file, new manifest──▶ being created ──engine made durable, rename──▶ ready
//! ```

mod open_error;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::engine::Engine;
use crate::files::{Files, Opening, RealFiles};
use crate::manifest::{CONVERTIBLE, CURRENT, MANIFEST, MANIFEST_NEW, Manifest, ManifestError};
use crate::modes;
pub(crate) use open_error::FileDamage;
pub use open_error::{OpenError, Owner};

/// The file whose lock says that a process has the directory open. It stays empty.
const LOCK: &str = "lock";
/// What a file system puts into its own root; a data directory may be one.
const LOST_AND_FOUND: &str = "lost+found";

/// A data directory that this process has locked.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    root: PathBuf,
    engine: &'static str,
    is_new: bool,
    files: Arc<dyn Files>,
    /// A simulated disk has none.
    lock: Option<File>,
}

/// What a look into the directory, which changes nothing, found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Absent,
    Empty,
    BeingCreated,
    Ready,
}

impl DataDirectory {
    /// Checks and locks `root` for `engine`, and begins to create it when there is nothing.
    ///
    /// After an [`is_new`](Self::is_new) one, the engine makes its files durable and calls [`finish`](Self::finish).
    pub(crate) fn open(root: &Path, engine: &'static str) -> Result<Self, OpenError> {
        if look(root, engine)? == Found::Absent {
            create_dir_durably(root)?;
        }
        let lock = lock(root)?;
        // Whoever held the lock until now may have changed what there is.
        let found = look(root, engine)?;
        let directory = DataDirectory {
            root: root.to_owned(),
            engine,
            is_new: found != Found::Ready,
            files: Arc::new(RealFiles),
            lock: Some(lock),
        };
        match found {
            Found::Absent => {
                return Err(OpenError::io(
                    root,
                    io::Error::new(ErrorKind::NotFound, "it was removed just now"),
                ));
            }
            Found::Empty => directory.begin()?,
            Found::BeingCreated => {
                // Its manifest was never put in place, so nothing in it was ever acknowledged.
                match fs::remove_dir_all(directory.engine_dir()) {
                    Err(why) if why.kind() != ErrorKind::NotFound => {
                        return Err(OpenError::io(&directory.engine_dir(), why));
                    }
                    _ => directory.begin()?,
                }
            }
            Found::Ready => {}
        }
        modes::close_to_others(root);
        Ok(directory)
    }

    /// Looks at `root` as [`open`](Self::open) does, and changes nothing. Tells whether there is a store.
    pub(crate) fn check(root: &Path, engine: &'static str) -> Result<bool, OpenError> {
        Ok(look(root, engine)? == Found::Ready)
    }

    /// Checks and locks `root`, which is to be read from, whatever engine and convertible format it is of. Tells its engine, too.
    pub(crate) fn open_source(root: &Path) -> Result<(Self, Engine), OpenError> {
        let missing = || OpenError::Missing { dir: root.to_owned() };
        let engine = || match fs::read(root.join(MANIFEST)) {
            Ok(bytes) => {
                parse(root, &bytes, &CONVERTIBLE).and_then(|manifest| match Engine::from_name(&manifest.engine) {
                    Some(engine) => Ok(engine),
                    None => Err(OpenError::UnknownEngine {
                        dir: root.to_owned(),
                        found: manifest.engine,
                    }),
                })
            }
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(missing()),
            Err(why) => Err(OpenError::io(root, why)),
        };
        engine()?;
        let lock = lock(root)?;
        // Whoever held the lock until now may have changed what there is.
        let engine = engine()?;
        modes::close_to_others(root);
        let directory = DataDirectory {
            root: root.to_owned(),
            engine: engine.name(),
            is_new: false,
            files: Arc::new(RealFiles),
            lock: Some(lock),
        };
        Ok((directory, engine))
    }

    /// The directory `root` of a disk that nobody else can have open, which is there and holds what this left in it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn simulated(files: Arc<dyn Files>, root: &Path, engine: &'static str) -> Result<Self, OpenError> {
        let is_new = match files.read(&root.join(MANIFEST)) {
            Ok(bytes) => check(root, engine, &bytes).map(|()| false)?,
            Err(why) if why.kind() == ErrorKind::NotFound => true,
            Err(why) => return Err(OpenError::io(root, why)),
        };
        let directory = DataDirectory {
            root: root.to_owned(),
            engine,
            is_new,
            files,
            lock: None,
        };
        if is_new {
            directory.begin()?;
        }
        Ok(directory)
    }

    /// Where its files are.
    pub(crate) fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.files)
    }

    /// The path that was opened.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the engine's files are, or will be.
    pub(crate) fn engine_dir(&self) -> PathBuf {
        self.root.join(self.engine)
    }

    /// Whether it is being created, and [`finish`](Self::finish) is still to come.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// What is in it is ours, and broken.
    pub(crate) fn damaged(&self, why: impl Error + Send + Sync + 'static) -> OpenError {
        OpenError::damaged(&self.root, why)
    }

    /// Ends the creation. The engine's files must be durable by now.
    pub(crate) fn finish(&mut self) -> Result<(), OpenError> {
        self.sync_root()?;
        let (from, to) = (self.root.join(MANIFEST_NEW), self.root.join(MANIFEST));
        let renamed = self.files.rename(&from, &to);
        renamed.map_err(|why| OpenError::io(&to, why))?;
        self.sync_root()?;
        self.is_new = false;
        Ok(())
    }

    fn begin(&self) -> Result<(), OpenError> {
        let path = self.root.join(MANIFEST_NEW);
        let text = Manifest {
            engine: self.engine.to_owned(),
        }
        .text();
        let written = self.files.open(&path, Opening::Emptied).and_then(|file| {
            file.write_at(text.as_bytes(), 0)?;
            file.sync()
        });
        written.map_err(|why| OpenError::io(&path, why))?;
        self.sync_root()
    }

    fn sync_root(&self) -> Result<(), OpenError> {
        let synced = self.files.sync_dir(&self.root);
        synced.map_err(|why| OpenError::io(&self.root, why))
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started has it open, too, until it has
        // become its own program. Should unlocking fail, closing is all there is.
        if let Some(lock) = &self.lock {
            let _ = flock(lock, FlockOperation::Unlock);
        }
    }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|why| OpenError::io(dir, why))
}

fn look(root: &Path, engine: &'static str) -> Result<Found, OpenError> {
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(OpenError::NotADirectory { dir: root.to_owned() }),
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Found::Absent),
        Err(why) if why.kind() == ErrorKind::NotADirectory => {
            return Err(OpenError::NotADirectory { dir: root.to_owned() });
        }
        Err(why) => {
            return Err(OpenError::Io {
                path: root.to_owned(),
                why,
            });
        }
    }
    let path = root.join(MANIFEST);
    match fs::read(&path) {
        Ok(bytes) => check(root, engine, &bytes).map(|()| Found::Ready),
        Err(why) if why.kind() == ErrorKind::NotFound => look_without_manifest(root, engine),
        Err(why) => Err(OpenError::Io { path, why }),
    }
}

fn check(root: &Path, engine: &'static str, manifest: &[u8]) -> Result<(), OpenError> {
    let found = parse(root, manifest, &CURRENT)?.engine;
    match found == engine {
        true => Ok(()),
        false => Err(OpenError::OtherEngine {
            dir: root.to_owned(),
            found,
            wanted: engine,
        }),
    }
}

fn parse(root: &Path, manifest: &[u8], formats: &RangeInclusive<u64>) -> Result<Manifest, OpenError> {
    let dir = root.to_owned();
    Manifest::parse(&String::from_utf8_lossy(manifest), formats).map_err(|error| match error {
        ManifestError::Program(owner) => OpenError::Foreign {
            dir,
            owner: Owner::Program(owner),
        },
        ManifestError::Format(found) => OpenError::OtherFormat { dir, found },
        ManifestError::Unreadable(why) => OpenError::damaged(root, why),
    })
}

fn look_without_manifest(root: &Path, engine: &'static str) -> Result<Found, OpenError> {
    let mut found = Found::Empty;
    let mut stranger = None;
    for entry in fs::read_dir(root).map_err(|why| OpenError::Io {
        path: root.to_owned(),
        why,
    })? {
        let entry = entry.map_err(|why| OpenError::Io {
            path: root.to_owned(),
            why,
        })?;
        let name = entry.file_name();
        let is_empty_file = entry
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
        match name.to_str() {
            Some(MANIFEST_NEW) => found = Found::BeingCreated,
            Some(LOCK) if is_empty_file => {}
            Some(LOST_AND_FOUND) => {}
            _ => match stranger {
                // The engine's directory is ours if the creation was interrupted, which another entry says.
                Some(ref other) if *other != engine => {}
                _ => stranger = Some(name.to_string_lossy().into_owned()),
            },
        }
    }
    match stranger {
        None => Ok(found),
        Some(name) if name == engine && found == Found::BeingCreated => Ok(found),
        Some(name) => Err(OpenError::Foreign {
            dir: root.to_owned(),
            owner: Owner::Of(name.into()),
        }),
    }
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|why| OpenError::Unwritable {
        path: path.clone(),
        why,
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(OpenError::Locked { dir: root.to_owned() }),
        Err(why) => Err(OpenError::Io { path, why: why.into() }),
    }
}

/// Creates `dir` and what is missing above it, and makes all these names durable.
fn create_dir_durably(dir: &Path) -> Result<(), OpenError> {
    let unwritable = |why| OpenError::Unwritable {
        path: dir.to_owned(),
        why,
    };
    let absolute = std::path::absolute(dir).map_err(unwritable)?;
    let missing = absolute.ancestors().take_while(|path| !path.exists()).count();
    modes::create_dir_all(&absolute).map_err(unwritable)?;
    absolute.ancestors().skip(1).take(missing).try_for_each(sync_dir)
}
