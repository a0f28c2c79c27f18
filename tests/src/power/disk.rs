//! The memory of the file system, what it does when it is asked, and the ways in which it can be made to fail.
//!
//! A [`Disk`] is a handle; all handles of a disk share it, so a test keeps one and gives another to the mount.
//!
//! ```text
//! on ──cut, or the operation that it was planned for──▶ cut: the image is taken, and what is done later is in no image
//! ```
//!
//! A cut disk goes on to work, so that the program on it can be ended at leisure. What it acknowledged is to be found in the
//! image exactly if it was acknowledged while [`Disk::is_cut`] was still false; so first take the acknowledgement, then look.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::image::Image;
use super::loss::{Loss, OpNumber};
use super::node::{DirNode, FileNode, Ino, Node};
use state::State;

/// The root directory, here and in FUSE.
pub(super) const ROOT: Ino = 1;

/// Why the disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// ENOENT.
    #[error("there is no such file or directory")]
    NotFound,
    /// EEXIST.
    #[error("it exists already")]
    Exists,
    /// ENOTDIR.
    #[error("it is not a directory")]
    NotADirectory,
    /// EISDIR.
    #[error("it is a directory")]
    IsADirectory,
    /// ENOTEMPTY.
    #[error("the directory is not empty")]
    NotEmpty,
    /// EXDEV.
    #[error("renames between directories are not needed here, and not supported")]
    BetweenDirectories,
    /// ENOSPC.
    #[error("there is no space left")]
    NoSpace,
    /// EROFS.
    #[error("the disk became read-only")]
    ReadOnly,
    /// EIO.
    #[error("the disk failed")]
    Failed,
}

/// A handle to a disk.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

