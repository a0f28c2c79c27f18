//! What the oracle is told: what clients say, and how the broker is configured.

use crate::sim::law::Request;
use crate::sim::users::Token;
use crate::{AckKind, Version};

/// What a client sent, as far as the contract is concerned.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Said {
    Connect {
        version: Version,
        window: usize,
        clean: bool,
        for_ever: bool,
        /// Its number, and for how many microseconds it waits when the connection has ended.
        will: Option<(usize, u64)>,
    },
    /// DISCONNECT.
    Leave {
        with_will: bool,
    },
    Publish {
        mail: Option<usize>,
        qos: u8,
        packet_id: u16,
    },
    Ack {
        kind: AckKind,
        packet_id: u16,
        refused: bool,
    },
    Subscribe {
        packet_id: u16,
        what: Filter,
    },
    /// A message is taken back.
    Recall {
        to: usize,
        id: String,
        packet_id: u16,
    },
    /// A change of the own lists.
    Ask {
        request: Request,
        qos: u8,
        packet_id: u16,
    },
    /// Everything up to this seq was read.
    Mark {
        up_to: u64,
        packet_id: u16,
    },
    /// A fresh token.
    Auth {
        token: Token,
    },
    Unsubscribe {
        packet_id: u16,
        own: bool,
    },
    /// By a client of ordinary topics.
    Ordinary(Word),
    Other,
}

/// What a client of ordinary topics says.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Word {
    Connect,
    Publish {
        message: usize,
        qos: u8,
        packet_id: u16,
    },
    Ack {
        kind: AckKind,
        packet_id: u16,
    },
    Subscribe {
        filter: &'static str,
        qos: u8,
        packet_id: u16,
    },
    Unsubscribe {
        filter: &'static str,
        packet_id: u16,
    },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Filter {
    Own { qos: u8, no_local: bool },
    Anothers,
    Ordinary,
}

/// What the oracle needs to know of the broker's configuration.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Terms {
    pub(in crate::sim) in_flight_max: usize,
    pub(in crate::sim) flush: u64,
    pub(in crate::sim) drops_oldest: bool,
    /// How long clients have to come back after a restart, in microseconds.
    pub(in crate::sim) will_after_restart: u64,
    /// Messages that one sender may hold in an inbox.
    pub(in crate::sim) sender_messages_max: Option<u64>,
    /// In microseconds.
    pub(in crate::sim) time_to_live: u64,
    /// The same; `None`: inboxes are not forgotten.
    pub(in crate::sim) idle_expiry: Option<u64>,
    /// How long a client may hold what it was sent; the same, `None`: for ever.
    pub(in crate::sim) ack_timeout: Option<u64>,
    /// Pieces of mail that one client is sent in a second.
    pub(in crate::sim) delivery_rate: Option<u64>,
    pub(in crate::sim) waiting_max: usize,
    pub(in crate::sim) untaken_bytes_max: usize,
    /// How long a connection stays open after a message was written with QoS 0, until that leaves; in microseconds.
    pub(in crate::sim) settle: u64,
    /// The memory budget is so small that it is used up now and then.
    pub(in crate::sim) has_little_memory: bool,
    /// Inboxes are so small that they let go earlier what was written with QoS 0, to make room.
    pub(in crate::sim) are_small: bool,
}
