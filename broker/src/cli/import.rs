//! The command line of `inboxd import-config`.

use std::path::PathBuf;

use clap::Args;

/// `inboxd import-config`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// The mosquitto.conf
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the configuration to this file; access rules and users go beside it
    #[arg(long, value_name = "FILE", default_value = "inboxd.toml")]
    pub out: PathBuf,
}
