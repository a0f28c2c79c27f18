//! `cargo xtask power`: the power-cut tests with many cuts, against the release build.

use crate::Workspace;
use crate::programs;
use crate::steps;

/// How many cuts, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only for this engine, sled or fjall; without it, for each of them.
    #[arg(long)]
    engine: Option<String>,
    /// Cuts for each engine; about a third as many are for a broker on it, and others for the creation of a store.
    #[arg(long, default_value_t = 200)]
    cuts: u64,
    /// Where the seeds begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What of ordinary topics is checked beside the inboxes: retained, sessions, both with a comma between, or none.
    #[arg(long)]
    ordinary: Option<String>,
}

/// Builds the broker and runs the tests one after the other; each prints its figures at its end.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    steps::run(
        programs::release_test(workspace, "power", 1)?
            .envs(arguments.engine.iter().map(|engine| ("INBOX_POWER_ENGINE", engine)))
            .envs(arguments.ordinary.iter().map(|parts| ("INBOX_POWER_ORDINARY", parts)))
            .env("INBOX_POWER_CUTS", arguments.cuts.to_string())
            .env("INBOX_POWER_SEED", arguments.seed.to_string()),
    )
}
