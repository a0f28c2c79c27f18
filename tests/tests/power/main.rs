//! Power cuts: what was acknowledged is there when the power comes back (contract rule 3).
//!
//! kill -9 does not show what is missing here, because the kernel still writes out what a killed process had written. These
//! tests run the store and the whole broker on a file system of their own that forgets what was not synced
//! (`inbox_tests::power`). Where it cannot be mounted they fail and say what is missing.
//!
//! `INBOX_POWER_CUTS` says how many cuts there are for each engine, `INBOX_POWER_SEED` where the seeds begin, and
//! `INBOX_POWER_ENGINE` which engine is meant where it is not each of them, and `INBOX_POWER_ORDINARY` what of ordinary topics is checked beside the
//! inboxes (`retained`, `sessions`, or both with a comma between): `cargo xtask power` sets these. A failure names its seed; the programs under test have threads, so the same seed cuts at the same operation
//! and draws the same losses, but the operations before the cut may come in another order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod broker;
mod creation;
mod engine;
mod faults;
mod file_system;
mod ledger;
mod sled_alone;

use std::time::Duration;

use inbox_bridge::{CheckpointOptions, Engine, StoreOptions};

/// Cuts for each engine, in a normal run.
const CUTS: u64 = 20;

/// The engines that are to be tested.
fn engines() -> Vec<Engine> {
    match std::env::var("INBOX_POWER_ENGINE") {
        Ok(name) => vec![Engine::from_name(&name).unwrap_or_else(|| panic!("there is no engine {name:?}"))],
        Err(_) => Engine::ALL.to_vec(),
    }
}

/// Messages move from the log while there are cuts, in every other run.
fn checkpoints_early(seed: u64) -> bool {
    (seed / 10).is_multiple_of(2)
}

fn store_options(engine: Engine, seed: u64) -> StoreOptions {
    let mut checkpoint = CheckpointOptions::default();
    if checkpoints_early(seed) {
        checkpoint.after = CHECKPOINT_AFTER;
    }
    StoreOptions {
        engine,
        checkpoint,
        ..StoreOptions::default()
    }
}

/// The lives of these tests are short.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(20);

/// Seeds of this test, which gets `share` percent of the cuts. Each test has seeds of its own, so that a number says which one.
fn seeds(test: u64, share: u64) -> Vec<u64> {
    let number = |name: &str, default| match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}")),
        Err(_) => default,
    };
    let cuts = (number("INBOX_POWER_CUTS", CUTS) * share / 100).max(1);
    let first = number("INBOX_POWER_SEED", 1);
    (first..first + cuts).map(|n| n * 10 + test).collect()
}
