//! The store over a simulated machine: a disk that tears, reorders and forgets what was not synced, and a tree that forgets the end
//! of what it was not told to keep. The log, the index, the blocks, tables and checkpoints are those of every store.
//!
//! The power can go off after any operation on a file or on the tree. Nothing happens by itself: checkpoints come when they are asked
//! for, on the caller's thread, so one seed means one run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests only")]

mod chance;
mod disk;
mod lack;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{DataDirectory, OpenError};
use crate::error::StoreError;
use crate::store::Store;
use crate::tree_store::{CheckpointOptions, TreeStore};
pub(crate) use disk::SimDisk;
pub use lack::Lack;
pub(crate) use tree::SimTree;

/// Where the store is on the simulated disk.
const ROOT: &str = "/data";
/// What the manifest calls the simulated tree.
const ENGINE: &str = "simulated";

/// A machine, and the store on it while the power is on.
#[derive(Debug)]
pub struct SimStore {
    disk: SimDisk,
    tree: SimTree,
    store: Option<TreeStore<SimTree>>,
    options: CheckpointOptions,
}

impl SimStore {
    /// A new store on an empty disk.
    ///
    /// # Errors
    /// None, unless a mistake is made on purpose.
    pub fn new() -> Result<Self, OpenError> {
        Self::with(CheckpointOptions {
            after: Duration::from_secs(10 * 365 * 24 * 3600),
            memory_bytes_max: usize::MAX,
        })
    }

    /// A new store whose checkpoints come by themselves.
    pub(crate) fn with(options: CheckpointOptions) -> Result<Self, OpenError> {
        let disk = SimDisk::new(&[Path::new(ROOT)]);
        let tree = SimTree::on(&disk);
        let mut machine = SimStore {
            disk,
            tree,
            store: None,
            options,
        };
        machine.open()?;
        Ok(machine)
    }

    /// The store.
    ///
    /// # Panics
    /// While there is none, after a start that failed.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    /// Moves everything that is in the log to the tree.
    ///
    /// # Errors
    /// Those of the store.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.store.as_ref().unwrap().try_checkpoint()
    }

    /// The power goes off after so many more operations. Until [`SimStore::restart`] every one after these fails.
    pub fn power_off_after(&self, operations: usize) {
        self.disk.power_off_after(operations);
    }

    /// From now on there is none of it, or enough of everything again. Commits need nothing of it.
    pub fn set_lack(&self, lack: Option<Lack>) {
        self.disk.set_lack(lack);
    }

    /// Whether the power is off, or will be.
    pub fn is_doomed(&self) -> bool {
        self.disk.left().is_some()
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.disk.left() == Some(0)
    }

    /// Takes the power away, if it is not off yet, and starts again: what is left of the disk follows from `seed`. It may go off again
    /// while the store is being opened, if `then_off_after` says so; then there is no store.
    ///
    /// # Errors
    /// A store that cannot be opened.
    pub fn restart(&mut self, seed: u64, then_off_after: Option<usize>) -> Result<(), OpenError> {
        self.disk.set_lack(None);
        self.disk.power_off_after(0);
        self.store = None;
        self.disk.restart(seed);
        self.tree.restart(seed);
        if let Some(operations) = then_off_after {
            self.disk.power_off_after(operations);
        }
        self.open()
    }

    /// Ends the process, and starts it again.
    ///
    /// # Errors
    /// A store that cannot be opened.
    pub fn reopen(&mut self) -> Result<(), OpenError> {
        self.store = None;
        self.open()
    }

    /// The tree.
    #[cfg(test)]
    pub(crate) fn tree(&self) -> &SimTree {
        &self.tree
    }

    fn open(&mut self) -> Result<(), OpenError> {
        let directory = DataDirectory::simulated(Arc::new(self.disk.clone()), Path::new(ROOT), ENGINE)?;
        if directory.is_new() {
            // The manifest was never put in place, so nothing was acknowledged.
            self.disk.clear(&directory.engine_dir());
            self.tree.clear();
        }
        self.store = Some(TreeStore::open(directory, self.tree.clone(), self.options)?);
        Ok(())
    }
}
