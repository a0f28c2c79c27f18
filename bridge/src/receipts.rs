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

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use inbox_types::{
    Age, ClientId, Expiry, Left, Message, Micros, NOTICE_FROM, Properties, Qos, RECEIPTS_JOINED_MAX, ReceiptsWanted,
    Seq,
};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Whose inbox the message was in.
    pub(crate) inbox: ClientId,
    pub(crate) seq: Seq,
    /// When.
    pub(crate) at: Micros,
    pub(crate) state: State,
    pub(crate) about: Asking,
}

/// A message whose sender wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asking {
    /// The message itself, where it is in memory anyhow.
    Whole(Arc<Message>),
    /// What is needed of it.
    Kept(Unread),
}

/// Where a receipt goes, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The sender's Response Topic.
    pub(crate) topic: Box<str>,
    /// Its Correlation Data.
    pub(crate) correlation: Option<Bytes>,
}

/// The same, of a message.
type AddressOf<'m> = (&'m str, Option<&'m Bytes>);

/// What one message tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Telling {
    pub(crate) to: Address,
    /// How many receipts.
    pub(crate) count: u64,
    /// JSON.
    pub(crate) text: Bytes,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    fn of(message: &Message) -> Option<AddressOf<'_>> {
        let properties = message.properties.as_deref()?;
        Some((
            properties.response_topic.as_deref()?,
            properties.correlation_data.as_ref(),
        ))
    }
}

impl From<AddressOf<'_>> for Address {
    fn from((topic, correlation): AddressOf<'_>) -> Self {
        Address {
            topic: topic.into(),
            correlation: correlation.cloned(),
        }
    }
}

impl State {
    /// Whether a sender that wants this is told.
    pub(crate) fn is_told(self, wanted: ReceiptsWanted) -> bool {
        match self {
            State::Delivered => wanted.delivered,
            State::Read => wanted.read,
            _ => true,
        }
    }
}

impl Asking {
    fn address(&self) -> Option<AddressOf<'_>> {
        match self {
            Asking::Whole(message) => Address::of(message),
            Asking::Kept(Unread { to, .. }) => Some((&to.topic, to.correlation.as_ref())),
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Asking::Whole(message) => message.id.as_deref(),
            Asking::Kept(Unread { id, .. }) => id.as_deref(),
        }
    }

    /// What is to be kept of a message that was acknowledged, until it is read.
    pub(crate) fn unread(&self, since: Age) -> Option<Unread> {
        match self {
            Asking::Whole(message) => Unread::of(message, since),
            Asking::Kept(unread) => Some(unread.clone()),
        }
    }
}

impl Receipt {
    fn said<'r>(&'r self, topic: &'r str) -> Said<'r> {
        Said {
            at: self.at.0,
            id: self.about.id(),
            reason: match self.state {
                State::Refused(reason) => Some(reason),
                _ => None,
            },
            seq: self.seq.0,
            state: self.state.name(),
            topic,
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
    topic: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

/// What tells receipts, as JSON.
#[derive(Serialize)]
struct Text<'r> {
    notice: &'static str,
    receipts: Vec<Said<'r>>,
}

/// Receipts that go to one place are told by one message, at most [`RECEIPTS_JOINED_MAX`] of them, in their order. `topic_of` gives the topic of an inbox.
pub(crate) fn join(receipts: &[Receipt], topic_of: &dyn Fn(&str) -> String) -> Vec<Telling> {
    let topics = topics(receipts, topic_of);
    let mut joined: Vec<(AddressOf<'_>, Vec<Said<'_>>)> = Vec::new();
    let mut open = HashMap::<AddressOf<'_>, usize>::new();
    let mut last = None;
    for (receipt, topic) in receipts.iter().zip(&topics) {
        let Some(to) = receipt.about.address() else { continue };
        // Those of one inbox come together, and most are for one sender.
        let at = match last {
            Some((last, at)) if last == to => Some(at),
            _ => open.get(&to).copied(),
        };
        let has_room = |at: &usize| {
            joined
                .get(*at)
                .is_some_and(|(_, told)| told.len() < RECEIPTS_JOINED_MAX)
        };
        let at = at.filter(has_room).unwrap_or_else(|| {
            open.insert(to, joined.len());
            joined.push((to, Vec::new()));
            joined.len() - 1
        });
        last = Some((to, at));
        if let Some((_, told)) = joined.get_mut(at) {
            told.push(receipt.said(topic));
        }
    }
    let telling = joined.into_iter().map(|(to, receipts)| Telling {
        to: to.into(),
        count: receipts.len() as u64,
        text: text(receipts),
    });
    telling.collect()
}

/// The topic of the inbox of each.
fn topics(receipts: &[Receipt], topic_of: &dyn Fn(&str) -> String) -> Vec<Arc<str>> {
    let mut last: Option<(&ClientId, Arc<str>)> = None;
    let topics = receipts.iter().map(|receipt| match &last {
        Some((inbox, topic)) if **inbox == receipt.inbox => topic.clone(),
        _ => {
            let topic: Arc<str> = topic_of(receipt.inbox.as_str()).into();
            last = Some((&receipt.inbox, topic.clone()));
            topic
        }
    });
    topics.collect()
}

fn text(receipts: Vec<Said<'_>>) -> Bytes {
    let notice = "receipt";
    let Ok(text) = serde_json::to_vec(&Text { notice, receipts }) else {
        unreachable!("numbers and texts under fixed names are JSON");
    };
    text.into()
}

/// The message that tells receipts. Its `id` follows from what it tells, so that what is told again is known.
pub(crate) fn message(telling: &Telling, at: Micros, expiry: Expiry) -> Message {
    let id = xxhash_rust::xxh3::xxh3_128(&telling.text);
    let properties = Properties {
        correlation_data: telling.to.correlation.clone(),
        ..marked("receipt")
    };
    Message {
        from: NOTICE_FROM.clone(),
        id: Some(format!("receipt-{id:032x}").into()),
        at,
        expiry,
        qos: Qos::AtLeastOnce,
        payload: telling.text.clone(),
        properties: Some(Box::new(properties)),
    }
}
