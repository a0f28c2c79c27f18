//! The command lines of `inboxd backup` and `inboxd restore`.

use std::path::PathBuf;

use clap::Args;
use inbox_bridge::Engine;

use super::{RemoteArgs, engine, load};
use crate::config::{Config, ConfigError};

/// `inboxd backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The file to write, which gets this name when it is whole; - is standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    pub force: bool,
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory of the broker [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which broker.
    #[command(flatten)]
    pub remote: RemoteArgs,
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

impl BackupArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(self.config.as_deref(), self.data.clone())
    }
}
