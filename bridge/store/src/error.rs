//! Why a store could not do what it was asked to.

use inbox_types::ClientId;

use crate::trouble::Trouble;

/// Why a store could not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the engine refused. The store is poisoned from now on: every later commit fails too
    /// (a failed fsync must not be retried).
    #[error("the store failed ({0}); nothing more is acknowledged until the broker is restarted")]
    Failed(String),
    /// Something is missing for now. Nothing was changed, and it can be tried again.
    #[error("the store cannot do this for now: {0}")]
    Troubled(Trouble),
    /// A record cannot be read. `inboxd inbox purge` removes the inbox that holds it.
    #[error("a record of inbox {inbox:?} is damaged ({why}); `inboxd inbox purge` removes that inbox")]
    Damaged {
        /// Whose inbox.
        inbox: ClientId,
        /// What is wrong with it.
        why: String,
    },
}
