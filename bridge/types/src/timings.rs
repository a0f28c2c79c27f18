//! How long things take, as histograms, while somebody wants to know.
//!
//! Nothing is measured where nobody looks: one relaxed load is all that it costs then. While somebody does, it is samples: a recording that finds
//! the histogram in use is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// The longest time that is told apart, in microseconds: ten minutes. Longer ones count as that.
const LONGEST_US: u64 = 600_000_000;
/// Two significant digits: a value is told within one per cent.
const DIGITS: u8 = 2;
/// After somebody looked, it is measured for so long.
const WANTED_FOR: Duration = Duration::from_secs(30);

/// Values that were recorded since the start, in microseconds or as plain numbers.
#[derive(Debug)]
pub struct Recorder(Mutex<Histogram<u64>>);

impl Default for Recorder {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LONGEST_US, DIGITS);
        // The bounds are constants that it takes; a histogram that grows by itself is as good.
        Recorder(Mutex::new(histogram.unwrap_or_else(|_| empty())))
    }
}

fn empty() -> Histogram<u64> {
    match Histogram::new(DIGITS) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("two digits are a precision that histograms have"),
    }
}

impl Recorder {
    /// Records a number, unless the histogram is in use just now.
    pub fn record(&self, value: u64) {
        if let Some(mut histogram) = self.0.try_lock() {
            histogram.saturating_record(value);
        }
    }

    /// Records a time.
    pub fn time(&self, taken: Duration) {
        self.record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
    }

    /// Everything that was recorded so far.
    pub fn snapshot(&self) -> Histogram<u64> {
        self.0.lock().clone()
    }
}

/// See the module's documentation. One for each broker.
#[derive(Debug, Default)]
pub struct Timings {
    /// On the monotonic clock, in microseconds: until then somebody wants to know.
    wanted_until: AtomicU64,
    /// From a PUBLISH with QoS 1 or 2 to its acknowledgement, at the broker; samples of mail and of ordinary messages.
    pub puback: Recorder,
    /// From the acceptance of mail to its being written for a reader that is there; samples.
    pub delivery: Recorder,
    /// One commit, with its fsync. Every one is recorded, whether anybody looks or not.
    pub commit: Recorder,
    /// Of that, until the disk had it (fsync). Every one is recorded.
    pub sync: Recorder,
    /// Messages that one commit made durable. Every one is recorded.
    pub commit_messages: Recorder,
}

impl Timings {
    /// None yet.
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// Somebody looks, at `now` on the monotonic clock: it is measured for the next half minute.
    pub fn want(&self, now: Duration) {
        let until = u64::try_from((now + WANTED_FOR).as_micros()).unwrap_or(u64::MAX);
        self.wanted_until.fetch_max(until, Relaxed);
    }

    /// The same by somebody who looks now and then: for the next minutes.
    pub fn want_for_long(&self, now: Duration) {
        self.want(now + WANTED_FOR * 4);
    }

    /// Whether somebody wants to know how long something takes that begins or ends at `now`.
    #[inline]
    pub fn are_wanted(&self, now: Duration) -> bool {
        // Nobody ever looked: the time need not be looked at.
        let until = self.wanted_until.load(Relaxed);
        until != 0 && u128::from(until) > now.as_micros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_measured_while_somebody_looks() {
        // Goal: not before, and not long after.
        let timings = Timings::default();
        let second = Duration::from_secs(1);
        assert!(!timings.are_wanted(second));
        timings.want(second);
        assert!(timings.are_wanted(second) && timings.are_wanted(20 * second));
        assert!(!timings.are_wanted(40 * second));
    }

    #[test]
    fn values_are_told_within_a_per_cent_and_never_lost() {
        // Goal: what is longer than the longest counts as that, and nothing panics.
        let recorder = Recorder::default();
        for us in [0, 100, 1_000, 1_000_000] {
            recorder.time(Duration::from_micros(us));
        }
        recorder.time(Duration::MAX);
        let all = recorder.snapshot();
        assert_eq!(all.len(), 5);
        assert!(all.max() >= LONGEST_US * 99 / 100);
        let middle = all.value_at_quantile(0.5);
        assert!((990..=1_010).contains(&middle), "{middle}");
    }
}
