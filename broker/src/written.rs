//! Files that belong together: all of them are written, or nothing is left of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What was written. It is removed again unless it is kept, and what others wrote meanwhile is not.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<PathBuf>);

impl Written {
    /// Writes a new file, for its owner alone.
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub(crate) fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        self.add(path);
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// This was written, too.
    pub(crate) fn add(&mut self, path: &Path) {
        self.0.push(path.to_owned());
    }

    /// It is complete.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One that has another name by now is not there.
            let _gone = fs::remove_file(path);
        }
    }
}
