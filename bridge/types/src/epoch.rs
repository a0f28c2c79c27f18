//! The epoch of a store.

use std::fmt;

/// Names one unbroken life of the inboxes. It changes when a backup is restored: what was accepted or acknowledged after the backup is
/// forgotten then, and clients that notice can ask each other (contract rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// From a random number; there is no epoch 0.
    pub fn from_random(random: u64) -> Self {
        Epoch(random.max(1))
    }

    /// The number, which is not 0.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
