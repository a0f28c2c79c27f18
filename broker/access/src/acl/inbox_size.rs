//! How large an inbox is, where a rule says so.

use inbox_types::{ClientId, InboxSize, InboxSizes, parse_size};

use super::inboxes::InboxRules;

/// Most bytes of an inbox, as in the configuration.
const BYTES_MAX: u64 = 1 << 50;

/// Why a value is no size of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// Of messages.
    #[error("messages_max is a whole number of messages, from 1 on, such as 1000")]
    Messages,
    /// Of bytes.
    #[error("bytes_max is a size from 1 byte to \"1024TiB\", such as \"10MiB\" (units: B, KiB, MiB, GiB, TiB)")]
    Bytes,
    /// The rule has `%c` or `%u` in it.
    #[error(
        "%c and %u stand for who sends, and an inbox is as large for one as for another: give its size in an [[inbox]] without them"
    )]
    OfSender,
}

/// See the module's documentation. What the rule does not say is as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnSize {
    pub(super) messages_max: Option<u64>,
    pub(super) bytes_max: Option<u64>,
}

impl InboxSizes for InboxRules<OwnSize> {
    fn size_of(&self, inbox: &ClientId, usual: InboxSize) -> InboxSize {
        let inbox = inbox.as_str();
        match self.first(inbox, |of| of.has_for_all(inbox)) {
            Some(own) => InboxSize {
                messages_max: own.messages_max.unwrap_or(usual.messages_max),
                bytes_max: own.bytes_max.unwrap_or(usual.bytes_max),
            },
            None => usual,
        }
    }
}

/// Reads `messages_max`.
pub(super) fn messages(value: &toml::Value) -> Result<u64, BadSize> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    number.filter(|messages| *messages > 0).ok_or(BadSize::Messages)
}

/// Reads `bytes_max`, which is written as in the configuration.
pub(super) fn bytes(value: &toml::Value) -> Result<u64, BadSize> {
    let bytes = match value {
        toml::Value::Integer(number) => u64::try_from(*number).ok(),
        toml::Value::String(text) => parse_size(text),
        _ => None,
    };
    bytes
        .filter(|bytes| (1..=BYTES_MAX).contains(bytes))
        .ok_or(BadSize::Bytes)
}
