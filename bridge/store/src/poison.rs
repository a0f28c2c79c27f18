//! A store that failed: why, and who is told.

use std::fmt;

use parking_lot::Mutex;

use crate::error::StoreError;
use crate::store::OnFailure;

/// Why nothing works any more, once something failed for good.
#[derive(Default)]
pub(crate) struct Poison {
    why: Mutex<Option<String>>,
    // Taken for the one call, which is made with no lock held.
    tell: Mutex<Option<OnFailure>>,
}

impl Poison {
    /// An error when something failed before.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.why.lock().clone() {
            Some(why) => Err(StoreError::Failed(why)),
            None => Ok(()),
        }
    }

    /// Ends every later call, and gives the error for this one. The first reason is the one that explains the rest.
    pub(crate) fn fail(&self, why: String) -> StoreError {
        let why = self.why.lock().get_or_insert(why).clone();
        StoreError::Failed(why)
    }

    /// Who is to be told. It is told at once if there is a failure already.
    pub(crate) fn on_failure(&self, tell: OnFailure) {
        *self.tell.lock() = Some(tell);
        self.tell();
    }

    /// Tells of a failure, if there is one and nobody was told.
    pub(crate) fn tell(&self) {
        let Err(error) = self.check() else { return };
        let tell = self.tell.lock().take();
        if let Some(tell) = tell {
            tell(&error);
        }
    }
}

impl fmt::Debug for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poison").field("why", &self.why).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    fn counting(times: &Arc<AtomicUsize>) -> OnFailure {
        let times = times.clone();
        Box::new(move |error| {
            assert!(error.to_string().contains("the first reason"));
            times.fetch_add(1, Relaxed);
        })
    }

    /// Goal: the first reason stays, and whoever waits is told once, be it before the failure or after it.
    #[test]
    fn the_first_reason_is_told_once() {
        let (early, late) = (Arc::default(), Arc::default());
        let poison = Poison::default();
        poison.on_failure(counting(&early));
        poison.tell();
        assert!(poison.check().is_ok());
        assert_eq!(early.load(Relaxed), 0);
        for why in ["the first reason", "another one"] {
            assert!(poison.fail(why.to_owned()).to_string().contains("the first reason"));
            poison.tell();
        }
        assert!(poison.check().is_err());
        poison.on_failure(counting(&late));
        poison.tell();
        assert_eq!((early.load(Relaxed), late.load(Relaxed)), (1, 1));
    }
}
