//! Hostile clients: whatever they do, the broker's memory is bounded, and everybody else is served meanwhile.
//!
//! Memory is the broker's resident memory, compared with what it had before: the bounds are generous, because an allocator
//! keeps what it was given, and still far below what an attack would take without the limit that it runs into. Service is a
//! [`Service`]: two clients that send each other a message to and fro, which must go on while the attack does.
//!
//! `INBOX_HOSTILE=large` makes the numbers as large as `cargo xtask soak` wants them; a normal run uses smaller ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod connections;
mod floods;
mod memory;
mod service;
mod sockets;

use inbox_test_support::process::own_memory_kib;
use inbox_tests::Broker;

pub(crate) use service::Service;

/// A number of the attack: as in a normal run, or as large as in the soak.
pub(crate) fn size(normal: usize, large: usize) -> usize {
    match std::env::var("INBOX_HOSTILE").as_deref() {
        Ok("large") => large,
        _ => normal,
    }
}

/// What the broker has in memory, in KiB.
pub(crate) fn memory_kib(broker: &Broker) -> usize {
    own_memory_kib(broker.pid()).unwrap() as usize
}

/// Fails when the broker took more than `mib` in addition to what it had.
pub(crate) fn took_at_most(broker: &Broker, before_kib: usize, mib: usize) {
    let took = memory_kib(broker).saturating_sub(before_kib);
    eprintln!(
        "the broker's memory: {before_kib} KiB before, {took} KiB more now; {} KiB allowed",
        mib * 1024
    );
    assert!(
        took <= mib * 1024,
        "the broker took {took} KiB more, and {mib} MiB are allowed"
    );
}
