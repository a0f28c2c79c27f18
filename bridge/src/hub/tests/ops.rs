//! What can happen in a random life, and the limits that it may have.

use std::time::Duration;

use proptest::prelude::*;

use super::kit::small;
use inbox_types::{InboxSize, Limits, WhenFull};

/// What was written with QoS 0 leaves after so long, which clocks of a life reach.
pub(super) const SETTLE: Duration = Duration::from_millis(200);

/// Inboxes of a life.
pub(super) const INBOXES: usize = 3;

/// Who sends messages of that size, in a life: two parties, one of them with two clients.
pub(super) fn sender_of(size: usize) -> &'static str {
    ["ann", "eve", "eve~phone"][size % 3]
}

/// How large an inbox of a life is: the last one has a size of its own.
pub(super) fn size_of(inbox: usize, limits: &Limits) -> InboxSize {
    match inbox + 1 == INBOXES {
        true => InboxSize {
            messages_max: 5,
            ..limits.inbox_size()
        },
        false => limits.inbox_size(),
    }
}

#[derive(Debug, Clone)]
pub(super) enum Op {
    /// `ttl`: in milliseconds; 0 is for ever.
    Publish {
        inbox: usize,
        size: usize,
        ttl: u64,
    },
    PublishQos0 {
        inbox: usize,
        ttl: u64,
    },
    Attach {
        inbox: usize,
        window: u16,
    },
    /// Over the same connection: what it has in flight is not sent again (rule 4).
    AttachAgain {
        inbox: usize,
    },
    Detach {
        inbox: usize,
    },
    /// One of what this attachment has unacknowledged was sent with QoS 0, and is written (rule 5).
    Written {
        inbox: usize,
        pick: prop::sample::Index,
    },
    /// Of what this attachment has unacknowledged.
    Ack {
        inbox: usize,
        pick: prop::sample::Index,
    },
    /// Of all that this client ever got in this run: also twice, also without being attached.
    AckLate {
        inbox: usize,
        pick: prop::sample::Index,
    },
    AckAll {
        inbox: usize,
    },
    Skip {
        inbox: usize,
        pick: prop::sample::Index,
    },
    CommitBegin {
        all: bool,
    },
    CommitWrite,
    CommitFinish,
    ReadStore,
    ReadGive {
        pick: prop::sample::Index,
    },
    SweepRead {
        inbox: usize,
    },
    SweepGive,
    /// An operator removes all that an inbox holds.
    Purge {
        inbox: usize,
    },
    Advance {
        millis: u64,
    },
    Jump {
        millis: i64,
    },
    Evict,
    Crash,
    FailCommit {
        keeps: bool,
    },
    /// Everything is written and nothing waits.
    Settle,
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let inbox = 0..INBOXES;
    let index = any::<prop::sample::Index>;
    let ttl = prop_oneof![8 => Just(0_u64), 1 => 1..50_u64];
    let op = prop_oneof![
        24 => (inbox.clone(), 8..64_usize, ttl.clone()).prop_map(|(inbox, size, ttl)| Op::Publish { inbox, size, ttl }),
        4 => (inbox.clone(), ttl).prop_map(|(inbox, ttl)| Op::PublishQos0 { inbox, ttl }),
        5 => (inbox.clone(), 1..=5_u16).prop_map(|(inbox, window)| Op::Attach { inbox, window }),
        3 => inbox.clone().prop_map(|inbox| Op::AttachAgain { inbox }),
        3 => inbox.clone().prop_map(|inbox| Op::Detach { inbox }),
        6 => (inbox.clone(), index()).prop_map(|(inbox, pick)| Op::Written { inbox, pick }),
        8 => (inbox.clone(), index()).prop_map(|(inbox, pick)| Op::Ack { inbox, pick }),
        4 => (inbox.clone(), index()).prop_map(|(inbox, pick)| Op::AckLate { inbox, pick }),
        5 => inbox.clone().prop_map(|inbox| Op::AckAll { inbox }),
        2 => (inbox.clone(), index()).prop_map(|(inbox, pick)| Op::Skip { inbox, pick }),
        8 => any::<bool>().prop_map(|all| Op::CommitBegin { all }),
        5 => Just(Op::CommitWrite),
        9 => Just(Op::CommitFinish),
        8 => Just(Op::ReadStore),
        8 => index().prop_map(|pick| Op::ReadGive { pick }),
        2 => inbox.clone().prop_map(|inbox| Op::SweepRead { inbox }),
        2 => inbox.prop_map(|inbox| Op::Purge { inbox }),
        2 => Just(Op::SweepGive),
        6 => (0..300_u64).prop_map(|millis| Op::Advance { millis }),
        2 => (-120_000..120_000_i64).prop_map(|millis| Op::Jump { millis }),
        2 => Just(Op::Evict),
        1 => Just(Op::Crash),
        1 => any::<bool>().prop_map(|keeps| Op::FailCommit { keeps }),
        2 => Just(Op::Settle),
    ];
    prop::collection::vec(op, 1..160)
}

pub(super) fn limits() -> impl Strategy<Value = Limits> {
    let when_full = prop_oneof![Just(WhenFull::Refuse), Just(WhenFull::DropOldest)];
    let messages = prop_oneof![3..12_u64, Just(100_000)];
    let bytes = prop_oneof![1 => 60..400_u64, 3 => Just(1 << 20)];
    let share = prop_oneof![1 => Just(100), 1 => 1..100_u8];
    (when_full, messages, bytes, share).prop_map(|(when_full, inbox_messages_max, inbox_bytes_max, sender_share)| {
        Limits {
            when_full,
            sender_share,
            inbox_messages_max,
            inbox_bytes_max,
            qos0_settle: SETTLE,
            ..small()
        }
    })
}
