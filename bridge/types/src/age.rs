//! How long messages have waited, by a measure that no step of the system clock changes (contract rules 5 and 6).
//!
//! The measure is the *age* of a store: the time for which it has been open, over all runs, and a bounded credit for the time in
//! between. While a broker runs, age goes on with the machine's monotonic clock, which counts the time in which a machine is
//! suspended, too. A [`TimeMark`] is saved now and then; the next run goes on from the last one.
//!
//! **The credit for the time in between.** A run on the same boot of the machine knows that time from the monotonic clock: setting
//! the system clock changes nothing. After a reboot, or on another machine, there is only the system clock: its difference counts
//! where it is positive, up to [`CLOSED_MAX`]. So a board that starts in 1970 credits nothing, and a clock that is decades ahead
//! costs a message a day of its life, and not all of it.

use std::time::Duration;

pub use crate::clock::BootId;
use crate::clock::{Micros, Now, micros};

/// Most that is credited for the time in which a store was closed, where only the system clock knows it: one day.
pub const CLOSED_MAX: Duration = Duration::from_secs(24 * 3600);

/// The age of a store, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Age(pub u64);

impl Age {
    /// The age after `time` more.
    #[must_use]
    pub fn after(self, time: Duration) -> Age {
        Age(self.0.saturating_add(micros(time)))
    }

    /// The time from `earlier` until this; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Age) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The age of a store, and what the clocks said then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimeMark {
    /// The age.
    pub age: Age,
    /// The system clock.
    pub wall: Micros,
    /// Which boot of which machine it was.
    pub boot: BootId,
    /// [`Now::mono`], in microseconds.
    pub mono: u64,
}

impl TimeMark {
    /// What is to be saved of a store that is `age` old now.
    pub fn at(age: Age, now: Now, boot: BootId) -> Self {
        TimeMark {
            age,
            wall: now.wall,
            boot,
            mono: micros(now.mono),
        }
    }

    /// How a store keeps it: four numbers, big-endian.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let numbers = [self.age.0, self.wall.0, self.boot.0, self.mono];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`TimeMark::to_bytes`] made; `None` of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks(8).map(|number| number.try_into().map(u64::from_be_bytes));
        let mut next = || numbers.next()?.ok();
        let mark = TimeMark {
            age: Age(next()?),
            wall: Micros(next()?),
            boot: BootId(next()?),
            mono: next()?,
        };
        (bytes.len() == 32).then_some(mark)
    }

    /// The age of a store that was saved with this mark, and is opened now.
    #[must_use]
    pub fn resumed(&self, now: Now, boot: BootId) -> Age {
        let closed = match self.boot.is_same(boot) && self.mono <= micros(now.mono) {
            true => Duration::from_micros(micros(now.mono) - self.mono),
            false => Duration::from_micros(now.wall.0.saturating_sub(self.wall.0)).min(CLOSED_MAX),
        };
        self.age.after(closed)
    }

    /// By how much the system clock was set since this mark of the same run, in microseconds.
    #[must_use]
    pub fn step(&self, now: Now) -> u64 {
        let passed = micros(now.mono).saturating_sub(self.mono);
        now.wall.0.abs_diff(self.wall.0.saturating_add(passed))
    }
}

/// When a message leaves unread: what its publisher and the broker say about it, and since when it waits.
///
/// Packed, so that a [`crate::Message`] behind its reference counts takes 120 bytes: what glibc's allocator keeps at hand when many are
/// freed at once is no larger (128 with its own header). Beyond that each message costs about 150 instructions more
/// (`cargo xtask counts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(Rust, packed)]
pub struct Expiry {
    accepted: Age,
    lives: u64,
    is_said: bool,
    /// In seconds; 0 if it was not said.
    interval: u32,
}

impl Expiry {
    /// Of a message that was accepted at this age: it lives as long as its publisher said, and no longer than `time_to_live`.
    pub fn new(accepted: Age, interval: Option<u32>, time_to_live: Duration) -> Self {
        let wanted = interval.map_or(u64::MAX, |seconds| u64::from(seconds) * 1_000_000);
        Expiry::of(accepted, wanted.min(micros(time_to_live)), interval)
    }

    /// As a store kept it; see the methods of the same names.
    #[must_use]
    #[inline]
    pub const fn of(accepted: Age, lives: u64, interval: Option<u32>) -> Self {
        Expiry {
            accepted,
            lives,
            is_said: interval.is_some(),
            interval: match interval {
                Some(seconds) => seconds,
                None => 0,
            },
        }
    }

    /// The age at which it was accepted.
    #[must_use]
    #[inline]
    pub fn accepted(self) -> Age {
        self.accepted
    }

