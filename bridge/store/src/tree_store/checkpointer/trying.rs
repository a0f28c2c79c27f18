//! A checkpoint that lacks something: it is tried again and again, and commits do not wait for it.

use std::time::{Duration, Instant};

use crate::error::{Failure, StoreError};
use crate::log::AppendError;
use crate::tree::Tree;
use crate::tree_store::Shared;
use crate::trouble::{Pauses, Trouble};

/// How often a trouble that goes on is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(60);
/// What a checkpoint needs of the disk: so many bytes, and so many times what it moves. An engine that runs out of space in the middle
/// cannot be used again.
const SPACE_BYTES: u64 = 4 * 1024 * 1024;
const SPACE_TIMES: u64 = 4;

/// A checkpoint that is tried again and again.
#[derive(Default)]
pub(super) struct Trying {
    pauses: Pauses,
    told: Option<Instant>,
}

impl<T: Tree> Shared<T> {
    /// A checkpoint was not possible. It is due again after a pause, and commits do not wait for it. Tells whether to go on.
    pub(super) fn is_troubled(&self, trouble: Trouble, trying: &mut Trying) -> bool {
        if trying.told.is_none_or(|told| told.elapsed() >= TOLD_AGAIN) {
            trying.told = Some(Instant::now());
            tracing::error!(%trouble, "messages cannot be moved from the log for now; this is tried again until it works");
        }
        let mut recent = self.recent.lock();
        recent.trouble = Some(trouble);
        recent.since.get_or_insert_with(Instant::now);
        drop(recent);
        self.bell.room.notify_all();
        self.bell.pause(trying.pauses.next())
    }

    /// A checkpoint was possible.
    pub(super) fn is_over(&self, trying: &mut Trying) {
        if self.recent.lock().trouble.take().is_some() {
            *trying = Trying::default();
            tracing::info!("messages are moved from the log again");
        }
    }

    /// Why new messages should be refused: a commit found no space, there is none for a checkpoint, or the log is long and cannot be cut.
    pub(in crate::tree_store) fn refuses(&self) -> Option<Trouble> {
        let recent = self.recent.lock();
        let refuses = |trouble: &Trouble| *trouble == Trouble::NoSpace || recent.fills(&self.options, 2);
        recent.unwritten.or(recent.trouble.filter(refuses))
    }

    /// What became of appending a commit to the log.
    pub(in crate::tree_store) fn appended(&self, appended: Result<u64, AppendError>) -> Result<u64, StoreError> {
        self.recent.lock().unwritten = match &appended {
            Err(AppendError::Trouble(trouble)) => Some(*trouble),
            Ok(_) | Err(AppendError::Io(_)) => None,
        };
        Ok(appended?)
    }

    /// Looks whether the disk has space for a checkpoint, while nothing is changed. A disk that cannot say so is believed to have it.
    pub(super) fn look_for_space(&self) -> Result<(), StoreError> {
        let moved = self.recent.lock().index.weight() as u64;
        let needed = moved.saturating_mul(SPACE_TIMES).saturating_add(SPACE_BYTES);
        match self.disk_free_bytes() {
            Some(free) if free < needed => Err(StoreError::Troubled(Trouble::NoSpace)),
            _ => Ok(()),
        }
    }
}

impl From<AppendError> for StoreError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Trouble(trouble) => StoreError::Troubled(trouble),
            AppendError::Io(why) => Failure::Log(why).into(),
        }
    }
}
