//! A whole broker in one thread, from one seed: simulated clients, network, time and disk, and an oracle that checks the
//! delivery contract after every step (`docs/delivery.md`).
//!
//! ```text
//! world ── chooses what happens next ──▶ clients ══ links ══ inboxd::single::Single ══ disk
//!                                                       │
//!                                                    oracle ── ledger of all mail; and, apart, the book of ordinary topics
//! ```
//!
//! The same seed gives the same run, to the byte. The broker's own code runs: sessions, mailboxes, committer, sequence numbers, and the
//! store with its log, blocks and checkpoints, over files and a tree in memory, and the native router. What is not simulated: sockets, threads,
//! timers, the engines.

mod client;
mod clock;
mod disk;
mod law;
mod ledger;
mod oracle;
mod ordinary;
mod payload;
mod random;
mod trace;
mod users;
mod world;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use inbox_bridge::{Fault, set_fault};

use world::World;

/// How many things happen in a run, if nobody says otherwise.
pub const STEPS: usize = 4_000;

/// What breaks the contract, in a sentence.
type Check = Result<(), String>;

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which run.
    pub seed: u64,
    /// The same for the same run only.
    pub hash: u64,
    /// What broke the contract, and everything that happened before.
    pub violation: Option<Violation>,
    /// Publishes that were acknowledged with success.
    pub promises: u64,
    /// Messages sent to readers.
    pub deliveries: u64,
    /// Of these, those sent before.
    pub repeats: u64,
    /// Crashes, power cuts and failed disks.
    pub crashes: u64,
}

/// How a run broke the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule and how it was broken.
    pub what: String,
    /// Everything that happened, one line each.
    pub trace: String,
}

/// One run. `fault` is a mistake that the broker makes on purpose.
pub fn run(seed: u64, steps: usize, fault: Option<Fault>) -> Outcome {
    set_fault(fault);
    let mut world = World::new(seed);
    let checked = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..steps {
            world.step()?;
        }
        world.finish()
    }));
    set_fault(None);
    let what = match checked {
        Ok(checked) => checked.err(),
        Err(panic) => Some(format!("a panic: {}", panic_text(&*panic))),
    };
    let (hash, crashes) = (world.trace.hash(), world.crashes);
    let (promises, deliveries, repeats) = world.seen();
    let violation = what.map(|what| Violation {
        what,
        trace: world.trace.text(),
    });
    Outcome {
        seed,
        hash,
        violation,
        promises,
        deliveries,
        repeats,
        crashes,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
