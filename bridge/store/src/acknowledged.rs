//! The number of the last commit that was acknowledged, in a file beside the engine's.
//!
//! An engine that finds the end of its log damaged takes it for a write that a crash cut short, and drops it. This file
//! tells the two apart: it is written after each commit is durable, so a log that ends before the commit that it
//! names has lost something. It is not synced, which costs nothing: after a power cut it may name an earlier commit, never
//! a later one.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::files::{Files, Opening, StoredFile};

/// Its name in the engine's directory.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";

/// The file, open.
#[derive(Debug)]
pub(crate) struct Acknowledged(Box<dyn StoredFile>);

impl Acknowledged {
    /// Opens or makes the file in `dir`. The number is 0 when there is none that can be read.
    pub(crate) fn open(files: &dyn Files, dir: &Path) -> io::Result<(Self, u64)> {
        let path = dir.join(ACKNOWLEDGED);
        let number = match files.read(&path) {
            Ok(bytes) => <[u8; 8]>::try_from(bytes).map_or(0, u64::from_be_bytes),
            Err(why) if why.kind() == ErrorKind::NotFound => 0,
            Err(why) => return Err(why),
        };
        let file = Acknowledged(files.open(&path, Opening::Kept)?);
        // Its length must not change later: writes in place are all that is safe without a sync.
        file.set(number)?;
        file.0.set_len(8)?;
        file.0.sync()?;
        Ok((file, number))
    }

    /// Commit `number` is durable.
    pub(crate) fn set(&self, number: u64) -> io::Result<()> {
        self.0.write_at(&number.to_be_bytes(), 0)
    }
}
