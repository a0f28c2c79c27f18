//! Why a publish is refused.

use access::{Denied, ListRefused};
use inbox_types::Refusal;
use mqtt_codec::reason;
use pubsub::PublishError;

use crate::amendments::AmendmentRefused;
use crate::marks::MarksRefused;
use intake::Shut;

/// Why a publish is refused. The text is the reason string for its sender, the sentence of a notice, and that of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPublished {
    /// The payload is over the limit: its sender must act, or the operator.
    #[error("a payload of {bytes} bytes came; mqtt.message_bytes_max is {max}")]
    TooLarge {
        /// Of the payload.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is to be retained, and nothing is: its sender must act, or the operator.
    #[error("this broker retains nothing: router.retained_messages_max or router.retained_bytes_max is 0")]
    RetainOff,
    /// It may not go there, or there is nothing: its sender must act.
    #[error(transparent)]
    Shut(#[from] Shut),
    /// The inbox does not take it: mostly this passes.
    #[error(transparent)]
    Inbox(#[from] Refusal),
    /// It is a request that asks for too much, or is none: its sender must act.
    #[error(transparent)]
    Request(#[from] ListRefused),
    /// It is a request about read messages, and none: its sender must act.
    #[error(transparent)]
    Marks(#[from] MarksRefused),
    /// It is a request about a message that was sent, and none: its sender must act.
    #[error(transparent)]
    Amendment(#[from] AmendmentRefused),
    /// It is an operator's, and could not be answered.
    #[error(
        "a request under $SYS/inboxd/api/ names the Response Topic for its answer, which only MQTT 5 has; nothing was done"
    )]
    NoResponseTopic,
    /// It is an operator's, and others wait for their answers: it passes.
    #[error("too many requests of operators wait for their answers; ask again later")]
    OperatorsBusy,
    /// The router does not: the operator must act.
    #[error(transparent)]
    Router(#[from] PublishError),
}

impl NotPublished {
    /// What MQTT 5 clients are answered.
    pub fn reason_code(&self) -> u8 {
        match self {
            NotPublished::TooLarge { .. } => reason::PACKET_TOO_LARGE,
            NotPublished::RetainOff => reason::RETAIN_NOT_SUPPORTED,
            NotPublished::Shut(Shut::Nowhere(_) | Shut::Denied(Denied::Reserved | Denied::Unregistered)) => {
                reason::TOPIC_NAME_INVALID
            }
            NotPublished::Shut(Shut::Denied(Denied::Stranger)) => reason::QUOTA_EXCEEDED,
            NotPublished::Shut(Shut::Denied(_)) => reason::NOT_AUTHORIZED,
            NotPublished::Shut(Shut::Full(refusal)) | NotPublished::Router(PublishError::Refused(refusal)) => {
                NotPublished::Inbox(*refusal).reason_code()
            }
            NotPublished::Inbox(
                Refusal::InboxFull
                | Refusal::LargerThanInbox
                | Refusal::SenderShare
                | Refusal::DiskFull
                | Refusal::MemoryFull
                | Refusal::StoreTroubled,
            )
            | NotPublished::Router(PublishError::RetainedFull) => reason::QUOTA_EXCEEDED,
            NotPublished::Request(ListRefused::NotJson | ListRefused::NotASender)
            | NotPublished::Inbox(Refusal::OtherPayload) => reason::PAYLOAD_FORMAT_INVALID,
            NotPublished::Marks(MarksRefused::NotJson) | NotPublished::Shut(Shut::NoSuchReceipt(_)) => {
                reason::PAYLOAD_FORMAT_INVALID
            }
            NotPublished::Request(ListRefused::NoInbox) | NotPublished::Marks(MarksRefused::NoInbox) => {
                reason::TOPIC_NAME_INVALID
            }
            NotPublished::Amendment(AmendmentRefused::NotJson | AmendmentRefused::NoNames) => {
                reason::PAYLOAD_FORMAT_INVALID
            }
            NotPublished::Amendment(AmendmentRefused::NoInbox) => reason::TOPIC_NAME_INVALID,
            NotPublished::Marks(MarksRefused::TooLarge) | NotPublished::Amendment(AmendmentRefused::TooLarge) => {
                reason::QUOTA_EXCEEDED
            }
            NotPublished::Shut(Shut::ResponseTopic(_)) => reason::NOT_AUTHORIZED,
            NotPublished::Request(_) | NotPublished::OperatorsBusy => reason::QUOTA_EXCEEDED,
            NotPublished::NoResponseTopic => reason::IMPLEMENTATION_SPECIFIC_ERROR,
            NotPublished::Inbox(Refusal::StoreFailed) | NotPublished::Router(PublishError::Stopped) => {
                reason::IMPLEMENTATION_SPECIFIC_ERROR
            }
        }
    }
}
