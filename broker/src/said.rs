//! What a command says, on standard output and beside it.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Writes an answer to `out`.
pub(crate) fn answer(out: &mut dyn Write, text: &str) -> io::Result<()> {
    unless_gone(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whoever reads an answer may have gone (`| head`), which is no error: the rest is left out.
pub(crate) fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// How far something is that takes long, from time to time.
pub(crate) struct Progress<'a> {
    notes: &'a mut dyn Write,
    last_told: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn on(notes: &'a mut dyn Write) -> Self {
        Progress {
            notes,
            last_told: Instant::now(),
        }
    }

    /// Tells it, unless the last time is only a moment ago.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.last_told.elapsed() >= PROGRESS_INTERVAL {
            self.last_told = Instant::now();
            // Nobody needs to see it.
            let _ = writeln!(self.notes, "{}", text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output whose writes end with an error of this kind.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_went_away_is_no_error() {
        // Goal: `inboxd print-config | head -1` ends well; a full disk does not.
        assert!(answer(&mut Broken(ErrorKind::BrokenPipe), "x").is_ok());
        assert!(answer(&mut Broken(ErrorKind::StorageFull), "x").is_err());
    }
}
