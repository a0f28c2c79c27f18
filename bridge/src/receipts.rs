//! Receipts: what becomes of a message, told to its sender (contract rule 11).
//!
//! ```text
//!  a message leaves its inbox ──▶ a receipt is kept, in the same commit ──▶ it is published to the sender's Response Topic ──▶ forgotten
//!                            └──▶ or "unread" is kept, until the recipient's application says that it was read ──▶ a receipt
//! ```
//!
//! **Promise:** a receipt is made in the commit that removes the message, so that there is no crash after which one is there without the other. It is
//! published after that, and forgotten when it is durable in an inbox or was acknowledged there: so a crash can repeat it, with the same `id`.

mod books;
mod keeping;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use inbox_types::{ClientId, Expiry, Left, Message, Micros, NOTICE_FROM, Properties, Qos, RECEIPTS_JOINED_MAX, Seq};
use serde::{Deserialize, Serialize};

pub(crate) use books::{Books, Deed};
pub(crate) use keeping::{
    ALL_DEEDS, ALL_UNREAD, Unread, deed_change, read_deed, read_unread, unread_change, unread_key, unread_prefix,
};

/// The user property that marks what the broker itself says. No client can set it.
pub(crate) const MARK: &str = "$inboxd";

/// What goes with JSON that the broker itself says, of this kind.
pub(crate) fn marked(kind: &str) -> Properties {
    Properties {
        content_type: Some("application/json".into()),
        user: vec![(MARK.into(), kind.into())],
        ..Properties::default()
    }
}

/// One thing about one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) to: Address,
    /// Whose inbox the message was in.
    pub(crate) inbox: Box<str>,
    pub(crate) seq: u64,
    /// As its sender called it.
    pub(crate) id: Option<Box<str>>,
    /// When, by the system clock, in microseconds.
    pub(crate) at: u64,
    pub(crate) state: State,
}

/// Where a receipt goes, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The sender's Response Topic.
    pub(crate) topic: Box<str>,
    /// Its Correlation Data.
    pub(crate) correlation: Option<Bytes>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Delivered,
    Read,
    Expired,
    Overflowed,
    Idle,
    Purged,
    /// With this reason code.
    Refused(u8),
    Collapsed,
    Recalled,
    Edited,
}

impl State {
    pub(crate) fn of_left(left: Left) -> Self {
        match left {
            Left::Expired => State::Expired,
            Left::Dropped => State::Overflowed,
            Left::Idle => State::Idle,
            Left::Purged => State::Purged,
            Left::Collapsed => State::Collapsed,
            Left::Recalled => State::Recalled,
            Left::Edited => State::Edited,
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Delivered => "delivered",
            State::Read => "read",
            State::Expired => "expired",
            State::Overflowed | State::Idle | State::Purged | State::Collapsed | State::Recalled | State::Edited => {
                "dropped"
            }
            State::Refused(_) => "refused",
        }
    }

    /// Why it was dropped.
    fn why(self) -> Option<&'static str> {
        match self {
            State::Overflowed => Some("overflow"),
            State::Idle => Some("idle"),
            State::Purged => Some("purged"),
            State::Collapsed => Some("collapsed"),
            State::Recalled => Some("recalled"),
            State::Edited => Some("edited"),
            _ => None,
        }
    }
}

impl Address {
    /// Where `message` asks for receipts.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let properties = message.properties.as_deref()?;
        Some(Address {
            topic: properties.response_topic.clone()?,
            correlation: properties.correlation_data.clone(),
        })
    }
}

impl Receipt {
    /// What became of `message`, which had this place in `inbox`; `None` if its sender did not ask for it.
    pub(crate) fn of(message: &Message, inbox: &ClientId, seq: Seq, at: Micros, state: State) -> Option<Self> {
        let wanted = message.receipts_wanted()?;
        let is_wanted = match state {
            State::Delivered => wanted.delivered,
            State::Read => wanted.read,
            _ => true,
        };
        let to = Address::of(message).filter(|_| is_wanted)?;
        Some(Receipt {
            to,
            inbox: inbox.as_str().into(),
            seq: seq.0,
            id: message.id.clone(),
            at: at.0,
            state,
        })
    }

    fn said(&self, topic_of: &dyn Fn(&str) -> String) -> Said<'_> {
        Said {
            at: self.at,
            id: self.id.as_deref(),
            reason: match self.state {
                State::Refused(reason) => Some(reason),
                _ => None,
            },
            seq: self.seq,
            state: self.state.name(),
            topic: topic_of(&self.inbox),
            why: self.state.why(),
        }
    }
}

/// A receipt as its sender reads it. The names are in order: the `id` of the message that tells it is made of its text, and must not change.
#[derive(Serialize)]
struct Said<'r> {
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<u8>,
    seq: u64,
    state: &'static str,
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

/// What tells receipts.
#[derive(Serialize)]
struct Telling<'r> {
    notice: &'static str,
    receipts: Vec<Said<'r>>,
}

/// Receipts that go to one place are told by one message, at most [`RECEIPTS_JOINED_MAX`] of them, in their order.
pub(crate) fn join(receipts: Vec<Receipt>) -> Vec<Vec<Receipt>> {
    let mut joined: Vec<Vec<Receipt>> = Vec::new();
    let mut open = hashbrown::HashMap::<Address, usize>::new();
    for receipt in receipts {
        let at = open.get(&receipt.to).copied();
        let place = at
            .and_then(|at| joined.get_mut(at))
            .filter(|told| told.len() < RECEIPTS_JOINED_MAX);
        match place {
            Some(told) => told.push(receipt),
            None => {
                open.insert(receipt.to.clone(), joined.len());
                joined.push(vec![receipt]);
            }
        }
    }
    joined
}

/// The message that tells receipts for one place. Its `id` follows from what it tells, so that what is told again is known.
pub(crate) fn message(told: &[Receipt], topic_of: &dyn Fn(&str) -> String, at: Micros, expiry: Expiry) -> Message {
    let telling = Telling {
        notice: "receipt",
        receipts: told.iter().map(|receipt| receipt.said(topic_of)).collect(),
    };
    let Ok(payload) = serde_json::to_string(&telling) else {
        unreachable!("numbers and texts under fixed names are JSON");
    };
    let id = xxhash_rust::xxh3::xxh3_128(payload.as_bytes());
    let properties = Properties {
        correlation_data: told.first().and_then(|first| first.to.correlation.clone()),
        ..marked("receipt")
    };
    Message {
        from: NOTICE_FROM.clone(),
        id: Some(format!("receipt-{id:032x}").into()),
        at,
        expiry,
        qos: Qos::AtLeastOnce,
        payload: payload.into(),
        properties: Some(Box::new(properties)),
    }
}
