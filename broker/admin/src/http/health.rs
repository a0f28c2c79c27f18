//! Whether the broker lives, and whether it takes new messages.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use serde_json::{Value, json};

/// What the broker does as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It starts: the store is being opened.
    Recovering = 0,
    /// It serves clients.
    Serving = 1,
    /// The store failed; the process ends soon.
    Failed = 2,
    /// It shuts down.
    Closing = 3,
}

/// What `/readyz` tells. It is written by whoever knows, and read at any time.
#[derive(Debug, Default)]
pub struct Health {
    state: AtomicU8,
    disk_is_full: AtomicBool,
}

/// Why the broker does not take new messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    Recovering,
    StoreFailed,
    Closing,
    DiskFull,
    StoreTroubled,
}

impl NotReady {
    /// One word for programs.
    pub(super) fn reason(self) -> &'static str {
        match self {
            NotReady::Recovering => "recovering",
            NotReady::StoreFailed => "store-failed",
            NotReady::Closing => "shutting-down",
            NotReady::DiskFull => "disk-full",
            NotReady::StoreTroubled => "store-troubled",
        }
    }

    /// A sentence for people.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            NotReady::Recovering => "the broker starts, and reads what its last run left in the store",
            NotReady::StoreFailed => "the store failed, and the broker ends; check the disk",
            NotReady::Closing => "the broker shuts down",
            NotReady::DiskFull => {
                "the disk is nearly full, and new messages for inboxes are refused (store.disk_free_bytes_min)"
            }
            NotReady::StoreTroubled => {
                "the store lacks space, memory or file descriptors, and new messages for inboxes are refused until it has them"
            }
        }
    }
}

impl Health {
    /// The broker does this now. It does not come back from a failure, or from its shutdown.
    pub fn enter(&self, state: State) {
        self.state.fetch_max(state as u8, Relaxed);
    }

    /// Whether the disk has too little room.
    pub fn set_disk_full(&self, is_full: bool) {
        self.disk_is_full.store(is_full, Relaxed);
    }

    /// Why the broker does not take new messages; `None`: it does, unless the store is troubled.
    pub(super) fn not_ready(&self) -> Option<NotReady> {
        match self.state.load(Relaxed) {
            0 => Some(NotReady::Recovering),
            1 => self.disk_is_full.load(Relaxed).then_some(NotReady::DiskFull),
            2 => Some(NotReady::StoreFailed),
            _ => Some(NotReady::Closing),
        }
    }
}

/// The body of the answer.
pub(super) fn told(not_ready: Option<NotReady>) -> Value {
    match not_ready {
        None => json!({"ready": true}),
        Some(why) => json!({"ready": false, "reason": why.reason(), "message": why.sentence()}),
    }
}
