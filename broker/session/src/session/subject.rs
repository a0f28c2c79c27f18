//! What a refusal would be about.

use std::sync::Arc;

use inbox_types::{ClientId, Message};
use pubsub::OrdinaryMessage;
use sha2::{Digest, Sha256};

/// Kept with a publish until it is answered. What is large is boxed: most publishes go to an inbox.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Mail(ClientId, Arc<Message>),
    Ordinary(Arc<OrdinaryMessage>),
    /// A topic, and the SHA-256 of a payload that was not kept.
    Hashed(Box<(Arc<str>, [u8; 32])>),
}

/// What a notice names a payload by.
pub(super) fn hash(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}

impl Subject {
    /// Whether the sender is to be told where its message is: it gave it a name to find it by, or wants to know what becomes of it.
    #[inline]
    pub(super) fn wants_place(&self) -> bool {
        matches!(self, Subject::Mail(_, message) if message.id.is_some() || message.receipts_wanted().is_some())
    }

    /// Of a publish whose payload is not kept.
    pub(super) fn hashed(topic: &str, payload: &[u8]) -> Self {
        Subject::Hashed(Box::new((Arc::from(topic), hash(payload))))
    }
}