/// What `stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) ino: Ino,
    pub(super) is_dir: bool,
    pub(super) bytes: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Disk::new()
    }
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Disk::from_image(&Image::default())
    }

    /// A disk that begins with what a cut left, all of it durable.
    pub fn from_image(image: &Image) -> Self {
        Disk(Arc::new(Mutex::new(State::durable(image))))
    }

    /// Cuts the power now, unless that has happened already, and tells what is left. The seed decides what that is.
    pub fn cut(&self, seed: u64) -> Arc<Image> {
        self.state().cut(seed)
    }

    /// Plans a cut right after the next operation number `after` (from 1) that changes or syncs something.
    pub fn cut_after(&self, after: u64, seed: u64) {
        let mut state = self.state();
        state.planned = Some((state.last_op + after, seed));
    }

    /// Whether the power was cut.
    pub fn is_cut(&self) -> bool {
        self.state().image.is_some()
    }

    /// How many operations have changed or synced something.
    pub fn operations(&self) -> u64 {
        self.state().last_op
    }

    /// Makes the `n`-th sync from now, of a file or a directory, fail with EIO. The seed decides what it keeps.
    pub fn fail_sync(&self, n: u64, seed: u64) {
        self.state().faults.failing_sync = Some((n, seed));
    }

    /// Lets this many bytes more be written, wherever; then the disk is full (ENOSPC). `None` ends it.
    pub fn limit_writes(&self, bytes: Option<u64>) {
        self.state().faults.bytes_left = bytes;
    }

    /// Makes every sync take this long, those under way included. Meanwhile other operations go on, but for those on the same
    /// file or directory: the kernel lets them wait.
    pub fn delay_syncs(&self, delay: Duration) {
        self.state().faults.sync_delay = delay;
    }

    /// Makes the disk refuse every change from now on (EROFS), as Linux does after an error in its own structures.
    pub fn set_read_only(&self, is_read_only: bool) {
        self.state().faults.is_read_only = is_read_only;
    }

    pub(super) fn lookup(&self, dir: Ino, name: &str) -> Result<Stat, DiskError> {
        let state = self.state();
        let ino = state.name(dir, name)?;
        state.stat(ino)
    }

    pub(super) fn stat(&self, ino: Ino) -> Result<Stat, DiskError> {
        self.state().stat(ino)
    }

    pub(super) fn list(&self, dir: Ino) -> Result<Vec<(String, Stat)>, DiskError> {
        let state = self.state();
        let names = state.dir(dir)?.current.iter();
        names.map(|(name, ino)| Ok((name.clone(), state.stat(*ino)?))).collect()
    }

    pub(super) fn create(&self, dir: Ino, name: &str) -> Result<Stat, DiskError> {
        self.add(dir, name, Node::File(FileNode::default()))
    }

    pub(super) fn create_dir(&self, dir: Ino, name: &str) -> Result<Stat, DiskError> {
        self.add(dir, name, Node::Dir(DirNode::default()))
    }

    fn add(&self, dir: Ino, name: &str, node: Node) -> Result<Stat, DiskError> {
        self.change(|state, number| {
            if state.name(dir, name).is_ok() {
                return Err(DiskError::Exists);
            }
            let ino = state.last_ino + 1;
            state.dir_mut(dir)?.put(number, name, ino);
            state.last_ino = ino;
            state.nodes.insert(ino, node);
            state.stat(ino)
        })
    }

    pub(super) fn remove(&self, dir: Ino, name: &str) -> Result<(), DiskError> {
        self.change(|state, number| match state.stat(state.name(dir, name)?)?.is_dir {
            true => Err(DiskError::IsADirectory),
            false => {
                state.dir_mut(dir)?.remove(number, name);
                Ok(())
            }
        })
    }

    pub(super) fn remove_dir(&self, dir: Ino, name: &str) -> Result<(), DiskError> {
        self.change(
            |state, number| match state.dir(state.name(dir, name)?)?.current.is_empty() {
                true => {
                    state.dir_mut(dir)?.remove(number, name);
                    Ok(())
                }
                false => Err(DiskError::NotEmpty),
            },
        )
    }

    pub(super) fn rename(&self, from: (Ino, &str), to: (Ino, &str)) -> Result<(), DiskError> {
        self.change(|state, number| {
            if from.0 != to.0 {
                return Err(DiskError::BetweenDirectories);
            }
            let ino = state.name(from.0, from.1)?;
            if let Ok(target) = state.name(to.0, to.1) {
                match (state.stat(ino)?.is_dir, state.stat(target)?.is_dir) {
                    (false, false) => {}
                    (true, true) if state.dir(target)?.current.is_empty() => {}
                    (true, true) => return Err(DiskError::NotEmpty),
                    (true, false) => return Err(DiskError::NotADirectory),
                    (false, true) => return Err(DiskError::IsADirectory),
                }
            }
            state.dir_mut(from.0)?.rename(number, from.1, to.1, ino);
            Ok(())
        })
    }

    pub(super) fn read(&self, ino: Ino, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        let state = self.state();
        let content = &state.file(ino)?.current;
        let from = content.len().min(offset as usize);
        let to = content.len().min(from + bytes);
        Ok(content[from..to].to_vec())
    }

    /// Tells how many bytes were written: fewer than asked for when the disk becomes full.
    pub(super) fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<usize, DiskError> {
        self.change(|state, number| {
            let left = state.faults.bytes_left.unwrap_or(u64::MAX);
            let data = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            if left == 0 {
                return Err(DiskError::NoSpace);
            }
            state.file_mut(ino)?.write(number, offset as usize, data);
            if let Some(left) = &mut state.faults.bytes_left {
                *left -= data.len() as u64;
            }
            Ok(data.len())
        })
    }

    pub(super) fn resize(&self, ino: Ino, bytes: u64) -> Result<(), DiskError> {
        self.change(|state, number| {
            state.file_mut(ino)?.resize(number, bytes as usize);
            Ok(())
        })
    }

    /// How long a sync that was asked for this long ago still takes.
    pub(super) fn sync_delay_after(&self, waited: Duration) -> Duration {
        self.state().faults.sync_delay.saturating_sub(waited)
    }

    pub(super) fn sync(&self, ino: Ino) -> Result<(), DiskError> {
        // A read-only disk has nothing to sync and says that all is well, as Linux does; what was pending was lost with the
        // error that made it read-only, which a failing sync stands for.
        let mut state = self.state();
        let failing = match &mut state.faults.failing_sync {
            Some((n, seed)) => {
                *n = n.saturating_sub(1);
                (*n == 0).then_some(*seed)
            }
            None => None,
        };
        if let Some(seed) = failing {
            state.faults.failing_sync = None;
            let mut loss = Loss::new(seed, state.last_op);
            match state.node_mut(ino)? {
                Node::File(file) => file.fail_sync(&mut loss),
                Node::Dir(dir) => dir.fail_sync(&mut loss),
            }
            state.count();
            return Err(DiskError::Failed);
        }
        match state.node_mut(ino)? {
            Node::File(file) => file.sync(),
            Node::Dir(dir) => dir.sync(),
        }
        state.count();
        Ok(())
    }

    /// Bytes that may still be written, as far as anyone knows.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.state().faults.bytes_left
    }

    /// Runs one operation, numbers it if it is done, and cuts the power if that was planned for now.
    fn change<T>(&self, operation: impl FnOnce(&mut State, OpNumber) -> Result<T, DiskError>) -> Result<T, DiskError> {
        let mut state = self.state();
        if state.faults.is_read_only {
            return Err(DiskError::ReadOnly);
        }
        let number = state.last_op + 1;
        let done = operation(&mut state, number)?;
        state.count();
        Ok(done)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
