//! What is sent: a payload, and what is asked for it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Content types that the helpers set.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const MESSAGE_PACK: &str = "application/vnd.msgpack";

/// A message to be sent. Bytes and text become one by themselves: `inbox.send("bob", "hello")`.
///
/// Every message asks for both receipts, unless told otherwise.
///
/// ```
/// use std::time::Duration;
///
/// use inbox_client::{Message, Receipts};
///
/// # fn main() -> Result<(), inbox_client::PayloadError> {
/// let position = Message::json(&[52.52, 13.4])?
///     .id("ride-17.42") // sent again after a crash, it is the same message
///     .collapse("ride-17") // an older position that waits is not needed any more
///     .expires_after(Duration::from_secs(60))
///     .receipts(Receipts::NONE);
/// # let _to_be_sent = position;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Message {
    pub(crate) payload: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) expires_after: Option<Duration>,
    pub(crate) collapse: Option<String>,
    pub(crate) receipts: Receipts,
    pub(crate) properties: Vec<(String, String)>,
}

/// Which receipts a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipts {
    /// When the recipient acknowledged it.
    pub delivered: bool,
    /// When the recipient's application said that it was read.
    pub read: bool,
}

impl Receipts {
    /// Both.
    pub const ALL: Receipts = Receipts {
        delivered: true,
        read: true,
    };
    /// None.
    pub const NONE: Receipts = Receipts {
        delivered: false,
        read: false,
    };
}

/// A value that cannot be written as JSON or MessagePack, or bytes that are not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// No text in UTF-8.
    #[error("the payload is no text in UTF-8")]
    Text,
    /// JSON of another shape, or a value that JSON has no words for.
    #[error("the value and JSON do not fit")]
    Json,
    /// MessagePack of another shape, or a value that it has no words for.
    #[error("the value and MessagePack do not fit")]
    MessagePack,
}

impl Message {
    /// Bytes, without a content type.
    pub fn bytes(payload: impl Into<Bytes>) -> Self {
        Message {
            payload: payload.into(),
            content_type: None,
            id: None,
            expires_after: None,
            collapse: None,
            receipts: Receipts::ALL,
            properties: Vec::new(),
        }
    }

    /// Text, as `text/plain; charset=utf-8`.
    pub fn text(text: impl Into<String>) -> Self {
        Message::bytes(text.into()).content_type(TEXT)
    }

    /// A value as JSON, `application/json`.
    ///
    /// # Errors
    /// [`PayloadError::Json`]: a map whose keys are no text, for one.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        let bytes = serde_json::to_vec(value).map_err(|_| PayloadError::Json)?;
        Ok(Message::bytes(bytes).content_type(JSON))
    }

    /// A value as MessagePack with the names of its fields, `application/vnd.msgpack`.
    ///
    /// # Errors
    /// [`PayloadError::MessagePack`]: a value that refuses to be written.
    pub fn message_pack<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        let bytes = rmp_serde::to_vec_named(value).map_err(|_| PayloadError::MessagePack)?;
        Ok(Message::bytes(bytes).content_type(MESSAGE_PACK))
    }

    /// Says what the payload is: a media type.
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// Sets the id, of 1 to 256 bytes, by which repeats are recognised; a random one is made otherwise. An application that may call `send` twice for
    /// the same thing, as after its own crash, gives both the same id: the second is the first, as long as that is not through, and afterwards it is for the
    /// broker to know it again.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Whoever has not got it after this time, in whole seconds, does not get it any more. The time in the outbox counts.
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after = Some(time);
        self
    }

    /// Replaces an earlier message with the same key to the same recipient who has not got it yet.
    pub fn collapse(mut self, key: impl Into<String>) -> Self {
        self.collapse = Some(key.into());
        self
    }

    /// Asks for these receipts, and no others. Without them [`Sent::delivered`](crate::Sent::delivered) and [`Sent::read`](crate::Sent::read) cannot be told.
    pub fn receipts(mut self, receipts: Receipts) -> Self {
        self.receipts = receipts;
        self
    }

    /// Adds a user property of MQTT 5, which the recipient sees. Those of the contract (`id`, `seq`, `from` and so on) are the broker's.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }
}

impl Message {
    /// Whether MQTT can carry every text beside the payload (MQTT-1.5.4).
    pub(crate) fn has_texts_of_mqtt(&self) -> bool {
        let single = [&self.content_type, &self.id, &self.collapse].into_iter().flatten();
        let pairs = self.properties.iter().flat_map(|(name, value)| [name, value]);
        let mut texts = single.chain(pairs);
        texts.all(|text| text.len() <= usize::from(u16::MAX) && !text.contains('\0'))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::bytes(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::bytes(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Message::bytes(bytes.to_vec())
    }
}
