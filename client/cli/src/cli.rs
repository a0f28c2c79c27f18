//! The command line of `inbox`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::quantity::{Patience, duration, lifetime, patience};
use crate::settings::Layer;

/// What follows the options in `inbox --help`.
pub(crate) const AFTER_HELP: &str = "\
Settings come from a TOML file (~/.config/inbox/config.toml, or --config), then from the environment (INBOX_URL, INBOX_ID, INBOX_USER, \
INBOX_PASSWORD_FILE, INBOX_PREFIX, INBOX_OUTBOX, INBOX_AUTHORITY; INBOX_CONFIG names the file), then from these options; the later one wins. The file has the \
keys url, id, user, password_file, prefix, outbox and authority.

Exit codes: 0 as asked, 2 bad option, 65 refused for good, 69 no connection, 73 another program uses the client ID, 74 outbox or output \
cannot be read or written, 75 not in time, 76 the broker does not tell, 77 wrong password, 78 bad configuration, 79 only some of many messages, 1 anything else.";

/// Send to an inbox of inboxd, read one's own, and know what became of what was sent.
#[derive(Debug, Parser)]
#[command(name = "inbox", version, about, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where, and as whom. They may stand before or after the command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// The broker: mqtt://, mqtts://, ws:// or wss://, then HOST[:PORT] [default: mqtt://localhost]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Who I am: the client ID, which is the name of the inbox
    #[arg(short = 'i', long, global = true, value_name = "NAME")]
    client_id: Option<String>,
    /// The user [default: the client ID, if there is a password]
    #[arg(short, long, global = true, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from the first line of this file; - asks for it, or reads it from a pipe
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// What the topics of inboxes begin with, as the broker's inbox.prefix
    #[arg(long, global = true, value_name = "TEXT")]
    prefix: Option<String>,
    /// Keep in this file what is not sent yet [default: ~/.local/share/inbox/NAME/SERVER.redb]
    #[arg(long, global = true, value_name = "FILE")]
    outbox: Option<PathBuf>,
    /// Keep it in memory alone: what is not sent when the command ends is lost
    #[arg(long, global = true, conflicts_with = "outbox")]
    no_outbox: bool,
    /// Trust the authority whose certificate is in this PEM file, and no other
    #[arg(long, global = true, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Read settings from this TOML file
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a message and wait until it got as far as asked; prints its ID. With --lines, a message for each line, and no IDs
    Send(SendArgs),
    /// Print the messages of my inbox as they come, and acknowledge them
    Listen(ListenArgs),
    /// Talk with somebody
    Chat(ChatArgs),
    /// Say whether the broker is there, and what waits in the outbox
    Status(StatusArgs),
    /// Take a message back; a recipient who may have had it is told
    Recall(RecallArgs),
    /// Replace the text of a message; a recipient who may have had it is told
    Edit(EditArgs),
    /// Print what makes a shell complete these commands
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Write manual pages
    Man {
        /// Into this directory, which is made if there is none
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// How far a message is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The broker has it on its disk
    Stored,
    /// The recipient acknowledged it
    Delivered,
    /// The recipient says that it was read
    Read,
}

/// `inbox send`.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The recipient's client ID
    pub(crate) to: String,
    /// The message; - or nothing reads standard input
    pub(crate) text: Option<String>,
    /// Send what is in this file
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(crate) file: Option<PathBuf>,
    /// How far the message is to get before this ends with 0
    #[arg(long, value_enum, value_name = "STATE", default_value = "stored")]
    pub(crate) wait: Wait,
    /// Give up waiting after this time, 0 for never; with --lines, after nothing got any further for this time
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "30s")]
    pub(crate) timeout: Patience,
    /// The message's ID: sent again with the same ID it is the same message. With --lines, line N has ID.N
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Replace an earlier message of mine with the same key that the recipient has not got yet
    #[arg(long, value_name = "KEY")]
    pub(crate) collapse: Option<String>,
    /// Whoever has not got it after this time does not get it any more
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub(crate) expires_after: Option<Duration>,
    /// Each line is a message. No IDs are printed: give them with --id
    #[arg(long)]
    pub(crate) lines: bool,
}

