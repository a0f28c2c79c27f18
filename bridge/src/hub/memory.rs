//! What the inboxes hold in memory, and what is done when it is too much.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use inbox_types::{AttachmentId, Budgets, ClientId, Pressure};

use super::Hub;
use crate::mailbox::Mailbox;

/// What one inbox holds, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    unstored: usize,
    all: usize,
}

impl Held {
    pub(super) fn by(mailbox: &Mailbox) -> Self {
        Held {
            unstored: mailbox.unstored_bytes(),
            all: mailbox.memory_bytes(),
        }
    }
}

impl Hub {
    /// What clients may make the broker keep.
    pub fn budgets(&self) -> &Arc<Budgets> {
        &self.budgets
    }

    /// Whether more is accepted than the disk keeps up with: publishers should not be read from for a while. Not while the store lacks
    /// something: what they publish is refused then, and they may be readers, too, whose acknowledgements are wanted.
    pub fn is_congested(&self) -> bool {
        self.uncommitted_bytes.load(Relaxed) > self.limits.uncommitted_bytes_max && !self.is_store_troubled()
    }

    /// The client has taken what it was sent, and takes more: see [`inbox_types::Room`].
    pub fn resume(&self, inbox: &ClientId, attachment: AttachmentId) {
        self.step_existing(inbox, self.clock.now(), |mailbox, cx, fx| {
            mailbox.resume(attachment, cx, fx)
        });
    }

    /// Looks at the budget, tells the observer when that has changed, and when it is nearly used up, lets durable mail of readers that
    /// have no room leave memory: it is read again when they have.
    pub fn relieve(&self) {
        let pressure = self.budgets.all.look();
        if self.told_pressure.swap(pressure as u8, Relaxed) != pressure as u8 {
            self.observer.memory(pressure, &self.budgets.all);
        }
        if pressure < Pressure::PageOut {
            return;
        }
        for lock in &self.shards {
            for mailbox in lock.lock().values_mut() {
                let before = Held::by(mailbox);
                let was_counted = mailbox.forget_shares() | mailbox.forget_names();
                let was_paged_out = mailbox.page_out();
                self.counters.paged_out.add(u64::from(was_paged_out));
                if was_counted || was_paged_out {
                    self.account(before, Held::by(mailbox));
                }
            }
        }
        self.budgets.all.look();
    }

    /// Forgets inboxes that nothing has happened to for `idle`.
    pub fn evict_idle(&self, idle: Duration) {
        let now = self.clock.now().mono;
        for shard in &self.shards {
            let mut shard = shard.lock();
            let emptied = shard.evict_idle(now, idle, self.seqs.last());
            if !emptied.is_empty() {
                // Which of its notices were read is not known without the inbox: they have left, and later ones are not joined to them.
                self.notices.lock().emptied(&emptied);
            }
        }
    }

    /// One inbox holds `after` now, and held `before`.
    pub(super) fn account(&self, before: Held, after: Held) {
        if after.unstored >= before.unstored {
            self.uncommitted_bytes
                .fetch_add(after.unstored - before.unstored, Relaxed);
        } else {
            self.uncommitted_bytes
                .fetch_sub(before.unstored - after.unstored, Relaxed);
        }
        if after.all > before.all {
            self.budgets.all.grow(after.all - before.all);
        } else if after.all < before.all {
            self.budgets.all.shrink(before.all - after.all);
        }
    }
}
