//! Something that failed for good: why, and who is told.
//!
//! The stores have one each, the real one and those of tests, and so does the hub: after one failed write or sync nothing more is
//! acknowledged, whoever asks, and the first reason is the one that explains the rest.

use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::error::{Failure, StoreError};
use crate::store::OnFailure;

/// Why nothing works any more, once something failed for good. It never goes away: recovery happens at the next start.
#[derive(Default)]
pub struct Poison {
    why: OnceLock<Arc<Failure>>,
    // Taken for the one call, which is made with no lock held.
    tell: Mutex<Option<OnFailure>>,
}

impl Poison {
    /// Whether something failed before. Cheap enough to be asked for each message.
    pub fn is_set(&self) -> bool {
        self.why.get().is_some()
    }

    /// # Errors
    /// Something failed before.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.why.get() {
            Some(why) => Err(StoreError::Failed(why.clone())),
            None => Ok(()),
        }
    }

    /// Ends everything later. Tells whether nothing had failed before: whoever was first tells the others.
    pub fn set(&self, why: Arc<Failure>) -> bool {
        self.why.set(why).is_ok()
    }

    /// Ends every later call, and gives the error for this one: the first that there was.
    pub fn fail(&self, why: impl Into<Arc<Failure>>) -> StoreError {
        StoreError::Failed(self.why.get_or_init(|| why.into()).clone())
    }

    /// Who is to be told. It is told at once if there is a failure already.
    pub fn on_failure(&self, tell: OnFailure) {
        *self.tell.lock() = Some(tell);
        self.tell();
    }

    /// Tells of a failure, if there is one and nobody was told.
    pub fn tell(&self) {
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
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    fn counting(times: &Arc<AtomicUsize>) -> OnFailure {
        let times = times.clone();
        Box::new(move |error| {
            assert!(matches!(error, StoreError::Failed(why) if matches!(**why, Failure::Injected)));
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
        assert!(poison.check().is_ok() && !poison.is_set());
        assert_eq!(early.load(Relaxed), 0);
        for why in [Failure::Injected, Failure::Closed] {
            let told = poison.fail(why);
            assert!(told.to_string().contains("an injected fault"), "{told}");
            poison.tell();
        }
        assert!(poison.check().is_err() && poison.is_set());
        poison.on_failure(counting(&late));
        poison.tell();
        assert_eq!((early.load(Relaxed), late.load(Relaxed)), (1, 1));
    }

    /// Goal: of all that fail, one learns that it was the first.
    #[test]
    fn one_of_all_is_the_first() {
        let poison = Poison::default();
        let firsts: usize = std::thread::scope(|scope| {
            let fail = || usize::from(poison.set(Arc::new(Failure::Injected)));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(fail)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(firsts, 1);
        assert!(!poison.set(Arc::new(Failure::Closed)));
    }
}
