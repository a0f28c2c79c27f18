//! What happens in one life of the broker.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// When the broker is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// So long after its process was made: most often before it is ready.
    Start(Duration),
    /// In the middle of traffic.
    Work,
    /// So long after SIGTERM; it may be gone by then, in good order.
    Shutdown(Duration),
}

/// How the disk watermark is set for a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watermark {
    /// Never reached.
    Off,
    /// So many bytes from what is free when the broker starts: above it (refused), or below it (accepted, until others
    /// who use this disk have written a little).
    Near(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) moment: Moment,
    /// How long it works before that.
    pub(super) run: Duration,
    pub(super) trace: bool,
    pub(super) watermark: Watermark,
    pub(super) second_broker: bool,
    /// Whether messages move from the log while it works.
    pub(super) checkpoints_early: bool,
    /// How many messages each publisher sends as fast as it can; then it goes on slowly.
    pub(super) burst: u64,
}

impl Plan {
    pub(super) fn random(rng: &mut StdRng) -> Self {
        let ms = Duration::from_millis;
        let (moment, run) = match rng.random_range(0..100) {
            0..20 => (Moment::Start(Duration::from_micros(rng.random_range(0..60_000))), ms(0)),
            20..40 => (Moment::Work, ms(rng.random_range(0..300))),
            40..75 => (Moment::Work, ms(rng.random_range(300..2000))),
            75..85 => (Moment::Work, ms(rng.random_range(2000..3500))),
            _ => {
                // While connections end, while the store closes, or after the end.
                let within_us = [5_000, 60_000, 2_500_000][rng.random_range(0..3)];
                let after = Duration::from_micros(rng.random_range(0..within_us));
                (Moment::Shutdown(after), ms(rng.random_range(100..1500)))
            }
        };
        let watermark = match rng.random_range(0..100) {
            0..4 => Watermark::Near(rng.random_range(1..64) * 1024 * 1024),
            4..8 => Watermark::Near(-rng.random_range(1..64) * 1024 * 1024),
            _ => Watermark::Off,
        };
        Plan {
            moment,
            run,
            trace: rng.random_bool(0.06),
            watermark,
            second_broker: rng.random_bool(0.08),
            checkpoints_early: rng.random_bool(0.5),
            burst: [20, 200, 1000, 3000][rng.random_range(0..4)],
        }
    }

    /// A life in which nothing happens.
    pub(super) fn calm() -> Self {
        Plan {
            moment: Moment::Work,
            run: Duration::ZERO,
            trace: false,
            watermark: Watermark::Off,
            second_broker: false,
            checkpoints_early: false,
            burst: 0,
        }
    }
}
