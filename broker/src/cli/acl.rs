//! The command line of `inboxd acl`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use inbox_bridge::ClientId;

use super::client_id;
use crate::config::{Config, ConfigError};

/// `inboxd acl`.
#[derive(Debug, Clone, Args)]
pub struct AclArgs {
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What to do with the access rules.
    #[command(subcommand)]
    pub question: AclQuestion,
}

/// What to ask about the access rules.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AclQuestion {
    /// Say whether a client may do something, and which line says so; ends with 0 if it may, and with 1 if not
    Test(AclTestArgs),
}

/// `inboxd acl test`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AclTestArgs {
    /// Whose client it is; - for a client without a user
    #[arg(value_name = "USER", allow_hyphen_values = true)]
    pub user: String,
    /// Its client ID
    #[arg(value_name = "CLIENT", value_parser = client_id)]
    pub client: ClientId,
    /// What it wants to do
    #[arg(value_name = "ACTION")]
    pub action: AclAction,
    /// The topic, or the topic filter
    #[arg(value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Suppose that the user has this role, as a token may say, beside those of the password file
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AclAction {
    /// To connect with this client ID.
    Connect,
    /// To publish to a topic.
    Publish,
    /// To subscribe to a topic filter.
    Subscribe,
}

impl AclArgs {
    /// The configuration: defaults, file, this process's environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        super::load(self.config.as_deref(), None)
    }
}
