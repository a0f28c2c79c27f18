//! What the inboxes count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Totals since the broker started; each only grows.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// Every counter by name, in a fixed order.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The total.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

counters! {
    /// Publishes with QoS 1 or 2 that were given a seq.
    accepted,
    /// Messages handed to readers, repetitions included.
    delivered,
    /// Messages that their reader acknowledged.
    acknowledged,
    /// Of these, those acknowledged before they were written, which then never were.
    never_written,
    /// Messages made durable.
    committed,
    /// Commits.
    commits,
    /// Publishes refused because the inbox was full.
    refused_inbox_full,
    /// Publishes refused because their sender held its share of the inbox.
    refused_sender_share,
    /// Publishes that repeated an `id`, and were not stored again.
    repeated,
    /// Publishes refused because their `id` had been another payload's.
    refused_other_payload,
    /// `id`s that were forgotten before their time: there were too many.
    ids_forgotten,
    /// Receipts made: each tells a sender one thing of one message.
    receipts,
    /// Receipts that were given up: there was no room for them.
    receipts_lost,
    /// Senders told that there is room again for what was refused.
    rooms_told,
    /// Senders that asked to be told, and were forgotten: too many waited.
    rooms_forgotten,
    /// Publishes refused because of the disk watermark.
    refused_disk_full,
    /// Publishes refused because the memory budget was used up.
    refused_memory_full,
    /// Inboxes whose durable mail left memory because the budget was nearly used up.
    paged_out,
    /// Publishes refused because the store lacked something for now.
    refused_store_troubled,
    /// Times that the store began to refuse new messages for that.
    store_troubles,
    /// Reads of the store that lacked something, and were tried again.
    reads_retried,
    /// Publishes refused because the store failed.
    refused_store_failed,
    /// Messages that expired.
    expired,
    /// Messages dropped from full inboxes.
    dropped,
    /// Messages that operators removed.
    purged,
    /// Messages of inboxes that were forgotten, because their owners did not come.
    idle,
    /// Inboxes that were forgotten with their messages.
    inboxes_forgotten,
    /// Messages that a later one of their senders with the same key replaced.
    collapsed,
    /// Messages that their senders took back before they were delivered.
    recalled,
    /// Messages that their senders replaced before they were delivered.
    edited,
    /// QoS 0 messages whose recipient was not there, or was too far behind.
    qos0_undelivered,
    /// Pages read from the store.
    pages_read,
}
