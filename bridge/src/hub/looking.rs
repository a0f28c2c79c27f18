//! What operators see of inboxes that are in memory.

use super::Hub;
use crate::mailbox::{InMemory, Waiting};
use inbox_types::ClientId;

/// Inboxes of one shard that are looked at for [`Hub::waiting`].
const LOOKED_AT_MAX: usize = 64;

impl Hub {
    /// How `inbox` is in memory, if it is.
    pub fn in_memory(&self, inbox: &ClientId) -> Option<InMemory> {
        self.step_existing(inbox, self.clock.now(), |mailbox, _, _| mailbox.look())
    }

    /// Bytes of messages that were accepted and are neither durable nor gone.
    pub fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// What publishers wait for now. At most some inboxes of each shard are looked at, so it costs no more with many.
    pub fn waiting(&self) -> Waiting {
        let now = self.clock.now();
        let mut all = Waiting::default();
        for lock in &self.shards {
            let mut shard = lock.lock();
            let listed: Vec<_> = shard.listed.iter().rev().take(LOOKED_AT_MAX).cloned().collect();
            for (deadline, inbox) in listed {
                if let Some((_, mailbox)) = shard.get_mut(&inbox)
                    && mailbox.visit_at == Some(deadline)
                {
                    mailbox.count_waiting(now, &mut all);
                }
            }
        }
        all
    }
}
