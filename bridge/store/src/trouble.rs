//! Which errors of the operating system pass, and which are for good: this is the one place that says so.
//!
//! An error is *passing* only where nothing was changed and the same thing can be tried again: a read, a file that could not be opened or
//! begun, or a commit of which the log could take only a part, before anything of it was synced or told. After a failed sync, or a failed write
//! of an engine, nobody knows what the disk holds (a failed fsync must not be tried again), so that is for good whatever the error number is,
//! and whoever does these does not ask here.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// What is missing for now. The store goes on without it, and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Trouble {
    /// EMFILE, ENFILE.
    #[error("no file descriptor is free; raise the limit on open files (docs/operations.md, \"File descriptors\")")]
    NoDescriptors,
    /// ENOSPC, EDQUOT, EFBIG.
    #[error("the disk has too little space left, or a quota is used up; make room")]
    NoSpace,
    /// ENOMEM.
    #[error("the machine has no memory left")]
    NoMemory,
    /// EAGAIN, EINTR, EBUSY.
    #[error("the system asks to try again")]
    TryAgain,
}

impl Trouble {
    /// Whether an error passes.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Some(Trouble::NoSpace),
            ErrorKind::OutOfMemory => Some(Trouble::NoMemory),
            ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ResourceBusy => Some(Trouble::TryAgain),
            _ => match rustix::io::Errno::from_io_error(error) {
                Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => Some(Trouble::NoDescriptors),
                _ => None,
            },
        }
    }
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        io::Error::other(trouble)
    }
}

/// How long to wait between attempts: each pause is twice as long as the one before, up to a limit.
#[derive(Debug)]
pub struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    /// The pause before the next attempt.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Pauses::LONGEST);
        pause
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses(Pauses::FIRST)
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// Goal: what passes is told from what does not, by number, as the system gives it.
    #[test]
    fn an_error_passes_or_is_for_good() {
        let of = |errno: Errno| Trouble::of(&io::Error::from(errno));
        for (errno, trouble) in [
            (Errno::MFILE, Trouble::NoDescriptors),
            (Errno::NFILE, Trouble::NoDescriptors),
            (Errno::NOSPC, Trouble::NoSpace),
            (Errno::DQUOT, Trouble::NoSpace),
            (Errno::FBIG, Trouble::NoSpace),
            (Errno::NOMEM, Trouble::NoMemory),
            (Errno::AGAIN, Trouble::TryAgain),
            (Errno::INTR, Trouble::TryAgain),
        ] {
            assert_eq!(of(errno), Some(trouble), "{errno}");
        }
        for errno in [Errno::IO, Errno::ROFS, Errno::ACCESS, Errno::NOENT, Errno::NXIO] {
            assert_eq!(of(errno), None, "{errno}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::default();
        let first: Vec<u64> = (0..8).map(|_| pauses.next().as_millis() as u64).collect();
        assert_eq!(first, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
