//! Why the broker ends a connection.

use mqtt_codec::{DecodeError, PacketType, reason};

use crate::declined::Declined;
use crate::not_published::NotPublished;

/// Why the broker ends a connection. The text is the reason string for the client, and the sentence for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    // The client breaks the protocol: its author must act.
    /// A packet cannot be read, or is too large.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// The connection does not begin with CONNECT.
    #[error("the first packet is not CONNECT (MQTT-3.1.0-1)")]
    NotConnect,
    /// A packet that only a server sends, or a second CONNECT.
    #[error("{0:?} came, which a connected client must not send (MQTT-3.1.0-2)")]
    Unexpected(PacketType),
    /// AUTH, unasked.
    #[error("AUTH came although CONNECT named no authentication method (MQTT-4.12.0-1)")]
    UnaskedAuth,
    /// AUTH that is no re-authentication with the method of CONNECT.
    #[error(
        "AUTH is for a fresh token: reason code 0x19, the method of CONNECT, and the token as its data (MQTT-4.12.1-1)"
    )]
    WrongAuth,
    /// PUBREL for a publish that has no answer yet.
    #[error("PUBREL came before PUBREC was sent (MQTT-4.3.3-5)")]
    EarlyPubRel,
    /// An answer that does not go with what it answers.
    #[error("PUBACK came for a message of QoS 2 (MQTT-4.3.2-3, MQTT-4.3.3-7)")]
    WrongPubAck,
    /// The same.
    #[error("PUBREC came for a message of QoS 1 (MQTT-4.3.2-3, MQTT-4.3.3-7)")]
    WrongPubRec,
    /// The same.
    #[error("PUBCOMP came for a message of another step (MQTT-4.3.2-3, MQTT-4.3.3-7)")]
    WrongPubComp,
    /// DISCONNECT asks for what CONNECT ruled out.
    #[error("DISCONNECT sets a session expiry although CONNECT set none (section 3.14.2.2.2)")]
    LateSessionExpiry,
    /// No Local, where it is forbidden.
    #[error("no local is set on a shared subscription (MQTT-3.8.3-4)")]
    NoLocalOfShared,
    /// More than CONNACK allows.
    #[error("more publishes are unacknowledged than CONNACK's receive maximum allows (MQTT-3.3.4-9)")]
    ReceiveMaximum,
    /// A message to retain, where CONNACK said that there are none.
    #[error("a message to retain came although CONNACK said that retained messages are not available (MQTT-3.2.2-14)")]
    RetainUnavailable,
    /// A topic alias that CONNACK does not allow.
    #[error("a topic alias is above CONNACK's topic alias maximum (MQTT-3.3.2-9)")]
    AliasTooHigh,
    /// A topic alias that stands for nothing.
    #[error("a topic alias came that was not set in this connection (section 3.3.4)")]
    UnknownAlias,
    /// The client takes less than the answer that it asks for.
    #[error("the answer to so many topic filters is larger than the client's Maximum Packet Size (MQTT-3.1.2-24)")]
    AnswerTooLarge,

    /// What came breaks a rule of what carries MQTT.
    #[error("{0}")]
    Transport(&'static str),

    // The client asks for what it cannot have: whoever runs it must act, or the operator.
    /// It is not let in.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// A publish is refused, and its version of MQTT has no answer that says so (contract rule 3), or it has none for this reason.
    #[error(transparent)]
    NotPublished(#[from] NotPublished),

    /// What proved who the client is has come to its end.
    #[error(
        "what proved who this client is has expired; connect again with a fresh token, or send one by AUTH in time"
    )]
    Expired,
    /// Its fresh token is not accepted.
    #[error("the client could not be authenticated again: {0}")]
    NotRenewed(access::Denied),

    /// The access rules have changed.
    #[error("this client may not go on under its client ID: {0}")]
    Withdrawn(access::Denied),

    // Nothing came: the network, or a client that sleeps.
    /// No CONNECT came in time.
    #[error("a connection sent no CONNECT within mqtt.connect_timeout")]
    Late,
    /// The keep alive time is over.
    #[error(
        "no packet came for one and a half times the keep alive time (MQTT-3.1.2-22): the network was lost, or the client sleeps and needs a \
         longer one"
    )]
    Silent,
    /// The same, and the client could not be told how long it is.
    #[error(
        "no packet came for one and a half times mqtt.keep_alive_max, which is less than the keep alive that this MQTT 3.1.1 client \
         chose: give the client a shorter one, or raise the setting"
    )]
    SilentForLess,

    /// The client acknowledges nothing.
    #[error(
        "a message was not acknowledged within delivery.ack_timeout of being sent; what is unacknowledged comes again at the next connection"
    )]
    Stuck,

    // It passes: the client may come again.
    /// Packets that are not whole take as much memory as they may.
    #[error("packets that are not whole take a quarter of the memory budget; send this one again later")]
    PartialsFull,
    /// Another connection took its place.
    #[error("another connection uses this client ID now (MQTT-3.1.4-3)")]
    TakenOver,
    /// An operator wants it to end.
    #[error("an operator ended this connection")]
    ByOperator,
    /// The process ends.
    #[error("the broker is shutting down")]
    ShuttingDown,
}

impl Closed {
    /// What MQTT 5 clients are told by DISCONNECT.
    pub fn reason_code(&self) -> u8 {
        match self {
            Closed::Undecodable(error) => error.reason_code(),
            Closed::Declined(declined) => declined.reason_code(),
            Closed::NotPublished(refused) => refused.reason_code(),
            Closed::NotConnect
            | Closed::Unexpected(_)
            | Closed::UnaskedAuth
            | Closed::WrongAuth
            | Closed::EarlyPubRel
            | Closed::WrongPubAck
            | Closed::WrongPubRec
            | Closed::WrongPubComp
            | Closed::LateSessionExpiry
            | Closed::NoLocalOfShared
            | Closed::UnknownAlias
            | Closed::Transport(_)
            | Closed::Late => reason::PROTOCOL_ERROR,
            Closed::Expired => reason::MAXIMUM_CONNECT_TIME,
            Closed::NotRenewed(_) | Closed::Withdrawn(_) => reason::NOT_AUTHORIZED,
            Closed::ReceiveMaximum => reason::RECEIVE_MAXIMUM_EXCEEDED,
            Closed::RetainUnavailable => reason::RETAIN_NOT_SUPPORTED,
            Closed::AliasTooHigh => reason::TOPIC_ALIAS_INVALID,
            Closed::AnswerTooLarge => reason::PACKET_TOO_LARGE,
            Closed::Silent | Closed::SilentForLess => reason::KEEP_ALIVE_TIMEOUT,
            // Not 0x8E, or a library would take it for a takeover and stay away.
            Closed::Stuck => reason::IMPLEMENTATION_SPECIFIC_ERROR,
            Closed::PartialsFull => reason::QUOTA_EXCEEDED,
            Closed::TakenOver => reason::SESSION_TAKEN_OVER,
            Closed::ByOperator => reason::ADMINISTRATIVE_ACTION,
            Closed::ShuttingDown => reason::SERVER_SHUTTING_DOWN,
        }
    }
}
