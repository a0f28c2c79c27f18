//! The files below the log, the number of the last acknowledged commit, and the manifest: what the store asks of a disk.
//!
//! A seam, so that a simulator can put a disk there that tears, reorders and forgets what was not synced.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is read of a file at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// What [`Files::open`] does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Makes the file if it is absent, and takes out of it what it holds.
    Emptied,
    /// Makes the file if it is absent, and leaves what it holds.
    Kept,
}

/// A file system. **Promise:** that of POSIX: what a file holds is durable when it was synced, and a name when its directory was.
pub(crate) trait Files: Debug + Send + Sync + 'static {
    /// All that a file holds.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The same, a part at a time.
    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.read(path)?)))
    }
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
    /// Makes a directory.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Opens a file for writing.
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn StoredFile>>;
    /// Gives a file another name in the same directory, in place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file that is open for writing.
pub(crate) trait StoredFile: Debug + Send + Sync {
    /// Writes all of `bytes` at an offset.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Cuts the file off, or fills it up with zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Makes what it holds durable, its length included.
    fn sync(&self) -> io::Result<()>;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealFiles;

impl Files for RealFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(BufReader::with_capacity(READ_BYTES, File::open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn StoredFile>> {
        let is_emptied = opening == Opening::Emptied;
        let file = OpenOptions::new()
            .create(true)
            .truncate(is_emptied)
            .write(true)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl StoredFile for File {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync: that the file has grown is made durable, too; only times are not.
        self.sync_data()
    }
}
