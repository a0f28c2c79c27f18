//! `inbox`: inboxes of inboxd at the command line. A thin shell over `inbox-client`; what it promises is in docs/inbox.md.

mod chat;
mod cli;
mod clock;
mod connect;
mod exit;
mod failure;
mod lines;
mod listen;
mod narrator;
mod output;
mod quantity;
mod requests;
mod send;
mod settings;
mod shell;
mod signals;
mod status;

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use cli::{Cli, Command, Options};
use exit::Exit;
use failure::Failure;
use settings::{Environment, Layer, Settings, SettingsError};

/// Threads that read standard input may wait for it for ever.
const END: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { dir } => shell::manual(&dir),
        command => settings(&cli.options).and_then(|settings| run(&settings, command)),
    };
    let Err(failure) = done else { return Exit::Ok.into() };
    match failure.advice() {
        Some(advice) => output::say(&format!("{failure}; {advice}")),
        None => output::say(&failure.to_string()),
    }
    failure.exit().into()
}

/// Flags before environment before file.
fn settings(options: &Options) -> Result<Settings, Failure> {
    let environment = Environment::read(env::var_os)?;
    let named = options.config.clone().or_else(|| environment.config.clone());
    let file = match (named, environment.default_config()) {
        (Some(named), _) => file(&named)?,
        // Nobody has to have one.
        (None, Some(usual)) if usual.exists() => file(&usual)?,
        _ => Layer::default(),
    };
    Ok(Settings::resolve(options.layer(), environment, file)?)
}

fn file(path: &Path) -> Result<Layer, SettingsError> {
    let text = fs::read_to_string(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        kind: error.kind(),
    })?;
    Layer::from_toml(&text, path)
}

fn run(settings: &Settings, command: Command) -> Result<(), Failure> {
    let password = settings.login.as_ref().map(|login| login.password_file.as_path());
    if password == Some(Path::new("-")) && command.reads_stdin() {
        return Err(Failure::TwoReaders);
    }
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = built.map_err(|error| Failure::Runtime(error.kind()))?;
    let done = runtime.block_on(async {
        match command {
            Command::Send(send) if send.lines => lines::run(settings, &send).await,
            Command::Send(send) => send::run(settings, &send).await,
            Command::Listen(listen) => listen::run(settings, &listen).await,
            Command::Chat(chat) => chat::run(settings, chat).await,
            Command::Status(status) => status::run(settings, &status).await,
            Command::Recall(recall) => requests::recall(settings, &recall).await,
            Command::Edit(edit) => requests::edit(settings, &edit).await,
            Command::Completions { .. } | Command::Man { .. } => Err(Failure::Runtime(ErrorKind::Unsupported)),
        }
    });
    runtime.shutdown_timeout(END);
    done
}
