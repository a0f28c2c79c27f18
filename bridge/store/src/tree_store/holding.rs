//! Commits that a backup holds on to.

use std::sync::Arc;

use crate::error::{Failure, HoldError, StoreError};
use crate::log::Pin;
use crate::store::HeldCommits;
use crate::tree::Tree;

use super::Shared;

/// See [`crate::Store::hold_commits`].
struct Held<T: Tree> {
    shared: Arc<Shared<T>>,
    pin: Pin,
    disk_free_bytes_min: u64,
}

pub(super) fn hold<T: Tree>(shared: &Arc<Shared<T>>, min: u64) -> Result<Box<dyn HeldCommits>, StoreError> {
    let mut log = shared.log.lock();
    // Whoever has this lock knows that the last commit is in the index, too.
    let others = log.is_pinned();
    let pin = shared.with(|_| Ok(log.pin()))?;
    let mut recent = shared.recent.lock();
    let wanted = if others { recent.disk_free_bytes_min } else { 0 };
    recent.disk_free_bytes_min = wanted.max(min);
    Ok(Box::new(Held {
        shared: Arc::clone(shared),
        pin,
        disk_free_bytes_min: min,
    }))
}

impl<T: Tree> Shared<T> {
    /// Whether there is so little space that what backups hold on to is to go.
    pub(super) fn is_short_of_space(&self) -> bool {
        let min = self.recent.lock().disk_free_bytes_min;
        self.disk_free_bytes().is_some_and(|free| free < min)
    }
}

impl<T: Tree> HeldCommits for Held<T> {
    fn after(&self) -> u64 {
        self.pin.after
    }

    fn check(&self) -> Result<(), HoldError> {
        self.shared.with(|_| Ok(()))?;
        let min = self.disk_free_bytes_min;
        let is_short = self.shared.disk_free_bytes().is_some_and(|free| free < min);
        match !is_short && self.shared.log.lock().holds(self.pin) {
            true => Ok(()),
            false => Err(HoldError::NoRoom {
                disk_free_bytes_min: min,
            }),
        }
    }

    fn read(&self, each: &mut dyn FnMut(u64, &[u8]) -> std::io::Result<()>) -> Result<u64, HoldError> {
        self.check()?;
        let (pieces, last) = self.shared.log.lock().since(self.pin);
        for piece in pieces {
            self.check()?;
            let read = piece.read(&*self.shared.files, |commit, frame| match commit > self.pin.after {
                true if commit <= last => each(commit, frame).map_err(HoldError::Write),
                _ => Ok(()),
            });
            // What was taken away meanwhile cannot be read, and that is why.
            read.map_err(|why| match (&why, self.check()) {
                (HoldError::Log(_), Err(sooner)) => sooner,
                _ => why,
            })?;
        }
        Ok(last)
    }
}

impl<T: Tree> Drop for Held<T> {
    fn drop(&mut self) {
        let paths = self.shared.log.lock().unpin(self.pin);
        let removed = self.shared.with(|_| {
            paths
                .iter()
                .try_for_each(|path| self.shared.files.remove(path).map_err(|why| Failure::Log(why).into()))
        });
        // After a failure they are left to the next opening.
        if let Err(error) = removed {
            tracing::debug!(%error, "what a backup held on to of the log was not removed");
        }
    }
}
