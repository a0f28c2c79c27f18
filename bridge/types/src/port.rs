//! How the inboxes talk to the sessions: what a session hands in, and what comes back to it.

use std::sync::Arc;

use crate::message::{Message, Seq};

/// A publisher's own number for a publish that awaits its [`Outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Which attachment of a reader to an inbox; a later one replaces an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId(pub u64);

/// One message for an attached reader.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the inbox; the session acknowledges by it.
    pub seq: Seq,
    /// The message.
    pub message: Arc<Message>,
    /// It may have been sent to this client before (contract rule 4).
    pub dup: bool,
    /// How many messages had left the inbox unread when this one was handed over, as far as that is durable (contract rule 5).
    pub dropped: u64,
}

/// Whether a port takes another message after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a port that is full must not be given more"]
pub enum Room {
    /// It does.
    Left,
    /// Its client has not taken the bytes that it was sent. The session says when it takes more.
    Full,
}

/// A session's end of the line. Implementations only queue and wake: they are called with an inbox locked.
pub trait Port: Send + Sync {
    /// A message for the reader behind this port. At most the attachment's window of these is unacknowledged. After
    /// [`Room::Full`] no other one follows until the session asks for it.
    fn deliver(&self, attachment: AttachmentId, delivery: Delivery) -> Room;
    /// What became of a publish. Comes exactly once per ticket.
    fn settle(&self, ticket: Ticket, outcome: Outcome);
    /// The same of several, which are taken out of `settled`.
    fn settle_all(&self, settled: &mut Vec<(Ticket, Outcome)>) {
        for (ticket, outcome) in settled.drain(..) {
            self.settle(ticket, outcome);
        }
    }
}

/// What became of a publish with QoS 1 or 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It may be acknowledged.
    Accepted(Proof),
    /// It must not be acknowledged, and the publisher is told why.
    Refused(Refusal),
}

/// That a message is durable, or acknowledged by its reader already, or that what was asked for in its place is durable. Nothing else
/// releases a PUBACK (contract rule 3), so only the mailbox makes one: after a commit, or on the reader's acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    seq: Seq,
    state: PublishState,
}

/// What became of a publish to an inbox that was accepted, as its publisher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishState {
    /// It is durable, and may be acknowledged as well.
    Stored,
    /// Its reader has acknowledged it.
    Delivered,
    /// What it was to take back was undelivered, and is gone (contract rule 12).
    Recalled,
    /// What it was to replace was undelivered, and is replaced.
    Edited,
    /// The recipient had what it is about, or may have had it, and is told.
    Told,
}

impl PublishState {
    /// One word, as in the user property `state` of PUBACK.
    pub fn as_str(self) -> &'static str {
        match self {
            PublishState::Stored => "stored",
            PublishState::Delivered => "delivered",
            PublishState::Recalled => "recalled",
            PublishState::Edited => "edited",
            PublishState::Told => "told",
        }
    }
}

impl Proof {
    /// For the mailbox alone: `clippy.toml` forbids everybody else to call it.
    pub fn of(seq: Seq) -> Self {
        let state = PublishState::Stored;
        Proof { seq, state }
    }

    /// The same of a message that is not only durable.
    pub fn that(seq: Seq, state: PublishState) -> Self {
        Proof { seq, state }
    }

    /// The place that the message was given.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// What became of it, as far as is known.
    pub fn state(&self) -> PublishState {
        self.state
    }
}

/// Why a publish was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The inbox holds as many messages or bytes as it may.
    #[error("the inbox is full; send again when its owner has read some")]
    InboxFull,
    /// It is larger than the whole inbox.
    #[error("the message is larger than all that this inbox holds; send a smaller one")]
    LargerThanInbox,
    /// Its sender holds as much of the inbox as one sender may.
    #[error(
        "the inbox holds as much from this sender as it takes from one (inbox.sender_share); send again when its owner has read some"
    )]
    SenderShare,
    /// Its sender used its `id` for another message to the same inbox, not long ago (contract rule 8).
    #[error("another message to this inbox had this id and another payload; give each message an id of its own")]
    OtherPayload,
    /// The disk watermark is reached.
    #[error("the broker's disk is nearly full; it takes no new messages until space is free")]
    DiskFull,
    /// The memory budget is used up.
    #[error("the broker's memory budget is used up; send again when its readers have taken what waits for them")]
    MemoryFull,
    /// The store cannot take more for now, and recovers by itself.
    #[error("the broker's store cannot make room for new messages now; send again in a minute")]
    StoreTroubled,
    /// The store failed; nothing more is acknowledged.
    #[error("the broker's store is failing; send again after it was restarted")]
    StoreFailed,
}

impl Refusal {
    /// Whether it is about what the broker has room for just now, and ends by itself. That the store failed does not: nothing changes any more.
    pub fn is_for_now(self) -> bool {
        match self {
            Refusal::DiskFull | Refusal::MemoryFull | Refusal::StoreTroubled => true,
            Refusal::InboxFull
            | Refusal::LargerThanInbox
            | Refusal::SenderShare
            | Refusal::OtherPayload
            | Refusal::StoreFailed => false,
        }
    }
}

/// Why a message left an inbox without being read (contract rules 5 and 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// Its time was over.
    Expired,
    /// It was the oldest of a full inbox that drops the oldest.
    Dropped,
    /// Its recipient has not come for so long that the inbox is forgotten.
    Idle,
    /// An operator removed it.
    Purged,
    /// A later one of its sender, with the same key, is there instead.
    Collapsed,
    /// Its sender took it back.
    Recalled,
    /// Its sender replaced it.
    Edited,
}

impl Left {
    /// One word, as in logs, metrics and event topics.
    pub fn as_str(self) -> &'static str {
        match self {
            Left::Expired => "expired",
            Left::Dropped => "dropped",
            Left::Idle => "idle",
            Left::Purged => "purged",
            Left::Collapsed => "collapsed",
            Left::Recalled => "recalled",
            Left::Edited => "edited",
        }
    }

    /// Whether its sender wanted it so: then its recipient missed nothing.
    pub fn is_withdrawn(self) -> bool {
        match self {
            Left::Expired | Left::Dropped | Left::Idle | Left::Purged => false,
            Left::Collapsed | Left::Recalled | Left::Edited => true,
        }
    }
}
