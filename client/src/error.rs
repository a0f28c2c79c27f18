//! What can go wrong, sorted by who must act.

use std::path::PathBuf;

use crate::options::NAMES;

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MustAct {
    /// The program that called: what it asked for cannot be done.
    Caller,
    /// The recipient of the message.
    Recipient,
    /// Whoever runs the broker.
    BrokerOperator,
    /// Whoever runs this machine: its disk, its network.
    ThisMachine,
    /// Nobody: it passes, or it is how things are.
    Nobody,
}

/// Why [`Inbox::connect`](crate::Inbox::connect) or [`Inbox::open`](crate::Inbox::open) gives no inbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL of the broker cannot be used.
    #[error("the broker's URL cannot be used: {0}")]
    Url(#[from] UrlError),
    /// No inbox can have that name.
    #[error("the client ID {id:?} cannot have an inbox; take one of {}", NAMES)]
    ClientId {
        /// The client ID.
        id: String,
    },
    /// The outbox cannot be opened.
    #[error("the outbox cannot be opened: {0}")]
    Outbox(#[from] StoreError),
    /// The certificates cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsError),
    /// The broker answered, and says no.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// There is no connection. It may pass; [`Inbox::open`](crate::Inbox::open) goes on trying.
    #[error("no connection to the broker: {0}")]
    Lost(#[from] Lost),
    /// The runtime was shut down meanwhile.
    #[error("the runtime in which the inbox was opened has ended")]
    Ended,
}

impl ConnectError {
    /// Who can do something about it.
    pub fn must_act(&self) -> MustAct {
        match self {
            ConnectError::Url(_) | ConnectError::ClientId { .. } | ConnectError::Ended => MustAct::Caller,
            ConnectError::Outbox(_) | ConnectError::Tls(_) => MustAct::ThisMachine,
            ConnectError::Stopped(reason) => reason.must_act(),
            ConnectError::Lost(_) => MustAct::Nobody,
        }
    }
}

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It begins with something else.
    #[error("it begins with mqtt://, mqtts://, ws:// or wss://")]
    Scheme,
    /// There is no host.
    #[error("it names no host")]
    Host,
    /// The port is no number, or 0.
    #[error("the port is a number from 1 to 65535")]
    Port,
    /// User or password hold an escape that is none, or are no UTF-8.
    #[error("%XX in user or password stands for a byte of UTF-8 text")]
    Escape,
}

/// What is wrong with certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// This system trusts nobody.
    #[error("this system has no trusted certificates; name the file of the broker's authority")]
    NoRoots,
    /// There is no certificate in what was given.
    #[error("the authority's PEM holds no certificate that can be used")]
    NoCertificate,
    /// The configuration is not possible.
    #[error("ring offers no protocol version that is asked for")]
    Versions,
}

/// Why an inbox stopped for good: another attempt would end in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// CONNACK 0x86: the user name or the password is wrong.
    #[error("the broker does not accept the user name or the password")]
    BadCredentials,
    /// CONNACK 0x87: this user may not use this client ID, or nobody may connect without being known.
    #[error("the broker does not let this client connect; does the user own this client ID?")]
    NotAuthorized,
    /// CONNACK 0x85: no client can have this ID.
    #[error("the broker does not take this client ID")]
    ClientIdRefused,
    /// SUBACK says no: the own inbox cannot be read.
    #[error("the broker does not let this client read its inbox; is the inbox prefix the broker's?")]
    InboxRefused,
    /// DISCONNECT 0x8E, three times in a row: another program uses the client ID.
    #[error("another connection uses this client ID now; each program takes a client ID of its own")]
    TakenOver,
    /// TLS: the broker's certificate is not accepted. Nothing was sent, no password either.
    #[error("the broker's certificate is not accepted: {0}")]
    Certificate(CertificateFault),
    /// Another refusal that does not pass.
    #[error("the broker refuses the connection ({code:#04x})")]
    Refused {
        /// The reason code of MQTT 5.
        code: u8,
    },
}

impl StopReason {
    /// Who can do something about it.
    pub fn must_act(&self) -> MustAct {
        match self {
            StopReason::BadCredentials | StopReason::ClientIdRefused | StopReason::TakenOver => MustAct::Caller,
            StopReason::NotAuthorized | StopReason::InboxRefused | StopReason::Refused { .. } => {
                MustAct::BrokerOperator
            }
            StopReason::Certificate(fault) => fault.must_act(),
        }
    }
}

