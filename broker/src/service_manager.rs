//! What a service manager such as systemd is told (sd_notify(3)): that the broker is ready, that it ends, that it is alive.
//!
//! **Promise:** it is told to be alive only while the runtime runs tasks and the committer begins rounds. A write that hangs, or a runtime that
//! does, ends in silence, and the service manager starts the broker again: what was acknowledged is on disk. A disk without space is no
//! reason, because the write is tried again.

use std::time::Duration;

use inbox_bridge::Pulse;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How often within the time that the service manager grants. A round that takes half of that time is not yet missed.
const LOOKS: u32 = 4;

/// The broker serves on `listeners`.
pub(crate) fn ready(listeners: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(listeners)]);
}

/// It was told to end, or has to.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the broker is alive as long as it is, if anybody wants to know. To be called within the runtime that is watched.
pub(crate) fn watch(pulse: Pulse) {
    if let Some(patience) = sd_notify::watchdog_enabled() {
        tokio::spawn(keep_telling(pulse, patience));
    }
}

async fn keep_telling(pulse: Pulse, patience: Duration) {
    let mut ticks = interval((patience / LOOKS).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heart = Heart::default();
    loop {
        ticks.tick().await;
        match heart.look(pulse.feel()) {
            Seen::Alive => tell(&[NotifyState::Watchdog]),
            Seen::Still => {}
            Seen::StillForLong => {
                tracing::error!(
                    "the store does not answer; if this goes on, the service manager will start the broker again"
                );
            }
        }
    }
}

/// Whether a count goes on.
#[derive(Debug, Default)]
struct Heart {
    beats: Option<u64>,
    still: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Alive,
    Still,
    /// For the second time in a row: one round may take longer than one look.
    StillForLong,
}

impl Heart {
    fn look(&mut self, beats: u64) -> Seen {
        let before = self.beats.replace(beats);
        match before == Some(beats) {
            false => {
                self.still = 0;
                Seen::Alive
            }
            true => {
                self.still = self.still.saturating_add(1);
                if self.still == 2 {
                    Seen::StillForLong
                } else {
                    Seen::Still
                }
            }
        }
    }
}

/// Nobody is told where nobody asked to be.
fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the service manager cannot be told how the broker is (NOTIFY_SOCKET)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_stands_still_is_not_alive() {
        // Goal: the first look and each that finds more is alive; others are not, and one of them is told.
        let mut heart = Heart::default();
        let seen: Vec<Seen> = [5, 6, 6, 6, 6, 9].into_iter().map(|beats| heart.look(beats)).collect();
        assert_eq!(
            seen,
            [
                Seen::Alive,
                Seen::Alive,
                Seen::Still,
                Seen::StillForLong,
                Seen::Still,
                Seen::Alive
            ]
        );
    }
}
