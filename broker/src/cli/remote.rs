//! Options that several commands have: by which they find the data directory, and a broker that runs.

use std::path::PathBuf;

use clap::Args;

use super::load;
use crate::config::{Config, ConfigError};

/// Which broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct RemoteArgs {
    /// Ask this broker, like http://127.0.0.1:8080; without it, the one that runs on the data directory
    #[arg(long, value_name = "URL", global = true, conflicts_with_all = ["config", "data"])]
    pub server: Option<String>,
    /// Show it the token in this file: that of its http.token_file, or of a user with the role ops
    #[arg(long, value_name = "FILE", global = true, requires = "server")]
    pub token_file: Option<PathBuf>,
}

/// Where a broker on this machine has its data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SettingsArgs {
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The data directory of the broker [default: ./data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
}

/// Which broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct BrokerArgs {
    /// One on this machine.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Any.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

impl SettingsArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(self.config.as_deref(), self.data.clone())
    }
}
