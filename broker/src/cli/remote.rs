//! Options by which a command asks a broker that runs.

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

/// Which broker, and what its configuration is where it is on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct BrokerArgs {
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The data directory of the broker [default: ./data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Which broker.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

impl BrokerArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(self.config.as_deref(), self.data.clone())
    }
}
