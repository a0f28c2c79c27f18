//! Deliberate mistakes of the store, for the simulator: each breaks what [`crate::Store`] promises, and its oracle must notice.
//!
//! They belong to the thread, as those of `inbox-types` do. Without feature `testing`, [`store_fault!`] is `false`.

/// Whether this thread is to make that mistake.
#[cfg(feature = "testing")]
macro_rules! store_fault {
    ($fault:ident) => {
        $crate::fault::StoreFault::$fault.is_on()
    };
}

/// Without feature `testing` no mistake is made on purpose.
#[cfg(not(feature = "testing"))]
macro_rules! store_fault {
    ($fault:ident) => {
        false
    };
}

pub(crate) use store_fault;

#[cfg(feature = "testing")]
pub use on::{StoreFault, set_store_fault};

#[cfg(feature = "testing")]
mod on {
    use std::cell::Cell;

    /// A mistake to make on purpose.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum StoreFault {
        /// A commit returns before the log is synced.
        AckBeforeSync,
        /// A new file of the log is not made durable by name.
        NoDirectorySync,
        /// A checkpoint cuts the log before it has written the blocks.
        CutTooEarly,
        /// A checkpoint says how far it came before the blocks are synced.
        BlocksNotSynced,
        /// Half of a commit is applied when the log is read.
        HalfABatch,
    }

    impl StoreFault {
        /// Every mistake.
        pub const ALL: [StoreFault; 5] = [
            StoreFault::AckBeforeSync,
            StoreFault::NoDirectorySync,
            StoreFault::CutTooEarly,
            StoreFault::BlocksNotSynced,
            StoreFault::HalfABatch,
        ];

        /// Whether this thread makes it.
        pub fn is_on(self) -> bool {
            FAULT.get() == Some(self)
        }
    }

    thread_local! {
        static FAULT: Cell<Option<StoreFault>> = const { Cell::new(None) };
    }

    /// From now on this thread makes this mistake, or none.
    pub fn set_store_fault(fault: Option<StoreFault>) {
        FAULT.set(fault);
    }
}
