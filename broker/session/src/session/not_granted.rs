//! Why a filter is not granted.

use mqtt_codec::{FilterError, reason};
use pubsub::SubscribeError;

use crate::refusals::Cause;

/// So much of a filter is quoted in a reason string.
const QUOTED_CHARS_MAX: usize = 128;

/// Why a filter is not granted. The text is the reason string of SUBACK, and the sentence of the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGranted {
    // Whoever wrote the client must act.
    #[error(transparent)]
    Invalid(#[from] FilterError),
    #[error(
        "of the topics that begin with $ only $SYS/… can be subscribed to, and $share/NAME/FILTER is a shared subscription \
         (MQTT-4.7.2-1)"
    )]
    Reserved,
    #[error(
        "{filter:?} is the inbox of the client with the ID {owner:?}, where its messages wait for it, and only that client may \
         subscribe to it; {}{}", ordinary_topics(.prefix), own_inbox(.own.as_deref())
    )]
    OthersInbox {
        filter: String,
        owner: String,
        /// Of all inboxes.
        prefix: Box<str>,
        /// The inbox of the client that asks.
        own: Option<Box<str>>,
    },
    #[error(
        "{filter:?} is a shared subscription to an inbox; an inbox is read by the client with that ID alone, under its own name"
    )]
    SharedInbox { filter: String },
    // Whoever wrote the client, or the operator.
    #[error("a session holds at most {0} subscriptions; unsubscribe from some")]
    SubscriptionLimit(usize),
    #[error("the filters of a session take at most {0} bytes together; unsubscribe from some")]
    FilterBytes(usize),
    // The operator.
    #[error(transparent)]
    Denied(access::Denied),
    #[error(transparent)]
    Router(#[from] SubscribeError),
}

impl NotGranted {
    pub(super) fn cause(&self) -> Cause {
        match self {
            NotGranted::Invalid(_) => Cause::FilterInvalid,
            NotGranted::Reserved => Cause::FilterReserved,
            NotGranted::OthersInbox { .. } => Cause::OthersInbox,
            NotGranted::SharedInbox { .. } => Cause::SharedInbox,
            NotGranted::SubscriptionLimit(_) => Cause::SubscriptionLimit,
            NotGranted::FilterBytes(_) => Cause::FilterBytes,
            NotGranted::Denied(_) => Cause::NotAuthorized,
            NotGranted::Router(SubscribeError::FiltersFull(_)) => Cause::FilterLimit,
            NotGranted::Router(SubscribeError::TooManyLevels(_)) => Cause::FilterLevels,
            NotGranted::Router(SubscribeError::Stopped) => Cause::SubscribeStopped,
        }
    }

    /// The reason code in SUBACK.
    pub(super) fn code(&self) -> u8 {
        match self {
            NotGranted::OthersInbox { .. } | NotGranted::SharedInbox { .. } | NotGranted::Denied(_) => {
                reason::NOT_AUTHORIZED
            }
            NotGranted::Invalid(_) | NotGranted::Reserved => reason::TOPIC_FILTER_INVALID,
            NotGranted::SubscriptionLimit(_)
            | NotGranted::FilterBytes(_)
            | NotGranted::Router(SubscribeError::FiltersFull(_) | SubscribeError::TooManyLevels(_)) => {
                reason::QUOTA_EXCEEDED
            }
            NotGranted::Router(SubscribeError::Stopped) => reason::IMPLEMENTATION_SPECIFIC_ERROR,
        }
    }
}

/// For people who know publish/subscribe and have not heard of inboxes.
fn ordinary_topics(prefix: &str) -> String {
    match prefix {
        "" => "for ordinary publish/subscribe use a topic with a slash, like \"home/door\"".to_owned(),
        prefix => format!("for ordinary publish/subscribe use a topic that does not begin with {prefix:?}"),
    }
}

fn own_inbox(inbox: Option<&str>) -> String {
    match inbox {
        Some(own) => format!("; your own inbox is {own:?}"),
        None => "; your client ID has no inbox, because it holds / + or #, or begins with $".to_owned(),
    }
}

/// A filter may be longer than a reason string.
pub(super) fn quoted(filter: &str) -> String {
    filter.chars().take(QUOTED_CHARS_MAX).collect()
}
