//! The command line of `inboxd`.

mod acl;
mod backup;
mod doctor;
mod health;
mod import;
mod inbox;
mod remote;
mod session;
mod store;
mod trace;

use std::env;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use inbox_bridge::{ClientId, ClientIdError, Engine};

pub use acl::{AclAction, AclArgs, AclQuestion, AclTestArgs};
pub use backup::{BackupArgs, RestoreArgs};
pub use doctor::DoctorArgs;
pub use health::HealthArgs;
pub use import::ImportArgs;
pub use inbox::{InboxAction, InboxArgs};
pub use remote::{BrokerArgs, RemoteArgs, SettingsArgs};
pub use session::{SessionAction, SessionArgs};
pub use store::{StoreAction, StoreArgs};
pub use trace::TraceArgs;

use crate::config::{Config, ConfigError, LogFormat, Overrides};

/// What is wrong with the value of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum UsageError {
    #[error(
        "it is an IP address or a host name, and a port, like 127.0.0.1:1884, [::1]:1884 or localhost:1884; for the port alone there \
         is --port"
    )]
    Listen,
    #[error("it is {}", Engine::ALL.map(Engine::name).join(" or "))]
    Engine,
}

/// What follows the options in `inboxd --help`.
const AFTER_HELP: &str = "\
Settings come from the defaults, then FILE, then environment variables (INBOXD_MQTT__LISTEN sets key listen of section \
[mqtt]), then these options; the later one wins. `inboxd print-config` shows the outcome. RUST_LOG overrides log.level.

Exit codes: 0 done, 2 bad option, 65 data directory unusable, 69 cannot listen, 74 store failed, 75 data directory in \
use, 77 not permitted, 78 bad configuration, 1 anything else.";

/// An MQTT broker that gives every client ID a durable inbox.
#[derive(Debug, Parser)]
#[command(name = "inboxd", version, about, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the broker (what inboxd does when no command is given)
    Serve(ServeArgs),
    /// Write a first configuration for trials: certificate, users, access rules, settings
    Init(InitArgs),
    /// Make a configuration of a mosquitto.conf, and tell what of it was not taken
    ImportConfig(ImportArgs),
    /// Check the configuration that `serve` would run with, and say "ok" or what is wrong
    CheckConfig(CheckArgs),
    /// Print the configuration that `serve` would run with, as TOML
    PrintConfig(ServeArgs),
    /// Look at this machine, and say what should be changed for the broker to run well
    Doctor(DoctorArgs),
    /// Add a user to a password file, change its password, or delete it
    Passwd(PasswdArgs),
    /// Ask what the access rules say
    Acl(AclArgs),
    /// Ask the broker on this machine whether it takes messages: exit code 0 when it does
    Health(HealthArgs),
    /// Look into inboxes, or empty one: those of a running broker or a stopped one
    Inbox(InboxArgs),
    /// Look at sessions, or end one: those of a running broker, or those that a stopped one keeps
    Session(SessionArgs),
    /// Follow messages through a running broker: where is my message?
    Trace(TraceArgs),
    /// Work on the whole store of a stopped broker
    Store(StoreArgs),
    /// Write a backup of the store to one file, of a running broker or a stopped one
    Backup(BackupArgs),
    /// Make a data directory from a backup, or check one
    Restore(RestoreArgs),
}

/// Where settings come from, and those that have a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// Read settings from this TOML file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the store in this directory [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Listen on this IP address or host name, and port; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen)]
    pub listen: Option<String>,
    /// Listen on this port; the address stays what the configuration says
    #[arg(short, long, value_name = "PORT", conflicts_with = "listen")]
    pub port: Option<u16>,
    /// Log what the broker does in detail, as log.level = "debug" does
    #[arg(short, long)]
    pub verbose: bool,
    /// Write the log, on standard error, in this form [default: pretty]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

/// `inboxd init`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitArgs {
    /// The directory to write to; it is made if there is none
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// `inboxd check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// What `serve` takes.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Refuse what works and is not safe, too (docs/security.md)
    #[arg(long)]
    pub strict: bool,
}

/// `inboxd passwd`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PasswdArgs {
    /// The password file (auth.password_file); it is made if there is none
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Whose password; it is asked for on the terminal, or read as one line from a pipe
    #[arg(value_name = "USER")]
    pub user: String,
    /// Give the user this role, and no others than those that are named; without any, it keeps those that it has
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Delete the user
    #[arg(long, conflicts_with = "roles")]
    pub delete: bool,
}

impl Cli {
    /// The command that was given; `serve` when none was.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

impl ServeArgs {
    /// The configuration: defaults, file, this process's environment, these flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let overrides = Overrides {
            data_dir: self.data.clone(),
            listen: self.listen.clone(),
            port: self.port,
            verbose: self.verbose,
            log_format: self.log_format,
        };
        Config::load(self.config.as_deref(), env::vars_os(), &overrides)
    }
}

fn load(file: Option<&Path>, data_dir: Option<PathBuf>) -> Result<Config, ConfigError> {
    let overrides = Overrides {
        data_dir,
        ..Overrides::default()
    };
    Config::load(file, env::vars_os(), &overrides)
}

/// The form of an address is checked here, so that a slip of the pen is told with the usage; what it stands for is the configuration's.
fn listen(text: &str) -> Result<String, UsageError> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err(UsageError::Listen),
    }
}

