//! What a refusal would be about.

use std::sync::Arc;

use bytes::Bytes;
use inbox_types::{ClientId, Message};

/// Kept with a publish until it is answered.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Mail(ClientId, Arc<Message>),
    Ordinary(Arc<str>, Bytes),
    /// A topic, and the SHA-256 of a payload that was not kept.
    Hashed(Arc<str>, [u8; 32]),
}
