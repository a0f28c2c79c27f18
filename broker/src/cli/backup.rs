//! The command lines of `inboxd backup` and `inboxd restore`.

use std::path::PathBuf;

use clap::Args;
use inbox_bridge::Engine;

use super::{BrokerArgs, engine};

/// `inboxd backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The file to write, which gets this name when it is whole; - is standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    pub force: bool,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// `inboxd restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// The backup to read; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The data directory to make: one that does not exist, or is empty
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    pub data: Option<PathBuf>,
    /// What keeps the messages there: sled or fjall
    #[arg(long, value_name = "NAME", value_parser = engine, default_value = Engine::default().name())]
    pub engine: Engine,
    /// Check that the backup is whole, and restore nothing
    #[arg(long, conflicts_with_all = ["data", "engine"])]
    pub verify: bool,
}
