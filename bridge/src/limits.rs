//! The sizes that this crate's own tests make small, so that short tests turn pages and fill batches too.

/// Most messages read from the store at once for one inbox.
pub(crate) const PAGE_MESSAGES_MAX: usize = if cfg!(test) { 4 } else { inbox_types::PAGE_MESSAGES_MAX };
/// Most messages in one commit.
pub(crate) const BATCH_MESSAGES_MAX: usize = if cfg!(test) {
    16
} else {
    inbox_types::BATCH_MESSAGES_MAX
};
/// Durable messages of one inbox that stay in memory for a reader that keeps up.
#[cfg(any(test, not(feature = "testing")))]
pub(crate) const KEPT_MAX: usize = if cfg!(test) {
    PAGE_MESSAGES_MAX
} else {
    inbox_types::KEPT_MAX
};

const _: () = assert!(PAGE_MESSAGES_MAX <= BATCH_MESSAGES_MAX);
