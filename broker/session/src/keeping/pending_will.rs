//! A will, as long as it may have to be published.
//!
//! **Promise.** CONNACK means that the will is durable: if the broker crashes, and the client does not come back, it is published after the restart.

use std::sync::{Arc, OnceLock};

use access::Identity;
use bytes::Bytes;
use inbox_types::{Age, Kept, Node, Port, Ticket};

use super::wills::{RestoredWill, Will, write_will};

/// A will that is not published yet, and where the store has it.
#[derive(Debug)]
pub struct PendingWill {
    /// What is to be published.
    pub will: Will,
    key: OnceLock<Bytes>,
    /// Its client had a connection when the broker ended: any new one means that it has not disappeared.
    pub(crate) is_of_before: bool,
}

impl PendingWill {
    /// Of a connection that begins. It is in memory only.
    pub fn new(will: Will) -> Self {
        PendingWill {
            will,
            key: OnceLock::new(),
            is_of_before: false,
        }
    }

    /// One that the store has.
    pub(crate) fn restored(restored: RestoredWill) -> Self {
        PendingWill {
            will: restored.will,
            key: restored.key.into(),
            is_of_before: restored.due.is_none(),
        }
    }

    /// Has the store keep it there, as the will of `who`. Who `waits` is told when that is durable.
    pub(crate) fn keep(&self, key: Bytes, who: &Identity, node: &Node, waits: (Arc<dyn Port>, Ticket)) {
        let record = write_will(who, &self.will, None);
        let key = self.key.get_or_init(|| key).clone();
        node.inboxes.keep(Kept::Will, key, Some(record), Some(waits));
    }

    /// The connection has ended, and the will is due at that age of the store.
    pub(crate) fn is_due_at(&self, due: Age, who: &Identity, node: &Node) {
        if let Some(key) = self.key.get() {
            let record = write_will(who, &self.will, Some(due));
            node.inboxes.keep(Kept::Will, key.clone(), Some(record), None);
        }
    }

    /// It is published, or does not have to be.
    pub fn forget(&self, node: &Node) {
        if let Some(key) = self.key.get() {
            node.inboxes.keep(Kept::Will, key.clone(), None, None);
        }
    }
}
