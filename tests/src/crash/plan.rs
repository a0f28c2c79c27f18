//! What happens in one life of the broker.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

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

/// What drives ordinary topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// What the configuration says, or its default.
    AsConfigured,
    /// The engine of this name in each life.
    Named(&'static str),
    /// One or the other in each life, on the same directory.
    Either,
}

impl Router {
    /// What is meant by a name on the command line.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "either" => Some(Router::Either),
            name => ENGINES.into_iter().find(|engine| *engine == name).map(Router::Named),
        }
    }

    /// `router.engine` of a life.
    pub(super) fn of_life(self, life: u64, seed: u64) -> Option<&'static str> {
        match self {
            Router::AsConfigured => None,
            Router::Named(engine) => Some(engine),
            // Of its own, so that the plan of a seed is the same with every engine.
            Router::Either => {
                let mut rng = StdRng::seed_from_u64(seed ^ (life << 32));
                Some(ENGINES[rng.random_range(0..ENGINES.len())])
            }
        }
    }
}

impl fmt::Display for Router {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Router::AsConfigured => "as configured",
            Router::Named(engine) => engine,
            Router::Either => "either",
        })
    }
}

/// The values of `router.engine`.
const ENGINES: [&str; 2] = ["native", "rumqttd"];

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
    /// `router.engine`, where it is not the configuration's.
    pub(super) router: Option<&'static str>,
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
            router: None,
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
            router: None,
        }
    }
}
