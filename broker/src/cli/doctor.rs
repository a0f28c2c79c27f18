//! The command line of `inboxd doctor`.

use clap::Args;

use super::ServeArgs;

/// `inboxd doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// What `serve` takes.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}
