//! `crash`: kills a broker again and again and checks its promises (`cargo xtask crash`).

#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Parser;
use inbox_bridge::Engine;
use inbox_tests::crash::{Options, Parts, Router, run};

/// Kills a broker again and again, restarts it, and checks what it promised.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash", bin_name = "cargo xtask crash")]
struct Arguments {
    /// What the broker keeps its inboxes in: sled or fjall.
    #[arg(long, default_value = "sled", value_parser = engine)]
    engine: Engine,
    /// What it drives ordinary topics with: native, rumqttd, or either, which is one or the other in each life. Without it, what is the default.
    #[arg(long, value_parser = router)]
    router: Option<Router>,
    /// What of ordinary topics is checked beside the inboxes: retained, sessions, both with a comma between, or none.
    #[arg(long, default_value = "retained,sessions,wills")]
    ordinary: Parts,
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

fn router(name: &str) -> Result<Router, String> {
    Router::from_name(name).ok_or_else(|| "it is native, rumqttd or either".to_owned())
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
        router: arguments.router.unwrap_or(Router::AsConfigured),
        ordinary: arguments.ordinary,
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
    println!("  again: cargo xtask crash {} --seed {seed}", again(&arguments));
    Ok(ExitCode::FAILURE)
}

/// The options of a run but for its seed.
fn again(arguments: &Arguments) -> String {
    let (engine, kills, ordinary) = (arguments.engine.name(), arguments.kills, arguments.ordinary);
    let mut options = format!("--engine {engine} --kills {kills} --ordinary {ordinary}");
    if let Some(router) = arguments.router {
        options += &format!(" --router {router}");
    }
    options
}
