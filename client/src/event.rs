//! What happens to an inbox, beside its messages.

use std::time::Duration;

use tokio::sync::broadcast;

use crate::error::{Lost, StopReason, StoreError};

/// Something that happened, as [`Inbox::events`](crate::Inbox::events) tells it. Nothing has to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is a connection, and the own inbox is read.
    Connected {
        /// Whether the broker is inboxd: it told its epoch.
        is_inboxd: bool,
    },
    /// The broker is not inboxd: mail does not wait for who is away, senders are not named, and nobody tells of delivery.
    PlainBroker,
    /// The connection is lost, or was not made; it is tried again.
    Disconnected {
        /// Why.
        why: Lost,
        /// After this pause.
        again_in: Duration,
    },
    /// There will be no other connection.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// A delivery did not follow the one that it is said to follow: messages are missing in between.
    Gap {
        /// The seq of the last delivery.
        after: u64,
        /// The seq of the one before this.
        prev: u64,
    },
    /// Messages left the own inbox unread: they expired, the inbox overflowed, or an operator emptied it.
    Dropped {
        /// How many since this was last told.
        messages: u64,
    },
    /// The broker's store is another one, or an older state of it: acknowledged mail may come again, and sent mail may be gone.
    EpochChanged {
        /// The epoch that was known.
        before: String,
    },
    /// Messages in the outbox that the broker has not acknowledged changed in number.
    Outbox {
        /// How many there are.
        messages: usize,
    },
    /// A recipient has no room, or the broker's store is troubled: what is for this topic waits, and is tried again.
    Held {
        /// The recipient.
        to: String,
        /// The reason code: 0x97 for want of room, 0x83 for trouble of the store.
        code: u8,
        /// What the broker said.
        told: Option<Box<str>>,
        /// After this pause, or sooner if there is room.
        again_in: Duration,
    },
    /// Something could not be kept on disk. What was promised holds; a repeat may go unnoticed after a restart.
    StoreTrouble {
        /// What is wrong.
        why: StoreError,
    },
    /// So many events were not taken in time.
    Missed {
        /// How many.
        events: u64,
    },
}

/// Whether an inbox is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is not, and tries to be.
    Connecting,
    /// It is.
    Connected {
        /// Whether the broker is inboxd.
        is_inboxd: bool,
    },
    /// It will not be any more.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// It was closed.
    Closed,
}

/// The events of an inbox, from the moment at which they were asked for.
///
/// ```no_run
/// # async fn program(inbox: &inbox_client::Inbox) {
/// use inbox_client::Event;
///
/// let mut events = inbox.events();
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Disconnected { why, again_in } => eprintln!("{why}; the next attempt is in {again_in:?}"),
///         Event::Stopped { reason } => eprintln!("{reason}"), // nothing more comes
///         Event::Dropped { messages } => eprintln!("{messages} messages expired or were dropped unread"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the inbox has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(events)) => Some(Event::Missed { events }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
