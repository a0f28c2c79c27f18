//! Who may read the files: their owner, and nobody else.
//!
//! **Promise:** the data directory can be entered by its owner alone, from the moment at which it is made, whatever the umask; so
//! what is in it is closed to others however an engine makes its files. One that is found open is told about and closed, with
//! everything in it. Where the system does not allow that (a volume that belongs to another user), it is told and used as it is.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Of a mode: what is for the group and for everybody else.
const OTHERS: u32 = 0o077;

/// Makes `dir` and what is missing above it, for its owner alone.
pub(crate) fn create_dir_all(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Closes `root` and everything in it to others than the owner.
pub(crate) fn close_to_others(root: &Path) {
    let mut found = Found::default();
    found.close(root, fs::metadata(root));
    found.close_all_in(root);
    if found.closed > 0 {
        tracing::warn!(
            directory = %root.display(),
            files = found.closed,
            "the data directory or files in it were open to other users of this machine, who could have read mail; it is its owner's \
             alone now"
        );
    }
    if let Some(why) = found.failed {
        tracing::warn!(
            directory = %root.display(),
            %why,
            "the data directory or files in it are open to other users of this machine, and that cannot be changed; make it the \
             broker's user's own, with mode 0700"
        );
    }
}

#[derive(Default)]
struct Found {
    closed: u64,
    failed: Option<io::Error>,
}

impl Found {
    fn close(&mut self, path: &Path, metadata: io::Result<fs::Metadata>) {
        let mode = match metadata {
            Ok(metadata) => metadata.permissions().mode(),
            // It went away meanwhile, or will be told when it is to be used.
            Err(_) => return,
        };
        if mode & OTHERS == 0 {
            return;
        }
        match fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
            Ok(()) => self.closed += 1,
            Err(why) => self.failed = Some(why),
        }
    }

    /// Links are left alone: what they lead to is not in the directory.
    fn close_all_in(&mut self, dir: &Path) {
        // A directory that cannot be read (lost+found) is not ours.
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                continue;
            }
            let path = entry.path();
            self.close(&path, entry.metadata());
            if kind.is_dir() {
                self.close_all_in(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_open_directory_is_closed_with_all_that_is_in_it() {
        // Goal: modes lose what they give to others, and nothing else; a link's target is not touched.
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(outside.path(), Permissions::from_mode(0o644)).unwrap();
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("sled");
        let file = dir.join("db");
        fs::create_dir(&dir).unwrap();
        fs::write(&file, "mail").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        for (path, open) in [(root.path(), 0o2775), (&*dir, 0o755), (&*file, 0o644)] {
            fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        }
        close_to_others(root.path());
        assert_eq!((mode(root.path()), mode(&dir), mode(&file)), (0o2700, 0o700, 0o600));
        assert_eq!(mode(outside.path()), 0o644);
    }

    #[test]
    fn a_new_directory_is_the_owners_alone() {
        // Goal: whatever the umask is, nobody else can enter it.
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        create_dir_all(&dir).unwrap();
        assert_eq!(mode(&dir) & OTHERS, 0);
    }
}
