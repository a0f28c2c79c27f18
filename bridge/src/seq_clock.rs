//! The broker-wide clock of sequence numbers.
//!
//! **Promise:** a seq is given once, ever: not twice in one run, and not again after a crash, whatever the system clock did.
//! Every seq is at most the *reservation*, and the reservation is durable before it is used; the next run continues above it.

use std::sync::atomic::{AtomicU64, Ordering};

use inbox_types::{Micros, Seq};

/// How far ahead of the clock a reservation reaches, in seqs, which are microseconds while the clock keeps up: one minute.
const AHEAD: u64 = 60_000_000;

/// Gives out seqs: the larger of "now" and "last + 1", never above the reservation. When the wall clock has come near the end
/// of the reservation (a broker that was idle, a clock that jumped), it counts on from the last seq until the next renewal,
/// so that no jump can use the reservation up.
#[derive(Debug)]
pub(crate) struct SeqClock {
    last: AtomicU64,
    reserved: AtomicU64,
    /// What had been reserved when this run began: all earlier runs' seqs are at most this.
    floor: Seq,
}

impl SeqClock {
    /// Continues above `reserved`, the largest reservation of earlier runs. [`SeqClock::renewal`] must be made durable first.
    pub(crate) fn new(reserved: Seq) -> Self {
        SeqClock {
            last: AtomicU64::new(if inbox_types::fault!(ReuseSeq) { 0 } else { reserved.0 }),
            reserved: AtomicU64::new(reserved.0),
            floor: reserved,
        }
    }

    /// The next seq; `None` when the reservation is used up, because the store did not renew it in time.
    pub(crate) fn next(&self, wall: Micros) -> Option<Seq> {
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let reserved = self.reserved.load(Ordering::Acquire);
            let in_reach = wall.0.saturating_add(AHEAD / 4) <= reserved;
            let next = if in_reach { wall.0.max(last + 1) } else { last + 1 };
            if next > reserved {
                return None;
            }
            match self
                .last
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(Seq(next)),
                Err(seen) => last = seen,
            }
        }
    }

    /// The last seq given out.
    pub(crate) fn last(&self) -> Seq {
        Seq(self.last.load(Ordering::Relaxed))
    }

    /// No seq above this was given out before this run.
    pub(crate) fn floor(&self) -> Seq {
        self.floor
    }

    /// The reservation to make durable next, when less than half of the current one is left.
    pub(crate) fn renewal(&self, wall: Micros) -> Option<Seq> {
        let at = self.last().0.max(wall.0);
        let reserved = self.reserved.load(Ordering::Relaxed);
        (reserved < at + AHEAD / 2).then_some(Seq(at + AHEAD))
    }

    /// Whether so little of the reservation is left that it should be renewed at once.
    pub(crate) fn is_low(&self) -> bool {
        let reserved = self.reserved.load(Ordering::Relaxed);
        reserved.saturating_sub(self.last().0) < AHEAD / 4
    }

    /// `reservation` is durable.
    pub(crate) fn renewed(&self, reservation: Seq) {
        self.reserved.fetch_max(reservation.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(reserved: u64, wall: u64) -> SeqClock {
        let clock = SeqClock::new(Seq(reserved));
        clock.renewed(clock.renewal(Micros(wall)).unwrap());
        clock
    }

    #[test]
    fn follows_the_wall_clock_and_never_repeats() {
        let clock = started(0, 1_000);
        assert_eq!(clock.next(Micros(1_000)), Some(Seq(1_000)));
        assert_eq!(clock.next(Micros(1_000)), Some(Seq(1_001)));
        assert_eq!(clock.next(Micros(5_000)), Some(Seq(5_000)));
        assert_eq!(clock.next(Micros(10)), Some(Seq(5_001)), "the wall clock went back");
    }

    #[test]
    fn a_restart_continues_above_everything_reserved() {
        let first = started(0, 1_000);
        let reserved = first.reserved.load(Ordering::Relaxed);
        let second = started(reserved, 500);
        assert!(second.next(Micros(500)).unwrap() > Seq(reserved));
        assert_eq!(second.floor(), Seq(reserved));
    }

    #[test]
    fn gives_nothing_beyond_the_reservation() {
        let clock = SeqClock::new(Seq(10));
        assert_eq!(clock.next(Micros(u64::MAX / 2)), None);
        clock.renewed(Seq(12));
        assert_eq!(clock.next(Micros(u64::MAX / 2)), Some(Seq(11)));
        assert_eq!(clock.next(Micros(0)), Some(Seq(12)));
        assert_eq!(clock.next(Micros(0)), None);
    }

    #[test]
    fn a_jump_of_the_wall_clock_does_not_use_the_reservation_up() {
        let clock = started(0, 1_000);
        assert_eq!(clock.next(Micros(1_000)), Some(Seq(1_000)));
        let hour = Micros(3_600_000_000);
        assert_eq!(clock.next(hour), Some(Seq(1_001)));
        assert_eq!(clock.next(hour), Some(Seq(1_002)));
        clock.renewed(clock.renewal(hour).unwrap());
        assert_eq!(clock.next(hour), Some(Seq(hour.0)));
    }
}
