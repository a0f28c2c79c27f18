//! What an input says: how a run begins, and what happens in it.

use arbitrary::Arbitrary;

/// What a run begins with.
#[derive(Debug, Arbitrary)]
pub(super) struct Setup {
    pub(super) drops_oldest: bool,
    /// Messages that an inbox holds: 4 to 35.
    pub(super) inbox_messages: u8,
    /// Durable messages that stay in memory: 0 to 15.
    pub(super) kept: u8,
}

/// What happens next. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Step {
    Publish {
        from: u8,
        to: u8,
        qos: u8,
        size: u8,
        expiry: u8,
    },
    Acknowledge {
        by: u8,
        which: u8,
    },
    AcknowledgeAll {
        by: u8,
    },
    Subscribe {
        by: u8,
        qos: u8,
        no_local: bool,
    },
    SubscribeToAnothers {
        by: u8,
    },
    Unsubscribe {
        by: u8,
    },
    Connect {
        by: u8,
        v5: bool,
        clean: bool,
        keeps_session: bool,
        window: u8,
        will_to: Option<u8>,
    },
    Leave {
        by: u8,
    },
    /// The network connection is cut.
    Lose {
        by: u8,
    },
    /// From now on the client reads its socket only by [`Step::Look`], or at once again.
    Block {
        by: u8,
        is_blocked: bool,
    },
    Look {
        by: u8,
        bytes: u8,
    },
    BeginCommit {
        all: bool,
    },
    /// Ends it, well if `kept` is not given; otherwise it fails, and the batch is durable nevertheless if it is odd.
    EndCommit {
        kept: Option<u8>,
    },
    /// A page is read from the store.
    Fetch,
    HandOver,
    Advance {
        millis: u16,
    },
    Evict,
    Reap,
    Crash,
}
