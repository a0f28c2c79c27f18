//! Which of the unsynced operations a cut keeps.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Counts everything that changes a disk, syncs included, from 1.
pub(super) type OpNumber = u64;

/// Bytes that a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

/// One draw from the possible outcomes of a cut; the same seed draws the same.
#[derive(Debug)]
pub(super) struct Loss {
    rng: StdRng,
    habit: Habit,
    /// How likely an operation is kept, where the habit says nothing else; drawn anew for each file.
    kept: f64,
}

/// Cuts that are likely to show different faults. A subset drawn from all would hardly ever be one of the first three.
#[derive(Debug, Clone, Copy)]
enum Habit {
    /// Nothing that was not synced is there.
    KeepNothing,
    /// Everything is there but one operation in twenty.
    KeepAlmostAll,
    /// As if the disk wrote in order: everything up to this operation, which is torn, and nothing after it.
    InOrder(OpNumber),
    /// Each file loses its own share.
    Scattered,
}

/// What becomes of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    Kept,
    /// It never was.
    Lost,
    /// Some of its sectors are there.
    Torn,
}

impl Loss {
    /// The outcome of this seed, for a disk whose operations are numbered up to `last`.
    pub(super) fn new(seed: u64, last: OpNumber) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let habit = match rng.random_range(0..8) {
            0 => Habit::KeepNothing,
            1 => Habit::KeepAlmostAll,
            // The operations just before the cut are those that are likely not to be synced.
            2 | 3 => Habit::InOrder(last.saturating_sub(rng.random_range(0..=last.min(40)))),
            _ => Habit::Scattered,
        };
        Loss { rng, habit, kept: 0.5 }
    }

    /// The next file or directory begins.
    pub(super) fn next_node(&mut self) {
        self.kept = match self.habit {
            Habit::KeepAlmostAll => 0.95,
            _ => [0.0, 0.1, 0.5, 0.9, 1.0][self.rng.random_range(0..5)],
        };
    }

    /// Whether this operation, which cannot be torn, is there.
    pub(super) fn keeps(&mut self, number: OpNumber) -> bool {
        match self.habit {
            Habit::KeepNothing => false,
            Habit::InOrder(last) => number <= last,
            Habit::KeepAlmostAll | Habit::Scattered => self.rng.random_bool(self.kept),
        }
    }

    /// What becomes of this write.
    pub(super) fn write(&mut self, number: OpNumber) -> Fate {
        let is_torn = match self.habit {
            Habit::InOrder(last) => number == last,
            Habit::Scattered => self.rng.random_bool(0.3),
            Habit::KeepNothing | Habit::KeepAlmostAll => false,
        };
        match is_torn || self.keeps(number) {
            true if is_torn => Fate::Torn,
            true => Fate::Kept,
            false => Fate::Lost,
        }
    }

    /// Whether one sector of a torn write is there, or a file that a lost write made longer is longer.
    pub(super) fn coin(&mut self) -> bool {
        self.rng.random_bool(0.5)
    }

    /// Whether a lost write that made its file longer has left it longer, full of zeros.
    pub(super) fn leaves_zeros(&mut self) -> bool {
        matches!(self.habit, Habit::Scattered) && self.coin()
    }
}
