//! The command line of `inboxd session`.

use clap::{Args, Subcommand};
use inbox_bridge::ClientId;

use super::{BrokerArgs, client_id};

/// `inboxd session`.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// What to do with the sessions.
    #[command(subcommand)]
    pub action: SessionAction,
}

/// What to do with the sessions.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SessionAction {
    /// List the sessions: messages and bytes that wait on ordinary topics, subscriptions, when they expire, client ID
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one session, and then its subscriptions
    Show {
        /// Whose session
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// End one session: its subscriptions and what waits on ordinary topics go, the client's mail stays; the broker must be running
    End {
        /// Whose session
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}