/// `inbox listen`.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Print a line of JSON for each message
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the messages in the inbox: they come again
    #[arg(long)]
    pub(crate) no_ack: bool,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after this time; with --count, fewer messages than that are "not in time"
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// `inbox chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The client ID of the other
    pub(crate) with: String,
    /// No characters beside ASCII in what this program says itself
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// `inbox status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up connecting after this time
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) timeout: Duration,
}

/// `inbox recall`.
#[derive(Debug, Args)]
pub(crate) struct RecallArgs {
    /// To whom it was sent
    pub(crate) to: String,
    /// Its ID, which `inbox send` printed
    pub(crate) id: String,
    /// Give up waiting after this time, 0 for never
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "30s")]
    pub(crate) timeout: Patience,
}

/// `inbox edit`.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) which: RecallArgs,
    /// What it is to say
    pub(crate) text: String,
}

impl Options {
    /// What they say of settings.
    pub(crate) fn layer(&self) -> Layer {
        let outbox = self.outbox.clone().or_else(|| self.no_outbox.then(PathBuf::new));
        Layer {
            url: self.url.clone(),
            id: self.client_id.clone(),
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            prefix: self.prefix.clone(),
            outbox,
            authority: self.authority.clone(),
        }
    }
}

impl Command {
    /// Whether it reads standard input itself.
    pub(crate) fn reads_stdin(&self) -> bool {
        match self {
            Command::Send(send) => send.file.is_none() && send.text.as_deref().is_none_or(|text| text == "-"),
            Command::Chat(_) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        // Goal: clap's own checks of names, conflicts and defaults pass.
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        // Goal: who I am is found in both places, and is not the ID of the message.
        for line in [
            "inbox -i alice --url ws://h send bob hi --id m1",
            "inbox send bob hi --id m1 --client-id alice --url ws://h",
        ] {
            let cli = parse(line).unwrap();
            let layer = cli.options.layer();
            assert_eq!(
                (layer.id.as_deref(), layer.url.as_deref()),
                (Some("alice"), Some("ws://h"))
            );
            let Command::Send(send) = cli.command else {
                panic!("{line}")
            };
            assert_eq!((send.id.as_deref(), send.text.as_deref()), (Some("m1"), Some("hi")));
            assert_eq!(
                (send.wait, send.timeout),
                (Wait::Stored, Patience(Some(Duration::from_secs(30))))
            );
        }
        let memory = parse("inbox --no-outbox status").unwrap().options.layer();
        assert_eq!(memory.outbox, Some(PathBuf::new()));
    }

    #[test]
    fn standard_input_has_one_reader() {
        // Goal: what reads it is known before the password is read from it.
        for (line, reads) in [
            ("inbox send bob", true),
            ("inbox send bob -", true),
            ("inbox send bob --lines", true),
            ("inbox send bob hi", false),
            ("inbox send bob --file f", false),
            ("inbox chat bob", true),
            ("inbox listen", false),
        ] {
            assert_eq!(parse(line).unwrap().command.reads_stdin(), reads, "{line}");
        }
    }

    #[test]
    fn usage_errors_are_told() {
        // Goal: bad usage is exit code 2; there is no option for a password.
        for line in [
            "inbox",
            "inbox send",
            "inbox send bob hi --wait seen",
            "inbox send bob hi --timeout 30",
            "inbox send bob hi --file f",
            "inbox send bob hi --expires-after 10ms",
            "inbox send bob hi --password secret",
            "inbox listen --count 0",
            "inbox recall bob",
            "inbox edit bob m1",
            "inbox completions cmd",
            "inbox status --outbox f --no-outbox",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("inbox --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
    }
}
