//! The command line of `inboxd health`.

use clap::Args;

use super::SettingsArgs;

/// `inboxd health`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HealthArgs {
    /// Ask this broker, like http://127.0.0.1:8080; without it, the one that runs on the data directory
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data"])]
    pub server: Option<String>,
    /// One on this machine.
    #[command(flatten)]
    pub settings: SettingsArgs,
}
