//! What the clients of one life know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::ledger::Ledger;
use super::plan::{Plan, Watermark};
use crate::Publish;

pub(super) struct Life {
    pub(super) port: u16,
    pub(super) ledger: Arc<Ledger>,
    pub(super) burst: u64,
    /// Whether the disk watermark may refuse messages.
    pub(super) may_refuse: bool,
    pub(super) number: u64,
    seed: u64,
    shutting_down: AtomicBool,
    over: AtomicBool,
    refused: AtomicU64,
}

impl Life {
    pub(super) fn new(port: u16, ledger: Arc<Ledger>, plan: &Plan, seed: u64) -> Self {
        Life {
            port,
            number: ledger.life(),
            ledger,
            burst: plan.burst,
            may_refuse: plan.watermark != Watermark::Off,
            seed,
            shutting_down: AtomicBool::new(false),
            over: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }
    }

    /// The choices of one client in this life.
    pub(super) fn rng(&self, client: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (self.number << 20) ^ (client << 8))
    }

    /// The process is gone.
    pub(super) fn over(&self) {
        self.over.store(true, Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// The process was asked to end.
    pub(super) fn shutting_down(&self) {
        self.shutting_down.store(true, Relaxed);
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Relaxed)
    }

    /// A publisher received something in its own inbox, where there are only notices.
    pub(super) fn told(&self, publisher: usize, publish: &Publish) {
        if self.ledger.notices.told(publisher, publish).is_none() {
            let text = String::from_utf8_lossy(&publish.payload);
            self.ledger
                .violation(format!("publisher {publisher} got what is no notice: {text:.200}"));
        }
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Waits, but not beyond the end.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_over() && Instant::now() < until {
            thread::sleep(pause.min(Duration::from_millis(5)));
        }
    }
}