/// What is wrong with the certificate that the broker shows.
///
/// One that is not valid yet is none of these: it becomes valid, or the clock of this machine is set, so it is [`LostWhy::Tls`] and tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It is signed by nobody whom this program trusts.
    #[error("no authority that is trusted here has signed it")]
    UnknownAuthority,
    /// It is for another host than that of the URL.
    #[error("it is for another name than the one in the URL")]
    OtherName,
    /// It is damaged, revoked, or made for something else.
    #[error("it cannot be used for a broker")]
    Unusable,
}

impl CertificateFault {
    /// Who can do something about it: for who is trusted and what is in the URL, whoever gave the options.
    pub fn must_act(&self) -> MustAct {
        match self {
            CertificateFault::UnknownAuthority | CertificateFault::OtherName => MustAct::Caller,
            CertificateFault::Expired | CertificateFault::Unusable => MustAct::BrokerOperator,
        }
    }
}

/// Why a connection was lost, or not made. It may pass, and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}{}", .told.as_deref().map(|told| format!(" ({told})")).unwrap_or_default())]
pub struct Lost {
    /// What happened.
    pub why: LostWhy,
    /// What the system, or the broker, said.
    pub told: Option<Box<str>>,
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LostWhy {
    /// No connection was made, or it broke.
    #[error("the network failed")]
    Network,
    /// It was not made in time.
    #[error("the broker did not answer in time")]
    TimedOut,
    /// Nothing came within the heartbeat: the link is half dead.
    #[error("the link went silent")]
    Silent,
    /// TLS failed: what answers there does not speak it, for one. A certificate that is not accepted is [`StopReason::Certificate`].
    #[error("TLS failed")]
    Tls,
    /// It is no MQTT over WebSocket.
    #[error("the WebSocket failed")]
    WebSocket,
    /// The broker refused it for now, or ended it.
    #[error("the broker ended it ({code:#04x})")]
    Broker {
        /// The reason code of MQTT 5.
        code: u8,
    },
    /// One side broke the protocol.
    #[error("the protocol was broken")]
    Protocol,
    /// More came than the program takes; it goes on when some of it is acknowledged or dropped.
    #[error("too many messages wait for this program")]
    Overflow,
}

/// Why [`Inbox::send`](crate::Inbox::send) did not take a message. It was not sent, and will not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No client can have that name.
    #[error("there can be no inbox {to:?}; a name has {}", NAMES)]
    Recipient {
        /// The name.
        to: String,
    },
    /// Ids have 1 to 256 bytes.
    #[error("an id has 1 to 256 bytes")]
    Id,
    /// A content type, key or property that MQTT cannot carry.
    #[error("a text beside the payload holds U+0000, or more than 65,535 bytes")]
    Text,
    /// Another message of this id to this recipient is in the outbox.
    #[error("another message with this id is on its way to this recipient")]
    SameId,
    /// The message alone is more than the outbox may hold.
    #[error("the message has {bytes} bytes, and the outbox takes {bytes_max}")]
    TooLarge {
        /// Of the message.
        bytes: usize,
        /// Of the outbox.
        bytes_max: usize,
    },
    /// The outbox is full. Wait until some messages were acknowledged, and send again.
    #[error("the outbox is full with {messages} messages of {bytes} bytes; send again when some are out")]
    Full {
        /// How many it holds.
        messages: usize,
        /// Of their payloads.
        bytes: usize,
    },
    /// The message could not be kept.
    #[error("the message could not be kept: {0}")]
    Store(#[from] StoreError),
    /// The inbox stopped.
    #[error("the inbox has stopped: {0}")]
    Stopped(#[from] StopReason),
    /// The inbox was closed.
    #[error("the inbox was closed")]
    Closed,
}

impl SendError {
    /// Who can do something about it.
    pub fn must_act(&self) -> MustAct {
        match self {
            SendError::Recipient { .. }
            | SendError::Id
            | SendError::Text
            | SendError::SameId
            | SendError::TooLarge { .. }
            | SendError::Closed => MustAct::Caller,
            SendError::Full { .. } => MustAct::Nobody,
            SendError::Store(_) => MustAct::ThisMachine,
            SendError::Stopped(reason) => reason.must_act(),
        }
    }
}

/// Why a message was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// That it was handled could not be kept; the message is acknowledged by nobody. Try again, or let it come again.
    #[error("the acknowledgement could not be kept, and was not sent: {0}")]
    Store(#[from] StoreError),
    /// The inbox was closed; the message comes again.
    #[error("the inbox was closed; the message comes again")]
    Closed,
}

/// What is wrong with the outbox's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room.
    #[error("the disk under {} is full", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another program has it open.
    #[error("another program uses {}", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no outbox, was made by a later version, or is damaged.
    #[error("{} is no outbox of this version, or is damaged", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{} cannot be read or written: {kind}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// The outbox was closed.
    #[error("the outbox is closed")]
    Closed,
}
