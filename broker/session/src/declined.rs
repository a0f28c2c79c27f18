//! Why a client is not let in.

use access::{Denied, OverQuota};
use inbox_types::ClientIdError;
use mqtt_codec::reason;

/// Why a client is not let in, although its CONNECT can be read. The text is the reason string of CONNACK, and the sentence of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    // CONNECT asks for what there is not: whoever configures the client must act.
    /// The client ID cannot be used.
    #[error(transparent)]
    ClientId(#[from] ClientIdError),
    /// A kept session without a name.
    #[error("a session that is not clean needs a client ID (MQTT-3.1.3-8 of MQTT 3.1.1)")]
    NamelessSession,
    /// MQTT 3.1 gives no client a name.
    #[error("MQTT 3.1 needs a client ID (section 3.1)")]
    NamelessV31,
    /// Extended authentication is asked for.
    #[error(
        "this broker knows the authentication method \"token\", where tokens are configured ([auth.jwt]), and no other; leave the property out"
    )]
    AuthenticationMethod,
    /// The will's topic names nothing.
    #[error("the will cannot be published: {0}")]
    WillTopic(&'static str),
    /// The will is to be retained.
    #[error(
        "the will is to be retained, and this broker retains nothing: router.retained_messages_max or router.retained_bytes_max is 0 \
         (MQTT-3.2.2-13)"
    )]
    WillRetained,
    /// The will's payload is over the limit.
    #[error("the will's payload is larger than {max} bytes")]
    WillTooLarge {
        /// The limit.
        max: usize,
    },
    /// The client takes less than the answer.
    #[error("CONNACK is larger than the client's Maximum Packet Size")]
    AnswerTooLarge,

    // The operator decides.
    /// The access rules say no.
    #[error(transparent)]
    Denied(#[from] Denied),

    // It passes.
    /// There are too many connections like it.
    #[error(transparent)]
    Quota(#[from] OverQuota),
    /// The memory budget is used up.
    #[error("the broker's memory budget is used up; connect again later, or raise memory.budget")]
    MemoryFull,

    /// A mistake of the broker: it made up a client ID that is none.
    #[error(transparent)]
    MadeUpId(ClientIdError),
}

impl Declined {
    /// What MQTT 5 clients are told by CONNACK.
    pub fn reason_code(&self) -> u8 {
        match self {
            Declined::ClientId(_)
            | Declined::NamelessSession
            | Declined::NamelessV31
            | Declined::Denied(Denied::BrokersId) => reason::CLIENT_IDENTIFIER_NOT_VALID,
            Declined::AuthenticationMethod => reason::BAD_AUTHENTICATION_METHOD,
            Declined::WillTopic(_) => reason::TOPIC_NAME_INVALID,
            Declined::WillRetained => reason::RETAIN_NOT_SUPPORTED,
            Declined::WillTooLarge { .. } | Declined::AnswerTooLarge => reason::PACKET_TOO_LARGE,
            Declined::Denied(Denied::Credentials | Denied::Token(_)) => reason::BAD_USER_NAME_OR_PASSWORD,
            Declined::Denied(Denied::TooManyFailures) => reason::CONNECTION_RATE_EXCEEDED,
            Declined::Denied(Denied::Undecided) => reason::SERVER_UNAVAILABLE,
            Declined::Denied(_) => reason::NOT_AUTHORIZED,
            Declined::Quota(OverQuota::AddressRate(_)) => reason::CONNECTION_RATE_EXCEEDED,
            Declined::Quota(_) | Declined::MemoryFull => reason::QUOTA_EXCEEDED,
            Declined::MadeUpId(_) => reason::UNSPECIFIED_ERROR,
        }
    }
}
