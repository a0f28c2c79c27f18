//! A token bucket.

use std::time::Duration;

/// What may be taken at once by somebody who has taken nothing for long: what is allowed in so much time.
const BURST: Duration = Duration::from_secs(1);
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Lets things through at a rate, and a burst of them now and then: the generic cell rate algorithm (ITU-T I.371, annex A), which
/// needs one time and no timer. What is taken is never refused; what is too much must be waited for afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Per second; at least 1.
    rate: u64,
    /// When everything that was taken would have come through at exactly the rate, on the monotonic clock.
    paid_at: Duration,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: u64) -> Self {
        Bucket {
            rate: rate.max(1),
            paid_at: Duration::ZERO,
        }
    }

    /// Takes `number` at `now`.
    pub(super) fn take(&mut self, number: u64, now: Duration) {
        // A publish has far less than the 18 GB at which this is too little.
        let nanos = number.saturating_mul(NANOS_PER_SECOND) / self.rate;
        let cost = Duration::from_nanos(nanos);
        self.paid_at = self.paid_at.max(now).saturating_add(cost);
    }

    /// From when more may be taken.
    pub(super) fn ready_at(&self) -> Duration {
        self.paid_at.saturating_sub(BURST)
    }

    /// Whether it is as good as new at `now`.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.paid_at <= now
    }
}
