//! A data directory that is made as a whole: under another name until it is finished.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::directory::{OpenError, sync_dir};

/// Where it will be, and where it is until then.
pub(crate) struct Target {
    to: PathBuf,
    pub(crate) unfinished: PathBuf,
}

/// Why nothing can be made there.
#[derive(Debug)]
pub(crate) enum TargetError {
    /// There is something already.
    NotEmpty,
    /// There is what an earlier attempt left.
    Interrupted(PathBuf),
    Io(OpenError),
}

impl From<OpenError> for TargetError {
    fn from(why: OpenError) -> Self {
        TargetError::Io(why)
    }
}

impl Target {
    /// Looks whether `to` is free: it is not there, or empty. Its name until then ends with `suffix`.
    pub(crate) fn check(to: &Path, suffix: &str) -> Result<Self, TargetError> {
        let io = |why| OpenError::io(to, why);
        let is_free = match fs::read_dir(to) {
            Ok(mut entries) => entries.next().is_none(),
            Err(why) if why.kind() == ErrorKind::NotFound => true,
            Err(why) if why.kind() == ErrorKind::NotADirectory => false,
            Err(why) => return Err(io(why).into()),
        };
        if !is_free {
            return Err(TargetError::NotEmpty);
        }
        let to = std::path::absolute(to).map_err(io)?;
        let mut name = OsString::from(to.file_name().ok_or(TargetError::NotEmpty)?);
        name.push(suffix);
        let unfinished = to.with_file_name(name);
        match unfinished.try_exists() {
            Ok(false) => Ok(Target { to, unfinished }),
            Ok(true) => Err(TargetError::Interrupted(unfinished)),
            Err(why) => Err(io(why).into()),
        }
    }

    /// Whether it would be in `dir`.
    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        std::path::absolute(dir).is_ok_and(|dir| self.to.starts_with(dir))
    }

    /// Gives it its name. An empty directory of that name is replaced.
    pub(crate) fn finish(&self) -> Result<(), OpenError> {
        fs::rename(&self.unfinished, &self.to).map_err(|why| OpenError::io(&self.to, why))?;
        self.to.parent().map_or(Ok(()), sync_dir)
    }
}