fn engine(text: &str) -> Result<Engine, UsageError> {
    Engine::from_name(text).ok_or(UsageError::Engine)
}

fn client_id(text: &str) -> Result<ClientId, ClientIdError> {
    ClientId::new(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(Cli::into_command)
    }

    #[test]
    fn the_definition_is_consistent() {
        // Goal: clap's own checks of names, conflicts and defaults pass.
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_takes_the_same_flags() {
        // Goal: `inboxd …` and `inboxd serve …` mean the same.
        let flags = "--config a.toml --data d --listen 127.0.0.1:0 --log-format json";
        for line in [format!("inboxd {flags}"), format!("inboxd serve {flags}")] {
            let Ok(Command::Serve(args)) = parse(&line) else {
                panic!("{line}")
            };
            assert_eq!(args.config, Some(PathBuf::from("a.toml")));
            assert_eq!(args.data, Some(PathBuf::from("d")));
            assert_eq!(args.listen.as_deref(), Some("127.0.0.1:0"));
            assert_eq!(args.log_format, Some(LogFormat::Json));
        }
        assert!(matches!(parse("inboxd"), Ok(Command::Serve(args)) if args == ServeArgs::default()));
    }

    #[test]
    fn options_are_understood_as_users_of_mosquitto_type_them() {
        // Goal: `mosquitto -c FILE -p PORT -v` has the same meaning here.
        let Ok(Command::Serve(args)) = parse("inboxd -c a.toml -p 1884 -v") else {
            panic!("they are options of serve")
        };
        assert_eq!(
            (args.config, args.port, args.verbose),
            (Some(PathBuf::from("a.toml")), Some(1884), true)
        );
        assert!(
            parse("inboxd -p 1884 --listen 127.0.0.1:1885").is_err(),
            "which of them is meant?"
        );
        for good in ["localhost:1884", "[::1]:1884", "broker.example:0"] {
            assert!(parse(&format!("inboxd --listen {good}")).is_ok(), "{good}");
        }
        for bad in ["1884", ":1884", "localhost", "localhost:", "localhost:mqtt"] {
            let error = parse(&format!("inboxd --listen {bad}")).unwrap_err();
            assert!(error.to_string().contains("--port"), "{error}");
        }
    }

    #[test]
    fn what_serve_takes_can_be_looked_at_before() {
        // Goal: regression: doctor did not know --port, so it looked at another port than the broker would listen on.
        for command in ["check-config", "print-config", "doctor"] {
            assert!(
                parse(&format!("inboxd {command} -c a.toml --data d -p 1884")).is_ok(),
                "{command}"
            );
        }
        let Ok(Command::Doctor(args)) = parse("inboxd doctor --json --listen 127.0.0.1:1884") else {
            panic!("they are options of doctor")
        };
        assert_eq!(args.serve.listen.as_deref(), Some("127.0.0.1:1884"));
    }

    #[test]
    fn flags_before_a_subcommand_are_refused_rather_than_ignored() {
        // Goal: `inboxd --data d inbox list` must not quietly look into ./data.
        for line in [
            "inboxd --data d inbox list",
            "inboxd --config c serve",
            "inboxd --listen 127.0.0.1:1 check-config",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn inbox_actions_take_their_place_before_or_after() {
        // Goal: --data is found wherever it is natural to write it, and client IDs are valid ones.
        for line in [
            "inboxd inbox --data d show bob --limit 3",
            "inboxd inbox show bob --limit 3 --data d",
        ] {
            let Ok(Command::Inbox(args)) = parse(line) else {
                panic!("{line}")
            };
            assert_eq!(args.broker.settings.data, Some(PathBuf::from("d")));
            let client = ClientId::new("bob").unwrap();
            assert_eq!(
                args.action,
                InboxAction::Show {
                    client,
                    json: false,
                    limit: Some(3)
                }
            );
        }
        assert!(matches!(
            parse("inboxd inbox purge bob --yes"),
            Ok(Command::Inbox(InboxArgs {
                action: InboxAction::Purge { yes: true, .. },
                ..
            }))
        ));
        assert!(parse("inboxd inbox").is_err());
        let error = Cli::try_parse_from(["inboxd", "inbox", "show", ""]).unwrap_err();
        assert!(error.to_string().contains("must not be empty"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn usage_errors_and_help_end_as_documented() {
        // Goal: bad usage is exit code 2 (docs/operations.md); help and version are answers.
        for line in [
            "inboxd frobnicate",
            "inboxd --listen nowhere",
            "inboxd --log-format xml",
            "inboxd inbox show",
            "inboxd inbox list --data d --server http://127.0.0.1:1",
            "inboxd inbox list --token-file t",
            "inboxd session",
            "inboxd session end",
            "inboxd session list --data d --server http://127.0.0.1:1",
            "inboxd trace",
            "inboxd trace --to bob --seconds 601",
            "inboxd store convert --from a",
            "inboxd store convert --from a --to b --engine fjal",
            "inboxd backup",
            "inboxd restore b",
            "inboxd restore b --verify --data d",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("inboxd --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
        let help = parse("inboxd --help").unwrap_err().to_string();
        for word in [
            "check-config",
            "print-config",
            "inbox",
            "session",
            "trace",
            "store",
            "backup",
            "restore",
            "--listen",
            "--log-format",
            "RUST_LOG",
            "INBOXD_MQTT__LISTEN",
        ] {
            assert!(help.contains(word), "{word} is not in: {help}");
        }
    }
}
