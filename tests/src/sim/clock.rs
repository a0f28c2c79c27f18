//! Simulated time. The monotonic clock only goes on; the wall clock can be set, backwards too.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use inbox_bridge::{Clock, Micros, Now};

/// A Monday in 2026; what matters is that it is far from zero.
const START: u64 = 1_780_000_000_000_000;
const EARLIEST: u64 = START - 1_000_000_000_000;

/// See the module's documentation. Atomics because the broker asks for a clock that threads can share.
pub(super) struct SimClock {
    mono: AtomicU64,
    wall: AtomicU64,
}

impl SimClock {
    pub(super) fn new() -> Self {
        SimClock {
            mono: AtomicU64::new(0),
            wall: AtomicU64::new(START),
        }
    }

    /// Microseconds since the simulation began.
    pub(super) fn mono(&self) -> u64 {
        self.mono.load(Relaxed)
    }

    /// Microseconds since the epoch, as the machine believes.
    pub(super) fn wall(&self) -> u64 {
        self.wall.load(Relaxed)
    }

    pub(super) fn advance(&self, micros: u64) {
        self.mono.fetch_add(micros, Relaxed);
        self.wall.fetch_add(micros, Relaxed);
    }

    /// Somebody sets the wall clock.
    pub(super) fn jump(&self, micros: i64) {
        let wall = self.wall().saturating_add_signed(micros).max(EARLIEST);
        self.wall.store(wall, Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        Now {
            wall: Micros(self.wall()),
            mono: Duration::from_micros(self.mono()),
        }
    }
}
