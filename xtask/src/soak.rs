//! `cargo xtask soak`: every test of reliability in turn, each time with new seeds, until the time is over or one fails.
//!
//! A round is kill -9 and power cuts on each engine, hostile clients in large numbers, a crowd of clients in three languages, and simulated worlds. Fuzzing is `cargo xtask fuzz`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Workspace;
use crate::clients;
use crate::programs::{self, TESTS};
use crate::steps::Steps;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// For how long; the round that is under way then is finished.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Where the seeds begin; without it, somewhere else each time.
    #[arg(long)]
    seed: Option<u64>,
}

const ENGINES: [&str; 2] = ["sled", "fjall"];
/// For each engine.
const KILLS: u32 = 50;
const WORLDS: u32 = 500;
/// For the store on each engine; creations and brokers have more.
const POWER_CUTS: u32 = 50;

/// Runs round after round. The first failure ends it, with the seed in what the step printed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(arguments.minutes * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seed = arguments.seed.unwrap_or(now.as_secs() % 1_000_000 * 1000);
    let mut steps = Steps::new();
    let mut rounds: u32 = 0;
    while rounds == 0 || Instant::now() < until {
        rounds += 1;
        eprintln!("\n==> soak: round {rounds}, seed {seed}");
        round(workspace, &mut steps, rounds, seed)?;
        seed += u64::from(WORLDS);
    }
    steps.summary("ok");
    eprintln!(
        "{rounds} rounds: {} kills or orderly shutdowns, {} simulated worlds, {} power cuts under the store, and the hostile \
         clients and the crowd {rounds} times",
        rounds * KILLS * ENGINES.len() as u32,
        rounds * WORLDS,
        rounds * POWER_CUTS * ENGINES.len() as u32
    );
    Ok(())
}

fn round(workspace: &Workspace, steps: &mut Steps, number: u32, seed: u64) -> anyhow::Result<()> {
    let crowd = clients::Arguments::from(seed);
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (kills, worlds, cuts, seed) = (
        KILLS.to_string(),
        WORLDS.to_string(),
        POWER_CUTS.to_string(),
        seed.to_string(),
    );
    for engine in ENGINES {
        steps.run(&format!("{number}: kill -9 on {engine}, seed {seed}"), || {
            let arguments = ["--engine", engine, "--kills", &kills, "--seed", &seed];
            programs::crash(workspace, &strings(&arguments))
        })?;
    }
    steps.command(
        &format!("{number}: hostile clients"),
        programs::release_test(workspace, "hostile", 2)?.env("INBOX_HOSTILE", "large"),
    )?;
    steps.run(&format!("{number}: a crowd, seed {seed}"), || {
        clients::crowd(workspace, &crowd)
    })?;
    steps.run(&format!("{number}: simulated worlds, from seed {seed}"), || {
        programs::run(
            workspace,
            TESTS,
            "sim",
            &strings(&["--seeds", &worlds, "--from", &seed]),
        )
    })?;
    steps.command(
        &format!("{number}: power cuts, from seed {seed}"),
        programs::release_test(workspace, "power", 2)?
            .env("INBOX_POWER_CUTS", &cuts)
            .env("INBOX_POWER_SEED", &seed),
    )
}
