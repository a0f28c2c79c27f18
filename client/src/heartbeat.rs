//! How long a link may be silent before it is asked whether it lives. No I/O: times come in as arguments.
//!
//! ```text
//!           silent for `interval`                    nothing came for `patience`
//! Quiet ───────────────────────────▶ Asked ───────────────────────────────────────▶ Dead
//!   ▲                                  │
//!   └──────────────────────────────────┘ anything came
//! ```
//!
//! Routers forget connections that are silent for too long, and say nothing. How long that is differs, so it is found out: each silence that
//! the link survived counts, and after two of the same length the interval grows by half. A link that was found dead after a silence halves it,
//! and the length that killed is not tried again until shorter ones went well often. All of it within the bounds of [`Heartbeats`].
//!
//! Traffic is a heartbeat: a client that hears acknowledgements and sends some never asks.

use std::time::{Duration, Instant};

/// The bounds of the heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeats {
    /// The first interval.
    pub first: Duration,
    /// It is never shorter than this.
    pub shortest: Duration,
    /// And never longer.
    pub longest: Duration,
}

impl Default for Heartbeats {
    /// 30 s at first, between 10 s and 4 minutes.
    fn default() -> Self {
        Heartbeats {
            first: Duration::from_secs(30),
            shortest: Duration::from_secs(10),
            longest: Duration::from_secs(240),
        }
    }
}

/// Nobody waits longer for an answer.
const PATIENCE_MAX: Duration = Duration::from_secs(20);
/// So many silences of one length must go well before a longer one is tried.
const SURVIVALS: u32 = 2;
/// And so many before the length that killed may be tried again.
const SURVIVALS_BELOW_CEILING: u32 = 20;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing before this.
    Wait(Instant),
    /// Ask now.
    Ask,
    /// The link is dead.
    Dead,
}

/// The heartbeat of a client, over its connections.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    bounds: Heartbeats,
    interval: Duration,
    /// A silence of this length was the end of a link.
    ceiling: Option<Duration>,
    survived: u32,
    sent_at: Instant,
    heard_at: Instant,
    /// The link was asked then, after a silence of so long.
    asked: Option<(Instant, Duration)>,
}

impl Heartbeat {
    pub(crate) fn new(bounds: Heartbeats, now: Instant) -> Self {
        let longest = bounds.longest.max(bounds.shortest);
        Heartbeat {
            bounds,
            interval: bounds.first.clamp(bounds.shortest, longest),
            ceiling: None,
            survived: 0,
            sent_at: now,
            heard_at: now,
            asked: None,
        }
    }

    /// The present interval.
    #[cfg(test)]
    fn interval(&self) -> Duration {
        self.interval
    }

    /// The longest that the interval may become while a connection holds, and what is told to the broker as Keep Alive.
    pub(crate) fn keep_alive(&self) -> Duration {
        self.bounds.longest.min(self.interval * 2)
    }

    /// A connection was made.
    pub(crate) fn connected(&mut self, now: Instant) {
        (self.sent_at, self.heard_at, self.asked) = (now, now, None);
    }

    /// Something was written.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    /// The question was written.
    pub(crate) fn asking(&mut self, now: Instant) {
        let silence = now.saturating_duration_since(self.sent_at.max(self.heard_at));
        self.asked = Some((now, silence));
        self.sent_at = now;
    }

