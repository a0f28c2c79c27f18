//! Options by which a command asks a broker that runs.

use std::path::PathBuf;

use clap::Args;

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
