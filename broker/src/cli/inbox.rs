//! The command line of `inboxd inbox`.

use clap::{Args, Subcommand};
use inbox_bridge::ClientId;

use super::{BrokerArgs, client_id};

/// `inboxd inbox`.
#[derive(Debug, Clone, Args)]
pub struct InboxArgs {
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// What to do with the inboxes.
    #[command(subcommand)]
    pub action: InboxAction,
}

/// What to do with the inboxes.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum InboxAction {
    /// List the inboxes that hold something: messages, bytes, client ID
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show the messages of one inbox, oldest first
    Show {
        /// Whose inbox
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
        /// Print one JSON object per line, with whole payloads and all properties
        #[arg(long)]
        json: bool,
        /// Show at most this many messages
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Write every message of one inbox to standard output, whole, one JSON object per line, as the API exports it
    Export {
        /// Whose inbox
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
    },
    /// Remove every message of one inbox; nobody will ever receive them
    Purge {
        /// Whose inbox
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Remove everything that is kept about a client: its mail, its session, its lists; the broker must be running
    Erase {
        /// Which client
        #[arg(value_name = "CLIENT", value_parser = client_id)]
        client: ClientId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl InboxAction {
    /// Whether it changes an inbox.
    pub fn changes(&self) -> bool {
        matches!(self, InboxAction::Purge { .. } | InboxAction::Erase { .. })
    }
}
