//! A message in the outbox, as it is kept.

use serde::{Deserialize, Serialize};

use crate::message::Receipts;

/// The place of a message in the outbox: later ones are larger.
pub(crate) type Order = u64;

/// Where a publish goes. Those in one queue keep their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Destination {
    /// The inbox of this client.
    Inbox(String),
    /// A request about the own inbox, by its topic.
    Request(String),
    /// A request about what was sent to an inbox, which does not get there before that.
    About {
        /// Where requests of this kind go.
        topic: String,
        /// The client whose inbox it is.
        to: String,
    },
}

impl Destination {
    /// In which queue it waits: that of the inbox that it is about.
    pub(crate) fn queue(&self) -> Destination {
        match self {
            Destination::About { to, .. } => Destination::Inbox(to.clone()),
            other => other.clone(),
        }
    }

    /// What applications are shown of it.
    pub(crate) fn shown(&self) -> &str {
        match self {
            Destination::Inbox(name) => name,
            Destination::Request(topic) | Destination::About { topic, .. } => topic,
        }
    }

    /// Whether it is a request, and no message.
    pub(crate) fn is_request(&self) -> bool {
        !matches!(self, Destination::Inbox(_))
    }
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// The broker has not acknowledged it.
    Waiting,
    /// The broker has it.
    Stored {
        /// Its place in the recipient's inbox, where the broker told it.
        seq: Option<u64>,
    },
    /// The recipient acknowledged it, and may say that it was read.
    Delivered {
        /// As above.
        seq: Option<u64>,
    },
}

/// A message in the outbox, without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) to: Destination,
    pub(crate) id: String,
    pub(crate) content_type: Option<String>,
    pub(crate) collapse: Option<String>,
    pub(crate) receipts: Receipts,
    pub(crate) properties: Vec<(String, String)>,
    /// When it was sent, in microseconds since 1970 by the clock of this machine.
    pub(crate) sent_at_us: u64,
    /// When it ends, by the same clock.
    pub(crate) expires_at_us: Option<u64>,
    pub(crate) stage: Stage,
    /// XXH3 of the payload, which is kept no longer than the broker has not acknowledged it. `None` in files that are older than this field.
    #[serde(default)]
    pub(crate) payload_hash: Option<u64>,
}

impl Record {
    /// Whether a message with this payload can be the same.
    pub(crate) fn has_payload(&self, payload: &[u8]) -> bool {
        self.payload_hash.is_none_or(|hash| hash == hash_of(payload))
    }

    /// How long it has to live, in seconds rounded up; `None` means for ever, 0 that it is over.
    pub(crate) fn lives_s(&self, now_us: u64) -> Option<u32> {
        let left_us = self.expires_at_us?.saturating_sub(now_us);
        Some(u32::try_from(left_us.div_ceil(1_000_000)).unwrap_or(u32::MAX))
    }

    /// The seq that the broker told.
    pub(crate) fn seq(&self) -> Option<u64> {
        match self.stage {
            Stage::Waiting => None,
            Stage::Stored { seq } | Stage::Delivered { seq } => seq,
        }
    }
}

/// See [`Record::payload_hash`].
pub(crate) fn hash_of(payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(payload)
}
