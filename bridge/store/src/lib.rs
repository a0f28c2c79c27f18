//! Where inboxes are kept.
//!
//! **Promise:** when [`Store::commit`] returns `Ok`, everything in the batch survives a killed process and a power cut, in
//! every engine but the memory one. A batch is atomic: after a crash in the middle of a commit all of it is there, or none of it,
//! and a reader sees all of it, or none.
//!
//! All calls block; they belong on threads that may.

mod acknowledged;
mod backup;
mod blocks;
mod checkpoint;
mod chunk;
mod convert;
mod copying;
mod directory;
mod engine;
mod engines;
mod envelope;
mod epoch;
mod error;
mod fault;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod files;
mod frame;
#[cfg(feature = "testing")]
pub mod fuzzing;
mod index;
mod key;
mod log;
mod manifest;
mod memory;
mod modes;
mod open;
mod poison;
mod record;
#[cfg(any(test, feature = "testing"))]
pub mod simulated;
mod store;
mod table;
mod tables;
mod target;
mod totals;
mod tree;
mod tree_store;
mod trouble;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(test)]
mod tests;

pub use backup::{
    BackedUp, BackupError, BackupOptions, BackupReadError, BackupSummary, FormatError, RestoreError, RestoreOptions,
    Restored, restore_backup, verify_backup, write_backup,
};
pub use convert::{ConvertError, convert};
pub use copying::Converted;
pub use directory::{OpenError, Owner};
pub use engine::Engine;
pub use engines::fjall::FjallOptions;
pub use engines::sled::SledOptions;
pub use epoch::{epoch_of, keep_epoch};
pub use error::{Damage, EngineError, Failure, ForeignRecord, HoldError, Panicked, StoreError, UnreadableLog};
#[cfg(feature = "testing")]
pub use fault::{StoreFault, set_store_fault};
#[cfg(any(test, feature = "testing"))]
pub use faulty::FaultyStore;
pub use memory::{FaultPlan, MemoryStore};
pub use open::{StoreOptions, check_data_directory, open_existing_store, open_store};
pub use poison::Poison;
pub use store::{Batch, HeldCommits, InboxRecord, OnFailure, Page, PageLimit, Store};
pub use table::{TABLE_KEY_BYTES_MAX, TABLE_VALUE_BYTES_MAX, Table, TableChange, TableKey, TableKeyError, TablePage};
pub use tree_store::CheckpointOptions;
pub use trouble::{Pauses, Trouble};
