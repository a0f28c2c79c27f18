//! Simulated time. Real time only goes on; the wall clock can be set, far and backwards too; a reboot begins the monotonic clock anew.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use inbox_bridge::{BootId, CLOSED_MAX, Clock, Micros, Now};

/// A Monday in 2026; what matters is that it is far from zero.
const START: u64 = 1_780_000_000_000_000;
/// Some seconds after the beginning of 1970: what a board without a battery says.
const EARLIEST: u64 = 5_000_000;
/// How long a machine takes to boot.
const BOOT: u64 = 3_000_000;

/// See the module's documentation. Atomics because the broker asks for a clock that threads can share.
pub(super) struct SimClock {
    real: AtomicU64,
    wall: AtomicU64,
    boot: AtomicU64,
    booted: AtomicU64,
}

impl SimClock {
    pub(super) fn new() -> Self {
        SimClock {
            real: AtomicU64::new(BOOT),
            wall: AtomicU64::new(START),
            boot: AtomicU64::new(1),
            booted: AtomicU64::new(0),
        }
    }

    /// Microseconds of real time.
    pub(super) fn mono(&self) -> u64 {
        self.real.load(Relaxed)
    }

    /// By how much the wall clock is ahead of real time, in microseconds.
    pub(super) fn offset(&self) -> i64 {
        self.wall.load(Relaxed) as i64 - self.mono() as i64
    }

    /// Microseconds of the wall clock.
    pub(super) fn wall(&self) -> u64 {
        self.wall.load(Relaxed)
    }

    pub(super) fn advance(&self, micros: u64) {
        self.real.fetch_add(micros, Relaxed);
        self.wall.fetch_add(micros, Relaxed);
    }

    /// Somebody sets the wall clock.
    pub(super) fn jump(&self, micros: i64) {
        let wall = self.wall.load(Relaxed).saturating_add_signed(micros).max(EARLIEST);
        self.wall.store(wall, Relaxed);
    }

    /// The machine starts again: all that its monotonic clock knows is gone.
    pub(super) fn reboot(&self) {
        self.advance(BOOT);
        self.boot.fetch_add(1, Relaxed);
        self.booted.store(self.mono() - BOOT, Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        Now {
            wall: Micros(self.wall.load(Relaxed)),
            mono: Duration::from_micros(self.mono() - self.booted.load(Relaxed)),
        }
    }

    fn boot(&self) -> BootId {
        BootId(self.boot.load(Relaxed))
    }
}

/// How far waiting may be measured wrongly (contract rule 5): only by reboots with a wall clock that was set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Skew {
    /// Messages may leave earlier by this, in microseconds.
    pub(super) early: u64,
    /// And later by this.
    pub(super) late: u64,
    lowest: i64,
    highest: i64,
}

impl Skew {
    /// The broker starts, and notes the clocks.
    pub(super) fn started(&mut self, offset: i64) {
        (self.lowest, self.highest) = (offset, offset);
    }

    /// The wall clock was set.
    pub(super) fn jumped(&mut self, offset: i64) {
        self.lowest = self.lowest.min(offset);
        self.highest = self.highest.max(offset);
    }

    /// The machine was rebooted, and the broker has noted the clocks at some time since its start.
    pub(super) fn rebooted(&mut self, offset: i64) {
        let bound = CLOSED_MAX.as_micros() as u64;
        self.early += offset.abs_diff(self.lowest.min(offset)).min(bound);
        self.late += offset.abs_diff(self.highest.max(offset));
    }
}
