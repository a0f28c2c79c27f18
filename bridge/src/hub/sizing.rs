//! How large each inbox is: as the limits say, or by a rule of its own, which can change while the inbox is in memory.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Hub;
use inbox_types::{ClientId, InboxSize, InboxSizes};

/// Who says which inboxes have a size of their own; nobody at first. It is taken for a moment, with an inbox's shard locked, when that inbox comes
/// into memory.
#[derive(Default)]
pub(super) struct OwnSizes(RwLock<Option<Arc<dyn InboxSizes>>>);

impl Hub {
    /// From now on inboxes have the sizes that `own` says, those in memory too. One that holds more keeps it, and one that has more
    /// room now says so to those who wait for it.
    pub fn resize(&self, own: Option<Arc<dyn InboxSizes>>) {
        *self.sizes.0.write() = own;
        // An inbox that came into memory before that is in its shard now, and one that comes after has its new size already.
        for lock in &self.shards {
            for (inbox, mailbox) in lock.lock().iter_mut() {
                mailbox.size = self.size_of(inbox);
            }
        }
        self.look_everywhere_for_room();
    }

    /// How large `inbox` may become.
    pub fn size_of(&self, inbox: &ClientId) -> InboxSize {
        let usual = self.limits.inbox_size();
        match &*self.sizes.0.read() {
            Some(own) => own.size_of(inbox, usual),
            None => usual,
        }
    }
}
