//! The command line of `inboxd trace`.

use std::path::PathBuf;

use clap::Args;

use super::{RemoteArgs, load};
use crate::config::{Config, ConfigError};

/// `inboxd trace`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(id = "wanted", required = true, multiple = true, args = ["from", "to", "id"])]
pub struct TraceArgs {
    /// Follow messages of this client
    #[arg(long, value_name = "CLIENT")]
    pub from: Option<String>,
    /// Follow messages for this inbox
    #[arg(long, value_name = "CLIENT")]
    pub to: Option<String>,
    /// Follow the message with this id
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// For so long, at most 600
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Print what the API says: one JSON object per line
    #[arg(long)]
    pub json: bool,
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

impl TraceArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(self.config.as_deref(), self.data.clone())
    }
}
