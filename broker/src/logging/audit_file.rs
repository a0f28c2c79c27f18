//! The file of the audit log: records are appended, its owner alone can read it, and it is opened again when it was moved or removed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Access, OFlags, access};
use rustix::io::Errno;

/// The mode of a new file: what clients did is nobody else's business.
const MODE: u32 = 0o600;

/// The file of the audit log cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit log cannot be written to {} ({why}); make its directory, let inboxd write there, or change log.audit_file", path.display()
)]
pub struct AuditFileError {
    path: PathBuf,
    #[source]
    why: io::Error,
}

/// See the module's documentation.
pub(super) struct AuditFile {
    path: PathBuf,
    /// Held only to take or change the file, so that a disk that hangs keeps nobody from opening another one.
    file: Mutex<Arc<File>>,
}

impl AuditFile {
    pub(super) fn open(path: &Path) -> Result<Self, AuditFileError> {
        Ok(AuditFile {
            path: path.to_owned(),
            file: Mutex::new(Arc::new(open(path)?)),
        })
    }

    /// From now on records go to the file that has the path now; it is made if there is none. When that fails, they go where they went.
    pub(super) fn open_again(&self) -> Result<(), AuditFileError> {
        let fresh = Arc::new(open(&self.path)?);
        *self.file.lock() = fresh;
        Ok(())
    }

    /// What [`AuditFile::open`] would say, without making or changing anything.
    pub(super) fn check(path: &Path) -> Result<(), AuditFileError> {
        let checked = match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(Errno::ISDIR),
            Ok(_) => access(path, Access::WRITE_OK),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let above = path.parent().filter(|above| !above.as_os_str().is_empty());
                access(above.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)
            }
            Err(error) => return Err(error_of(path, error)),
        };
        checked.map_err(|why| error_of(path, why.into()))
    }
}

fn open(path: &Path) -> Result<File, AuditFileError> {
    let mut how = File::options();
    // A pipe whose reader is gone must not keep the broker from starting, or from being reloaded.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    how.append(true).create(true).mode(MODE).custom_flags(flags);
    how.open(path).map_err(|why| error_of(path, why))
}

fn error_of(path: &Path, why: io::Error) -> AuditFileError {
    AuditFileError {
        path: path.to_owned(),
        why,
    }
}

/// Who writes the file.
pub(super) struct Appending(pub(super) Arc<AuditFile>);

impl Write for Appending {
    fn write(&mut self, records: &[u8]) -> io::Result<usize> {
        let mut file = self.0.file.lock().clone();
        if file.metadata()?.nlink() == 0 {
            // Somebody removed it: what is written there would be lost without a word.
            self.0.open_again().map_err(|error| error.why)?;
            file = self.0.file.lock().clone();
        }
        (&*file).write(records)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_appended_for_the_owner_alone_and_follow_the_path() {
        // Goal: what is there stays; after the file was moved, records follow when it is opened again; after it was removed, at once; and
        // where the directory is gone, writing fails until it is back.
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("log");
        fs::create_dir(&dir).unwrap();
        let path = dir.join("audit");
        fs::write(&path, "before\n").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(
            AuditFile::check(&path).is_ok() && !path.exists(),
            "a check makes nothing"
        );
        let file = Arc::new(AuditFile::open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        let mut out = Appending(file.clone());
        out.write_all(b"one\n").unwrap();
        let moved = dir.join("audit.1");
        fs::rename(&path, &moved).unwrap();
        out.write_all(b"two\n").unwrap();
        file.open_again().unwrap();
        out.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_file(&path).unwrap();
        out.write_all(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        fs::remove_dir_all(&dir).unwrap();
        assert!(out.write_all(b"lost\n").is_err() && file.open_again().is_err());
        fs::create_dir(&dir).unwrap();
        out.write_all(b"five\n").unwrap();
        drop(AuditFile::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n", "it is appended to");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        // Goal: a directory, or a path through a directory that is not there, is told before anything is served, and by a check, too.
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none/audit")] {
            for error in [AuditFile::open(&path).err(), AuditFile::check(&path).err()] {
                let error = error.unwrap().to_string();
                assert!(
                    error.contains(path.to_str().unwrap()) && error.contains("log.audit_file"),
                    "{error}"
                );
            }
        }
    }
}
