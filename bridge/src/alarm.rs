//! Wakes the committer no later than anyone wants it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Nanoseconds on the hub's monotonic clock; this one means "not at all".
const NEVER: u64 = u64::MAX;

/// A time that many may bring forward and one waits for. Asking costs two atomic operations, unless the sleeper must be woken.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The earliest time that anyone asked for since the sleeper last looked.
    wanted: AtomicU64,
    /// Until when the sleeper sleeps; zero while it is awake.
    asleep_until: AtomicU64,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm {
            wanted: AtomicU64::new(NEVER),
            asleep_until: AtomicU64::new(0),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }
}

impl Alarm {
    /// The sleeper should be awake at `when`.
    pub(crate) fn want(&self, when: Duration) {
        let when = nanos(when);
        self.wanted.fetch_min(when, SeqCst);
        if when < self.asleep_until.load(SeqCst) {
            // With the lock held, the sleeper is either before its last look at `wanted` or waiting to be woken.
            let _guard = self.lock.lock();
            self.woken.notify_one();
        }
    }

    /// Whether anyone asked since the sleeper last looked, for tests.
    #[cfg(test)]
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst) != NEVER
    }

    /// Sleeps until `until` (`None`: until asked), or until the earliest time that anyone wants. `now` reads the same clock as
    /// the times given here. Requests made since the last return are honoured.
    pub(crate) fn sleep(&self, until: Option<Duration>, now: impl Fn() -> Duration) {
        let mut until = until.map_or(NEVER, nanos);
        let mut guard = self.lock.lock();
        loop {
            self.asleep_until.store(until, SeqCst);
            until = until.min(self.wanted.swap(NEVER, SeqCst));
            self.asleep_until.store(until, SeqCst);
            let now = nanos(now());
            if until <= now {
                break;
            }
            if until == NEVER {
                self.woken.wait(&mut guard);
            } else {
                self.woken.wait_for(&mut guard, Duration::from_nanos(until - now));
            }
        }
        self.asleep_until.store(0, SeqCst);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_request_made_while_awake_is_not_missed() {
        let alarm = Alarm::default();
        alarm.want(Duration::ZERO);
        alarm.sleep(None, || Duration::from_secs(1));
    }

    #[test]
    fn a_request_wakes_a_sleeper_that_would_sleep_longer() {
        let start = Instant::now();
        let alarm = Arc::new(Alarm::default());
        let sleeper = std::thread::spawn({
            let alarm = alarm.clone();
            move || alarm.sleep(Some(Duration::from_secs(3600)), || start.elapsed())
        });
        while !sleeper.is_finished() {
            alarm.want(Duration::ZERO);
            std::thread::yield_now();
        }
        sleeper.join().unwrap();
    }
}
