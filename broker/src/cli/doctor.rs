//! The command line of `inboxd doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, ConfigError};

/// `inboxd doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory of the broker, running or not [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

impl DoctorArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        super::load(self.config.as_deref(), self.data.clone())
    }
}
