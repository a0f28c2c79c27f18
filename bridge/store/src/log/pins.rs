//! Holding on to a part of the log, for a backup that needs the commits that come while it runs.
//!
//! Checkpoints go on meanwhile. What they cut off keeps its file until the last pin is gone, or is taken away for want of space; a
//! crash leaves such files to the next opening of the log, which removes them.

use std::io::Read;
use std::path::PathBuf;

use super::{Log, MAGIC, RECORD_HEADER_BYTES, Segment, first_record};
use crate::error::UnreadableLog;
use crate::files::Files;

/// The pins of one log.
#[derive(Debug, Default)]
pub(super) struct Pins {
    count: usize,
    /// How often all of them were taken away.
    round: u64,
    /// What was cut off meanwhile, in order.
    kept: Vec<Segment>,
}

/// Commits after `after` stay, while nobody takes this away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) after: u64,
    round: u64,
}

/// What one file holds of a log at one moment. It may grow, and what is counted here stays.
#[derive(Debug)]
pub(crate) struct Piece {
    path: PathBuf,
    bytes: usize,
}

impl Pins {
    /// Takes over what is cut off. Gives the files that nobody needs.
    pub(super) fn cut(&mut self, segments: impl Iterator<Item = Segment>) -> Vec<PathBuf> {
        match self.count {
            0 => segments.map(|segment| segment.path).collect(),
            _ => {
                self.kept.extend(segments);
                Vec::new()
            }
        }
    }

    fn release(&mut self) -> Vec<PathBuf> {
        self.kept.drain(..).map(|segment| segment.path).collect()
    }
}

impl Log {
    /// Holds on to every commit that comes from now on.
    pub(crate) fn pin(&mut self) -> Pin {
        self.pins.count += 1;
        Pin {
            after: self.last(),
            round: self.pins.round,
        }
    }

    /// Whether anything is held on to.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.count > 0
    }

    /// Whether `pin` still holds.
    pub(crate) fn holds(&self, pin: Pin) -> bool {
        pin.round == self.pins.round
    }

    /// Lets go. Gives the files to be removed.
    pub(crate) fn unpin(&mut self, pin: Pin) -> Vec<PathBuf> {
        if !self.holds(pin) {
            return Vec::new();
        }
        self.pins.count = self.pins.count.saturating_sub(1);
        match self.pins.count {
            0 => self.pins.release(),
            _ => Vec::new(),
        }
    }

    /// Takes all pins away, for space. Gives the files to be removed.
    pub(crate) fn take_pins_away(&mut self) -> Vec<PathBuf> {
        self.pins.count = 0;
        self.pins.round += 1;
        self.pins.release()
    }

    /// Where the commits after `pin` are, in order, and the last of them.
    pub(crate) fn since(&self, pin: Pin) -> (Vec<Piece>, u64) {
        let segments = self.pins.kept.iter().chain(&self.older).chain([&self.current]);
        let newer = segments.filter(|segment| segment.last > pin.after && segment.bytes > 0);
        let pieces = newer.map(|segment| Piece {
            path: segment.path.clone(),
            bytes: segment.bytes,
        });
        (pieces.collect(), self.last())
    }
}

impl Piece {
    /// Hands every commit in it to `each`, in order: its number, and its frame. One is in memory at a time.
    pub(crate) fn read<E: From<UnreadableLog>>(
        &self,
        files: &dyn Files,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let io = |why| UnreadableLog::Io {
            path: self.path.clone(),
            why,
        };
        let damaged = || UnreadableLog::Damaged {
            path: self.path.clone(),
        };
        let mut file = files.reader(&self.path).map_err(io)?;
        file.read_exact(&mut [0; MAGIC.len()]).map_err(io)?;
        let (mut left, mut record) = (self.bytes, Vec::new());
        while left > 0 {
            let mut length = [0; 4];
            file.read_exact(&mut length).map_err(io)?;
            let bytes = RECORD_HEADER_BYTES + u32::from_be_bytes(length) as usize;
            left = left.checked_sub(bytes).ok_or_else(damaged)?;
            record.clear();
            record.extend_from_slice(&length);
            let rest = (bytes - length.len()) as u64;
            file.by_ref().take(rest).read_to_end(&mut record).map_err(io)?;
            let (commit, frame, _) = first_record(&record).ok_or_else(damaged)?;
            each(commit, frame)?;
        }
        Ok(())
    }
}
