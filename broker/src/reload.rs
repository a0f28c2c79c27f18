//! What SIGHUP makes the broker read again, part by part.
//!
//! **Promise:** a reload ends nothing. Each part is read on a thread that may wait for files, in the order in which parts were added; one that
//! fails, or panics, keeps what it had, and the log says so and what to do. SIGHUPs that come meanwhile make one more reload.

use std::error::Error;
use std::sync::Arc;

use crate::audit;
use crate::signals::Hangups;

/// Why a part was not reloaded. The sentence says what to do.
type NotReloaded = Box<dyn Error + Send + Sync>;

/// The parts of the configuration that can be reloaded.
#[derive(Default)]
pub struct Reloading {
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    name: &'static str,
    reload: Arc<dyn Fn() -> Result<(), NotReloaded> + Send + Sync>,
}

/// What came of one reload: the names of the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Outcome {
    reloaded: Vec<&'static str>,
    kept: Vec<&'static str>,
}

impl Reloading {
    /// Adds a part that operators know by `name`. `reload` may wait for files; when it fails it must leave what was loaded before in force,
    /// and its error says what to do.
    pub fn add<E: Into<NotReloaded>>(
        &mut self,
        name: &'static str,
        reload: impl Fn() -> Result<(), E> + Send + Sync + 'static,
    ) {
        let reload = Arc::new(move || reload().map_err(Into::into));
        self.parts.push(Part { name, reload });
    }

    /// Reloads at each SIGHUP, for ever.
    pub async fn at_each(self, mut hangups: Hangups) {
        while hangups.next().await.is_some() {
            let outcome = self.reload().await;
            tell(&outcome);
        }
    }

    async fn reload(&self) -> Outcome {
        let mut outcome = Outcome::default();
        for part in self.parts.iter().cloned() {
            let name = part.name;
            let reloaded = tokio::task::spawn_blocking(move || (part.reload)()).await;
            let failed: NotReloaded = match reloaded {
                Ok(Ok(())) => {
                    audit::reloaded(name, None);
                    outcome.reloaded.push(name);
                    continue;
                }
                Ok(Err(error)) => error,
                Err(panicked) => panicked.into(),
            };
            tracing::error!(part = name, error = %failed, "a part of the configuration was not reloaded; what was loaded before stays in force");
            audit::reloaded(name, Some(&*failed));
            outcome.kept.push(name);
        }
        outcome
    }
}

fn tell(outcome: &Outcome) {
    let named = |names: &[&str]| (!names.is_empty()).then(|| names.join(", "));
    let (reloaded, kept) = (named(&outcome.reloaded), named(&outcome.kept));
    match (&reloaded, &kept) {
        (None, None) => tracing::info!(
            "SIGHUP: nothing that this broker uses can be reloaded; a changed configuration takes effect when it is started again"
        ),
        (None, Some(kept)) => tracing::info!(kept, "SIGHUP: nothing was reloaded; what was in force before stays so"),
        _ => tracing::info!(
            reloaded,
            kept,
            "SIGHUP: the configuration was reloaded; other settings take effect when the broker is started again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn parts_are_reloaded_in_order_and_one_that_fails_stops_no_other() {
        // Goal: each part is asked once for each reload, in order; an error and a panic are told apart from success, and end nothing.
        let asked = Arc::<Mutex<Vec<&str>>>::default();
        let mut reloading = Reloading::default();
        for name in ["passwords", "access rules", "certificates", "audit log"] {
            let asked = asked.clone();
            reloading.add(name, move || {
                asked.lock().push(name);
                match name {
                    "access rules" => Err(io::Error::other("line 3: correct it")),
                    "certificates" => panic!("a mistake of the broker"),
                    _ => Ok(()),
                }
            });
        }
        for times in 1..=2 {
            let expected = Outcome {
                reloaded: vec!["passwords", "audit log"],
                kept: vec!["access rules", "certificates"],
            };
            assert_eq!(reloading.reload().await, expected);
            assert_eq!(asked.lock().len(), 4 * times);
        }
        assert_eq!(
            asked.lock()[..4],
            ["passwords", "access rules", "certificates", "audit log"]
        );
    }

    #[tokio::test]
    async fn a_broker_without_parts_has_nothing_to_do() {
        // Goal: SIGHUP is harmless where nothing can be reloaded.
        assert_eq!(Reloading::default().reload().await, Outcome::default());
    }
}
