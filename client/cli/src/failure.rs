//! Why a command did not do what it was asked to: a sentence, what to do about it, and the exit code.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use inbox_client::{AckError, ConnectError, Lost, RequestError, SendError, StopReason, StoreError, Undelivered};

use crate::cli::Wait;
use crate::exit::Exit;
use crate::settings::SettingsError;

/// See the module's documentation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{} cannot be read: {kind}", .path.display())]
    Unreadable { path: PathBuf, kind: ErrorKind },
    #[error("{} cannot be read: {kind}; nothing was sent", .path.display())]
    NoFile { path: PathBuf, kind: ErrorKind },
    #[error("what is to be sent cannot be read: {0}")]
    Input(ErrorKind),
    #[error("what was asked for cannot be written: {0}")]
    Output(ErrorKind),
    #[error("{} cannot be made: {kind}; name another place with --outbox, or keep the outbox in memory with --no-outbox", .path.display())]
    OutboxFolder { path: PathBuf, kind: ErrorKind },
    #[error(
        "standard input is the message here, so the password cannot come from it; name a file with --password-file"
    )]
    TwoReaders,
    #[error("there is no message; give it as an argument, with --file, or through a pipe")]
    NoMessage,
    #[error("with --lines the messages come from standard input or --file")]
    TextAndLines,
    #[error("this program cannot run: {0}")]
    Runtime(ErrorKind),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("a message was printed and cannot be acknowledged, so it comes again: {0}")]
    Ack(#[from] AckError),
    #[error("the message is not {} after {after:?}; {}", .state.word(), .where_it_is)]
    NotInTime {
        state: Wait,
        after: Duration,
        where_it_is: WhereItIs,
    },
    #[error("no connection to the broker after {after:?}{}; {where_it_is}", because(.why.as_ref()))]
    NoConnection {
        after: Duration,
        why: Option<Lost>,
        where_it_is: WhereItIs,
    },
    #[error("the broker has not answered after {after:?}; {where_it_is}")]
    NotAnswered { after: Duration, where_it_is: WhereItIs },
    #[error("{messages} messages are not at the broker yet; {where_it_is}")]
    Waiting {
        messages: usize,
        is_connected: bool,
        where_it_is: WhereItIs,
    },
    #[error("only {came} of {wanted} messages came in time")]
    TooFew { came: u64, wanted: u64 },
    #[error("{reached} of {all} messages are {}; the first that is not is line {line}: {why}", .state.word())]
    Partly {
        reached: u64,
        all: u64,
        state: Wait,
        line: u64,
        why: Box<Failure>,
    },
}

/// Where a message is that did not get as far as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WhereItIs {
    #[error("the broker has it on disk, and the recipient gets it when it reads its inbox")]
    Broker,
    #[error("the recipient has it")]
    Recipient,
    #[error("it waits in {} as {id}, and goes out with the next command of this client: to try again, give it the same --id", .outbox.display())]
    Outbox { outbox: PathBuf, id: String },
    #[error("what is in the inbox waits there")]
    Inbox,
    #[error("it goes out with the next command of this client")]
    NextTime,
    #[error("nothing waits to be sent")]
    NoneWaits,
    #[error("the outbox was in memory, so nobody knows whether it got there: to try again, give it --id {id}")]
    Memory { id: String },
    #[error("the outbox was in memory, so nobody knows whether they got there")]
    Nowhere,
}

impl Wait {
    /// The participle.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Wait::Stored => "stored",
            Wait::Delivered => "delivered",
            Wait::Read => "read",
        }
    }
}

