//! The `inboxd` command.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use inbox_bridge::open_store;
use inboxd::cli::{Cli, Command, InboxArgs, ServeArgs, StoreAction};
use inboxd::config::{Config, ConfigError};
use inboxd::exit::Exit;
use inboxd::inbox_command::{self, Streams};
use inboxd::{config_command, logging, serve, store_command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().into_command() {
        Command::Serve(args) => run_broker(&args),
        Command::CheckConfig(args) => {
            with_config(args.load(), |config| config_command::check(config, &mut io::stdout()))
        }
        Command::PrintConfig(args) => {
            with_config(args.load(), |config| config_command::print(config, &mut io::stdout()))
        }
        Command::Inbox(args) => look_into_inboxes(&args),
        Command::Store(args) => work_on_store(&args.action),
    };
    match outcome {
        Ok(()) => Exit::Ok.into(),
        Err((exit, error)) => {
            eprintln!("inboxd: {error}");
            exit.into()
        }
    }
}

type Outcome = Result<(), (Exit, anyhow::Error)>;

fn run_broker(args: &ServeArgs) -> Outcome {
    let config = configured(args.load())?;
    logging::init(config.log.format, &config.log.level).map_err(|error| (Exit::BadConfiguration, error.into()))?;
    serve::serve(&config).map_err(|error| (error.exit(), error.into()))
}

fn with_config(config: Result<Config, ConfigError>, answer: impl FnOnce(&Config) -> io::Result<()>) -> Outcome {
    answer(&configured(config)?).map_err(|error| (Exit::Failed, error.into()))
}

fn look_into_inboxes(args: &InboxArgs) -> Outcome {
    let config = configured(args.load())?;
    let store = open_store(&config.data_dir, &serve::store_options(&config))
        .map_err(|error| (serve::open_exit(&error), error.into()))?;
    let (mut input, mut out, mut notes) = (io::stdin().lock(), io::stdout().lock(), io::stderr().lock());
    let streams = Streams {
        input: &mut input,
        out: &mut out,
        notes: &mut notes,
    };
    let ran = inbox_command::run(&args.action, &*store, streams).map_err(|error| (error.exit(), error.into()));
    let closed = store.close().map_err(|error| (Exit::StoreFailed, error.into()));
    ran.and(closed)
}

fn work_on_store(action: &StoreAction) -> Outcome {
    let StoreAction::Convert { from, to, engine } = action;
    let (mut out, mut notes) = (io::stdout().lock(), io::stderr().lock());
    store_command::run(from, to, *engine, &mut out, &mut notes).map_err(|error| (error.exit(), error.into()))
}

fn configured(config: Result<Config, ConfigError>) -> Result<Config, (Exit, anyhow::Error)> {
    config.map_err(|error| (Exit::BadConfiguration, error.into()))
}
