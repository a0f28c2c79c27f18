//! Notices of refused publishes, and the states in which there is room for them still: below the disk watermark, and while the store lacks
//! something.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use inbox_store::Trouble;
use inbox_types::{ClientId, Expiry, Port, Refusal, RefusedPublishes, Ticket};

use super::Hub;
use crate::mailbox::Origin;

impl Hub {
    /// Tells `sender`, in its own inbox, that publishes of it were `refused` (contract rule 3). `port` is told under `ticket` whether that is
    /// durable. Below the disk watermark there is room for notices still, down to half of it: they are few, for they are joined.
    pub fn notify(&self, sender: &ClientId, refused: &RefusedPublishes, port: &Arc<dyn Port>, ticket: Ticket) {
        let origin = Some(Origin {
            port: port.clone(),
            ticket,
        });
        if self.has_failed() {
            return self.refuse([origin], &self.counters.refused_store_failed, Refusal::StoreFailed);
        }
        if self.disk_is_scarce.load(Ordering::Relaxed) {
            return self.refuse([origin], &self.counters.refused_disk_full, Refusal::DiskFull);
        }
        let now = self.clock.now();
        let expiry = Expiry::new(self.age(now), None, self.limits.time_to_live);
        let left = self.step(sender, now, |mailbox, cx, fx| {
            let Some(seq) = self.seq_to_keep(now) else {
                return origin;
            };
            let times = (now.wall, expiry);
            let added = self.notices.lock().add(sender, refused, seq, times, |earlier| {
                mailbox.is_unread(earlier, cx) || inbox_types::fault!(ReplaceGone)
            });
            let message = Arc::new(added.0);
            #[cfg(feature = "testing")]
            inbox_types::given(sender, seq, &message);
            mailbox.publish_notice(seq, message, added.1, origin, cx, fx);
            None
        });
        self.refuse(
            left.map(Some),
            &self.counters.refused_store_failed,
            Refusal::StoreFailed,
        );
    }

    /// A notice was refused in its turn: later ones are not joined to it.
    pub fn forget_notice(&self, sender: &ClientId, refused: &RefusedPublishes) {
        self.notices.lock().forget(sender, refused);
    }

    /// Whether new messages are refused because the store lacks something for now. It ends by itself. A broker that is ready has neither this
    /// nor [`Hub::has_failed`].
    pub fn is_store_troubled(&self) -> bool {
        self.store_is_troubled.load(Ordering::Relaxed)
    }

    /// Sets whether new messages are refused because the store lacks something.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        if self.store_is_troubled.swap(trouble.is_some(), Ordering::Relaxed) == trouble.is_some() {
            return;
        }
        if trouble.is_some() {
            self.counters.store_troubles.add(1);
        }
        self.observer.store_is_troubled(trouble);
    }

    /// Sets whether new messages are refused for want of disk space (`None`: the store cannot tell).
    pub fn set_disk_free(&self, free_bytes: Option<u64>) {
        let is_full = free_bytes.is_some_and(|free| free < self.limits.disk_free_bytes_min);
        let is_scarce = free_bytes.is_some_and(|free| free < self.limits.disk_free_bytes_min / 2);
        self.disk_is_scarce.store(is_scarce, Ordering::Relaxed);
        if self.disk_is_full.swap(is_full, Ordering::Relaxed) != is_full {
            self.observer.disk_is_full(is_full, free_bytes.unwrap_or_default());
        }
    }
}
