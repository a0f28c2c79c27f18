//! Waiting for what must happen: until it does, and not longer than a busy machine may take.

use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until this is so; fails the test, saying what was waited for, when it is not within [`DEADLINE`].
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(DEADLINE, what, is_so);
}

/// The same, within this time.
pub fn wait_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let found = found_within(patience, || is_so().then_some(()));
    assert!(found.is_some(), "waited {patience:?} in vain until {what}");
}

/// Waits until there is something, and gives it.
pub fn wait_for<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    found_within(DEADLINE, find).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain for {what}"))
}

/// Looks again and again; for the last time when the time is up.
pub(crate) fn found_within<T>(patience: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        let is_over = Instant::now() >= until;
        let found = find();
        if found.is_some() || is_over {
            return found;
        }
        thread::sleep(LOOK_EVERY);
    }
}
