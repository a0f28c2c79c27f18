//! A disk whose power can be cut: a file system in user space that remembers what was synced and what was only written.
//!
//! kill -9 leaves the page cache to the kernel, which writes it out later: a broker that never syncs passes that test. A
//! power cut does not. [`Disk`] is the file system's memory and its rules; [`Mount`] shows it to programs through FUSE;
//! [`Image`] is what a cut left, as a plain tree of files.
//!
//! # What survives a cut
//! The strict reading of POSIX, stricter than any file system in use:
//! * What a file held when its fsync or fdatasync was asked for is there, once that has returned without an error.
//! * A name (a new file or directory, a rename, a removal) is durable once the directory that holds it was synced, and
//!   not before: syncing a new file does not keep its name.
//! * Of everything else **any subset** may be there, whatever the order in which it was done: of writes any of their
//!   sectors of 512 bytes, of a write beyond the end perhaps only the longer file, full of zeros.
//! * A rename within a directory replaces its target whole or not at all; the old name may stay beside the new one. A
//!   rename between directories is refused, because nothing needs one.
//! * `sync_file_range` never reaches a FUSE file system: it writes pages out and promises nothing, and that is what it
//!   is worth here.
//! * A sync that failed has kept any subset, too, and the rest is gone from the disk for good: a later sync that returns
//!   well does not bring it back. Linux does the same (it marks the pages clean).
//!
//! There are no links, symbolic or hard, no permissions and no times: the store uses none of them.

mod disk;
mod filesystem;
mod image;
mod loss;
mod mount;
mod node;

pub use disk::{Disk, DiskError};
pub use image::{Image, Tree};
pub use mount::Mount;
