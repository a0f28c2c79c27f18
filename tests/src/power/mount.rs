//! A disk, mounted where programs see it.

use std::path::Path;

use fuser::{BackgroundSession, Config, MountOption, Session};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use super::disk::Disk;
use super::filesystem::PowerFilesystem;

/// A mounted disk. Dropping it unmounts it; programs that still have files open keep them until they close them.
#[derive(Debug)]
pub struct Mount {
    disk: Disk,
    session: Option<BackgroundSession>,
    directory: TempDir,
}

impl Mount {
    /// Mounts `disk` in a directory of its own. Where that is impossible the test fails and says what is missing.
    pub fn new(disk: &Disk) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("inboxd-power-cut".to_owned()), MountOption::NoExec];
        let session = Session::new(PowerFilesystem(disk.clone()), directory.path(), &config).and_then(Session::spawn);
        let session = session.unwrap_or_else(|error| {
            panic!(
                "no FUSE file system can be mounted here ({error}); the power-cut tests need the device /dev/fuse, and \
                 either root with CAP_SYS_ADMIN or the program fusermount3 (Debian package fuse3)"
            )
        });
        Mount {
            disk: disk.clone(),
            session: Some(session),
            directory,
        }
    }

    /// The root directory of the disk.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Detached, because a store may still be letting go of its files. Where only fusermount3 may unmount, this fails,
        // and the end of the session does it.
        let _ = unmount(self.directory.path(), UnmountFlags::DETACH);
        drop(self.session.take());
    }
}
