//! A session as operators see it. What is kept for a client that is away is at hand; a session that has a connection belongs to that, which is asked, and answers
//! in its next turn.

use std::time::Duration;

use inbox_types::{Age, ClientId, Qos};
use tokio::sync::oneshot;

use crate::keeping::Restored;

/// A session as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose it is.
    pub client: ClientId,
    /// Whether its client is there.
    pub is_connected: bool,
    /// In what time it ends if its client stays away. `None`: never, or its client is there.
    pub ends_in: Option<Duration>,
    /// What it has. `None`: its connection does not say.
    pub holds: Option<Holdings>,
}

/// What a session has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The version of MQTT that its client speaks; `None`: it is away.
    pub protocol: Option<&'static str>,
    /// For how long it is kept without a connection, in seconds; `u32::MAX` is for ever.
    pub expiry: u32,
    /// Whether it outlives the broker.
    pub is_durable: bool,
    /// How many subscriptions it has, with that to the own inbox.
    pub subscriptions: usize,
    /// Messages of ordinary topics that its client does not have yet, or has not acknowledged.
    pub messages: usize,
    /// The same, in bytes.
    pub bytes: usize,
    /// Those of its subscriptions that were asked for.
    pub page: Vec<Subscribed>,
    /// There are more behind these.
    pub has_more: bool,
}

/// A subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Its place among those of its session, which it keeps.
    pub number: u32,
    /// As the client wrote it.
    pub filter: Box<str>,
    /// What was granted.
    pub qos: Qos,
}

/// Which subscriptions of a session are wanted, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedFilters {
    /// Those after this number.
    pub after: Option<u32>,
    /// At most so many.
    pub limit: usize,
    /// And not many more bytes of filters than these.
    pub bytes: usize,
}

impl WantedFilters {
    /// None of them.
    pub const NONE: WantedFilters = WantedFilters {
        after: None,
        limit: 0,
        bytes: 0,
    };

    /// The first of `all` that are wanted, and whether there are more.
    pub(in crate::session) fn of<'f>(self, all: impl Iterator<Item = (u32, &'f str, Qos)>) -> (Vec<Subscribed>, bool) {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (number, filter, qos) in all.filter(|(number, ..)| self.after.is_none_or(|after| *number > after)) {
            if page.len() == self.limit || bytes >= self.bytes {
                return (page, true);
            }
            bytes += filter.len();
            let filter = filter.into();
            page.push(Subscribed { number, filter, qos });
        }
        (page, false)
    }
}

/// An operator who waits for a connection to say what its session has.
#[derive(Debug)]
pub(in crate::session) struct Asked {
    pub(in crate::session) wanted: WantedFilters,
    pub(in crate::session) tell: oneshot::Sender<Holdings>,
}

impl Restored {
    /// Whether both are sessions of one client, of which the later one counts.
    pub fn is_of_same_client(&self, other: &Restored) -> bool {
        self.life.id() == other.life.id()
    }
}

impl Seen {
    /// A session that the store of a stopped broker has, at this age of the store.
    pub fn stored(restored: &Restored, age: Age, wanted: WantedFilters) -> Self {
        let all = restored.subscriptions.iter();
        let all = all.map(|(number, kept)| (*number, &*kept.filter, kept.options.qos));
        let (page, has_more) = wanted.of(all);
        // Of one that had a connection it begins when the broker starts.
        let ends_in = restored.left().and_then(|_| restored.lives(age));
        let holds = Holdings {
            protocol: None,
            expiry: restored.head.expiry,
            is_durable: true,
            subscriptions: restored.subscriptions.len(),
            messages: restored.queued.len(),
            bytes: restored.queued.iter().map(|queued| queued.message.size()).sum(),
            page,
            has_more,
        };
        Seen {
            client: restored.life.id().clone(),
            is_connected: false,
            ends_in,
            holds: Some(holds),
        }
    }
}
