//! Why an operator is not given what it asks for.

use inbox_bridge::{BackupError, ClientId, ClientIdError, StoreError};
use mqtt_session::NotForgotten;

/// Why a request was not carried out, as programs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It says something that cannot be meant.
    BadRequest,
    /// What it is about is not there.
    NotFound,
    /// Whoever asks may not.
    NotAllowed,
    /// Not now.
    Busy,
    /// It went wrong.
    Failed,
}

impl Code {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::BadRequest => "bad-request",
            Code::NotFound => "not-found",
            Code::NotAllowed => "not-allowed",
            Code::Busy => "busy",
            Code::Failed => "failed",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Code::BadRequest,
            Code::NotFound,
            Code::NotAllowed,
            Code::Busy,
            Code::Failed,
        ];
        all.into_iter().find(|code| code.as_str() == name)
    }
}

/// Why an operator is not given what it asks for. The text is the message that it gets.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    // The operator must ask otherwise.
    /// There is no such command.
    #[error("there is no command {command:?}; there are {known}")]
    Unknown {
        /// What was asked for; it may be cut.
        command: String,
        /// All that there are.
        known: String,
    },
    /// The parameters are not JSON.
    #[error("the parameters are not JSON: {0}")]
    NoJson(#[source] serde_json::Error),
    /// The parameters are not those of the command.
    #[error("the parameters are not those of this command: {0}")]
    Parameters(#[source] serde_json::Error),
    /// The parameters are not an object.
    #[error("the parameters are a JSON object, such as {{\"client\": \"bob\"}}")]
    NoObject,
    /// A number is out of its bounds.
    #[error("{name} is a whole number from {least} to {most}")]
    OutOfBounds {
        /// The parameter.
        name: &'static str,
        /// The least that it may be.
        least: u64,
        /// The most.
        most: u64,
    },
    /// What names a client cannot be a client ID.
    #[error("the client ID cannot be one: {0}")]
    ClientId(#[source] ClientIdError),
    /// A trace of everything.
    #[error("name at least one of \"to\", \"from\" and \"id\": all messages together are too many to follow")]
    TracesAll,
    /// A trace where one answer is all that can be given.
    #[error("a trace tells more than one answer: ask for it over MQTT with a Response Topic, or POST /api/v1/trace")]
    NoStream,
    /// Others are under way.
    #[error("{0} traces are under way, and no more than that may be; stop one, or wait until one ends")]
    TooManyTraces(usize),
    /// Another one is under way.
    #[error("a backup is being taken already, and one at a time is enough for a disk; wait until it has ended")]
    BackupUnderWay,
    /// The client is not connected, and no session is kept for it.
    #[error("no client with that ID is connected, and no session is kept for it")]
    NoClient,
    /// Its connection does not end.
    #[error("the client's connection has been told to end and has not yet; nothing is erased. Ask again")]
    StillThere,
    /// It has ended in memory only.
    #[error(
        "the client's session has ended, but that is not on disk yet, so a crash would bring it back; ask again when the disk has room"
    )]
    SessionNotDurable,

    // Something here is wrong.
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(StoreError),
    /// There is no backup.
    #[error(transparent)]
    Backup(BackupError),
    /// The disk lacks something, so that what is removed is not durably gone.
    #[error(
        "{0} messages are not delivered any more, but that is not on disk yet, so a crash would bring them back; ask again when the disk has room"
    )]
    NotDurable(u64),
    /// A task of the broker's own panicked.
    #[error("the broker met an error of its own; its log has more")]
    Broken,
}

impl OperatorError {
    /// The kind of it, for programs.
    pub fn code(&self) -> Code {
        match self {
            OperatorError::Unknown { .. }
            | OperatorError::NoJson(_)
            | OperatorError::Parameters(_)
            | OperatorError::NoObject
            | OperatorError::OutOfBounds { .. }
            | OperatorError::ClientId(_)
            | OperatorError::TracesAll
            | OperatorError::NoStream => Code::BadRequest,
            OperatorError::NoClient => Code::NotFound,
            OperatorError::Store(StoreError::Troubled(_))
            | OperatorError::TooManyTraces(_)
            | OperatorError::BackupUnderWay
            | OperatorError::StillThere
            | OperatorError::SessionNotDurable
            | OperatorError::NotDurable(_) => Code::Busy,
            OperatorError::Store(_) | OperatorError::Backup(_) | OperatorError::Broken => Code::Failed,
        }
    }
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        OperatorError::Store(error)
    }
}

impl From<NotForgotten> for OperatorError {
    fn from(error: NotForgotten) -> Self {
        match error {
            NotForgotten::StillThere => OperatorError::StillThere,
            NotForgotten::NotDurable => OperatorError::SessionNotDurable,
        }
    }
}

/// A client ID that an operator names.
pub(crate) fn client_id(text: &str) -> Result<ClientId, OperatorError> {
    ClientId::new(text).map_err(OperatorError::ClientId)
}
