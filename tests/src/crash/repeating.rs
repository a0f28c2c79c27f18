//! What publishers repeat: messages with an `id` that were acknowledged (rule 8).

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::message::{Key, PUBLISHERS};

/// Acknowledged messages of each publisher that it may repeat: the last ones, which are in the window.
const SAFE_MAX: usize = 64;

/// A message that was acknowledged, and what its sender was told of its place.
#[derive(Debug, Clone)]
pub(super) struct Safe {
    pub(super) key: Key,
    pub(super) payload: String,
    pub(super) seq: Option<u64>,
}

/// Those of all publishers.
#[derive(Debug, Default)]
pub(super) struct Safes {
    all: [Mutex<VecDeque<Safe>>; PUBLISHERS],
    /// Repetitions that were answered.
    pub(super) repeated: AtomicU64,
}

impl Safes {
    /// A publish with an `id` was acknowledged. It is wrong if PUBACK did not say where it is.
    pub(super) fn add(&self, publisher: usize, safe: Safe) -> Result<(), String> {
        if safe.seq.is_none() {
            return Err(format!("rule 8: PUBACK of {:?} does not say its seq", safe.key));
        }
        let mut all = self.all[publisher].lock().unwrap();
        all.push_back(safe);
        while all.len() > SAFE_MAX {
            all.pop_front();
        }
        Ok(())
    }

    /// One of those, by chance.
    pub(super) fn any(&self, publisher: usize, chance: u64) -> Option<Safe> {
        let all = self.all[publisher].lock().unwrap();
        let at = chance.checked_rem(all.len() as u64)?;
        all.get(at as usize).cloned()
    }

    /// It was published again, and acknowledged with this seq. It is wrong if that is another one.
    pub(super) fn answered(&self, safe: &Safe, seq: Option<u64>) -> Result<(), String> {
        self.repeated.fetch_add(1, Relaxed);
        match seq == safe.seq {
            true => Ok(()),
            false => Err(format!(
                "rule 8: {:?} is seq {:?}, and its repetition was told {seq:?}",
                safe.key, safe.seq
            )),
        }
    }
}
