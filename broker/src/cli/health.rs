//! The command line of `inboxd health`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, ConfigError};

/// `inboxd health`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HealthArgs {
    /// Ask this broker, like http://127.0.0.1:8080; without it, the one that runs on the data directory
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE", conflicts_with = "server")]
    pub config: Option<PathBuf>,
    /// The data directory of the broker [default: ./data]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    pub data: Option<PathBuf>,
}

impl HealthArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        super::load(self.config.as_deref(), self.data.clone())
    }
}
