//! What was seen of a machine. What could not be seen is `None`, and nothing is said of it but that.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

/// A machine, as far as a broker needs to know it.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// The effective user of this process.
    pub(super) user: u32,
    /// What the clock says.
    pub(super) now: SystemTime,
    /// Whether something keeps the clock right.
    pub(super) clock: Keeping,
    /// The hard limit on open files; `None` is no limit.
    pub(super) descriptors: Option<u64>,
    /// Memory of the machine, or of the control group if that has less, in bytes.
    pub(super) memory: Option<u64>,
    /// Swap space in bytes.
    pub(super) swap: Option<u64>,
    /// `vm.overcommit_memory`.
    pub(super) overcommit: Option<u64>,
    /// `net.core.somaxconn`: connections that may wait to be accepted.
    pub(super) backlog: Option<u64>,
    /// Where the data is to be.
    pub(super) data: Directory,
    /// The files that the configuration names.
    pub(super) files: Vec<NamedFile>,
    /// Where it listens.
    pub(super) ports: Vec<Port>,
}

/// What keeps the clock right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Something does, and has.
    Synchronised,
    /// Something is to, and has not yet.
    Waiting,
    /// It cannot be seen here.
    Unseen,
}

/// The data directory.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Whether it is there; otherwise everything below is of the nearest directory above it that is.
    pub(super) exists: bool,
    pub(super) is_directory: bool,
    pub(super) owner: u32,
    pub(super) mode: u32,
    /// Whether this process may make files in it.
    pub(super) is_writable: bool,
    /// The process that has it open, if one has.
    pub(super) used_by: Option<u32>,
    pub(super) disk: Option<Disk>,
}

/// What a directory is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) kind: FileSystem,
    pub(super) free_bytes: u64,
    pub(super) is_read_only: bool,
}

/// Kinds of file systems, by what they mean for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystem {
    /// On a disk of this machine, or one that seems so.
    Local(&'static str),
    /// In memory.
    Memory(&'static str),
    /// On another machine, or passed on by a program.
    Remote(&'static str),
    /// The changes of a container, or of a system from a read-only medium.
    Overlay,
    /// None that is known, by its number.
    Unknown(u64),
}

/// A file that the configuration names.
#[derive(Debug, Clone)]
pub(super) struct NamedFile {
    /// What it is.
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    /// Whether others may not read it; otherwise they may not change it.
    pub(super) is_secret: bool,
    /// Whether the broker makes it when there is none.
    pub(super) is_made: bool,
    pub(super) state: FileState,
}

/// What there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// It cannot be opened, for this reason.
    Unreadable(ErrorKind),
    There {
        owner: u32,
        mode: u32,
    },
}

/// An address to listen on.
#[derive(Debug, Clone)]
pub(super) struct Port {
    /// The listener.
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// Whether another one is taken when it is in use.
    pub(super) is_auto: bool,
    pub(super) state: PortState,
}

/// Whether it can be listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortState {
    Free,
    /// Some process listens there.
    Taken,
    /// The system does not let this process, for this reason.
    Refused(ErrorKind),
}