impl Failure {
    /// What the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Settings(_) | Failure::Unreadable { .. } => Exit::BadConfiguration,
            Failure::TwoReaders | Failure::NoMessage | Failure::TextAndLines | Failure::NoFile { .. } => Exit::Usage,
            Failure::Input(_) | Failure::Output(_) | Failure::OutboxFolder { .. } => Exit::Disk,
            Failure::Ack(AckError::Store(why)) => of_store(why),
            Failure::Runtime(_) | Failure::Ack(AckError::Closed) => Exit::Failed,
            Failure::Connect(why) => match why {
                ConnectError::Url(_) | ConnectError::ClientId { .. } | ConnectError::Tls(_) => Exit::BadConfiguration,
                ConnectError::Outbox(why) => of_store(why),
                ConnectError::Stopped(reason) => of_stop(*reason),
                ConnectError::Lost(_) => Exit::NoConnection,
                ConnectError::Ended => Exit::Failed,
            },
            Failure::Send(why) | Failure::Request(RequestError::Send(why)) => of_send(why),
            Failure::Undelivered(why) | Failure::Request(RequestError::Refused(why)) => match why {
                Undelivered::Stopped(reason) => of_stop(*reason),
                Undelivered::NotTold { .. } => Exit::NotTold,
                Undelivered::Closed => Exit::NotInTime,
                _ => Exit::Refused,
            },
            Failure::NoConnection { .. } => Exit::NoConnection,
            Failure::Waiting {
                is_connected: false, ..
            } => Exit::NoConnection,
            Failure::NotAnswered { .. }
            | Failure::NotInTime { .. }
            | Failure::Waiting { .. }
            | Failure::TooFew { .. } => Exit::NotInTime,
            Failure::Partly { reached: 0, why, .. } => why.exit(),
            Failure::Partly { .. } => Exit::Partly,
        }
    }

    /// What can be done about it, where the sentence does not say.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let reason = match self {
            Failure::Connect(ConnectError::Stopped(reason))
            | Failure::Send(SendError::Stopped(reason))
            | Failure::Undelivered(Undelivered::Stopped(reason)) => *reason,
            Failure::Connect(ConnectError::Outbox(StoreError::InUse { .. })) => {
                return Some(
                    "is a chat or listen of this client running? End it, or be another client with --client-id",
                );
            }
            Failure::Connect(ConnectError::Lost(_)) | Failure::NoConnection { .. } => {
                return Some("does the broker run, and is --url right?");
            }
            Failure::Undelivered(Undelivered::NotTold { .. }) => return Some("--wait stored works with every broker"),
            _ => return None,
        };
        Some(match reason {
            StopReason::BadCredentials => "see to --user and --password-file",
            StopReason::NotAuthorized => "who you are is a matter of --client-id, --user and --password-file",
            StopReason::TakenOver => "end the other one, or be another client with --client-id",
            StopReason::InboxRefused => "see to --prefix",
            StopReason::Certificate(_) => "see to --url and --authority, and to the broker's certificate",
            _ => return None,
        })
    }
}

fn of_send(why: &SendError) -> Exit {
    match why {
        SendError::Full { .. } | SendError::Closed => Exit::NotInTime,
        SendError::Store(why) => of_store(why),
        SendError::Stopped(reason) => of_stop(*reason),
        _ => Exit::Refused,
    }
}

fn of_store(why: &StoreError) -> Exit {
    match why {
        StoreError::InUse { .. } => Exit::InUse,
        _ => Exit::Disk,
    }
}

fn of_stop(reason: StopReason) -> Exit {
    match reason {
        StopReason::BadCredentials | StopReason::NotAuthorized => Exit::WrongPassword,
        StopReason::TakenOver => Exit::InUse,
        StopReason::Certificate(_) => Exit::BadConfiguration,
        _ => Exit::Refused,
    }
}

fn because(why: Option<&Lost>) -> String {
    why.map(|why| format!(" ({why})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbox_client::CertificateFault;

    #[test]
    fn scripts_can_tell_failures_apart() {
        // Goal: each kind of failure has the code of docs/inbox.md, wherever it shows; none of many messages is as one.
        let refused = || Failure::Undelivered(Undelivered::Expired);
        let wrong = StopReason::BadCredentials;
        let path = PathBuf::from("o");
        for (failure, exit) in [
            (refused(), Exit::Refused),
            (ConnectError::from(wrong).into(), Exit::WrongPassword),
            (Undelivered::Stopped(wrong).into(), Exit::WrongPassword),
            (ConnectError::from(StoreError::InUse { path }).into(), Exit::InUse),
            (Undelivered::Stopped(StopReason::TakenOver).into(), Exit::InUse),
            (SettingsError::NoClientId.into(), Exit::BadConfiguration),
            (
                ConnectError::from(StopReason::Certificate(CertificateFault::Expired)).into(),
                Exit::BadConfiguration,
            ),
        ] {
            assert_eq!(failure.exit(), exit, "{failure}");
        }
        for (reached, exit) in [(0, Exit::Refused), (1, Exit::Partly)] {
            let why = Box::new(refused());
            let (all, state, line) = (2, Wait::Stored, 2);
            let partly = Failure::Partly {
                reached,
                all,
                state,
                line,
                why,
            };
            assert_eq!(partly.exit(), exit);
        }
    }
}
