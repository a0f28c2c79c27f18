//! What is wrong with a packet, and which reason code says so.

use super::reason;

/// Why bytes are not a packet that the broker takes. It always ends the connection (MQTT-4.13.1-1).
///
/// The texts name the rule that the client broke, for the log; [`DecodeError::reason_code`] is what MQTT 5 tells the
/// client. It is the client's author who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes cannot be read by the rules of the specification.
    #[error("the client sent a malformed packet: {0}")]
    Malformed(&'static str),
    /// The bytes can be read, but say what the protocol does not allow.
    #[error("the client broke the protocol: {0}")]
    Protocol(&'static str),
    /// The packet is larger than the broker accepts.
    #[error(
        "the client sent a packet of {bytes} bytes and the broker takes at most {max}: raise the limit or send less \
         (MQTT-3.2.2-15)"
    )]
    TooLarge {
        /// Of the whole packet, as its header says.
        bytes: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The CONNECT is of another version of MQTT; the number is its protocol level.
    #[error(
        "the client speaks protocol level {0} and the broker speaks 3 (MQTT 3.1, as MQIsdp), 4 (MQTT 3.1.1) and 5 (MQTT 5): use one of \
         these (MQTT-3.1.2-2)"
    )]
    UnsupportedVersion(u8),
    /// A topic name (of a message, a will or a response) is empty or holds a wildcard.
    #[error("the client used an invalid topic name: {0}")]
    TopicNameInvalid(&'static str),
    /// The topic alias is 0.
    #[error("the client used topic alias 0; the lowest is 1 (MQTT-3.3.2-8)")]
    TopicAliasInvalid,
}

impl DecodeError {
    /// The MQTT 5 reason code for CONNACK or DISCONNECT (MQTT 5, table 2-6).
    pub fn reason_code(&self) -> u8 {
        match self {
            DecodeError::Malformed(_) => reason::MALFORMED_PACKET,
            DecodeError::Protocol(_) => reason::PROTOCOL_ERROR,
            DecodeError::TooLarge { .. } => reason::PACKET_TOO_LARGE,
            DecodeError::UnsupportedVersion(_) => reason::UNSUPPORTED_PROTOCOL_VERSION,
            DecodeError::TopicNameInvalid(_) => reason::TOPIC_NAME_INVALID,
            DecodeError::TopicAliasInvalid => reason::TOPIC_ALIAS_INVALID,
        }
    }
}
