//! Why a message did not get where it was to go, sorted by who must act.

use crate::error::{MustAct, StopReason};

/// Why a message did not get as far as was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The broker refused it for good. It is in no inbox.
    #[error("the broker refused the message: {0}")]
    Refused(#[from] Refused),
    /// Its time was over before anybody had it.
    #[error("the message expired before its recipient had it")]
    Expired,
    /// It left the recipient's inbox unread.
    #[error("the message was dropped: {why}")]
    Dropped {
        /// How it left.
        why: DropReason,
    },
    /// The recipient answered that it does not want it.
    #[error("the recipient rejected the message ({code:#04x})")]
    Rejected {
        /// The reason code of its PUBACK.
        code: u8,
    },
    /// It was taken back before it was sent.
    #[error("the message was recalled")]
    Recalled,
    /// The broker does not tell, or the message did not ask: nobody will know.
    #[error("nobody tells whether the message gets there: {why}")]
    NotTold {
        /// Why not.
        why: NotToldWhy,
    },
    /// The inbox stopped. The message is in the outbox still, if that is on disk.
    #[error("the inbox has stopped: {0}")]
    Stopped(StopReason),
    /// The inbox was closed. The message is in the outbox still, if that is on disk.
    #[error("the inbox was closed; a message in an outbox on disk is sent when it is opened again")]
    Closed,
}

impl Undelivered {
    /// Who can do something about it.
    pub fn must_act(&self) -> MustAct {
        match self {
            Undelivered::Refused(refused) => refused.reason.must_act(),
            Undelivered::Expired | Undelivered::Dropped { .. } | Undelivered::Rejected { .. } => MustAct::Recipient,
            Undelivered::NotTold { why } => match why {
                NotToldWhy::NotAsked => MustAct::Caller,
                NotToldWhy::Forgotten => MustAct::Nobody,
                NotToldWhy::Broker => MustAct::BrokerOperator,
            },
            Undelivered::Stopped(reason) => reason.must_act(),
            Undelivered::Recalled | Undelivered::Closed => MustAct::Caller,
        }
    }
}

/// Why nobody tells of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotToldWhy {
    /// The message was sent without asking for this receipt.
    #[error("it did not ask for this receipt")]
    NotAsked,
    /// The broker gives no receipts: it is not inboxd, or an old one.
    #[error("this broker gives no receipts")]
    Broker,
    /// More messages wait for receipts than are remembered.
    #[error("too many messages wait for receipts, and this one was forgotten")]
    Forgotten,
}

/// How a message left its inbox unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// The inbox was full, and drops its oldest message then.
    #[error("the inbox overflowed")]
    Overflow,
    /// An operator emptied the inbox.
    #[error("an operator emptied the inbox")]
    Purged,
    /// The inbox was given up, because its owner did not come.
    #[error("the owner of the inbox did not come for too long")]
    Idle,
    /// A later message with the same key took its place.
    #[error("a later message took its place")]
    Collapsed,
    /// Its sender took it back.
    #[error("its sender took it back")]
    Recalled,
    /// Its sender edited it, and it may have been seen before.
    #[error("its sender replaced it with another one")]
    Edited,
    /// Another way.
    #[error("the broker says no more")]
    Other,
}

/// A refusal, in the broker's words if it gave some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .told.as_deref().map_or_else(|| .reason.to_string(), str::to_owned))]
pub struct Refused {
    /// Why, by the reason code.
    pub reason: Refusal,
    /// The broker's reason string.
    pub told: Option<Box<str>>,
}

/// Why the broker refused a message for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 0x87: the access rules, or the recipient, do not let this client send there.
    #[error("this client may not send there")]
    NotAuthorized,
    /// 0x90: there can be no such inbox, or no such message.
    #[error("there is no such inbox")]
    NoInbox,
    /// 0x99: the id was used for another payload, or a request was none.
    #[error("the id was used for another message, or the request cannot be understood")]
    BadRequest,
    /// It is larger than the broker takes.
    #[error("the message is larger than the broker takes")]
    TooLarge,
    /// 0x10 of a broker that is not inboxd: nobody was subscribed, and it is gone.
    #[error("nobody was subscribed, and this broker keeps nothing for who is away")]
    NobodyThere,
    /// Another reason code.
    #[error("the broker's log says why ({code:#04x})")]
    Other {
        /// The code.
        code: u8,
    },
}

impl Refusal {
    /// Who can do something about it.
    pub fn must_act(&self) -> MustAct {
        match self {
            Refusal::NotAuthorized | Refusal::Other { .. } => MustAct::BrokerOperator,
            Refusal::NoInbox | Refusal::BadRequest | Refusal::TooLarge => MustAct::Caller,
            Refusal::NobodyThere => MustAct::Recipient,
        }
    }
}
