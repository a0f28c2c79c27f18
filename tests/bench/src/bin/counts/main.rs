//! `counts`, for `cargo xtask counts`: how many instructions a message costs on the hot paths, compared with the committed baseline.
//!
//! This program counts itself: under valgrind it runs one hot path, again and again. Nothing there depends on the machine's mood: the
//! broker runs on one thread ([`inboxd::single`]), the time is told, and the packets are made beforehand. A run with twice as many
//! messages does all the same things first, so the difference of two runs is what the messages cost. The broker is built as it is
//! shipped, without feature `testing`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this program is a test: a failed assumption is a failed test"
)]

mod baseline;
mod compare;
mod inboxes;
mod p2p;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use inbox_test_support::packets::Version;

/// The size of every payload.
const PAYLOAD_BYTES: usize = 256;

/// Count the instructions that a message costs on the hot paths, and compare with the committed baseline.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask counts", bin_name = "cargo xtask counts")]
struct Options {
    /// Write what is counted now into the baseline.
    #[arg(long)]
    accept: bool,
    #[command(subcommand)]
    counted: Option<Counted>,
}

#[derive(Debug, Subcommand)]
enum Counted {
    /// One hot path, again and again: what is counted
    Run {
        benchmark: Benchmark,
        /// How many, a multiple of 512
        messages: usize,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Benchmark {
    /// From one connected client to another, with MQTT 5.
    P2pV5,
    /// From one connected client to another, with MQTT 3.1.1.
    P2pV311,
    /// From one connected client to another, by an ordinary topic.
    Ordinary,
    /// The same, to a client whose session is kept in the store.
    OrdinaryKept,
    /// To the inboxes of absent clients, with a store in memory.
    Offline,
    /// From pages of the store to a client that reads and acknowledges.
    Replay,
    /// Batches into sled.
    StoreSled,
}

fn main() -> ExitCode {
    let Options { accept, counted } = Options::parse();
    if let Some(Counted::Run { benchmark, messages }) = counted {
        run(benchmark, messages);
        return ExitCode::SUCCESS;
    }
    match compare::run(accept) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(benchmark: Benchmark, messages: usize) {
    assert_eq!(messages % 512, 0, "whole batches only");
    match benchmark {
        Benchmark::P2pV5 => p2p::run(Version::V5, messages),
        Benchmark::P2pV311 => p2p::run(Version::V311, messages),
        Benchmark::Ordinary => p2p::ordinary(false, messages),
        Benchmark::OrdinaryKept => p2p::ordinary(true, messages),
        Benchmark::Offline => inboxes::offline(messages),
        Benchmark::Replay => inboxes::replay(messages),
        Benchmark::StoreSled => inboxes::store_sled(messages),
    }
}
