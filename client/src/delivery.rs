//! A message out of the own inbox.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::arrivals::{Ticket, Verdict};
use crate::error::{AckError, SendError};
use crate::message::PayloadError;
use crate::sent::Sent;

/// Where a delivery goes back to.
pub(crate) trait Desk: fmt::Debug + Send + Sync {
    /// Makes an answer durable and sends it.
    fn settle(&self, ticket: Ticket, verdict: Verdict, done: oneshot::Sender<Result<(), AckError>>);
    /// The application let go of a message.
    fn let_go(&self, ticket: Ticket);
    /// Says that a message was read.
    fn mark_read(&self, from: &str, id: &str) -> Result<Pending, SendError>;
}

/// A message that is on its way into the outbox.
pub(crate) struct Pending {
    pub(crate) saved: oneshot::Receiver<Result<(), SendError>>,
    pub(crate) sent: Sent,
}

impl Pending {
    /// Waits until it is durable.
    pub(crate) async fn saved(self) -> Result<Sent, SendError> {
        match self.saved.await {
            Ok(saved) => saved.map(|()| self.sent),
            Err(_) => Err(SendError::Closed),
        }
    }
}

/// What a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryKind {
    /// A message.
    Message,
    /// The sender takes a message back that was delivered before.
    Recall {
        /// The id of that message.
        id: String,
    },
    /// The sender replaces a message that was delivered before, by this one.
    Edit {
        /// The id of that message.
        id: String,
    },
}

/// A message out of the own inbox.
///
/// It stays in the inbox until [`Delivery::ack`] or [`Delivery::reject`]. One that is dropped without either comes again, on the next connection.
///
/// ```no_run
/// # use inbox_client::{AckError, Delivery, DeliveryKind};
/// # async fn handle(delivery: Delivery) -> Result<(), AckError> {
/// match (&delivery.kind, delivery.json::<Vec<f64>>()) {
///     (DeliveryKind::Message, Ok(position)) => println!("{} is at {position:?}", delivery.from),
///     (DeliveryKind::Edit { id }, Ok(position)) => println!("instead of {id}: {position:?}"),
///     (DeliveryKind::Recall { id }, _) => println!("{id} is to be forgotten"),
///     (_, Err(_)) => return delivery.reject().await, // its sender may be told
///     _ => {}
/// }
/// delivery.ack().await
/// # }
/// ```
pub struct Delivery {
    /// What it is.
    pub kind: DeliveryKind,
    /// The sender's id for it, or the broker's: what repeats have in common. Empty where a broker that is not inboxd delivers it without.
    pub id: String,
    /// Its sequence number in the inbox (contract rule 6), which grows from message to message; `None` where the broker does not tell.
    pub seq: Option<u64>,
    /// The client ID of the sender, from the broker and not from the sender; empty where the broker does not tell.
    pub from: String,
    /// The user of the sender, where it is known and is not `from`.
    pub user: Option<String>,
    /// When the broker accepted it, in microseconds since 1970; `None` where the broker does not tell.
    pub at_us: Option<u64>,
    /// The payload.
    pub payload: Bytes,
    /// What the payload is: a media type, by the sender.
    pub content_type: Option<String>,
    /// The sender's other user properties, in its order.
    pub properties: Vec<(String, String)>,
    pub(crate) ticket: Ticket,
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) is_settled: AtomicBool,
}

impl Delivery {
    /// Acknowledges it: it leaves the inbox, and its sender may be told that it was delivered.
    ///
    /// When this returns, the answer is kept (on disk, with an outbox on disk) and on its way. Without a connection it is sent when the message
    /// comes again, which is then dropped as a repeat. Dropping the future does not take the answer back. A second answer changes nothing.
    ///
    /// # Errors
    /// [`AckError::Store`]: nothing was sent; ask again, or drop it. [`AckError::Closed`]: the inbox was closed first.
    pub async fn ack(&self) -> Result<(), AckError> {
        self.settle(Verdict::Acknowledged).await
    }

    /// Says that this client does not want it: it leaves the inbox, and its sender may be told that it was refused.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub async fn reject(&self) -> Result<(), AckError> {
        self.settle(Verdict::Rejected).await
    }

    /// Says that it was read, if its sender wants to know. Acknowledge it first.
    ///
    /// It goes through the outbox, so it is told after a lost connection, too.
    ///
    /// # Errors
    /// As [`Inbox::send`](crate::Inbox::send).
    pub async fn mark_read(&self) -> Result<(), SendError> {
        if !self.wants_read() {
            return Ok(());
        }
        let pending = self.desk.mark_read(&self.from, &self.id)?;
        pending.saved().await.map(|_sent| ())
    }

    /// Whether the sender asks to be told when it was read.
    pub fn wants_read(&self) -> bool {
        let asked = self.properties.iter().filter(|(name, _)| name == "receipt");
        !self.from.is_empty()
            && asked
                .flat_map(|(_, what)| what.split(','))
                .any(|what| what.trim() == "read")
    }

    /// The payload as text, whatever its content type.
    ///
    /// # Errors
    /// [`PayloadError::Text`]: it is no UTF-8.
    pub fn text(&self) -> Result<&str, PayloadError> {
        std::str::from_utf8(&self.payload).map_err(|_| PayloadError::Text)
    }

    /// The payload as JSON, whatever its content type.
    ///
    /// # Errors
    /// [`PayloadError::Json`]: it is no JSON, or of another shape than `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_slice(&self.payload).map_err(|_| PayloadError::Json)
    }

    /// The payload as MessagePack, whatever its content type.
    ///
    /// # Errors
    /// [`PayloadError::MessagePack`]: it is none, or of another shape than `T`.
    pub fn message_pack<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        rmp_serde::from_slice(&self.payload).map_err(|_| PayloadError::MessagePack)
    }

    async fn settle(&self, verdict: Verdict) -> Result<(), AckError> {
        if self.is_settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let (done, settled) = oneshot::channel();
        self.desk.settle(self.ticket, verdict, done);
        settled.await.unwrap_or(Err(AckError::Closed))?;
        self.is_settled.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            self.desk.let_go(self.ticket);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("seq", &self.seq)
            .field("from", &self.from)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