    /// Something came.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        let Some((_, silence)) = self.asked.take() else { return };
        if silence * 10 < self.interval * 9 {
            return;
        }
        self.survived += 1;
        let below_ceiling = self.ceiling.is_none_or(|ceiling| self.interval * 3 / 2 < ceiling);
        if !below_ceiling && self.survived >= SURVIVALS_BELOW_CEILING {
            self.ceiling = None;
        } else if !below_ceiling || self.survived < SURVIVALS {
            return;
        }
        self.survived = 0;
        self.interval = (self.interval * 3 / 2).min(self.bounds.longest.max(self.bounds.shortest));
    }

    /// What is to be done now. `most` is the longest interval of this connection.
    pub(crate) fn due(&self, now: Instant, most: Duration) -> Beat {
        if let Some((at, _)) = self.asked {
            let patience = (self.interval / 2).min(PATIENCE_MAX);
            return match now >= at + patience {
                true => Beat::Dead,
                false => Beat::Wait(at + patience),
            };
        }
        let at = self.sent_at.min(self.heard_at) + self.interval.min(most);
        match now >= at {
            true => Beat::Ask,
            false => Beat::Wait(at),
        }
    }

    /// The connection ended. Where the question had no answer, the silence before it killed the link, and the interval becomes shorter.
    pub(crate) fn lost(&mut self) {
        let Some((_, silence)) = self.asked.take() else { return };
        if silence * 2 >= self.interval {
            self.ceiling = Some(self.interval);
            self.interval = (self.interval / 2).max(self.bounds.shortest);
            self.survived = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A router that forgets links after so long a silence: how the interval goes, over some hours.
    fn behind_a_router(forgets_after: Duration) -> Heartbeat {
        let mut now = Instant::now();
        let mut beat = Heartbeat::new(Heartbeats::default(), now);
        beat.connected(now);
        for _ in 0..1000 {
            let asked_at = now;
            while let Beat::Wait(at) = beat.due(now, Duration::MAX) {
                now = at;
            }
            let silence = now - asked_at;
            beat.asking(now);
            if silence < forgets_after {
                now += Duration::from_millis(50);
                beat.heard(now);
                continue;
            }
            while let Beat::Wait(at) = beat.due(now, Duration::MAX) {
                now = at;
            }
            assert_eq!(beat.due(now, Duration::MAX), Beat::Dead);
            beat.lost();
            beat.connected(now);
        }
        beat
    }

    #[test]
    fn the_interval_grows_to_what_the_link_survives() {
        // Goal: where nothing forgets, the interval ends at its bound; where a router forgets, below that.
        let unbounded = behind_a_router(Duration::MAX);
        assert_eq!(unbounded.interval(), Heartbeats::default().longest);
        for seconds in [15, 35, 65, 130] {
            let router = Duration::from_secs(seconds);
            let interval = behind_a_router(router).interval();
            assert!(interval <= router.mul_f64(1.5), "{router:?}: {interval:?}");
        }
    }

    #[test]
    fn a_half_dead_link_is_found_within_one_and_a_half_intervals() {
        // Goal: whatever was sent meanwhile, silence of the other side is noticed.
        let start = Instant::now();
        let mut beat = Heartbeat::new(Heartbeats::default(), start);
        beat.connected(start);
        beat.sent(start + Duration::from_secs(20));
        assert_eq!(
            beat.due(start, Duration::MAX),
            Beat::Wait(start + Duration::from_secs(30))
        );
        let asked = start + Duration::from_secs(30);
        assert_eq!(beat.due(asked, Duration::MAX), Beat::Ask);
        beat.asking(asked);
        assert_eq!(beat.due(start + Duration::from_secs(45), Duration::MAX), Beat::Dead);
    }

    proptest! {
        #[test]
        fn the_interval_stays_within_its_bounds(steps in prop::collection::vec((0_u8..4, 0_u64..400), 1..200)) {
            let mut now = Instant::now();
            let bounds = Heartbeats::default();
            let mut beat = Heartbeat::new(bounds, now);
            for (what, seconds) in steps {
                now += Duration::from_secs(seconds);
                match what {
                    0 => beat.sent(now),
                    1 => beat.asking(now),
                    2 => beat.heard(now),
                    _ => { beat.lost(); beat.connected(now); }
                }
                prop_assert!((bounds.shortest..=bounds.longest).contains(&beat.interval()));
                prop_assert!(beat.keep_alive() <= bounds.longest);
                // There is always something to wait for, or to do.
                if let Beat::Wait(at) = beat.due(now, Duration::MAX) {
                    prop_assert!(at > now && at <= now + bounds.longest);
                }
            }
        }
    }
}
