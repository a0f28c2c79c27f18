//! `crash`: kills a broker again and again and checks its promises (`cargo xtask crash`).

#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Parser;
use inbox_bridge::Engine;
use inbox_tests::crash::{Options, run};

/// Kills a broker again and again, restarts it, and checks what it promised.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash", bin_name = "cargo xtask crash")]
struct Arguments {
    /// What the broker keeps its inboxes in: sled or fjall.
    #[arg(long, default_value = "sled", value_parser = engine)]
    engine: Engine,
    /// How often the broker is killed.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// Repeats the plan of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Tells what happens in each life.
    #[arg(long, short)]
    verbose: bool,
}

fn engine(name: &str) -> Result<Engine, String> {
    Engine::from_name(name).ok_or_else(|| "it is sled or fjall".to_owned())
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.seed.unwrap_or(now.as_nanos() as u64 % 1_000_000);
    // A panic of a client ends the run before there is a report.
    eprintln!("crash: seed {seed}");
    let directory = tempfile::tempdir().context("there must be a temporary directory")?;
    let options = Options {
        engine: arguments.engine,
        kills: arguments.kills,
        seed,
        verbose: arguments.verbose,
    };
    let report = run(directory.path(), &options);
    println!("{report}");
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("  the directory is kept: {}", directory.keep().display());
    println!(
        "  again: cargo xtask crash --engine {} --kills {} --seed {seed}",
        arguments.engine.name(),
        arguments.kills
    );
    Ok(ExitCode::FAILURE)
}
