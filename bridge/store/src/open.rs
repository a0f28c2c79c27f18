//! From a path to an open store.

use std::path::Path;
use std::sync::Arc;

use crate::directory::{DataDirectory, OpenError};
use crate::engine::Engine;
use crate::engines::fjall::{FjallOptions, FjallTree};
use crate::engines::sled::{SledOptions, SledTree};
use crate::store::Store;
use crate::tree_store::{CheckpointOptions, TreeStore};

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// What keeps it.
    pub engine: Engine,
    /// What can be set about [`Engine::Sled`].
    pub sled: SledOptions,
    /// What can be set about [`Engine::Fjall`].
    pub fjall: FjallOptions,
    /// When messages move from the log to their inboxes' own records.
    pub checkpoint: CheckpointOptions,
}

/// Opens the store in `dir`, which is created if it is absent, and locked until the store is closed or dropped.
///
/// # Errors
/// A directory that is not this program's, format's and engine's own, or that another process has open, is refused and left
/// as it was.
pub fn open_store(dir: &Path, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    open_tree(DataDirectory::open(dir, options.engine.name())?, options)
}

/// As [`open_store`], and a directory without a store is refused instead of made into one.
///
/// # Errors
/// As [`open_store`], and [`OpenError::Missing`].
pub fn open_existing_store(dir: &Path, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    match check_data_directory(dir, options.engine)? {
        true => open_store(dir, options),
        false => Err(OpenError::Missing { dir: dir.to_owned() }),
    }
}

/// Whether there is a store in `dir` that `engine` could open. Nothing is changed, and nobody is kept from using it.
///
/// # Errors
/// A directory that [`open_store`] would refuse for what is in it.
pub fn check_data_directory(dir: &Path, engine: Engine) -> Result<bool, OpenError> {
    DataDirectory::check(dir, engine.name())
}

/// Opens the store in `directory`, which is of that engine.
pub(crate) fn open_tree(directory: DataDirectory, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    match options.engine {
        Engine::Sled => {
            let tree = SledTree::open(&directory, options.sled)?;
            Ok(Arc::new(TreeStore::open(directory, tree, options.checkpoint)?))
        }
        Engine::Fjall => {
            let tree = FjallTree::open(&directory, options.fjall)?;
            Ok(Arc::new(TreeStore::open(directory, tree, options.checkpoint)?))
        }
    }
}