    /// How long it may wait from then on, in microseconds; `u64::MAX` is for ever.
    #[must_use]
    #[inline]
    pub fn lives(self) -> u64 {
        self.lives
    }

    /// The Message Expiry Interval as its publisher gave it, in seconds (MQTT 5 property 0x02). Its reader is told what is left of it.
    #[must_use]
    #[inline]
    pub fn interval(self) -> Option<u32> {
        self.is_said.then_some(self.interval)
    }

    /// Whether its time is over. In the moment of its acceptance it never is, so an interval of 0 reaches a reader that is there
    /// (MQTT-3.3.2-5).
    #[must_use]
    #[inline]
    pub fn is_over(self, age: Age) -> bool {
        age.0.saturating_sub(self.accepted().0) > self.lives
    }

    /// What its reader is told: the interval as it was given, less the whole seconds that it has waited (MQTT-3.3.2-6).
    #[must_use]
    #[inline]
    pub fn seconds_left(self, age: Age) -> Option<u32> {
        let interval = self.interval()?;
        let waited = age.since(self.accepted).as_secs();
        Some(interval.saturating_sub(u32::try_from(waited).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const BOOT: BootId = BootId(7);

    fn now(wall: u64, mono: u64) -> Now {
        Now {
            wall: Micros(wall * SECOND),
            mono: Duration::from_secs(mono),
        }
    }

    fn mark() -> TimeMark {
        TimeMark::at(Age(100 * SECOND), now(1_000_000, 50), BOOT)
    }

    /// Goal: on the same boot the time in between is exact, whatever the system clock was set to.
    #[test]
    fn rule_05_on_the_same_boot_the_system_clock_does_not_count() {
        for wall in [0, 999_000, 1_000_000, 9_000_000_000] {
            assert_eq!(mark().resumed(now(wall, 80), BOOT), Age(130 * SECOND), "{wall}");
        }
    }

    /// Goal: after a reboot the difference of the system clock counts, never less than nothing, and never more than a day.
    #[test]
    fn rule_05_after_a_reboot_the_credit_is_bounded() {
        for (wall, credit) in [
            (0, 0),
            (999_999, 0),
            (1_000_000, 0),
            (1_000_600, 600),
            (9_000_000_000, 24 * 3600),
        ] {
            let expected = Age((100 + credit) * SECOND);
            assert_eq!(mark().resumed(now(wall, 5), BootId(8)), expected, "{wall}");
            // A machine that does not name its boots is like none, and a monotonic clock that went back is of another boot.
            let unnamed = TimeMark {
                boot: BootId::UNKNOWN,
                ..mark()
            };
            assert_eq!(unnamed.resumed(now(wall, 60), BootId::UNKNOWN), expected, "{wall}");
            assert_eq!(mark().resumed(now(wall, 5), BOOT), expected, "{wall}");
        }
    }

    /// Goal: a mark is read as it was written, and nothing shorter or longer is taken for one.
    #[test]
    fn a_mark_is_read_back_whole_or_not_at_all() {
        let bytes = mark().to_bytes();
        assert_eq!(TimeMark::from_bytes(&bytes), Some(mark()));
        for length in (0..32).chain([33, 40]) {
            let mut other = bytes.to_vec();
            other.resize(length, 0);
            assert_eq!(TimeMark::from_bytes(&other), None, "{length}");
        }
    }

    /// Goal: a step of the system clock is noticed, and time that only passes is none.
    #[test]
    fn a_step_of_the_system_clock_is_seen() {
        assert_eq!(mark().step(now(1_000_030, 80)), 0);
        assert_eq!(mark().step(now(1_000_090, 80)), 60 * SECOND);
        assert_eq!(mark().step(now(999_970, 80)), 60 * SECOND);
    }

    /// Goal: 0 reaches a reader that is there, the largest interval is told as it is, and the time to live removes all the same.
    #[test]
    fn rule_05_an_expiry_at_its_ends_is_told_as_it_was_given() {
        let month = Duration::from_secs(30 * 24 * 3600);
        let at = Age(5 * SECOND);
        let zero = Expiry::new(at, Some(0), month);
        assert!(!zero.is_over(at) && zero.is_over(Age(at.0 + 1)));
        assert_eq!(zero.seconds_left(at), Some(0));
        let longest = Expiry::new(at, Some(u32::MAX), month);
        assert_eq!(
            longest.seconds_left(at.after(Duration::from_secs(9))),
            Some(u32::MAX - 9)
        );
        assert!(!longest.is_over(at.after(month)));
        assert!(longest.is_over(at.after(month + Duration::from_micros(1))));
        let unsaid = Expiry::new(at, None, Duration::MAX);
        assert_eq!((unsaid.lives(), unsaid.seconds_left(at)), (u64::MAX, None));
        assert!(!unsaid.is_over(Age(u64::MAX)));
    }
}
