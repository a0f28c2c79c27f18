//! Disk trouble, and a share of the crash test: what was acknowledged is there afterwards, whatever the disk did.
//!
//! The disk is the file system of `inbox_tests::power`, whose switches make it fail; where it cannot be mounted these tests
//! fail and say what is missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod crash;
mod descriptors;
mod failing;
mod full;
mod ordinary;
mod slow;
mod space;

use inbox_bridge::Engine;
use inbox_tests::power::Mount;
use inbox_tests::{Broker, BrokerOptions};

/// A broker whose data directory is on the disk of `mount`. It can be started again there.
fn broker_on(mount: &Mount, engine: Engine, checkpoint_after: &str) -> Broker {
    Broker::start_with(BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{}\"\ncheckpoint_after = \"{checkpoint_after}\"\n",
            engine.name()
        )),
        shell: Some(format!(
            "ln -sfn '{}' data && exec \"$0\" \"$@\"",
            mount.path().display()
        )),
        ..Default::default()
    })
}
