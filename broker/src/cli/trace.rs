//! The command line of `inboxd trace`.

use clap::Args;

use super::BrokerArgs;

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
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}
