//! The command line of `inboxd store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use inbox_bridge::Engine;

use super::engine;

/// `inboxd store`.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// What to do with the store.
    #[command(subcommand)]
    pub action: StoreAction,
}

/// What to do with the store of a stopped broker.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum StoreAction {
    /// Copy every message to a new data directory, on this engine and in the format of this version
    Convert {
        /// The data directory of the stopped broker; no message in it is changed
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// A directory that does not exist, or is empty
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// What keeps the messages there: sled or fjall
        #[arg(long, value_name = "NAME", value_parser = engine, default_value = Engine::default().name())]
        engine: Engine,
    },
}
