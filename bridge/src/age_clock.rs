//! How old the store is, in this run (contract rule 5).
//!
//! **Promise:** age goes on with the monotonic clock, whatever the system clock does, and the next run goes on from the last mark
//! that was saved ([`TimeMark::resumed`] says how). **What can be lost:** after a crash that is a reboot, with a system clock that does not
//! know, the time since the last mark: at most [`MARK_PAUSE`]. Then messages wait longer, and never less.

use std::time::Duration;

use parking_lot::Mutex;

use inbox_store::{Batch, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{Age, BootId, Clock, Now, TimeMark};

/// A mark is saved this long after the one before, if nothing else writes.
const MARK_PAUSE: Duration = Duration::from_secs(600);
/// A mark is saved at once when the system clock was set by more than this, in microseconds: the next run may have to go by it.
const STEP_MAX: u64 = 2_000_000;

/// The age of an open store.
#[derive(Debug)]
pub(crate) struct AgeClock {
    base: Age,
    /// [`Now::mono`] then, in microseconds.
    opened: u64,
    boot: BootId,
    // Short: taken for a comparison or an assignment.
    saved: Mutex<Option<TimeMark>>,
}

impl AgeClock {
    /// Goes on from the last mark of `store`, if it has one.
    pub(crate) fn resume(store: &dyn Store, now: Now, boot: BootId) -> Result<Self, StoreError> {
        let noted = Age::default().after(store.age()?);
        let last = match mark_key() {
            Some(key) => store.get(Table::CLOCKS, &key)?,
            None => None,
        };
        let last = last.and_then(|bytes| TimeMark::from_bytes(&bytes));
        Ok(AgeClock::go_on(noted, last, now, boot))
    }

    fn go_on(noted: Age, last: Option<TimeMark>, now: Now, boot: BootId) -> Self {
        let forgets = inbox_types::fault!(ForgetAge);
        let resumed = last.filter(|_| !forgets).map(|last| last.resumed(now, boot));
        let base = resumed.unwrap_or_default().max(noted);
        AgeClock {
            base,
            opened: now.mono_micros(),
            boot,
            saved: Mutex::new(None),
        }
    }

    /// The age now.
    #[inline]
    pub(crate) fn age(&self, now: Now) -> Age {
        if inbox_types::fault!(WallExpiry) {
            return Age(now.wall.0);
        }
        Age(self
            .base
            .0
            .saturating_add(now.mono_micros().saturating_sub(self.opened)))
    }

    /// What is to be saved now.
    fn mark(&self, now: Now) -> TimeMark {
        TimeMark::at(self.age(now), now, self.boot)
    }

    /// Puts it into a batch. Gives what to say to [`AgeClock::saved`] when that is durable.
    pub(crate) fn put_mark(&self, now: Now, batch: &mut Batch) -> TimeMark {
        let mark = self.mark(now);
        batch.age = Some(Duration::from_micros(mark.age.0));
        batch.tables.extend(mark_key().map(|key| TableChange {
            table: Table::CLOCKS,
            key,
            value: Some(mark.to_bytes().to_vec().into()),
        }));
        mark
    }

    /// Whether a mark is to be saved although nothing else is.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        self.saved
            .lock()
            .is_none_or(|saved| self.age(now).since(saved.age) >= MARK_PAUSE || saved.step(now) > STEP_MAX)
    }

    /// `mark` is durable.
    pub(crate) fn saved(&self, mark: TimeMark) {
        *self.saved.lock() = Some(mark);
    }
}

/// The age that the store of a stopped broker has now.
///
/// # Errors
/// The store cannot be read.
pub fn age_now(store: &dyn Store, clock: &dyn Clock) -> Result<Age, StoreError> {
    let now = clock.now();
    Ok(AgeClock::resume(store, now, clock.boot())?.age(now))
}

/// The only key of [`Table::CLOCKS`].
fn mark_key() -> Option<TableKey> {
    TableKey::new(&b"mark"[..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbox_types::Micros;

    const SECOND: u64 = 1_000_000;

    fn now(wall: u64, mono: u64) -> Now {
        Now {
            wall: Micros(wall * SECOND),
            mono: Duration::from_secs(mono),
        }
    }

    /// Goal: a step of the system clock changes no age, and is noted at once; without one, a mark is due every ten minutes.
    #[test]
    fn rule_05_age_goes_on_with_the_monotonic_clock_alone() {
        let clock = AgeClock::go_on(Age(0), None, now(1_000_000, 10), BootId(1));
        assert!(clock.is_due(now(1_000_000, 10)), "a new run is noted");
        clock.saved(clock.mark(now(1_000_000, 10)));
        for wall in [0, 1_000_005, 2_000_000] {
            assert_eq!(clock.age(now(wall, 15)), Age(5 * SECOND));
        }
        assert!(!clock.is_due(now(1_000_599, 609)));
        assert!(clock.is_due(now(1_000_600, 610)));
        assert!(clock.is_due(now(1_000_020, 15)), "the system clock was set forwards");
        assert!(clock.is_due(now(1_000, 15)), "the system clock was set back");
    }

    /// Goal: the next run goes on where this one was, with the time in between.
    #[test]
    fn rule_05_a_restart_goes_on_from_the_mark() {
        let first = AgeClock::go_on(Age(0), None, now(1_000_000, 10), BootId(1));
        let mark = first.mark(now(1_000_030, 40));
        // The system clock was set back meanwhile, and it is the same boot.
        let second = AgeClock::go_on(Age(0), Some(mark), now(7, 100), BootId(1));
        assert_eq!(second.age(now(8, 101)), Age((30 + 60 + 1) * SECOND));
    }
}
