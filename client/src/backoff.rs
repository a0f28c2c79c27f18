//! When to try again: exponentially growing pauses with full jitter. No I/O: times and chance come in as arguments.
//!
//! The n-th pause is anything between nothing and `first` × 2ⁿ, up to `longest`, each as likely as any other, so that many clients whose broker
//! came back do not come all at once (Marc Brooker, "Exponential Backoff And Jitter", 2015). What held for a stable minute begins anew.

use std::time::{Duration, Instant};

/// The bounds of pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first pause is at most this long.
    pub first: Duration,
    /// And no pause is longer than this.
    pub longest: Duration,
    /// A connection that held for so long is a success: the next pause is a first one.
    pub stable: Duration,
}

impl Default for Pauses {
    /// 1 s to 64 s; a minute is stable.
    fn default() -> Self {
        Pauses {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(64),
            stable: Duration::from_secs(60),
        }
    }
}

impl Pauses {
    /// The pause after so many failures in a row, the first being 0. `chance` is from 0 to 1.
    pub(crate) fn after(&self, failures: u32, chance: f64) -> Duration {
        let most = self.first.saturating_mul(1_u32 << failures.min(20)).min(self.longest);
        most.mul_f64(chance.clamp(0.0, 1.0))
    }
}

/// The pauses between the connections of one client.
#[derive(Debug)]
pub(crate) struct Backoff {
    pauses: Pauses,
    failures: u32,
    connected_at: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(pauses: Pauses) -> Self {
        Backoff {
            pauses,
            failures: 0,
            connected_at: None,
        }
    }

    /// There is a connection.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// There is none any more, or it was not made. Gives the pause before the next attempt.
    pub(crate) fn lost(&mut self, now: Instant, chance: f64) -> Duration {
        let held = self.connected_at.take().map(|at| now.saturating_duration_since(at));
        if held.is_some_and(|held| held >= self.pauses.stable) {
            self.failures = 0;
        }
        let pause = self.pauses.after(self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_stable_minute() {
        // Goal: the bounds are 1, 2, 4 … 64 s; a short connection does not reset them, one of a minute does.
        let start = Instant::now();
        let mut backoff = Backoff::new(Pauses::default());
        let bounds: Vec<u64> = (0..9).map(|_| backoff.lost(start, 1.0).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        backoff.connected(start);
        let short = start + Duration::from_secs(59);
        assert_eq!(backoff.lost(short, 1.0), Duration::from_secs(64));
        backoff.connected(short);
        assert_eq!(
            backoff.lost(short + Duration::from_secs(60), 1.0),
            Duration::from_secs(1)
        );
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_its_bound(failures in 0_u32..1000, chance in 0.0..1.0) {
            let pauses = Pauses::default();
            let pause = pauses.after(failures, chance);
            prop_assert!(pause <= pauses.longest);
            prop_assert!(pause <= pauses.after(failures, 1.0));
        }
    }
}
