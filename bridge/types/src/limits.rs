//! Every limit of the inboxes, in one place.
//!
//! The constants are fixed; [`Limits`] holds what an operator can change, and its defaults.

use std::time::Duration;

/// Longest client ID in bytes. A store key is a client ID and nine bytes more.
pub const CLIENT_ID_BYTES_MAX: usize = 1024;
/// Most messages read from the store at once for one inbox.
pub const PAGE_MESSAGES_MAX: usize = 512;
/// Most payload bytes read from the store at once for one inbox (one message may exceed it).
pub const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Most messages in one commit.
pub const BATCH_MESSAGES_MAX: usize = 4096;
/// Most payload bytes in one commit (one message may exceed it).
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Durable messages of one inbox that stay in memory for a reader that keeps up, and most QoS 0 messages that wait for one that
/// does not.
pub const KEPT_MAX: usize = PAGE_MESSAGES_MAX;
/// Bytes of mail sent to one client that its socket has not taken, from which on the rest stays in the store. One message may
/// exceed it.
pub const UNTAKEN_BYTES_MAX: usize = PAGE_BYTES_MAX;

/// Messages of one reader that were written with QoS 0 and have not settled. At more, the reader waits for the oldest to settle.
pub const SETTLING_MAX: usize = 128 * 1024;

/// Refused publishes that one notice names; it counts all.
pub const NOTICE_MESSAGES_MAX: usize = 100;

/// Receipts that one message tells.
pub const RECEIPTS_JOINED_MAX: usize = 100;

/// Receipts that found no room and are tried again, over all senders. Beyond, the oldest are given up.
pub const RECEIPTS_WAITING_MAX: usize = 10_000;

/// Messages of one inbox whose senders wait to be told that they were read. Beyond, the oldest are forgotten.
pub const UNREAD_MAX: usize = 10_000;

/// Notices that later ones may be joined to, over all senders. A few kilobytes each.
pub const NOTICES_OPEN_MAX: usize = 1024;

/// Senders that wait to be told of room, each for one inbox, over all inboxes. A few hundred bytes each, with client IDs of the usual length.
pub const ROOMS_AWAITED_MAX: usize = 10_000;

/// Of one sender to one inbox, so many `id`s are remembered at most: more than it can have unacknowledged at a time (contract rule 8).
pub const DEDUPE_IDS_PER_SENDER_MAX: usize = 10_000;

const _: () = assert!(PAGE_BYTES_MAX <= BATCH_BYTES_MAX);
const _: () = assert!(PAGE_MESSAGES_MAX <= BATCH_MESSAGES_MAX);

/// What happens to a message for a full inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The new message is refused (MQTT 5: PUBACK 0x97).
    Refuse,
    /// The oldest messages make room; each is counted, logged and published as an event.
    DropOldest,
}

/// The limits that an operator can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages that one inbox holds which has no size of its own ([`crate::InboxSizes`]).
    pub inbox_messages_max: u64,
    /// Payload bytes that one inbox holds which has no size of its own.
    pub inbox_bytes_max: u64,
    /// What happens to a message for a full inbox.
    pub when_full: WhenFull,
    /// How much of each limit of an inbox one sender may hold, in per cent. At 100 nothing is counted by sender.
    pub sender_share: u8,
    /// How long a message waits at most; a publisher may ask for less (MQTT 5 message expiry).
    pub time_to_live: Duration,
    /// How long the owner of an inbox may stay away until it is forgotten, mail and all (contract rule 5).
    pub idle_expiry: Option<Duration>,
    /// How long a message that its online reader is about to acknowledge is held back from the disk.
    pub commit_hold: Duration,
    /// How long a durable removal may wait for company (contract rule 7).
    pub ack_flush_interval: Duration,
    /// How long an `id` is remembered, so that its repetition is not stored again (contract rule 8). Zero: none is.
    pub dedupe_window: Duration,
    /// How many `id`s are remembered at most, over all inboxes. Beyond, the oldest are forgotten early.
    pub dedupe_ids_max: usize,
    /// How long a connection must stay open after a message was written to it with QoS 0 until that leaves the inbox (contract rule 5).
    pub qos0_settle: Duration,
    /// Payload bytes accepted but not yet durable, over all inboxes, above which publishers are not read from.
    pub uncommitted_bytes_max: usize,
    /// Bytes that clients may make the process keep in memory, beside the caches.
    pub memory_bytes_max: usize,
    /// New messages are refused while the disk of the store has fewer free bytes than this.
    pub disk_free_bytes_min: u64,
    /// How much is done at a time: for tests.
    pub sizes: Sizes,
}

/// How much one inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxSize {
    /// Messages.
    pub messages_max: u64,
    /// Payload bytes.
    pub bytes_max: u64,
}

/// How much of the inboxes is done at a time. No operator sets it: tests make it small, so that a short run turns pages and fills batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// [`PAGE_MESSAGES_MAX`].
    pub page_messages_max: usize,
    /// [`BATCH_MESSAGES_MAX`].
    pub batch_messages_max: usize,
    /// [`KEPT_MAX`].
    pub kept_max: usize,
    /// Which inboxes are behind one lock is the same in every run, and not by chance: one seed of a simulation is one run.
    pub shards_are_fixed: bool,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            page_messages_max: PAGE_MESSAGES_MAX,
            batch_messages_max: BATCH_MESSAGES_MAX,
            kept_max: KEPT_MAX,
            shards_are_fixed: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            inbox_messages_max: 100_000,
            inbox_bytes_max: 256 * 1024 * 1024,
            when_full: WhenFull::Refuse,
            sender_share: 100,
            time_to_live: Duration::from_secs(30 * 24 * 3600),
            idle_expiry: None,
            commit_hold: Duration::from_millis(10),
            ack_flush_interval: Duration::from_millis(200),
            dedupe_window: Duration::from_secs(600),
            dedupe_ids_max: 1_000_000,
            qos0_settle: Duration::from_secs(1),
            uncommitted_bytes_max: 256 * 1024 * 1024,
            memory_bytes_max: usize::MAX,
            disk_free_bytes_min: 512 * 1024 * 1024,
            sizes: Sizes::default(),
        }
    }
}

impl Default for InboxSize {
    fn default() -> Self {
        Limits::default().inbox_size()
    }
}

impl Limits {
    /// The size of an inbox that has none of its own.
    pub fn inbox_size(&self) -> InboxSize {
        InboxSize {
            messages_max: self.inbox_messages_max,
            bytes_max: self.inbox_bytes_max,
        }
    }

    /// Messages and bytes that one sender may hold in an inbox of this size; `None` where it may hold all that the inbox takes.
    #[inline]
    pub fn sender_max(&self, size: InboxSize) -> Option<(u64, u64)> {
        let share = u128::from(self.sender_share);
        let part = |max: u64| u64::try_from(u128::from(max) * share / 100).unwrap_or(max);
        (self.sender_share < 100).then(|| (part(size.messages_max), part(size.bytes_max)))
    }
}
