//! `counts`: one hot path, again and again, for counting its instructions under valgrind. `cargo xtask counts` runs it.
//!
//! Nothing here depends on the machine's mood: the broker runs on one thread ([`inboxd::single`]), the time is told, and the packets
//! are made beforehand. A run with twice as many messages does all the same things first, so the difference of two runs is what the
//! messages cost. The broker is built with feature `testing`, which adds a look at a thread's flag here and there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this program is a test: a failed assumption is a failed test"
)]

mod inboxes;
mod p2p;
mod world;

use clap::{Parser, ValueEnum};
use inbox_tests::Version;

/// The size of every payload.
const PAYLOAD_BYTES: usize = 256;

/// One hot path, again and again, for counting its instructions.
#[derive(Debug, Parser)]
struct Options {
    benchmark: Benchmark,
    /// How many, a multiple of 512.
    messages: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Benchmark {
    /// From one connected client to another, with MQTT 5.
    P2pV5,
    /// From one connected client to another, with MQTT 3.1.1.
    P2pV311,
    /// To the inboxes of absent clients, with a store in memory.
    Offline,
    /// From pages of the store to a client that reads and acknowledges.
    Replay,
    /// Batches into sled.
    StoreSled,
}

fn main() {
    let Options { benchmark, messages } = Options::parse();
    assert_eq!(messages % 512, 0, "whole batches only");
    match benchmark {
        Benchmark::P2pV5 => p2p::run(Version::V5, messages),
        Benchmark::P2pV311 => p2p::run(Version::V311, messages),
        Benchmark::Offline => inboxes::offline(messages),
        Benchmark::Replay => inboxes::replay(messages),
        Benchmark::StoreSled => inboxes::store_sled(messages),
    }
}
