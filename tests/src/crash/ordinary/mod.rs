//! Ordinary topics while the broker dies: what is retained, what kept sessions have to get, and whose wills are published.
//!
//! Publishers of both versions, with QoS 1 and 2, one at a time and many; sessions that stay, come and go, stay away over lives, take messages without a word and
//! vanish, change their subscriptions, and start anew ([`plan`]). What they saw is kept outside of the broker: [`sessions`], [`retained`] and [`wills`] say what is
//! checked. All clients have a slash in their client IDs, so none has an inbox: a refusal is none that is told there.

mod checked;
mod plan;
mod publishing;
mod retained;
mod sessions;
mod subscribing;
#[cfg(test)]
mod tests;
mod wills;

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use checked::{RetainedChecked, SessionsChecked, WillsChecked};
use plan::{KEPT, PUBLISHERS};
use publishing::Unanswered;
use retained::{Retained, SETTERS};
use sessions::Sessions;
use subscribing::Memory;
use wills::Wills;

use super::During;
use super::wire::Wire;
use crate::DEADLINE;
use crate::build::Connect;

/// What of ordinary topics is to be checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// What is retained.
    pub retained: bool,
    /// Kept sessions.
    pub sessions: bool,
    /// Wills.
    pub wills: bool,
}

impl Parts {
    /// All of it.
    pub const ALL: Parts = Parts {
        retained: true,
        sessions: true,
        wills: true,
    };

    /// What the configuration of the broker must have below `[mqtt]`, and in sections after it: nothing is dropped for want of room, and wills come soon.
    pub fn keys(self) -> String {
        let queues = "queue_messages_max = 10000000\nqueue_bytes_max = \"64GiB\"\n";
        let queues = if self.sessions || self.wills { queues } else { "" };
        format!("{queues}\n[will]\nafter_restart = \"1s\"\n")
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.retained, "retained"),
            (self.sessions, "sessions"),
            (self.wills, "wills"),
        ];
        let names: Vec<&str> = names
            .into_iter()
            .filter(|(is_on, _)| *is_on)
            .map(|(_, name)| name)
            .collect();
        out.write_str(if names.is_empty() { "none" } else { "" })?;
        out.write_str(&names.join(","))
    }
}

impl FromStr for Parts {
    type Err = String;

    /// A list with commas, or `none`.
    fn from_str(list: &str) -> Result<Self, String> {
        let mut parts = Parts::default();
        for name in list.split(',').filter(|name| !name.is_empty()) {
            match name {
                "retained" => parts.retained = true,
                "sessions" => parts.sessions = true,
                "wills" => parts.wills = true,
                "none" => {}
                other => {
                    return Err(format!(
                        "of ordinary topics there are retained, sessions and wills, and not {other:?}"
                    ));
                }
            }
        }
        Ok(parts)
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Ordinary {
    parts: Parts,
    sessions: Mutex<Sessions>,
    retained: Mutex<Retained>,
    wills: Wills,
    unanswered: [Unanswered; PUBLISHERS],
    memories: [Mutex<Memory>; KEPT.len()],
}

impl Ordinary {
    /// With nothing published yet, for a broker that never ran.
    pub fn new(parts: Parts) -> Self {
        Ordinary {
            parts,
            ..Ordinary::default()
        }
    }

    /// What is checked.
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// What was wrong.
    pub fn violations(&self) -> Vec<String> {
        let mut all = self.sessions.lock().unwrap().violations.clone();
        all.extend(self.retained.lock().unwrap().violations.clone());
        all.extend(self.wills.violations());
        all
    }

    /// How much was checked.
    pub fn checked(&self) -> (RetainedChecked, SessionsChecked, WillsChecked) {
        let (retained, sessions) = (self.retained.lock().unwrap(), self.sessions.lock().unwrap());
        (retained.checked, sessions.checked, self.wills.checked())
    }

    /// All clients do what they do, until the life is over.
    pub fn live(&self, during: During, rng: &mut StdRng) {
        let mut next_rng = || StdRng::seed_from_u64(rng.random());
        // What is there after the start is looked at before anything is set.
        let is_looked_at = AtomicBool::new(false);
        self.retained.lock().unwrap().begin_life();
        std::thread::scope(|scope| {
            if self.parts.retained {
                let (is_looked_at, retained) = (&is_looked_at, &self.retained);
                let mut rng = next_rng();
                scope.spawn(move || {
                    while !(during.is_over)() {
                        if subscribing::look(retained, during, &mut rng).is_some() {
                            is_looked_at.store(true, Relaxed);
                            pause(during, Duration::from_millis(rng.random_range(50..400)));
                        }
                    }
                });
                for setter in 0..SETTERS {
                    let mut rng = next_rng();
                    scope.spawn(move || {
                        while !is_looked_at.load(Relaxed) && !(during.is_over)() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        publishing::retain(retained, setter, during, &mut rng);
                    });
                }
            }
            if self.parts.sessions {
                for (number, unanswered) in self.unanswered.iter().enumerate() {
                    let mut rng = next_rng();
                    scope.spawn(move || publishing::publish(&self.sessions, unanswered, number, during, &mut rng));
                }
                for (session, memory) in self.memories.iter().enumerate() {
                    let mut rng = next_rng();
                    scope.spawn(move || {
                        let mut memory = memory.lock().unwrap();
                        subscribing::subscribe(&self.sessions, &mut memory, session, during, &mut rng);
                    });
                }
            }
            if self.parts.wills {
                let (mut one, mut other) = (next_rng(), next_rng());
                scope.spawn(move || self.wills.come_and_go(during, &mut one));
                scope.spawn(move || self.wills.watch(during, &mut other));
            }
        });
    }

    /// The last life: every session is read to its end, one more look, and everything must add up.
    pub fn finish(&self, port: u16) {
        let during = During {
            port,
            is_over: &|| false,
            counts: &|| true,
            may_refuse: false,
        };
        if self.parts.retained {
            self.retained.lock().unwrap().begin_life();
            let seen = subscribing::look(&self.retained, during, &mut StdRng::seed_from_u64(0));
            if seen.is_none() {
                let what = "whoever looked at what is retained was not served at the end".to_owned();
                self.retained.lock().unwrap().violation(what);
            }
        }
        if self.parts.wills {
            self.wills.finish(during);
        }
        if self.parts.sessions {
            std::thread::scope(|scope| {
                for (session, memory) in self.memories.iter().enumerate() {
                    scope.spawn(move || {
                        subscribing::drain(&self.sessions, &mut memory.lock().unwrap(), session, during);
                    });
                }
            });
        }
    }
}

/// Connects; a moment passes where that fails. Answers whether CONNACK said that the session is present.
fn connect(during: During, hello: &Connect) -> Option<(Wire, bool)> {
    let connected = Wire::open(during.port, hello);
    match connected {
        Some((wire, connack)) if connack.code == 0 => Some((wire, connack.session_present)),
        Some((_, connack)) => {
            assert!(
                during.may_refuse || !(during.counts)(),
                "{:?} is refused: {connack:?}",
                hello.client_id
            );
            pause(during, Duration::from_millis(20));
            None
        }
        None => {
            pause(during, Duration::from_millis(5));
            None
        }
    }
}

/// Waits, but not beyond the end of the life.
fn pause(during: During, pause: Duration) {
    let until = Instant::now() + pause.min(DEADLINE);
    while !(during.is_over)() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}
