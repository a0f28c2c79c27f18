//! A disk that is soon full.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A tmpfs of its own.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// With room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(format!("size={bytes},mode=0700")).unwrap();
        mount(
            "tmpfs",
            dir.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(options.as_c_str()),
        )
        .unwrap_or_else(|why| {
            panic!("no tmpfs can be mounted here ({why}); this test needs root with CAP_SYS_ADMIN, as it has in CI")
        });
        SmallDisk(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

/// Takes all the space that there is.
pub fn fill(path: &Path) {
    let mut filler = OpenOptions::new().create(true).append(true).open(path).unwrap();
    loop {
        match filler.write(&[1; 65_536]) {
            Ok(_) => {}
            Err(why) if why.kind() == ErrorKind::StorageFull => return,
            Err(why) => panic!("{why}"),
        }
    }
}
