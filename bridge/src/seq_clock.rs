//! The broker-wide clock of sequence numbers.
//!
//! **Promise:** a seq is given once, ever: not twice in one run, and not again after a crash, whatever the system clock did.
//! Every seq is at most the *reservation*, and the reservation is durable before it is used; the next run continues above it.

use std::sync::atomic::{AtomicU64, Ordering};

use inbox_types::{Micros, Seq};

/// How far ahead of the clock a reservation reaches, in seqs, which are microseconds while the clock keeps up: one minute.
const AHEAD: u64 = 60_000_000;

/// How far a seq follows a jump of the system clock: one year. A clock that is wrong by more, as one without a battery can be by decades,
/// does not carry the seqs off: a directory that is made anew later, with a clock that is right, would begin below them.
const JUMP_MAX: u64 = 366 * 24 * 3600 * 1_000_000;

/// No clock above this is followed, in 2112: a seq stays far below 2^53, up to which every JSON reader counts exactly.
const FOLLOWED_MAX: u64 = 1 << 52;

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
        let at = self.last().0.max(self.followed(wall));
        let reserved = self.reserved.load(Ordering::Relaxed);
        (reserved < at.saturating_add(AHEAD / 2)).then_some(Seq(at.saturating_add(AHEAD)))
    }

    /// The system clock, if the seqs follow it; otherwise they count on.
    fn followed(&self, wall: Micros) -> u64 {
        let last = self.last().0;
        let is_near = last == 0 || wall.0 <= last.saturating_add(JUMP_MAX);
        match is_near && wall.0 <= FOLLOWED_MAX {
            true => wall.0,
            false => 0,
        }
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

    /// Goal: rule 6: a clock that is decades ahead does not carry the seqs off, one that is months ahead is followed, and seqs go on.
    #[test]
    fn rule_06_a_clock_far_in_the_future_is_not_followed() {
        const NOW: u64 = 1_780_000_000_000_000;
        let clock = started(0, NOW);
        assert_eq!(clock.next(Micros(NOW)), Some(Seq(NOW)));
        for wrong in [NOW * 2, FOLLOWED_MAX + 1, u64::MAX] {
            assert_eq!(clock.renewal(Micros(wrong)), None);
            assert!(clock.next(Micros(wrong)).unwrap().0 < NOW + 10);
        }
        let restarted = started(clock.reserved.load(Ordering::Relaxed), NOW * 2);
        assert!(restarted.next(Micros(NOW * 2)).unwrap().0 < NOW + 3 * AHEAD);
        let months = Micros(NOW + JUMP_MAX / 2);
        clock.renewed(clock.renewal(months).unwrap());
        assert_eq!(clock.next(months), Some(Seq(months.0)));
        // A new store has nothing to go by.
        assert_eq!(started(0, u64::MAX - 5).next(Micros(0)), Some(Seq(1)));
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
